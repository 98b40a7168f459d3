"""The least that a series of prompts can cost by Anthropic's rules, for somebody who knows all of them beforehand.

Each block is decided by itself, whatever breakpoints that would take: no real choice can be cheaper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gateway.price import Rates
from tests.fakes.prompt_cache import LIFETIMES, Part, minimum_of, prefixes_of, running

WRITES = {"5m": "write_5m", "1h": "write_1h"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One prompt as it was sent, *at* in seconds."""

    at: float
    parts: Sequence[Part]


def least(model: str, sent: Sequence[Sent], rates: Rates) -> Fraction:
    """For all their input; dollars per million tokens times tokens."""
    lives: dict[tuple[int, ...], int] = {}
    seen: dict[bytes, list[int]] = {}
    sizes: dict[bytes, int] = {}
    for number, each in enumerate(sent):
        for part, prefix in zip(each.parts, prefixes_of(model, each.parts), strict=True):
            seen.setdefault(prefix, []).append(number)
            sizes[prefix] = part.tokens
    for prefix, where in seen.items():
        lives[tuple(where)] = lives.get(tuple(where), 0) + sizes[prefix]
    long_enough = [running(each.parts)[-1] >= minimum_of(model) for each in sent]
    total = Fraction()
    for where, tokens in lives.items():
        times = [(sent[number].at, long_enough[number]) for number in where]
        total += tokens * _cheapest(times, rates)
    return total


def _cheapest(times: Iterable[tuple[float, bool]], rates: Rates) -> Fraction:
    """For one token that is sent at these times; the flag: whether it can be cached then."""
    plain, read = Fraction(rates.uncached), Fraction(rates.read or rates.uncached)
    # What has been paid, by the lifetime with which the token is kept since the time before; None: it is not.
    paid: dict[str | None, Fraction] = {None: Fraction()}
    before = 0.0
    for at, cached in times:
        sofar = min(paid.values())
        after: dict[str | None, Fraction] = {None: sofar + plain}
        for ttl, kind in WRITES.items() if cached else ():
            rate = rates.of(kind)
            assert rate is not None
            after[ttl] = sofar + Fraction(rate)
            if ttl in paid and at - before < LIFETIMES[ttl]:
                after[ttl] = min(after[ttl], paid[ttl] + read)
        paid, before = after, at
    return min(paid.values())
