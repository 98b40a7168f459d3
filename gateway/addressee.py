"""Where an operator's message is to go, as it is written: telegram:12345, telegram.second:-100…/7, main:desk."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import Refused
from gateway.types import Place, PlaceKind

HOME = "main"
_WRITTEN = re.compile(r"([a-z][a-z0-9_]*(?:\.[a-z0-9_-]+)?):([^\s:/]+)(?:/([^\s:/]+))?")
_HOME = re.compile(rf"{HOME}(?::(\S+))?")


@dataclass(frozen=True, slots=True)
class Addressee:
    """*key* names the bot as the configuration does; *thread* is '' for the chat itself."""

    key: str
    chat: str
    thread: str = ""

    @property
    def place(self) -> Place:
        """As far as it can be told by its ids; a place that is known already keeps its kind.

        Bot API: only private chats have positive ids. Discord's ids tell nothing, and one that has never written
        to us is a channel of a server.
        """
        platform = self.key.partition(".")[0]
        kind: PlaceKind = "thread" if self.thread and platform == "discord" else "group"
        if platform == "telegram" and not self.chat.startswith("-"):
            kind = "direct"
        return Place(chat_id=self.chat, thread_id=self.thread, kind=kind)


def parse(text: str) -> Addressee:
    """Raises Refused for anything else."""
    if home := _HOME.fullmatch(text):
        return Addressee(HOME, home[1] or HOME)
    if (written := _WRITTEN.fullmatch(text)) is None:
        raise Refused(
            f"{text!r} is no target; write telegram:12345, discord:CHANNEL, telegram:-100…/TOPIC, "
            "telegram.ACCOUNT:12345 or main:KEY"
        )
    return Addressee(written[1], written[2], written[3] or "")
