"""What requests use and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["chat", "compaction", "summary", "title", "memory", "transcription", "search", "subagent"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts of one request in disjoint kinds: what was read from a cache is not in *uncached*."""

    uncached: int = 0
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    output: int = 0

    @property
    def input(self) -> int:
        """Everything that was sent: uncached + cache reads + cache writes."""
        return self.uncached + self.read + self.write_5m + self.write_1h

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.uncached + other.uncached,
            self.read + other.read,
            self.write_5m + other.write_5m,
            self.write_1h + other.write_1h,
            self.output + other.output,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageOpen:
    """A ledger row as it is written before its request is made; *worst* is what a killed request is charged."""

    uid: str
    worst: Tokens
    purpose: Purpose
    channel: str
    provider: str
    model_asked: str
    at: int
    turn: int | None = None
    step: int | None = None
    attempt: int | None = None
    session: int | None = None
    conversation: int | None = None
    identity: int | None = None
    trigger: str | None = None
    units: int | None = None  # seconds of audio; None: it is no transcription
    reserved: int | None = None  # the most that it can cost; None: its price is not known
    bound: int | None = None  # of its input tokens, by its bytes alone; None: it is no prompt
    searches: int = 0  # that its provider may make for it: they have a row of their own beside it
    searches_reserved: int | None = None  # nano-dollars, the most that those can cost; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSettled:
    """What a request came to. *cost* None: the price is not known (never 0 for that reason).

    *state*: known (the provider said so), estimated (an upper bound, shown apart), failed (nothing was used), void
    (of searches: none was made, and no report has the row).
    """

    state: Literal["known", "estimated", "failed", "void"]
    tokens: Tokens
    ended: int
    model: str | None = None
    provider_id: str | None = None
    cost: int | None = None
    cost_state: Literal["priced", "free", "unpriced"] = "unpriced"
    price: str | None = None  # JSON of the price applied
    provider_cost: int | None = None
    units: int | None = None  # seconds of audio, or searches; None: as it was opened
    saved: int | None = None  # nano-dollars that the same input would have cost more uncached; None: no price
    searches: UsageSettled | None = None  # the row of its searches; None: it has none

    @property
    def searched(self) -> bool:
        """Whether its tokens are those of several prompts: its provider has asked the model anew after each search."""
        return self.searches is not None and self.searches.state != "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What an exact request came to, in tokens, against the upper *bound* of its input (None: not written down).

    *at* in microseconds UTC, when it was opened.
    """

    input: int
    output: int
    at: int
    bound: int | None
