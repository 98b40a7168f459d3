"""What is counted while the gateway runs, for whoever watches it; from nought at each start, and without content."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BOUNDS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)  # seconds


@dataclass(slots=True)
class Durations:
    """How many were as long as each of BOUNDS at most, and longer than the one before; the last: longer than all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0  # seconds

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Gauges:
    """By model, as provider:model: how long its first word and its whole answer took, and how requests ended.

    *ended*: 'ok', 'cancelled', or the kind of a ModelError.
    """

    first: dict[str, Durations] = field(default_factory=dict)
    whole: dict[str, Durations] = field(default_factory=dict)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)

    def asked(self, model: str, *, first: float | None, whole: float, ended: str) -> None:
        """A request is over; *first* None: nothing came. Seconds."""
        self.ended[model, ended] += 1
        self.whole.setdefault(model, Durations()).add(whole)
        if first is not None:
            self.first.setdefault(model, Durations()).add(first)
