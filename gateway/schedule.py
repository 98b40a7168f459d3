"""When a schedule runs next: crontab rules, intervals and single times; pure, times in microseconds UTC.

How local time and summer time meet, as Debian's cron does it:

* A job for fixed times (neither the minute nor the hour begins with `*`) whose time is skipped runs right
  after the gap, once however many of its times fall into it; in a repeated hour it runs the first time only.
* Any other crontab job runs by UTC, whenever the clock on the wall shows a time that matches: skipped times
  do not run, repeated times run again.
* `every` counts elapsed time from its anchor (a day is 24 hours); `at` follows the rule for fixed times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from gateway.texts import say
from gateway.types.measures import DAY, HOUR, SECOND

MAX_TEXT = 200  # characters of a schedule; a list of all sixty minutes has 169
MAX_ZONE = 64  # characters of a name that is looked for among those that exist
SHORTEST = 60  # seconds between two runs of an interval
LONGEST = 366 * DAY // SECOND  # seconds
_EPOCH = datetime(1970, 1, 1)  # naive: a wall clock has no zone
_MICROSECOND = timedelta(microseconds=1)
# The search gives up after fifty years, so from here it still ends before the calendar's last year, 9999.
_LAST = (datetime(9900, 1, 1) - _EPOCH) // _MICROSECOND
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# As cronsim calls them, in their order.
_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_INTERVAL = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ Tt][0-9]{2}:[0-9]{2}")


class ScheduleError(ValueError):
    """A schedule nobody can follow: *field* is the part that is wrong, *remedy* what to write; one line.

    *key* as in the texts; str() is English.
    """

    def __init__(self, field: str, key: str, **facts: str) -> None:
        self.field = field
        self._key = key
        self._facts = facts
        self.remedy = say(f"schedule_remedy.{key}", **facts)
        super().__init__(self.told())

    def told(self, lang: str = "") -> str:
        """In the language *lang*, a BCP 47 tag."""
        field = say(f"schedule_field.{self.field.replace('-', '_')}", lang)
        problem = say(f"schedule_problem.{self._key}", lang, **self._facts)
        return f"{field}: {problem}; {say(f'schedule_remedy.{self._key}', lang, **self._facts)}"


@dataclass(frozen=True, slots=True)
class Cron:
    """Five crontab fields on the clock of *zone*. Raises ScheduleError."""

    expr: str
    zone: str

    def __post_init__(self) -> None:
        _zone(self.zone)
        _check(self.expr)


@dataclass(frozen=True, slots=True)
class Every:
    """One run per *seconds*, the first of them that long after *anchor_us*. Raises ScheduleError."""

    seconds: int
    anchor_us: int

    def __post_init__(self) -> None:
        if not SHORTEST <= self.seconds <= LONGEST:
            raise ScheduleError("interval", "range")


@dataclass(frozen=True, slots=True)
class Once:
    """A single time."""

    at_us: int


Schedule = Cron | Every | Once


def parse(text: str, zone: str, *, now: int) -> Schedule:
    """The schedule that a person wrote, on the clock of *zone* (an IANA name).

    *now* anchors an interval and is what a single time must lie after; for a stored text it is the time when
    the text was accepted. Raises ScheduleError.
    """
    words = text.split()
    match words:
        case [head, *rest] if head.lower() == "every":
            return Every(_seconds(" ".join(rest)), now)
        case [head, *rest] if head.lower() == "at":
            return Once(_single(" ".join(rest), _zone(zone), now))
        case [macro] if macro.lower() in _MACROS:
            return Cron(_MACROS[macro.lower()], zone)
        case _:
            return Cron(" ".join(words), zone)


def next_after(schedule: Schedule, after: int) -> int | None:
    """The first planned time strictly later than *after*; None if there is none."""
    match schedule:
        case Cron():
            return _next_cron(schedule, after)
        case Every(seconds=seconds, anchor_us=anchor):
            period = seconds * SECOND
            return anchor + period * max(1, (after - anchor) // period + 1)
        case Once(at_us=at):
            return at if at > after else None
        case _:
            assert_never(schedule)


def upcoming(schedule: Schedule, after: int, count: int) -> list[int]:
    """The next *count* planned times strictly later than *after*; fewer if there are no more."""
    return list(islice(_times(schedule, after), max(0, count)))


def missed(schedule: Schedule, after: int, until: int, limit: int) -> list[int]:
    """Planned times in (after, until], oldest first; only the latest *limit* of them."""
    window = HOUR
    # Looking back ever further costs the same whether the gateway was down for an hour or for a year.
    while limit > 0 and after < until:
        start = max(after, until - window)
        found = [*_until(_times(schedule, start), until)]
        if len(found) >= limit or start == after:
            return found[-limit:]
        window *= 2
    return []


def _times(schedule: Schedule, after: int) -> Iterator[int]:
    while (at := next_after(schedule, after)) is not None:
        yield at
        after = at


def _until(times: Iterator[int], until: int) -> Iterator[int]:
    for at in times:
        if at > until:
            return
        yield at


def _next_cron(cron: Cron, after: int) -> int | None:
    if after >= _LAST:
        return None
    zone = ZoneInfo(cron.zone)
    fixed = not any(field.startswith("*") for field in cron.expr.split()[:2])
    wall = _local(after, zone).replace(tzinfo=None)
    best: int | None = None
    # The wall clock is searched without a zone: a search that steps through a zone's own hours loses its way
    # where the clock moves by half an hour or at midnight. First times never go back from one match to the
    # next, so the search ends at the first match whose first time is no improvement.
    for match in CronSim(cron.expr, wall - _repeat(wall, zone)):
        times = _instants(match, zone, fixed=fixed)
        best = min((at for at in (*times, best) if at is not None and at > after), default=None)
        if best is not None and times and times[0] >= best:
            break
    return best


def _instants(wall: datetime, zone: ZoneInfo, *, fixed: bool) -> tuple[int, ...]:
    """When a job for *wall* runs: nowhere or right after the gap if skipped, once or twice if repeated."""
    first, second = _micros(wall, zone, fold=0), _micros(wall, zone, fold=1)
    if first == second:
        return (first,)
    if first > second:  # inside a gap (PEP 495)
        return (_gap_end(second, first, zone),) if fixed else ()
    return (first,) if fixed else (first, second)


def _repeat(wall: datetime, zone: ZoneInfo) -> timedelta:
    """How far the wall clock may go back after *wall*: the size of the repetition that *wall* is in."""
    return max(_micros(wall, zone, fold=1) - _micros(wall, zone, fold=0), 0) * _MICROSECOND


def _gap_end(before: int, behind: int, zone: ZoneInfo) -> int:
    """The moment the clock jumps, which lies in (before, behind]; zones change on whole seconds."""
    low, high = before // SECOND, behind // SECOND
    old = _local(before, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if _local(middle * SECOND, zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high * SECOND


def _local(at: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH.replace(tzinfo=UTC) + timedelta(microseconds=at)).astimezone(zone)


def _micros(wall: datetime, zone: ZoneInfo, *, fold: int) -> int:
    offset = wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
    return (wall.replace(fold=0) - _EPOCH - offset) // _MICROSECOND


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from gateway.zones import meant, near  # loads a library that a zone that exists does not need

        known = (meant(name) or near(name)) if len(name) <= MAX_ZONE else ()
        if known:
            raise ScheduleError("zone", "zone_near", text=_quote(name), near=", ".join(known)) from None
        raise ScheduleError("zone", "zone", text=_quote(name)) from None


def _check(expr: str) -> None:
    fields = expr.split()
    if expr.lower() == "@reboot":
        raise ScheduleError("schedule", "reboot")
    if len(fields) == 1 and expr.startswith("@"):
        raise ScheduleError("schedule", "macro", text=_quote(expr), known=", ".join(_MACROS))
    if len(expr) > MAX_TEXT or len(fields) != 5:
        raise ScheduleError("schedule", "form", text=_quote(expr))
    try:
        CronSim(expr, _EPOCH)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        key = name.replace("-", "_")
        raise ScheduleError(name, key, text=_quote(fields[_FIELDS.index(name)])) from None


def _seconds(text: str) -> int:
    match = _INTERVAL.fullmatch(text.replace(" ", "").lower())
    if not text or match is None:
        raise ScheduleError("interval", "interval", text=_quote(text))
    days, hours, minutes = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60


def _single(text: str, zone: ZoneInfo, now: int) -> int:
    try:
        wall = datetime.fromisoformat(text.upper()) if _TIME.fullmatch(text) else None
    except ValueError:
        wall = None
    if wall is None or not 1970 < wall.year < 9900:
        raise ScheduleError("time", "time", text=_quote(text))
    (at,) = _instants(wall, zone, fixed=True)
    if at <= now:
        raise ScheduleError("time", "over", text=text, zone=zone.key)
    return at


def _quote(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")
