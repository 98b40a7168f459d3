"""The words in which people say when a job runs, a table for each language; `phrases.py` makes sense of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NOON, MIDNIGHT = 12, 0  # o'clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One language. Lower case; what a comment calls a pattern is a regular expression.

    *days* begin with Sunday, as crontab(5) counts, and are known by their first *short* letters. *units* are minutes.
    *ahead*: how many days away. *named*: times of day with a name. *regular*: what "every hour" is kept as.
    """

    at: str
    joined: str
    every: str  # before a length: every 90 minutes
    each: str  # pattern; before a day: every Monday
    day: str  # pattern
    workday: str
    daily: str
    workdays: str  # pattern
    on: str  # pattern; before a day or a date: on Monday, next Monday
    oclock: str  # pattern; behind a number
    half: str  # pattern; behind a number or a word, where there is one
    days: tuple[str, ...]
    short: int
    plural: str  # of a day: Mondays
    hours: tuple[str, ...]  # from one to twelve
    named: Mapping[str, int]
    ahead: Mapping[str, int]
    units: Mapping[str, int]
    regular: Mapping[str, str]


_HOUR, _DAY, _WEEK = 60, 24 * 60, 7 * 24 * 60  # minutes

ENGLISH = Speech(
    at="at",
    joined="and",
    every="every",
    each="every|each",
    day="day|morning",
    workday="weekday",
    daily="daily",
    workdays="weekdays|monday to friday",
    on="on|next",
    oclock="[ap]m",
    half=r"(?:\s*[ap]m\b)?",
    days=("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
    short=3,
    plural="s",
    hours=(
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ),
    named={"noon": NOON, "midnight": MIDNIGHT},
    ahead={"today": 0, "tomorrow": 1},
    units={
        **dict.fromkeys(("minutes", "minute", "mins", "min", "m"), 1),
        **dict.fromkeys(("hours", "hour", "hrs", "hr", "h"), _HOUR),
        **dict.fromkeys(("days", "day", "d"), _DAY),
        **dict.fromkeys(("weeks", "week", "w"), _WEEK),
    },
    regular={"every minute": "every 1m", "every hour": "0 * * * *", "every week": "every 7d"},
)  # fmt: skip

GERMAN = Speech(
    at="um",
    joined="und",
    every="alle",
    each="jeden",
    day="tag|morgen",
    workday="werktag",
    daily="täglich",
    workdays="werktags|wochentags|(?:von )?montag bis freitag",
    on="am|nächsten|kommenden",
    oclock="uhr",
    half=r"(?:\s*uhr\b)?",
    days=("sonntag", "montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag"),
    short=2,
    plural="s",
    hours=("eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"),
    named={"mittag": NOON, "mitternacht": MIDNIGHT},
    ahead={"heute": 0, "morgen": 1, "übermorgen": 2},
    units={
        **dict.fromkeys(("minuten", "minute", "min", "m"), 1),
        **dict.fromkeys(("stunden", "stunde", "std", "h"), _HOUR),
        **dict.fromkeys(("tage", "tagen", "tag", "d"), _DAY),
        **dict.fromkeys(("wochen", "woche", "w"), _WEEK),
    },
    regular={
        "jede minute": "every 1m", "jede stunde": "0 * * * *", "stündlich": "0 * * * *", "jede woche": "every 7d",
    },
)  # fmt: skip

LANGUAGES = (ENGLISH, GERMAN)
