"""A command or a pressed button on its way to whoever carries it out, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.types.inbound import Waiting
from gateway.types.json import Json
from gateway.types.outbound import File, MenuEntry
from gateway.types.people import Identity, Role
from gateway.types.places import Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who wants what, and where. *name* is without the slash; *args* is the rest of the line."""

    name: str
    args: str
    row: Waiting
    conversation: Conversation
    identity: Identity | None
    role: Role
    lang: str = ""  # BCP 47 tag of the language to answer in
    zone: str = "UTC"  # IANA name of the zone whose clock to answer by


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A button to be put under a reply."""

    label: str
    action: str
    args: Json = field(default_factory=dict)

    @classmethod
    def run(cls, label: str, name: str, args: str = "") -> Offer:
        """A button that gives a command; whether they may is asked of whoever presses it."""
        return cls(label=label, action="run", args={"v": 1, "name": name, "args": args})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the person is told ('' for nothing); *toast* is shown on the button that was pressed.

    *private*: for the eyes of who asked alone, also where the question came from a shared chat. *files* go out after
    the text, on channels that can send any; without a text they do not.
    """

    text: str = ""
    offers: Sequence[Offer] = ()
    toast: str = ""
    private: bool = False
    files: Sequence[File] = ()


class Commands(Protocol):
    """Every chat command and button action."""

    def mode(self, name: str) -> Literal["now", "between"] | None:
        """'now' never waits; 'between' waits for the running turn; None: there is no such command."""
        ...

    async def run(self, call: Call) -> Reply:
        """Raises Refused with a text for the person."""
        ...

    async def press(self, action: str, args: Json, call: Call) -> Reply:
        """Raises Refused with a text for the person."""
        ...

    def menu(self) -> Sequence[MenuEntry]:
        """Every command, as a list of them shows it."""
        ...
