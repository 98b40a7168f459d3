"""A schedule in words, in the language of whoever reads it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time

from cronsim import CronSim

from gateway.moments import coming, local
from gateway.schedule import Cron, Every, Once, Schedule, ScheduleError, parse
from gateway.texts import say
from gateway.texts.forms import dated

MINUTE, HOUR, DAY = 60, 3600, 86_400  # seconds
SUNDAY = date(2026, 3, 1)  # any one: the weekdays are named after it
MOST_TIMES = 4  # of a day, before a crontab line says it better
ALL_DAYS, ALL_MONTHS, ALL_WEEK = range(1, 32), range(1, 13), range(7)
START = datetime(2026, 1, 1)


def worded(text: str, zone: str, lang: str = "") -> str:
    """“every weekday at 08:00, Europe/Berlin”; a schedule that nobody can follow as it is written."""
    try:
        schedule = parse(text, zone, now=0)
    except ScheduleError:
        return text
    said, clocked = _said(schedule, zone, lang)
    return say("schedule.zoned", lang, when=said, zone=zone) if clocked else said


def times(planned: Sequence[int], *, now: int, zone: str, lang: str = "") -> str:
    """When it runs next, on the clock of *zone*: “tomorrow 08:00, Mon 30 Nov 08:00”."""
    return ", ".join(coming(at, now=now, zone=zone, lang=lang) for at in planned) or say(
        "schedule.never", lang
    )


def _said(schedule: Schedule, zone: str, lang: str) -> tuple[str, bool]:
    """In words, and whether that names times of day, so that it matters whose clock is meant."""
    match schedule:
        case Every(seconds=seconds):
            return _interval(seconds, lang), False
        case Once(at_us=at):
            there = local(at, zone)
            day, clock = (
                dated(there, say("moment.year", lang), lang),
                dated(there, say("moment.clock", lang), lang),
            )
            return say("schedule.once", lang, day=day, clock=clock), True
        case Cron(expr=expr):
            said = _crontab(expr, lang)
            return (f"`{expr}`", True) if said is None else said


def _interval(seconds: int, lang: str) -> str:
    for size, unit in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds % size == 0:
            return say(f"schedule.{unit}", lang, count=seconds // size)
    raise AssertionError(seconds)  # they are whole minutes


def _crontab(expr: str, lang: str) -> tuple[str, bool] | None:
    """None for a line that has no short words."""
    cron = CronSim(expr, START)
    fields = (cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays)
    if any(not isinstance(each, int) for found in fields for each in found):
        return None  # as in 1#2, the second Monday
    plain = [sorted(each for each in found if isinstance(each, int)) for found in fields]
    minutes, hours, days, months, week = plain
    every_day = days == [*ALL_DAYS] and months == [*ALL_MONTHS] and _whole_week(week)
    step = _step(minutes, 60)
    if every_day and len(hours) == 24:
        if step and minutes[0] == 0:
            return say("schedule.minutes", lang, count=step), False
        if minutes == [0]:
            return say("schedule.hours", lang, count=1), False
        return (say("schedule.hourly", lang, minute=str(minutes[0])), False) if len(minutes) == 1 else None
    if (
        every_day
        and minutes == [0]
        and (step := _step(hours, 24))
        and hours[0] == 0
        and len(hours) > MOST_TIMES
    ):
        return say("schedule.hours", lang, count=step), False
    if len(minutes) * len(hours) > MOST_TIMES:
        return None
    clocks = _list([_clock(hour, minute, lang) for hour in hours for minute in minutes], lang)
    said = _days(days, months, week, clocks, lang)
    return None if said is None else (said, True)


def _days(days: list[int], months: list[int], week: list[int], clocks: str, lang: str) -> str | None:
    any_day, any_month, any_week = days == [*ALL_DAYS], months == [*ALL_MONTHS], _whole_week(week)
    if any_month and any_day and any_week:
        return say("schedule.daily", lang, times=clocks)
    if any_month and any_day:
        week = sorted({day % 7 for day in week}, key=lambda day: (day - 1) % 7)
        if week == [1, 2, 3, 4, 5]:
            return say("schedule.weekdays", lang, times=clocks)
        return say(
            "schedule.weekly", lang, days=_list([_weekday(day, lang) for day in week], lang), times=clocks
        )
    if any_week and any_month and all(day in ALL_DAYS for day in days) and len(days) <= MOST_TIMES:
        return say("schedule.monthly", lang, days=_list([str(day) for day in days], lang), times=clocks)
    if any_week and len(months) == 1 and len(days) == 1 and days[0] in ALL_DAYS:
        day = dated(datetime(2028, months[0], days[0]), say("schedule.day", lang), lang)  # a leap year
        return say("schedule.yearly", lang, day=day, times=clocks)
    return None


def _whole_week(week: list[int]) -> bool:
    return {day % 7 for day in week} == {*ALL_WEEK}


def _step(found: list[int], whole: int) -> int | None:
    """How far apart they are, all the way round; None when they are not evenly so."""
    gaps = {later - earlier for earlier, later in zip(found, [*found[1:], found[0] + whole], strict=True)}
    return gaps.pop() if len(gaps) == 1 and len(found) > 1 else None


def _weekday(day: int, lang: str) -> str:
    return dated(datetime.combine(SUNDAY.replace(day=SUNDAY.day + day), time()), "EEEE", lang)


def _clock(hour: int, minute: int, lang: str) -> str:
    return dated(datetime(2026, 1, 1, hour, minute), say("moment.clock", lang), lang)


def _list(words: list[str], lang: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {say('schedule.and', lang)} {words[-1]}"
