"""What the operator has set about conversations, and what of it holds in one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway import working
from gateway.access import Policy
from gateway.budgets import Rules
from gateway.during import During
from gateway.floods import Limits
from gateway.media.collecting import Bounds
from gateway.media.hearing import Speech
from gateway.reactions import Shown
from gateway.types.measures import HOUR, MINUTE
from gateway.types.places import Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What the operator has set about conversations; swapped whole on reload. Times in microseconds."""

    policy: Policy
    gap_minutes: dict[str, int | None]  # by the account's name in the configuration, or the channel's
    carry_over: bool = True
    each_member: bool = False  # each member of a group has a session of their own
    during: Mapping[str, During] = field(default_factory=dict)  # a message during a turn, by account's key
    overheard: Mapping[str, int] = field(
        default_factory=dict
    )  # messages of a group not meant for us, likewise
    reactions: Mapping[str, Shown] = field(default_factory=dict)
    away_after: int = 2 * HOUR
    zone: str = "UTC"
    most_turns: int = 64
    limits: Limits = field(default_factory=Limits)
    job_interval: int = 5 * MINUTE  # at least, between two planned times of a job that a person made
    jobs_each: int = 20  # that one person may make
    digest_model: str = ""  # that writes a line for each conversation of a digest; '': none
    budgets: Rules = field(default_factory=Rules)
    speech: Speech | None = None  # None: recordings are not transcribed
    files: Bounds = field(default_factory=Bounds)  # that people send
    language: str = ""  # BCP 47 tag, of people whose own is not known
    patience: float = working.PATIENCE  # seconds without a word until “still working”

    def gap(self, key: str, channel: str) -> int | None:
        """Minutes, of the account of that name; None: explicit sessions."""
        return self.gap_minutes.get(key, self.gap_minutes.get(channel))

    def hears(self, key: str, place: Conversation) -> int:
        """How many messages of a group that were not meant for us the model is shown; 0: none."""
        return 0 if place.settings.get("context") == 0 else self.overheard.get(key, 0)
