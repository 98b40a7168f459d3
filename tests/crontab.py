"""crontab(5) read literally, minute by minute: it knows nothing of the search that it is to judge."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = 60 * 10**6
NAMES = {"SUN": "0", "MON": "1"}

EXPRESSIONS = (
    "* * * * *",
    "*/15 * * * *",
    "7 * * * *",
    "0 */2 * * *",
    "30 */3 * * *",
    "*/10 2 * * *",
    "*/20 3 * * 0",
    "45 * * * 7",
    "* 1 * * SUN",
    "0 0 * * *",
    "30 0 * * *",
    "15,45 1 * * *",
    "30 2 * * *",
    "0 1,2,3 * * *",
    "5 0-3 * * *",
    "10-50/20 23 * * *",
    "0 9 * * 1-5",
    "0 12 1 * MON",
    "30 2 */2 * 6,0",
    "0 0 1 4 *",
    "59 23 28-31 3,10 *",
    "0 3 L * *",
    "0 * * * *",
    "29,30,31 * * * *",
    "59 1 * * *",
    "0 2 * * *",
    "0 3 * * *",
    "1 0-4/2 * 3,4,9-11 *",
    "*/7 0,2,22-23 * * *",
    "45 2 * * 4-7",
)

# Where the clock moves at midnight, by half an hour, by two, twice a year around Ramadan, into winter time, or never.
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Chisinau",
    "Atlantic/Azores",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "America/Nuuk",
    "Pacific/Easter",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Norfolk",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kolkata",
    "UTC",
)
YEARS = range(2026, 2032)


class Fields:
    """The five sets of an expression, and the star that turns OR into AND."""

    def __init__(self, expr: str) -> None:
        minute, hour, day, month, weekday = expr.split()
        self.fixed = minute[0] != "*" and hour[0] != "*"
        self.minutes, self.hours = values(minute, 0, 59), values(hour, 0, 23)
        self.last = day == "L"
        self.days = set() if self.last else values(day, 1, 31)
        self.months = values(month, 1, 12)
        self.weekdays = {n % 7 for n in values(NAMES.get(weekday, weekday), 0, 7)}
        self.both = day[0] == "*" or weekday[0] == "*"
        self.known: dict[date, bool] = {}

    def on(self, day: date) -> bool:
        if day not in self.known:
            of_month = (day + timedelta(days=1)).day == 1 if self.last else day.day in self.days
            of_week = day.isoweekday() % 7 in self.weekdays
            self.known[day] = day.month in self.months and (
                (of_month and of_week) if self.both else (of_month or of_week)
            )
        return self.known[day]

    def matches(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self.on(wall.date())


def values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


@cache
def minutes(zone: str, day: date) -> list[tuple[int, datetime, list[datetime], bool]]:
    """Every minute of three days around *day*: UTC, wall clock, what was skipped before it, whether it is a repeat."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
    found, highest = [], start.astimezone(ZoneInfo(zone)).replace(tzinfo=None) - timedelta(minutes=1)
    before = highest
    for moment in (start + timedelta(minutes=n) for n in range(3 * 24 * 60)):
        wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
        skipped = [before + timedelta(minutes=n) for n in range(1, (wall - before) // timedelta(minutes=1))]
        found.append((round(moment.timestamp()) * 10**6, wall, skipped, wall <= highest))
        before, highest = wall, max(highest, wall)
    return found


@cache
def scan(expr: str, zone: str, day: date) -> list[int]:
    """The documented rule, minute by minute: planned times of three days around *day*."""
    fields = Fields(expr)
    if fields.fixed:
        return [
            moment
            for moment, wall, skipped, repeated in minutes(zone, day)
            if not repeated and (fields.matches(wall) or any(map(fields.matches, skipped)))
        ]
    return [moment for moment, wall, _, _ in minutes(zone, day) if fields.matches(wall)]


@cache
def moves(zone: str, years: range = YEARS) -> list[date]:
    """The days (UTC) on which the zone's clock is set, in *years*."""
    key, day = ZoneInfo(zone), date(years.start, 1, 1)
    found = []
    while day.year in years:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if _offset(midnight, key) != _offset(midnight + timedelta(days=1), key):
            found.append(day)
        day += timedelta(days=1)
    return found


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()
