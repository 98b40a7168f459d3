"""/cost: the bill of a stretch of time, by whatever was asked."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.amounts import cost as priced
from gateway.amounts import estimated, line, money, requests, tokens
from gateway.calls import Call, Reply
from gateway.commands.period import Asked, By, asked
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.reports import CostOverview, DayCost, Share, ToolUsage

MOST_ROWS = 15  # the last of them sums up what is left out
NAME = 40  # characters

Row = tuple[str, ...]


async def cost(manager: SessionManager, call: Call) -> Reply:
    """Everybody's for owners and admins; one's own for everybody else."""
    wanted = asked(call.args, now=manager.core.clock(), zone=manager.zone)
    person = _whose(call)
    found = await manager.cost_overview(wanted.since, until=wanted.until, person=person)
    return Reply(text=shown(found, wanted, everybody=person is None))


def _whose(call: Call) -> int | None:
    """None: everybody's. Raises Refused for a caller without a person: no bound would show them everything."""
    if call.role in ("owner", "admin"):
        return None
    if call.identity is None or call.identity.person is None:
        raise Refused("I do not know whose costs to show you.")
    return call.identity.person


def shown(found: CostOverview, wanted: Asked, *, everybody: bool) -> str:
    whose = "everybody's" if everybody else "yours"
    head = f"**Cost, {wanted.label}** ({whose}, by {wanted.by})"
    total = found.total
    if not total.requests:
        return f"{head}\n\nNothing was used."
    rows = table(found, wanted.by)
    last = f"**Total:** {line(total)} · {requests(total.requests)}"
    rough = estimated(total)
    return "\n\n".join([head, _markdown(rows), last, *([rough] if rough else [])])


def table(found: CostOverview, by: By) -> list[Row]:
    """The header and at most MOST_ROWS rows."""
    match by:
        case "day":
            return [("day", "cost"), *_days(found.by_day)]
        case "tool":
            return [("tool", "calls", "errors"), *_tools(found.by_tool)]
        case "user":
            return [(by, "in", "out", "cost"), *_shares(found.by_user)]
        case "model":
            return [(by, "in", "out", "cost"), *_shares(found.by_model)]
        case "channel":
            return [(by, "in", "out", "cost"), *_shares(found.by_channel)]
        case "trigger":
            return [(by, "in", "out", "cost"), *_shares(found.by_trigger)]
        case "purpose":
            return [(by, "in", "out", "cost"), *_shares(found.by_purpose)]


def _fitting(count: int) -> int:
    return count if count <= MOST_ROWS else MOST_ROWS - 1


def _shares(found: Sequence[Share]) -> list[Row]:
    """Dearest first."""
    kept = _fitting(len(found))
    rows: list[Row] = [_share(plain(each.name, NAME), [each]) for each in found[:kept]]
    if found[kept:]:
        rows.append(_share(f"{len(found) - kept} others", found[kept:]))
    return rows


def _share(name: str, found: Sequence[Share]) -> Row:
    usages = [each.usage for each in found]
    given, made = sum(u.total_input_tokens for u in usages), sum(u.total_output_tokens for u in usages)
    if len(usages) == 1:
        return name, tokens(given), tokens(made), priced(usages[0])
    return name, tokens(given), tokens(made), money(sum(u.cost for u in usages))


def _days(found: Sequence[DayCost]) -> list[Row]:
    """Latest first."""
    latest = found[::-1]
    kept = _fitting(len(latest))
    rows: list[Row] = [(day.date, money(day.cost)) for day in latest[:kept]]
    if latest[kept:]:
        rows.append((f"{len(latest) - kept} earlier", money(sum(day.cost for day in latest[kept:]))))
    return rows


def _tools(found: Sequence[ToolUsage]) -> list[Row]:
    """Most used first."""
    kept = _fitting(len(found))
    rows: list[Row] = [
        (plain(each.name, NAME), str(each.invocations), str(each.errors)) for each in found[:kept]
    ]
    if rest := found[kept:]:
        calls, errors = sum(each.invocations for each in rest), sum(each.errors for each in rest)
        rows.append((f"{len(rest)} others", str(calls), str(errors)))
    return rows or [("(none)", "0", "0")]


def _markdown(rows: Sequence[Row]) -> str:
    head, *body = rows
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))
