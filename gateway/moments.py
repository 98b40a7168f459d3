"""Times on the clock of a zone, as people read them; pure. Times are microseconds UTC."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.texts import say
from gateway.texts.forms import dated
from gateway.types.measures import SECOND

DAY = 24 * 3600 * SECOND
EPOCH = date(1970, 1, 1).toordinal()


def local(at: int, zone: str) -> datetime:
    """Raises ZoneInfoNotFoundError for what is no zone."""
    return datetime.fromtimestamp(at / SECOND, ZoneInfo(zone))


def clock(at: int, zone: str, lang: str = "") -> str:
    """'14:05'."""
    return dated(local(at, zone), say("moment.clock", lang), lang)


def shown(at: int, *, now: int, zone: str, lang: str = "") -> str:
    """'today 14:05', 'yesterday 09:12', '3 Jul 18:20', '3 Jul 2025'."""
    then, today = local(at, zone), local(now, zone).date()
    if then.date() == today:
        return say("moment.today", lang, clock=clock(at, zone, lang))
    if then.date() == today - timedelta(days=1):
        return say("moment.yesterday", lang, clock=clock(at, zone, lang))
    if then.year != today.year:
        return dated(then, say("moment.year", lang), lang)
    return f"{dated(then, say('moment.day', lang), lang)} {clock(at, zone, lang)}"


def coming(at: int, *, now: int, zone: str, lang: str = "") -> str:
    """Of what is to come: 'today 14:05', 'tomorrow 09:12', 'Fri 3 Jul 18:20', 'Fri 3 Jul 2026 18:20'."""
    then, today = local(at, zone), local(now, zone).date()
    time = clock(at, zone, lang)
    if then.date() in (today, today + timedelta(days=1)):
        return say("moment.today" if then.date() == today else "moment.tomorrow", lang, clock=time)
    pattern = say("moment.planned" if then.year == today.year else "moment.planned_year", lang)
    return f"{dated(then, pattern, lang)} {time}"


def day(of: date, lang: str = "") -> str:
    """In numbers alone, for tables: '2026-07-03', '03.07.2026'."""
    return dated(datetime.combine(of, time()), say("moment.date", lang), lang)


def midnight(day: date, zone: str) -> int:
    """When that day begins there; where the clock is put forward then, at the first time there is."""
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * SECOND


def day_of(at: int | None, zone: str) -> int | None:
    """Which day begins then, as so many days after 1970-01-01; None in the middle of one, and for None."""
    if at is None:
        return None
    there = local(at, zone).date()
    return there.toordinal() - EPOCH if midnight(there, zone) == at else None


def offsets(first: int, last: int, zone: str) -> list[tuple[int, int]]:
    """How far the zone's clock is ahead of UTC from *first* to *last*: (from when, by how much), in order of time."""
    found = [(first, _ahead(first, zone))]
    at = first
    while at < last:
        after = min(at + DAY, last)
        if _ahead(after, zone) != found[-1][1]:
            early, late = at, after
            while late - early > 1:
                middle = (early + late) // 2
                early, late = (middle, late) if _ahead(middle, zone) == found[-1][1] else (early, middle)
            found.append((late, _ahead(late, zone)))
        at = after
    return found


def _ahead(at: int, zone: str) -> int:
    offset = local(at, zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * SECOND
