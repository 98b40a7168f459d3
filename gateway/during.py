"""What becomes of a message that comes while an earlier one is being answered; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from gateway.types.places import Conversation

During = Literal["queue", "steer", "interrupt", "reject"]
MODES: tuple[During, ...] = get_args(During)


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """The turn that is running in a conversation; *identity* is who it answers (None: a job)."""

    turn: int
    identity: int | None


def mode_of(place: Conversation, usual: During) -> During:
    """What holds in a conversation: its own choice (/queue), else that of the bot's account."""
    own = place.settings.get("queue")
    return next((mode for mode in MODES if mode == own), usual)


def becomes(mode: During, *, busy: Busy | None, identity: int | None, admin: bool) -> During | None:
    """None: nothing is running. Only who asked for the running turn, or an admin, may change its course."""
    if busy is None:
        return None
    if mode in ("steer", "interrupt") and not (admin or identity == busy.identity):
        return "queue"
    return mode
