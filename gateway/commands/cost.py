"""/cost: the bill of a stretch of time, by whatever was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date

from gateway.amounts import cost as priced
from gateway.amounts import estimated, line, requests
from gateway.calls import Call, Reply
from gateway.chart import chart, drawn
from gateway.commands.command import viewer_of
from gateway.commands.period import Asked, asked
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.moments import day
from gateway.protocols.answer import Made
from gateway.reports import By, CostOverview, DayCost, Share, ToolUsage, UsageSummary
from gateway.texts import say
from gateway.texts.forms import money, tokens, whole
from gateway.types.outbound import File

MOST_ROWS = 15  # the last of them sums up what is left out
NAME = 40  # characters
MOST_DAYS = 92  # in a picture; more are too thin to be told apart on a phone

Row = tuple[str, ...]


async def cost(manager: SessionManager, call: Call) -> Reply:
    """Everybody's for owners and admins; one's own for everybody else."""
    person = _whose(call)
    # The same days for all who read everybody's; one's own begin at one's own midnight.
    zone = manager.zone if person is None else call.zone
    wanted = asked(call.args, now=manager.core.clock(), zone=zone, lang=call.lang)
    by: tuple[By, ...] = (wanted.by, "day") if wanted.dates else (wanted.by,)
    found = await manager.cost_overview(
        wanted.since, until=wanted.until, person=person, zone=zone, by=by, viewer=viewer_of(call)
    )
    text = shown(found, wanted, everybody=person is None, lang=call.lang)
    return Reply(text=text, files=await _picture(manager, call, found, wanted))


async def _picture(
    manager: SessionManager, call: Call, found: CostOverview, wanted: Asked
) -> tuple[File, ...]:
    """Of several days on which anything cost money, where it can be sent."""
    line = manager.core.delivery.line(call.row.account)
    costly = any(each.cost > 0 for each in found.by_day)
    if line is None or not line.channel.can.file or not costly or not 2 <= len(wanted.dates) <= MOST_DAYS:
        return ()
    data = await asyncio.to_thread(
        chart,
        drawn(found.by_day, wanted.dates, call.lang),
        title=wanted.label,
        others=say("cost.rest", call.lang),
        lang=call.lang,
    )
    made = Made(type="image/png", data=data)
    return (await manager.core.gallery.enter(made, name="cost.png", now=manager.core.clock()),)


def _whose(call: Call) -> int | None:
    """None: everybody's. Raises Refused for a caller without a person: no bound would show them everything."""
    if call.role in ("owner", "admin"):
        return None
    if call.identity is None or call.identity.person is None:
        raise Refused(key="cost.nobody")
    return call.identity.person


def shown(found: CostOverview, wanted: Asked, *, everybody: bool, lang: str = "") -> str:
    whose = say("cost.everybody" if everybody else "cost.yours", lang)
    by = say(f"cost.{wanted.by}", lang)
    head = say("cost.head", lang, label=wanted.label, whose=whose, by=by)
    total = found.total
    if not total.requests:
        return f"{head}\n\n{say('cost.nothing', lang)}"
    rows = table(found, wanted.by, lang)
    last = say(
        "cost.total",
        lang,
        line=line(total, lang),
        turns=say("cost.turns", lang, count=total.turns),
        requests=requests(total.requests, lang),
    )
    notes = [each for each in (cached(total, lang), estimated(total, lang)) if each]
    return "\n\n".join([head, _markdown(rows), last, *notes])


def cached(total: UsageSummary, lang: str = "") -> str:
    """How much of the input a cache spared, and what it saved; '' where none was used."""
    if not total.total_cache_read and not total.total_cache_write:
        return ""
    percent = whole(round(100 * (total.cache_share or 0)), lang)
    spared = total.saved or 0
    amount = money(abs(spared), lang)
    return say("cost.dearer" if spared < 0 else "cost.saved", lang, percent=percent, amount=amount)


def table(found: CostOverview, by: By, lang: str = "") -> list[Row]:
    """The header and at most MOST_ROWS rows."""
    match by:
        case "day":
            return [_head(lang, "day", "cost"), *_days(found.by_day, lang)]
        case "tool":
            return [_head(lang, "tool", "calls", "errors"), *_tools(found.by_tool, lang)]
        case "user":
            shares = found.by_user
        case "model":
            shares = found.by_model
        case "channel":
            shares = found.by_channel
        case "chat":
            shares = found.by_chat
        case "trigger":
            shares = found.by_trigger
        case "purpose":
            shares = found.by_purpose
        case "session":
            shares = found.by_session
        case "turn":
            shares = found.by_turn
    return [_head(lang, by, "given", "made", "cost"), *_shares(shares, lang)]


def _head(lang: str, *columns: str) -> Row:
    return tuple(say(f"cost.{column}", lang) for column in columns)


def _fitting(count: int) -> int:
    return count if count <= MOST_ROWS else MOST_ROWS - 1


def _shares(found: Sequence[Share], lang: str) -> list[Row]:
    """Dearest first."""
    kept = _fitting(len(found))
    rows: list[Row] = [_share(plain(each.name, NAME), [each], lang) for each in found[:kept]]
    if found[kept:]:
        rows.append(_share(say("cost.others", lang, count=len(found) - kept), found[kept:], lang))
    return rows


def _share(name: str, found: Sequence[Share], lang: str) -> Row:
    usages = [each.usage for each in found]
    given, made = sum(u.total_input_tokens for u in usages), sum(u.total_output_tokens for u in usages)
    if len(usages) == 1:
        return name, tokens(given, lang), tokens(made, lang), priced(usages[0], lang)
    return name, tokens(given, lang), tokens(made, lang), money(sum(u.cost for u in usages), lang)


def _days(found: Sequence[DayCost], lang: str) -> list[Row]:
    """Latest first."""
    latest = found[::-1]
    kept = _fitting(len(latest))
    rows: list[Row] = [
        (day(date.fromisoformat(each.date), lang), money(each.cost, lang)) for each in latest[:kept]
    ]
    if latest[kept:]:
        earlier = say("cost.earlier", lang, count=len(latest) - kept)
        rows.append((earlier, money(sum(each.cost for each in latest[kept:]), lang)))
    return rows


def _tools(found: Sequence[ToolUsage], lang: str) -> list[Row]:
    """Most used first."""
    kept = _fitting(len(found))
    rows: list[Row] = [
        (plain(each.name, NAME), whole(each.invocations, lang), whole(each.errors, lang))
        for each in found[:kept]
    ]
    if rest := found[kept:]:
        calls, errors = sum(each.invocations for each in rest), sum(each.errors for each in rest)
        rows.append((say("cost.others", lang, count=len(rest)), whole(calls, lang), whole(errors, lang)))
    return rows or [(say("cost.none", lang), "0", "0")]


def _markdown(rows: Sequence[Row]) -> str:
    head, *body = rows
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))
