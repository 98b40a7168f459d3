"""Our ledger beside what the provider says: per day and model, what agrees and what does not; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any, Literal, TypeVar

from gateway.exports import Entry, Export
from gateway.moments import EPOCH, local
from gateway.price import KINDS
from gateway.types.usage import Tokens

Sum = TypeVar("Sum", int, Tokens)
Verdict = Literal["equal", "estimated", "differs", "theirs", "ours"]
"""'estimated': theirs lies within what we could only estimate. 'theirs', 'ours': the other side has nothing."""

# The day that a snapshot of a model is called by, and what stands for the newest one.
_SNAPSHOT = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


class TornBucket(ValueError):
    """An entry lies in two days of the zone, from *begin* to *end* in microseconds UTC."""

    def __init__(self, begin: int, end: int) -> None:
        super().__init__(f"{begin} to {end}")
        self.begin, self.end = begin, end


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A sum of one side. *cost* in nano-dollars over the requests whose price is known; *unpriced* counts the others.

    What a provider's export does not say is None.
    """

    tokens: Tokens | None = None
    cost: int | None = None
    requests: int | None = None
    unpriced: int = 0

    def __add__(self, other: Booked) -> Booked:
        return Booked(
            tokens=_sum(self.tokens, other.tokens),
            cost=_sum(self.cost, other.cost),
            requests=_sum(self.requests, other.requests),
            unpriced=self.unpriced + other.unpriced,
        )


NOTHING = Booked(tokens=Tokens(), cost=0, requests=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One model (its snapshots together; '' for all) on one *day*, YYYY-MM-DD. *slack* in nano-dollars: see Export."""

    day: str
    model: str
    verdict: Verdict
    theirs: Booked
    known: Booked
    estimated: Booked
    slack: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """*title* of the export, and the *providers* of the ledger that it was compared with. Both days are included."""

    title: str
    vendor: str
    zone: str
    providers: tuple[str, ...]
    first: str
    last: str
    lines: list[Line] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return all(line.verdict in ("equal", "estimated") for line in self.lines)


@dataclass(slots=True)
class _Account:
    """What was gathered for one day and model."""

    theirs: Booked | None = None
    exact: Fraction = Fraction()
    slack: Fraction = Fraction()
    known: Booked = NOTHING
    estimated: Booked = NOTHING


def called(model: str) -> str:
    """A model without its snapshot, as both sides can name it: an answer that was cut off never told which it was.

    The Console writes 'Claude Haiku 4.5' for claude-haiku-4-5.
    """
    name = model.strip().lower()
    if name.startswith("claude "):
        name = name.replace(" ", "-").replace(".", "-")
    return _SNAPSHOT.sub("", name)


def reconciled(
    export: Export, rows: Iterable[Sequence[Any]], *, zone: str, providers: tuple[str, ...]
) -> Reconciliation:
    """*rows* are storage.costs.Costs.booked, of those providers. Raises TornBucket."""
    apart = any(each.model for each in export.entries) or not export.entries
    accounts: dict[tuple[str, str], _Account] = {}

    def account(day: str, model: str) -> _Account:
        return accounts.setdefault((day, (called(model) or "(no model)") if apart else ""), _Account())

    for entry in export.entries:
        found = account(_day(entry.begin, entry.end, zone), entry.model)
        found.theirs = _reported(entry) if found.theirs is None else found.theirs + _reported(entry)
        found.exact += entry.cost or 0
        found.slack += entry.slack
    for _, model, day, estimated, *sums in rows:
        found = account(date.fromordinal(EPOCH + day).isoformat(), model)
        booked = Booked(tokens=Tokens(*sums[:5]), cost=sums[5], requests=sums[6], unpriced=sums[7])
        if estimated:
            found.estimated += booked
        else:
            found.known += booked
    measured = _measured(export)
    lines = [_line(day, model, found, measured) for (day, model), found in sorted(accounts.items())]
    return Reconciliation(
        title=export.title,
        vendor=export.vendor,
        zone=zone,
        providers=providers,
        first=local(export.begin, zone).date().isoformat(),
        last=local(export.end - 1, zone).date().isoformat(),
        lines=lines,
        notes=export.notes,
    )


def _day(begin: int, end: int, zone: str) -> str:
    first, last = (local(at, zone).date() for at in (begin, max(begin, end - 1)))
    if first != last:
        raise TornBucket(begin, end)
    return first.isoformat()


def _reported(entry: Entry) -> Booked:
    return Booked(
        tokens=entry.tokens,
        cost=None if entry.cost is None else 0,  # summed exactly, and rounded once
        requests=entry.requests,
    )


def _measured(export: Export) -> Booked:
    """What the export tells of at all, as zeros."""
    some = export.entries
    return Booked(
        tokens=Tokens() if not some or any(each.tokens is not None for each in some) else None,
        cost=0 if any(each.cost is not None for each in some) else None,
        requests=0 if any(each.requests is not None for each in some) else None,
    )


def _line(day: str, model: str, found: _Account, measured: Booked) -> Line:
    theirs = measured if found.theirs is None else found.theirs
    if theirs.cost is not None:
        theirs = replace(theirs, cost=round(found.exact))
    # Each of our requests was rounded to a nano-dollar.
    slack = int(found.slack) + (found.known.requests or 0) + (found.estimated.requests or 0)
    return Line(
        day=day,
        model=model,
        verdict=_verdict(theirs, found, slack),
        theirs=theirs,
        known=found.known,
        estimated=found.estimated,
        slack=slack,
    )


def _verdict(theirs: Booked, found: _Account, slack: int) -> Verdict:
    known, rough = found.known, found.estimated
    if _equal(theirs, known, slack) and not _amounts(theirs, rough):
        return "equal"
    if _within(theirs, known, rough, slack):
        return "estimated"
    if not _amounts(theirs, known) and not _amounts(theirs, rough):
        return "theirs"
    return "ours" if not _amounts(theirs, theirs) else "differs"


def _amounts(theirs: Booked, side: Booked) -> bool:
    """Whether a side has anything of what the export tells of."""
    tokens = theirs.tokens is not None and side.tokens is not None and side.tokens != Tokens()
    money = theirs.cost is not None and bool(side.cost or side.unpriced)
    return tokens or money


def _equal(theirs: Booked, known: Booked, slack: int) -> bool:
    if theirs.tokens is not None and theirs.tokens != known.tokens:
        return False
    return theirs.cost is None or (not known.unpriced and abs(theirs.cost - (known.cost or 0)) <= slack)


def _within(theirs: Booked, known: Booked, rough: Booked, slack: int) -> bool:
    """Estimates are upper bounds, and do not know which part of their input came from a cache."""
    if theirs.tokens is not None:
        assert known.tokens is not None and rough.tokens is not None
        if any(getattr(theirs.tokens, kind) < getattr(known.tokens, kind) for kind in KINDS):
            return False
        if theirs.tokens.input > known.tokens.input + rough.tokens.input:
            return False
        if theirs.tokens.output > known.tokens.output + rough.tokens.output:
            return False
    if theirs.cost is not None:
        low, high = (known.cost or 0) - slack, (known.cost or 0) + (rough.cost or 0) + slack
        return not known.unpriced and not rough.unpriced and low <= theirs.cost <= high
    return True


def _sum(one: Sum | None, other: Sum | None) -> Sum | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other
