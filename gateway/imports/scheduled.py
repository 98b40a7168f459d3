"""Jobs, from their schedules and targets into ours; each is proved before it is taken over."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.imports.plan import Plan, Taken, among
from gateway.types.json import Json
from gateway.types.measures import SECOND

_TOPIC = re.compile(r"(-?[0-9]+)(?::topic:|:)([0-9]+)", re.ASCII)
_TARGET = re.compile(r"-?[0-9]+", re.ASCII)


def interval(seconds: float) -> str | None:
    """ "every 90m"; None for less than a minute, which no job here can have."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return None
    days, rest = divmod(minutes, 1440)
    hours, left = divmod(rest, 60)
    return "every " + "".join(f"{n}{unit}" for n, unit in ((days, "d"), (hours, "h"), (left, "m")) if n)


def moment(at: object, zone: str, now: datetime) -> str | None:
    """ "at 2026-12-01 09:00" on the clock of *zone*, of ISO text or milliseconds; None: it is over, or no time."""
    try:
        clock = ZoneInfo(zone or "UTC")
        if isinstance(at, int | float) and not isinstance(at, bool):
            when = datetime.fromtimestamp(at / 1000, UTC)
        else:
            when = datetime.fromisoformat(str(at).replace("Z", "+00:00"))
    except (ValueError, OverflowError, OSError, ZoneInfoNotFoundError):
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return f"at {when.astimezone(clock):%Y-%m-%d %H:%M}" if when > now else None


def crontab(expr: object) -> str | None:
    """Five fields; of six the seconds go, where they are 0. None: it cannot be had."""
    fields = str(expr).split()
    if len(fields) == 6 and fields[0] == "0":
        fields = fields[1:]
    return " ".join(fields) if len(fields) == 5 or (len(fields) == 1 and fields[0].startswith("@")) else None


def when(schedule: Json, plan: Plan, now: datetime) -> tuple[str | None, str]:
    """(a schedule of ours or None, its zone; '': the gateway's), of {kind, expr, everyMs, at, tz}."""
    zone = str(schedule.get("tz") or "")
    match schedule.get("kind"):
        case "cron":
            return crontab(schedule.get("expr")), zone
        case "every":
            every = among(schedule, "everyMs", "every_ms")
            return (interval(every / 1000) if isinstance(every, int | float) else None), zone
        case "at":
            here = zone or str(plan.get("gateway.timezone") or "")
            return moment(among(schedule, "at", "atMs", "at_ms"), here, now), zone
    return None, zone


def target(channel: object, to: object) -> str | None:
    """telegram:-100/7 or discord:123; None for a place that is not one of ours."""
    where = str(channel or "").strip().lower()
    text = str(to or "").strip()
    for prefix in (f"{where}:", "tg:", "group:", "channel:"):
        text = text.removeprefix(prefix)
    if where == "telegram" and (found := _TOPIC.fullmatch(text)):
        return f"telegram:{found[1]}/{found[2]}"
    return f"{where}:{text}" if where in ("telegram", "discord") and _TARGET.fullmatch(text) else None


def name_of(plan: Plan, named: object, fallback: str) -> str:
    """Unique, of letters, digits, '.', '-' and '_'."""
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", str(named or fallback)).strip("-._")[:48] or fallback
    taken = {job["name"] for job in plan.tables.get("jobs", [])}
    return next(name for n in range(1, 1000) if (name := text if n == 1 else f"{text}-{n}") not in taken)


def take(plan: Plan, theirs: str, job: Json, *, enabled: bool, now: datetime, lost: bool = False) -> None:
    """A job as parley.toml has it. What it cannot be is told, and the job left out.

    *lost*: its result went to a chat that we do not know.
    """
    from pydantic import ValidationError

    from gateway.config_jobs import JobSettings
    from gateway.schedule import ScheduleError, parse

    whole: dict[str, Any] = {**job, **({} if enabled else {"enabled": False})}
    try:
        JobSettings.model_validate(whole)
        parse(str(whole["schedule"]), str(whole.get("zone", "UTC")), now=int(now.timestamp() * SECOND))
    except ValidationError as error:
        first = error.errors()[0]
        plan.leave(theirs, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
        return
    except ScheduleError as error:
        plan.leave(theirs, str(error))
        return
    plan.tables.setdefault("jobs", []).append(whole)
    plan.taken.append(Taken(theirs, f"jobs, {whole['name']}"))
    if lost:
        plan.leave(f"{theirs}, delivery", "it goes to no chat that Parley knows: its result is kept on main")
