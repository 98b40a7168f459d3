"""`python -m tests.schedules`: planned times around every move of a clock, by a scan of every minute and by cronsim."""

from __future__ import annotations

import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from gateway.schedule import Cron, missed, next_after, upcoming
from tests.crontab import EXPRESSIONS, MINUTE, YEARS, ZONES, minutes, moves, scan

HOUR = 60 * MINUTE
STEP = 47 * MINUTE + 13_000_001  # between two moments to look from: no whole minute, and never the same one
# cronsim, given a zone, loses its way where the clock moves over midnight, by half an hour or at a quarter to three,
# with a job that is not for fixed times. Everywhere else it must find what the scan finds.
CRONSIM_DIFFERS = frozenset(
    {
        "America/Havana",
        "America/Santiago",
        "Asia/Beirut",
        "Atlantic/Azores",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
    }
)


def wrong(expr: str, zone: str, day: date) -> Iterator[str]:
    """Where we differ from the scan: from a start on, and as the next time from any moment around the move."""
    start = minutes(zone, day)[20 * 60][0]
    end = start + 30 * HOUR
    cron = Cron(expr, zone)
    whole = scan(expr, zone, day)
    expected = whole[bisect_right(whole, start) : bisect_right(whole, end)]
    found = upcoming(cron, start, len(expected) + 1)
    if found[:-1] != expected or found[-1] <= end:
        yield f"{expr} in {zone} on {day}: {shown(found, zone)} instead of {shown(expected, zone)}"
    for after in range(start, end, STEP):
        place = bisect_right(whole, after)
        if place < len(whole) and (at := next_after(cron, after)) != whole[place]:
            yield f"{expr} in {zone} after {shown([after], zone)}: {shown([at or 0], zone)}"


def by_cronsim(expr: str, zone: str, day: date) -> bool:
    """Whether cronsim, given the zone, finds what the scan finds."""
    start = minutes(zone, day)[20 * 60][0]
    end = start + 30 * HOUR
    local = datetime.fromtimestamp(start // 10**6, ZoneInfo(zone))
    times = (round(each.astimezone(UTC).timestamp()) * 10**6 for each in CronSim(expr, local))
    whole = scan(expr, zone, day)
    expected = whole[bisect_right(whole, start) : bisect_right(whole, end)]
    return [*takewhile(lambda at: at <= end, times)] == expected


def undaily(zone: str) -> Iterator[str]:
    """Local days of all years on which a daily job does not run exactly once."""
    first, last = datetime(YEARS.start, 1, 1), datetime(YEARS.stop, 1, 1)
    begin, end = (round(each.replace(tzinfo=ZoneInfo(zone)).timestamp()) * 10**6 for each in (first, last))
    for expr in ("0 0 * * *", "30 1 * * *", "30 2 * * *"):
        times = missed(Cron(expr, zone), begin - 1, end - 1, 4000)
        counted = Counter(datetime.fromtimestamp(at // 10**6, ZoneInfo(zone)).date() for at in times)
        for number in range((last - first).days):
            day = first.date() + timedelta(days=number)
            if counted[day] != 1:
                yield f"{expr} in {zone}: {counted[day]} times on {day}"


def shown(times: list[int], zone: str) -> list[str]:
    """Local times with their offset, as people would read them."""
    return [datetime.fromtimestamp(at / 10**6, ZoneInfo(zone)).strftime("%m-%d %H:%M %z") for at in times]


def main() -> int:
    """0 when we differ nowhere, and cronsim nowhere but where it is known to."""
    began = time.monotonic()
    ours: list[str] = []
    theirs: Counter[str] = Counter()
    for zone in ZONES:
        ours += undaily(zone)
        for day in moves(zone) or [date(YEARS.start, 3, 29)]:
            for expr in EXPRESSIONS:
                ours += wrong(expr, zone, day)
                theirs[zone] += not by_cronsim(expr, zone, day)
            minutes.cache_clear()
            scan.cache_clear()
    count, seconds = sum(len(moves(zone)) for zone in ZONES), time.monotonic() - began
    years = f"{YEARS.start}-{YEARS.stop - 1}"
    print(
        f"{len(EXPRESSIONS)} expressions, {len(ZONES)} zones, {count} moves of a clock {years}, {seconds:.0f} s"
    )
    for each in [f"differences to the documented rule: {len(ours)}", *ours[:40]]:
        print(f"  {each[:300]}")
    for zone in sorted(+theirs):
        known = "as is known" if zone in CRONSIM_DIFFERS else "UNKNOWN: one of us is wrong"
        print(f"  cronsim itself differs {theirs[zone]:3} times in {zone}: {known}")
    return 1 if ours or set(+theirs) - CRONSIM_DIFFERS else 0


if __name__ == "__main__":
    sys.exit(main())
