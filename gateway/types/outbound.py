"""What goes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.types.json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button under a message; *token* is random and says nothing by itself."""

    label: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to send: its own *text*, or what the media folder keeps under the number *media*.

    *type* is a media type; what begins with image/ is shown as a picture where the platform does that.
    """

    name: str
    type: str
    text: str = ""
    media: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One platform message. *extra* belongs to the channel that rendered it (formatting entities).

    *file*: sent with it, the text as its caption; such a message is sent whole and never edited.
    """

    text: str
    extra: Json = field(default_factory=dict)
    buttons: tuple[Button, ...] = ()
    file: File | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuEntry:
    """A chat command as a platform's menu shows it.

    *private*: its answer is for who gave it alone; *admin*: not everybody may use it. *translated*: the
    description in other languages, by primary subtag (BCP 47).
    """

    name: str
    description: str
    private: bool = False
    admin: bool = False
    translated: Mapping[str, str] = field(default_factory=dict)


Reaction = Literal["seen", "steered", "interrupted", "done", "failed"]
"""What an emoji under a person's message says of it; which one is the channel's choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One chunk on its way out.

    ready -> (placing -> placed ->) sending -> sent; dead when it can never be delivered.
    """

    id: int
    origin: str
    part: int
    account: int
    conversation: int
    session: int | None
    kind: Literal["answer", "notice", "job"]
    payload: Chunk
    nonce: str
    state: Literal["ready", "placing", "placed", "sending", "sent", "unknown", "dead"]
    message_id: str | None
    not_before: int
    attempts: int
    first_try: int | None
