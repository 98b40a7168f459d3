"""Turns, and the entries of a transcript."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.types.json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One run of the agent. *n* counts within the session; *identity* is who pays (None: a job's own).

    *over*: the budgets that an admin lets it run past, as person:day.
    """

    id: int
    session: int
    n: int
    conversation: int
    identity: int | None
    trigger: str | None
    job_run: int | None
    attempt: int
    fence: int
    state: Literal["running", "parked", "done", "failed", "cancelled", "dead"]
    started: int
    finished: int | None = None
    error_kind: str | None = None
    error: str | None = None
    over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a transcript; *body* is versioned JSON (see gateway.transcript)."""

    seq: int
    turn: int | None
    kind: Literal["user", "assistant", "results", "note", "summary", "mark"]
    body: Json
    created: int
