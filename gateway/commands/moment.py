"""Times on the clock of the report zone; pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.texts import say
from gateway.types import SECOND


def local(at: int, zone: str) -> datetime:
    """*at* in microseconds UTC."""
    return datetime.fromtimestamp(at / SECOND, ZoneInfo(zone))


def shown(at: int, *, now: int, zone: str, lang: str = "") -> str:
    """'today 14:05', 'yesterday 09:12', '3 Jul 18:20', '3 Jul 2025'."""
    then, today = local(at, zone), local(now, zone).date()
    clock = then.strftime("%H:%M")
    if then.date() == today:
        return say("moment.today", lang, clock=clock)
    if then.date() == today - timedelta(days=1):
        return say("moment.yesterday", lang, clock=clock)
    day = say("moment.day", lang, day=then.day, month=say(f"moment.month_{then.month}", lang))
    return f"{day} {clock}" if then.year == today.year else f"{day} {then.year}"


def midnight(day: date, zone: str) -> int:
    """When that day begins there, in microseconds UTC."""
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * SECOND
