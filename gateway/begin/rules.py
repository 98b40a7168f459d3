"""What decides how a conversation goes on, at this moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway import access
from gateway.types.outbound import Chunk
from gateway.types.people import Identity
from gateway.types.places import Conversation
from gateway.types.usage import UsageSettled


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decides, at this moment."""

    owner: str  # this process
    now: int
    policy: access.Policy
    key: Callable[[int, str], str]  # (account, channel): its name in the configuration
    gap_minutes: Callable[[Conversation], int | None]  # None: explicit
    carry_over: bool
    render: Callable[[int, str], list[Chunk]]
    token: Callable[[], str]
    recover: Callable[[tuple[Any, ...]], tuple[str, UsageSettled]]
    resume_parked: bool
    halted: bool  # the emergency stop holds: commands only
    overheard: Callable[[Conversation], int]  # messages of a group that the model is shown
    served: Callable[[int, str], bool]  # (account, channel): whether an answer could be delivered
    judged: Callable[[int], bool]  # whether the crash that left this turn was counted at the start
    connecting: Callable[[str], bool]  # whether that platform is configured and not connected yet
    language: str = ""  # of whoever's is not known


def language(identity: Identity | None, rules: Rules) -> str:
    """The language that person is spoken to in; the operator's where nobody asked."""
    return (identity.lang if identity else "") or rules.language
