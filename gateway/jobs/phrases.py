"""Schedules as people say them ("every weekday at 8:00", "tomorrow at nine"), in the forms that are kept; pure.

What is kept is what `gateway.schedule.parse` reads: a crontab line, an interval, a single time. Nothing else is
guessed: what is none of these phrases is given back as it is, and `parse` says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from gateway.moments import local
from gateway.schedule import ScheduleError, parse

Phrase = Callable[[re.Match[str], datetime], str]

# crontab(5): 0 is Sunday.
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_DAY = rf"(?:{'|'.join(f'{day}s?|{day[:3]}' for day in DAYS)})"
_LENGTH = r"(?:\d{1,6}\s*(?:minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)(?![a-z])[\s,]*)+"
_WORD = rf"noon|midnight|(?:{'|'.join(HOURS)})(?:\s*[ap]m)?"
# A bare number is a time only behind "at": "daily 8 glasses of water" names none.
_CLOCK = rf"(?:at\s+)?(?:\d{{1,2}}:\d\d(?:\s*[ap]m)?|\d{{1,2}}\s*[ap]m)|at\s+(?:\d{{1,2}}|{_WORD})"
_AT = rf"(?P<clock>(?:{_CLOCK})\b)"
_MORE = rf"(?P<more>(?:(?:\s*,\s*|\s+and\s+)(?:{_CLOCK})\b)*)"  # “at 8:00 and 20:00”
_DATE = r"(?P<date>\d{4}-\d\d-\d\d)"
_FIELD = r"[\d*][\d*,/-]*"
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAMES = rf"(?:[\d*L?]|{'|'.join((*(day[:3] for day in DAYS), *_MONTHS))})[\dA-Z*,/#-]*"


def _every(found: re.Match[str], now: datetime) -> str:
    hours, minutes = divmod(_minutes(found["length"]), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"))
    return "every " + ("".join(f"{count}{unit}" for count, unit in parts if count) or "0m")


def _regular(found: re.Match[str], now: datetime) -> str:
    return {"minute": "every 1m", "hour": "0 * * * *", "week": "every 7d"}[found["unit"].lower()]


def _on_days(found: re.Match[str], now: datetime) -> str:
    more = re.split(r"\s*,\s*|\s+and\s+", found["more"], flags=re.IGNORECASE)[1:]
    clocks = [_clock(each) for each in (found["clock"], *more)]
    hours, minutes = {hour for hour, _ in clocks}, {minute for _, minute in clocks}
    if len(minutes) > 1:
        raise ValueError(found[0])  # no one line of a crontab says that
    return f"{minutes.pop()} {','.join(map(str, sorted(hours)))} * * {_days(found['days'])}"


def _dated(found: re.Match[str], now: datetime) -> str:
    hour, minute = _clock(found["clock"])
    return f"at {found['date']} {hour:02}:{minute:02}"


def _near(found: re.Match[str], now: datetime) -> str:
    hour, minute = _clock(found["clock"])
    day = now + timedelta(days=found["day"].lower() == "tomorrow")
    return _single(day, hour, minute)


def _next_day(found: re.Match[str], now: datetime) -> str:
    """The next such day; today where its time is still to come."""
    hour, minute = _clock(found["clock"])
    ahead = (_day(found["day"]) - now.isoweekday()) % 7
    if ahead == 0 and (now.hour, now.minute) >= (hour, minute):
        ahead = 7
    return _single(now + timedelta(days=ahead), hour, minute)


def _next_clock(found: re.Match[str], now: datetime) -> str:
    hour, minute = _clock(found["clock"])
    over = (now.hour, now.minute) >= (hour, minute)
    return _single(now + timedelta(days=over), hour, minute)


def _within(found: re.Match[str], now: datetime) -> str:
    # Hours that are counted run by UTC; schedules know whole minutes only.
    at = now.timestamp() + _minutes(found["length"]) * 60
    there = datetime.fromtimestamp(-(-at // 60) * 60, now.tzinfo)
    return _single(there, there.hour, there.minute)


def _same(found: re.Match[str], now: datetime) -> str:
    return found[0].strip()


QUOTED = re.compile(r"""["“”„«`]([^"“”„«»`]*)["“”»`]|'([^']*)'""")
# In the order in which they are tried.
PHRASES: tuple[tuple[re.Pattern[str], Phrase], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), phrase)
    for pattern, phrase in (
        (r"@[a-z]+\b", _same),
        # Not “every 2 days at 9:00”: no form that is kept says that.
        (rf"every\s+(?P<length>{_LENGTH})(?!\s*at\s+(?:\d|{_WORD}))", _every),
        (
            rf"(?P<days>daily|weekdays|(?:every|each)\s+(?:day|weekday|{_DAY}(?:(?:\s*,\s*|\s+and\s+){_DAY})*)"
            rf"|(?:mon|tues|wednes|thurs|fri|satur|sun)days)\s+{_AT}{_MORE}",
            _on_days,
        ),
        (r"every\s+(?P<unit>minute|hour|week)\b", _regular),
        (rf"(?:at\s+|on\s+)?{_DATE}[\sT]+{_AT}", _dated),
        (rf"(?:at\s+)?(?P<day>today|tomorrow)\s+{_AT}", _near),
        (rf"(?:on\s+|next\s+)(?P<day>{_DAY})\s+{_AT}", _next_day),
        (rf"in\s+(?P<length>{_LENGTH})", _within),
        (_AT, _next_clock),
        (rf"{_FIELD}\s+{_FIELD}\s+{_NAMES}\s+{_NAMES}\s+{_NAMES}(?=\s|$)", _same),
    )
)


def formal(text: str, zone: str, now: int) -> str:
    """The schedule as it is kept; *now* (microseconds UTC), on the clock of *zone*, is what "tomorrow" counts from."""
    text = text.strip()
    if (quoted := QUOTED.fullmatch(text)) is not None:
        text = (quoted[1] or quoted[2] or "").strip()
    with suppress(ScheduleError):
        parse(text, zone, now=now)
        return text
    try:
        there = local(now, zone)
        for pattern, phrase in PHRASES:
            if (found := pattern.fullmatch(text)) is not None:
                return phrase(found, there)
    except (ValueError, OSError, KeyError):  # no such zone, or 25:00
        pass
    return text


def head(text: str) -> int:
    """How many characters of *text* are the schedule that it begins with; 0: it begins with none."""
    for pattern in (QUOTED, *(pattern for pattern, _ in PHRASES)):
        found = pattern.match(text)
        if found is not None:
            return found.end()
    return 0


def _single(day: datetime, hour: int, minute: int) -> str:
    return f"at {day:%Y-%m-%d} {hour:02}:{minute:02}"


def _minutes(text: str) -> int:
    sizes = {"m": 1, "h": 60, "d": 24 * 60, "w": 7 * 24 * 60}
    return sum(
        int(count) * sizes[unit.lower()]
        for count, unit in re.findall(r"(\d+)\s*([mhdw])", text, re.IGNORECASE)
    )


def _clock(text: str) -> tuple[int, int]:
    """Raises ValueError for a time that no clock shows."""
    words = text.lower().removeprefix("at").strip()
    if words in ("noon", "midnight"):
        return (12 if words == "noon" else 0), 0
    half = next((half for half in ("am", "pm") if words.endswith(half)), "")
    words = words.removesuffix(half).strip()
    hours, _, minutes = words.partition(":")
    hour = HOURS.index(hours) + 1 if hours in HOURS else int(hours)
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if half == "pm" else 0)
    minute = int(minutes or 0)
    if hour > 23 or minute > 59:
        raise ValueError(text)
    return hour, minute


def _days(text: str) -> str:
    """As the last field of a crontab line."""
    words = text.lower()
    if "weekday" in words:
        return "1-5"
    found = [str(_day(word)) for word in re.findall(_DAY, words)]
    return ",".join(dict.fromkeys(found)) or "*"


def _day(word: str) -> int:
    return next(number for number, day in enumerate(DAYS) if day.startswith(word.lower()[:3]))
