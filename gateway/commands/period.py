"""What /cost was asked for: a stretch of time and what to sum by; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import get_args

from gateway.errors import Refused
from gateway.moments import day, local, midnight
from gateway.reports import By
from gateway.texts import say

KEYS: tuple[By, ...] = get_args(By)
DAYS = re.compile(r"([1-9]\d{0,3})d")
USUAL = "30d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """*since* (inclusive) and *until* (exclusive) in microseconds UTC; None: no bound.

    *dates*: the days from the first to today, where that many were asked for; () otherwise.
    """

    since: int | None
    until: int | None
    label: str
    by: By
    dates: tuple[date, ...] = ()


def asked(args: str, *, now: int, zone: str, lang: str = "") -> Asked:
    """Raises Refused, with an example, for what cannot be read."""
    words = args.lower().split()
    by: By = "model"
    if "by" in words:
        at = words.index("by")
        word = words[at + 1].removesuffix("s") if at + 1 < len(words) else ""
        found = next((key for key in KEYS if key == word), None)
        if found is None:
            raise _misread()
        by, words = found, words[:at] + words[at + 2 :]
    if len(words) > 1:
        raise _misread()
    word = words[0] if words else USUAL
    since, until, label = _stretch(word, now=now, zone=zone, lang=lang)
    return Asked(since=since, until=until, label=label, by=by, dates=_dates(word, now=now, zone=zone))


def _misread() -> Refused:
    return Refused(key="period.example", keys=", ".join(KEYS))


def _dates(word: str, *, now: int, zone: str) -> tuple[date, ...]:
    days = DAYS.fullmatch(word)
    today = local(now, zone).date()
    return tuple(today - timedelta(days=ago) for ago in reversed(range(int(days[1])))) if days else ()


def _stretch(word: str, *, now: int, zone: str, lang: str) -> tuple[int | None, int | None, str]:
    today = local(now, zone).date()
    if word == "all":
        return None, None, say("period.ever", lang)
    if word == "today":
        return midnight(today, zone), None, say("period.today", lang)
    if days := DAYS.fullmatch(word):
        count = int(days[1])
        # Whole days of the zone, today being the last: seven lines by day, not eight.
        since = midnight(today - timedelta(days=count - 1), zone)
        return since, None, say("period.today", lang) if count == 1 else say("period.days", lang, count=count)
    first, dots, last = word.partition("..")
    if not dots:
        raise _misread()
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
        if begin > end:
            raise Refused(key="period.backwards", first=first, last=last)
        label = say("period.dates", lang, first=day(begin, lang), last=day(end, lang))
        return midnight(begin, zone), midnight(end + timedelta(days=1), zone), label
    except (ValueError, OverflowError):
        raise _misread() from None
