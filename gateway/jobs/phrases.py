"""Schedules as people say them ("every weekday at 8:00", "morgen um neun"), in the forms that are kept; pure.

What is kept is what `gateway.schedule.parse` reads: a crontab line, an interval, a single time. Nothing else is
guessed: what is none of these phrases is given back as it is, and `parse` says what is wrong with it. The words are
those of `speech.py`; whoever writes may use any language there, whatever they read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.jobs.speech import LANGUAGES, Speech
from gateway.moments import local
from gateway.schedule import ScheduleError, parse

DATE = r"(?P<date>\d{4}-\d\d-\d\d|\d{1,2}\.\d{1,2}\.\d{4})"
QUOTED = re.compile(r"""["“”„«`]([^"“”„«»`]*)["“”»`]|'([^']*)'""")
_FIELD = r"[\d*][\d*,/-]*"
_NAMES = (
    r"(?:[\d*L?]|sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[\dA-Z*,/#-]*"
)
HALVES = {"am": 0, "pm": 12}  # of the day, in hours
# Kept as they are.
FORMAL = tuple(
    re.compile(each, re.IGNORECASE)
    for each in (r"@[a-z]+\b", rf"{_FIELD}\s+{_FIELD}\s+{_NAMES}\s+{_NAMES}\s+{_NAMES}(?=\s|$)")
)

Meaning = Callable[[re.Match[str], datetime, Speech], str]


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is said so in a language, and what is kept of it. *meaning* raises ValueError for what cannot be."""

    pattern: re.Pattern[str]
    meaning: Meaning
    speech: Speech

    def kept(self, found: re.Match[str], now: datetime) -> str:
        return self.meaning(found, now, self.speech)


def _any(words: Iterable[str]) -> str:
    """The longest first: of “morning” and “morn” the other one would be taken."""
    return "|".join(sorted(words, key=len, reverse=True))


def _weekday(speech: Speech) -> str:
    full = _any(f"{each}{speech.plural}?" for each in speech.days)
    return rf"(?:{full}|{_any(each[: speech.short] for each in speech.days)})"


def _grammar(speech: Speech) -> Iterator[tuple[str, Meaning]]:
    """In the order in which they are tried."""
    day = _weekday(speech)
    days = rf"(?:{_any(f'{each}{speech.plural}' for each in speech.days)})"
    join = rf"(?:\s*,\s*|\s+{speech.joined}\s+)"
    length = rf"(?:\d{{1,6}}\s*(?:{_any(speech.units)})(?![^\W\d_])[\s,]*)+"
    word = rf"{_any(speech.named)}|(?:{_any(speech.hours)}){speech.half}"
    # A bare number is a time only behind "at": "daily 8 glasses of water" names none.
    clock = (
        rf"(?:{speech.at}\s+)?(?:\d{{1,2}}:\d\d{speech.half}|\d{{1,2}}\s*(?:{speech.oclock}))"
        rf"|{speech.at}\s+(?:\d{{1,2}}|{word})"
    )
    at = rf"(?P<clock>(?:{clock})\b)"
    more = rf"(?P<more>(?:{join}(?:{clock})\b)*)"  # “at 8:00 and 20:00”
    # Not “every 2 days at 9:00”: no form that is kept says that.
    yield rf"{speech.every}\s+(?P<length>{length})(?!\s*{speech.at}\s+(?:\d|{word}))", _every
    yield (
        rf"(?P<days>{speech.daily}|{speech.workdays}|(?:{speech.each})\s+(?:{speech.day}|{speech.workday}|{day}(?:{join}{day})*)"
        rf"|{days}(?:{join}{days})*)\s+{at}{more}",
        _on_days,
    )
    yield rf"(?P<unit>{_any(speech.regular)})\b".replace(" ", r"\s+"), _regular
    yield rf"(?:{speech.at}\s+|(?:{speech.on})\s+)?{DATE}[\sT]+{at}", _dated
    yield rf"(?:{speech.at}\s+)?(?P<day>{_any(speech.ahead)})\s+{at}", _near
    yield rf"(?:{speech.on})\s+(?P<day>{day})\s+{at}", _next_day
    yield rf"in\s+(?P<length>{length})", _within
    yield at, _next_clock


def _every(found: re.Match[str], now: datetime, speech: Speech) -> str:
    hours, minutes = divmod(_minutes(found["length"], speech), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"))
    return "every " + ("".join(f"{count}{unit}" for count, unit in parts if count) or "0m")


def _regular(found: re.Match[str], now: datetime, speech: Speech) -> str:
    return speech.regular[" ".join(found["unit"].lower().split())]


def _on_days(found: re.Match[str], now: datetime, speech: Speech) -> str:
    more = re.split(rf"\s*,\s*|\s+{speech.joined}\s+", found["more"], flags=re.IGNORECASE)[1:]
    clocks = [_clock(each, speech) for each in (found["clock"], *more)]
    hours, minutes = {hour for hour, _ in clocks}, {minute for _, minute in clocks}
    if len(minutes) > 1:
        raise ValueError(found[0])  # no one line of a crontab says that
    return f"{minutes.pop()} {','.join(map(str, sorted(hours)))} * * {_days(found['days'], speech)}"


def _dated(found: re.Match[str], now: datetime, speech: Speech) -> str:
    hour, minute = _clock(found["clock"], speech)
    date = found["date"]
    if "." in date:
        day, month, year = date.split(".")
        date = f"{year}-{month:0>2}-{day:0>2}"
    return f"at {date} {hour:02}:{minute:02}"


def _near(found: re.Match[str], now: datetime, speech: Speech) -> str:
    hour, minute = _clock(found["clock"], speech)
    return _single(now + timedelta(days=speech.ahead[found["day"].lower()]), hour, minute)


def _next_day(found: re.Match[str], now: datetime, speech: Speech) -> str:
    """The next such day; today where its time is still to come."""
    hour, minute = _clock(found["clock"], speech)
    ahead = (_day(found["day"], speech) - now.isoweekday()) % 7
    if ahead == 0 and (now.hour, now.minute) >= (hour, minute):
        ahead = 7
    return _single(now + timedelta(days=ahead), hour, minute)


def _next_clock(found: re.Match[str], now: datetime, speech: Speech) -> str:
    hour, minute = _clock(found["clock"], speech)
    over = (now.hour, now.minute) >= (hour, minute)
    return _single(now + timedelta(days=over), hour, minute)


def _within(found: re.Match[str], now: datetime, speech: Speech) -> str:
    # Hours that are counted run by UTC; schedules know whole minutes only.
    at = now.timestamp() + _minutes(found["length"], speech) * 60
    there = datetime.fromtimestamp(-(-at // 60) * 60, now.tzinfo)
    return _single(there, there.hour, there.minute)


PHRASES = tuple(
    Phrase(re.compile(pattern, re.IGNORECASE), meaning, speech)
    for speech in LANGUAGES
    for pattern, meaning in _grammar(speech)
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
        for phrase in PHRASES:
            if (found := phrase.pattern.fullmatch(text)) is not None:
                return phrase.kept(found, there)
    except (ValueError, OSError, KeyError):  # no such zone, or 25:00
        pass
    return text


def head(text: str) -> int:
    """How many characters of *text* are the schedule that it begins with; 0: it begins with none."""
    for pattern in (QUOTED, *(phrase.pattern for phrase in PHRASES), *FORMAL):
        found = pattern.match(text)
        if found is not None:
            return found.end()
    return 0


def _single(day: datetime, hour: int, minute: int) -> str:
    return f"at {day:%Y-%m-%d} {hour:02}:{minute:02}"


def _minutes(text: str, speech: Speech) -> int:
    return sum(
        int(count) * speech.units[unit.lower()] for count, unit in re.findall(r"(\d+)\s*([^\W\d_]+)", text)
    )


def _clock(text: str, speech: Speech) -> tuple[int, int]:
    """Raises ValueError for a time that no clock shows."""
    words = text.lower().removeprefix(speech.at).strip()
    if words in speech.named:
        return speech.named[words], 0
    mark = re.search(rf"\s*({speech.oclock})$", words)
    words = words[: mark.start()] if mark is not None else words
    hours, _, minutes = words.partition(":")
    hour = speech.hours.index(hours) + 1 if hours in speech.hours else int(hours)
    if mark is not None and mark[1] in HALVES:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + HALVES[mark[1]]
    minute = int(minutes or 0)
    if hour > 23 or minute > 59:
        raise ValueError(text)
    return hour, minute


def _days(text: str, speech: Speech) -> str:
    """As the last field of a crontab line."""
    words = text.lower()
    if speech.workday in words or re.fullmatch(speech.workdays, words):
        return "1-5"
    found = [str(_day(word, speech)) for word in re.findall(rf"\b{_weekday(speech)}\b", words)]
    return ",".join(dict.fromkeys(found)) or "*"


def _day(word: str, speech: Speech) -> int:
    return next(
        number for number, day in enumerate(speech.days) if day.startswith(word.lower()[: speech.short])
    )
