"""How long a provider is asked to keep a prompt, by the rhythm of its session and by the prices; pure.

Writing to a cache is dearer than plain input and reading from it far cheaper, so what pays depends on when the next
request comes: within five minutes in a tool loop or a quick chat, within the hour where somebody answers now and
then, or too late for either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from gateway.price import Rates
from gateway.protocols.prompt import Cache
from gateway.types.measures import HOUR, MINUTE

Setting = Literal["auto", "5m", "1h", "off"]

LIFETIMES: dict[Cache, int] = {"off": 0, "5m": 5 * MINUTE, "1h": HOUR}  # from the last use; microseconds
# Of plain input; Anthropic, prompt caching, pricing: what is assumed where a price is not known.
READ, WRITE_5M, WRITE_1H = Fraction(1, 10), Fraction(5, 4), Fraction(2)
# What is expected before anything is known, as the weight of one request: most people answer at once or not at all.
SOON, WITHIN_AN_HOUR = Fraction(60, 100), Fraction(25, 100)
TURNS = 8  # newest turns whose pauses count: a morning's rhythm is not the evening's
AHEAD = 8  # further requests at most that one is expected to pay for


@dataclass(frozen=True, slots=True)
class Asking:
    """A request that was made: *at* its start, in *turn*, and what of it a cache has kept, and for how long."""

    turn: int
    at: int
    kept: Cache = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When a session has asked before, oldest first, and when it asks *now*."""

    asked: Sequence[Asking] = ()
    now: int = 0

    def recent(self) -> list[Asking]:
        """The requests of the newest turns."""
        turns = list(dict.fromkeys(each.turn for each in self.asked))[-TURNS:]
        return [each for each in self.asked if each.turn in turns]

    def pauses(self) -> list[int]:
        """Microseconds from each request to the next, this one included."""
        times = [each.at for each in self.recent()] + [self.now]
        return [after - before for before, after in pairwise(times)]

    def held(self) -> Cache:
        """For how long what the latest turn has put into a cache is kept; off: it is there no longer."""
        recent = self.recent()
        kept: list[Cache] = [each.kept for each in recent if each.turn == recent[-1].turn]
        kept.sort(key=lambda each: LIFETIMES[each])
        return kept[-1] if recent and self.now - recent[-1].at <= LIFETIMES[kept[-1]] else "off"


def choose(rhythm: Rhythm, *, old: int, new: int, rates: Rates | None) -> Cache:
    """The lifetime by which this request and those expected after it are cheapest.

    *old* tokens were sent before, *new* are sent for the first time; estimates of both will do. An hour that has no
    price is never chosen where the rest has one: its row would be unpriced. *rates* None: nobody knows any, and the
    vendor's usual proportions are assumed.
    """
    choices: list[Cache] = ["off", "5m"]
    # What is held for five minutes is not held longer for what comes after it; only to write it anew would do that.
    dear = _proportions("1h", rates)[1] > 1
    if (rates is None or rates.write_1h is not None) and not (dear and rhythm.held() == "5m"):
        choices.append("1h")
    return min(choices, key=lambda cache: _cost(cache, rhythm, old, new, rates))


def _cost(cache: Cache, rhythm: Rhythm, old: int, new: int, rates: Rates | None) -> Fraction:
    """In tokens of plain input."""
    pauses, whole = rhythm.pauses(), old + new
    ahead = min(len(pauses) + 1, AHEAD)
    if cache == "off":
        return Fraction(whole * (1 + ahead))
    read, write = _proportions(cache, rates)
    prior = SOON if cache == "5m" else SOON + WITHIN_AN_HOUR
    in_time = sum(pause <= LIFETIMES[cache] for pause in pauses)
    hits = (prior + in_time) / (1 + len(pauses))
    now = read * old + write * new if rhythm.held() != "off" else write * whole
    return now + ahead * whole * (hits * read + (1 - hits) * write)


def _proportions(cache: Cache, rates: Rates | None) -> tuple[Fraction, Fraction]:
    """What a token costs that is read, and one that is written, as shares of one of plain input."""
    usual = WRITE_5M if cache == "5m" else WRITE_1H
    if rates is None or not rates.uncached:
        return READ, usual
    written = rates.write_5m if cache == "5m" else rates.write_1h
    plain = Fraction(rates.uncached)
    return (
        READ if rates.read is None else Fraction(rates.read) / plain,
        usual if written is None else Fraction(written) / plain,
    )
