"""Where an operator's message is to go, as it is written: telegram:12345, telegram.second:-100…/7, main:desk."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import Refused

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
    def address(self) -> str:
        """As it was written."""
        return f"{self.key}:{self.chat}" + (f"/{self.thread}" if self.thread else "")


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
