"""How much one person, and one chat, may send; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.types.inbound import Kind
from gateway.types.measures import MINUTE

WINDOW = MINUTE
# What was sent earlier waited for us, not we for it: a day's worth at once after an absence is no flood.
BACKLOG = 5 * MINUTE

Flood = Literal["too fast", "too many waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """*messages_per_minute* of one person; *most_waiting* messages in one chat."""

    messages_per_minute: int = 240
    most_waiting: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a person sent within the last WINDOW before this event, and what waits in the chat.

    *recent*: commands and buttons alone, when this event is urgent.
    """

    recent: int
    waiting: int


def is_urgent(kind: Kind, *, now_command: bool) -> bool:
    """Whether it has a measure of its own: whoever flooded must still be able to press a button and to /stop."""
    return now_command or kind is Kind.BUTTON


def flood(kind: Kind, *, urgent: bool, sent: Sent, limits: Limits) -> Flood | None:
    """Why this event is one too many; None when it is not."""
    if sent.recent >= limits.messages_per_minute:
        return "too fast"
    # Nothing else waits for a turn.
    waits = not urgent and kind in (Kind.MESSAGE, Kind.COMMAND, Kind.API)
    return "too many waiting" if waits and sent.waiting >= limits.most_waiting else None


def backlog(sent: int | None, now: int) -> bool:
    """Whether an event waited for us; *sent* by the platform's clock, None when it does not say."""
    return sent is not None and sent < now - BACKLOG
