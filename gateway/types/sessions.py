"""Sessions, and what is asked of many."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gateway.types.json import Json

CloseReason = Literal["idle", "command", "moved", "api", "resumed", "forked", "archived", "parent", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A transcript. *code* is what people type; *last_person* is when a person last wrote in it.

    *model* None: the default one.
    """

    id: int
    code: str
    conversation: int
    owner: int | None
    state: Literal["open", "closed"]
    close_reason: str | None
    origin: str
    parent: int | None
    triggered_by: str | None
    title: str | None
    summary: str | None
    system_prompt: str | None
    model: str | None
    message_count: int
    next_seq: int
    next_turn: int
    unread: bool
    created: int
    last_person: int | None
    last_active: int
    closed: int | None
    settings: Json = field(default_factory=dict)  # "think": how long its model may think
    paused: bool = False
    archived: int | None = None
    deleted: int | None = None
    fork_seq: int | None = None  # up to where it is a copy of its parent's transcript; None: of nothing

    @property
    def child(self) -> bool:
        """Whether it works for another session, and ends with that."""
        return self.origin == "child" and self.parent is not None


SessionState = Literal["open", "closed", "paused", "archived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which sessions are meant; None: whatever. Archived ones only where *state* asks for them.

    *channel* as telegram; *person* by number; *trigger*: the job that began it, '' for any job.
    """

    tag: str | None = None
    channel: str | None = None
    conversation: int | None = None
    person: int | None = None
    trigger: str | None = None
    state: SessionState | None = None
    unread: bool | None = None
