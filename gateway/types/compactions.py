"""What is put away of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cause = Literal["manual", "api", "auto", "overflow"]
"""What set off a compaction: a person, a caller, little room after a turn, a request that does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What was put away of a session's prompts, with the entry *entry_seq* that says so; times in microseconds UTC.

    *method*: notes that a model wrote, 'beginnings' of the messages, or 'pruned' results of tools. *upto*: the first
    entry it says nothing of. *before* and *after* in tokens, *after* estimated; *cost* in nano-dollars, None: not
    known. *state*: 'off' was taken back, 'gone' too and for good.
    """

    id: int
    session: int
    entry_seq: int
    cause: str
    method: Literal["notes", "beginnings", "pruned"]
    upto: int
    messages: int
    before: int
    after: int | None
    requests: int
    cost: int | None
    model: str | None
    focus: str
    state: Literal["on", "off", "gone"]
    created: int
    changed: int
    summary: str
