"""One line of a provider's export, and how its fields are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Literal

from gateway.errors import Refused
from gateway.types.measures import DOLLAR, SECOND
from gateway.types.usage import Tokens

HOUR = 3600 * SECOND
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = range(2015, 2200)  # before these companies, and after everything; a slip of the pen
SEARCHES = "web search"  # in the place of a model: all searches of a day
HALF_CENT = Fraction(DOLLAR, 200)


class ExportError(Refused):
    """An export that cannot be read; the text says which format is understood, or what is wrong where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the provider says of a stretch of time, *begin* to *end* in microseconds UTC.

    *model* as the provider writes it; '' where it does not tell models apart. *tokens*, *requests* and *cost* (in
    nano-dollars, exactly as written) are None where the export does not say. *slack*: by how much the cost may have
    been rounded.
    """

    begin: int
    end: int
    model: str
    tokens: Tokens | None = None
    requests: int | None = None
    cost: Fraction | None = None
    slack: Fraction = Fraction()


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A whole export. It covers *begin* to *end*, also where it has no entry.

    *speech*: transcriptions are in it. *notes* are for people.
    """

    title: str
    vendor: Literal["anthropic", "openai"]
    begin: int
    end: int
    entries: tuple[Entry, ...]
    speech: bool = False
    notes: tuple[str, ...] = ()

    @property
    def money(self) -> bool:
        """Whether it says what was paid, and so for searches of the web: they have no tokens."""
        return any(each.cost is not None for each in self.entries)

    @classmethod
    def of(
        cls,
        title: str,
        vendor: Literal["anthropic", "openai"],
        entries: Sequence[Entry],
        *,
        spans: Sequence[tuple[int, int]] = (),
        speech: bool = False,
    ) -> Export:
        """*spans*: stretches of time without an entry. Raises ExportError when there is neither."""
        covered = [*spans, *((each.begin, each.end) for each in entries)]
        if not covered:
            raise ExportError("there is no line in it: nothing to compare. Export a longer time.")
        first, last = min(begin for begin, _ in covered), max(end for _, end in covered)
        if any(begin >= end for begin, end in covered):
            raise ExportError("a stretch of time in it ends before it begins")
        return cls(
            title=title,
            vendor=vendor,
            begin=first,
            end=last,
            entries=tuple(entries),
            speech=speech,
        )

    def with_note(self, note: str) -> Export:
        return replace(self, notes=(*self.notes, note))


def searched(name: str) -> bool:
    """Whether what was paid for, as the provider calls it, is searches: they are of no model there."""
    return SEARCHES in name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Row:
    """Named fields, and where they stand in the file, for whoever has to mend it."""

    where: str
    fields: Mapping[str, Any]

    def wrong(self, name: str, problem: str) -> ExportError:
        value = self.fields.get(name)
        return ExportError(f"{self.where}, {name}: {str(value)[:40]!r} {problem}")

    def part(self, name: str) -> Row:
        """An object within; one that is missing is empty."""
        found = self.fields.get(name) or {}
        if not isinstance(found, Mapping):
            raise self.wrong(name, "is no object")
        return Row(f"{self.where}.{name}", found)

    def text(self, name: str) -> str:
        """'' where it is missing or null."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "is no text")
        return (value or "").strip()

    def count(self, name: str, *, needed: bool = False) -> int:
        """A number of things; 0 where it is missing, unless it is *needed*."""
        value = self.fields.get(name)
        if value in (None, "") and not needed:
            return 0
        number = self._number(name, "is no count")
        if number < 0 or number != number.to_integral_value():
            raise self.wrong(name, "is no count")
        return int(number)

    def amount(self, name: str, *, cents: bool = False) -> tuple[Fraction, Fraction]:
        """(nano-dollars, by how much they may have been rounded: half of the last decimal, half a cent at most)."""
        number = self._number(name, "is no amount of money")
        unit = Fraction(DOLLAR, 100 if cents else 1)
        exponent = min(int(number.as_tuple().exponent), 0)
        slack = min(unit * Fraction(10) ** exponent / 2, HALF_CENT) if number else Fraction()
        return Fraction(number) * unit, slack

    def dollars(self, name: str) -> None:
        """Raises ExportError for another currency."""
        if self.text(name).upper() not in ("USD", ""):
            raise self.wrong(name, "is another currency; only USD is compared")

    def moment(self, name: str) -> tuple[int, bool]:
        """(microseconds UTC, whether it is a day and no time of it), from ISO 8601 or seconds since 1970."""
        value = self.fields.get(name)
        try:
            if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
                found, text = EPOCH + timedelta(seconds=int(value)), ""
            else:
                text = value if isinstance(value, str) else ""
                found = datetime.fromisoformat(text)
            if found.year not in YEARS:
                raise ValueError(found)
        except (ValueError, OverflowError):
            raise self.wrong(name, "is no time") from None
        there = found if found.tzinfo else found.replace(tzinfo=UTC)
        return (there - EPOCH) // timedelta(microseconds=1), len(text) == len("2026-11-01")

    def _number(self, name: str, problem: str) -> Decimal:
        value = self.fields.get(name)
        try:
            number = Decimal(str(value)) if not isinstance(value, bool) else Decimal("nan")
        except InvalidOperation:
            raise self.wrong(name, problem) from None
        if not number.is_finite() or number.adjusted() > 15 or int(number.as_tuple().exponent) < -60:
            raise self.wrong(name, problem)
        return number
