"""What there is to do next in a conversation."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.jobs.ends import End
from gateway.progress import Started
from gateway.types.inbound import Waiting
from gateway.types.outbound import OutboxRow
from gateway.types.people import Identity
from gateway.types.places import Conversation
from gateway.types.turns import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Nobody waits here, or somebody else has it. *parked*: a turn waits for the operator.

    *due*: the first row waits for the rest of what is being sent, until then (microseconds UTC).
    *halted*: somebody waits, and nothing may be asked.
    """

    parked: bool = False
    due: int | None = None
    halted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A turn to run; *notices* are to be sent before its answer, *parts* it had placed in an earlier life."""

    started: Started
    notices: tuple[OutboxRow, ...] = ()
    parts: tuple[OutboxRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Files to fetch before the turn of these rows can begin; *conversation* is where they were sent."""

    rows: tuple[Waiting, ...]
    conversation: Conversation
    fence: int
    lang: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that waited for its place in the order."""

    row: Waiting
    conversation: Conversation
    identity: Identity | None
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisoned:
    """A turn that took the process down too often; it is dead now and the person is told."""

    turn: Turn
    notices: tuple[OutboxRow, ...]
    text: str  # what they say
    end: End | None = None  # of the run that it was


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway:
    """Messages for a session that takes none now; *text* is what the person is told."""

    rows: tuple[Waiting, ...]
    fence: int
    notices: tuple[OutboxRow, ...]
    text: str


Begun = Nothing | Ask | Collect | Command | Poisoned | TurnedAway
