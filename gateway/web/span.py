"""When a report begins or ends, as people write it; pure."""

from __future__ import annotations

import re
from datetime import date, timedelta

from gateway.errors import ParleyError
from gateway.moments import local, midnight
from gateway.types.measures import DAY, HOUR

FORMS = "write microseconds UTC, YYYY-MM-DD, today or a number of days such as 7d"
AHEAD = "write a number of days or hours such as 90d or 12h, YYYY-MM-DD, or microseconds UTC"
_AHEAD = re.compile(r"([1-9][0-9]{0,4})([dh])")
_DAYS = re.compile(r"[1-9][0-9]{0,3}d")
# Smaller numbers are seconds or milliseconds, which would be misread as 1970.
_EARLIEST = 100_000_000_000_000  # microseconds; 3 March 1973


class BadField(ParleyError):
    """A parameter nobody can read: its *field*, and what to write instead."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def moment(text: str, *, field: str, zone: str, now: int) -> int:
    """Microseconds UTC. A day begins at midnight in *zone*; 7d is seven whole days, today being the last.

    Raises BadField.
    """
    if text.isdecimal() and (text == "0" or _EARLIEST <= int(text) < 2**63):
        return int(text)
    try:
        return midnight(_day(text, local(now, zone).date()), zone)
    except (ValueError, OverflowError):
        raise BadField(field, FORMS) from None


def until(text: str, *, field: str, zone: str, now: int) -> int:
    """Microseconds UTC of a moment to come: 90d and 12h from now, a day when it begins in *zone*, or itself.

    Raises BadField.
    """
    found = _AHEAD.fullmatch(text)
    if found is not None:
        return now + int(found[1]) * (DAY if found[2] == "d" else HOUR)
    try:
        return moment(text, field=field, zone=zone, now=now)
    except BadField:
        raise BadField(field, AHEAD) from None


def _day(text: str, today: date) -> date:
    if text == "today":
        return today
    if _DAYS.fullmatch(text):
        return today - timedelta(days=int(text[:-1]) - 1)
    return date.fromisoformat(text)
