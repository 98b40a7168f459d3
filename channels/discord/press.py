"""Interactions: what an answer to one needs, in a text that can be stored."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from channels.discord.snowflake import is_id, made_at
from gateway.types.measures import SECOND

LIFE = 14 * 60 * SECOND  # microseconds; a token lives 15 minutes (Interactions, Followup Messages)
MOST_TITLE = 90  # characters; a thread's name may have 100


@dataclass(frozen=True, slots=True)
class Press:
    """A command given or a button pressed, by whom."""

    id: str
    token: str
    user: str
    button: bool = False

    def __str__(self) -> str:
        return ":".join(("b" if self.button else "c", self.id, self.user, self.token))

    @staticmethod
    def read(text: object) -> Press | None:
        """What `str` has written; None for anything else."""
        kind, id, user, token = [*str(text).split(":", 3), "", "", ""][:4]
        if kind not in ("b", "c") or not is_id(id) or not token:
            return None
        return Press(id, token, user, kind == "b")

    def lives(self, now: int) -> bool:
        """Whether answers through it are still taken."""
        return now - made_at(self.id) < LIFE


@dataclass(frozen=True, slots=True)
class Hint:
    """What is kept with a conversation, to speak there later.

    *press*: the interaction whose answer the next message is; *member*: we may also write there by ourselves.
    *title*: the name for a thread that is begun with the first answer.
    """

    press: str = ""
    member: bool = True
    title: str = ""

    def __str__(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value != _NONE[name]})

    @staticmethod
    def read(text: str) -> Hint:
        try:
            found = json.loads(text) if text else {}
        except ValueError:
            return Hint()
        if not isinstance(found, dict):
            return Hint()
        return Hint(
            str(found.get("press", "")), found.get("member") is not False, str(found.get("title", ""))
        )


_NONE = {"press": "", "member": True, "title": ""}
