"""Every report held against the ledger it is made of; what differs is a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise

from gateway.manager import SessionManager
from gateway.manager.accounting import SHARED
from gateway.moments import midnight
from gateway.reports import CostOverview, UsageSummary
from storage import Store

BY_HAND = """
SELECT coalesce(sum(tok_in), 0), coalesce(sum(tok_read), 0), coalesce(sum(tok_w5m), 0), coalesce(sum(tok_w1h), 0),
       coalesce(sum(tok_out), 0), coalesce(sum(cost), 0),
       count(*) FILTER (WHERE purpose <> 'search') + coalesce(sum(units) FILTER (WHERE purpose = 'search'), 0),
       count(*) FILTER (WHERE cost IS NULL AND state <> 'failed'), count(*) FILTER (WHERE state = 'estimated'),
       coalesce(sum(cost) FILTER (WHERE state = 'estimated'), 0), coalesce(sum(saved), 0)
  FROM usage WHERE state NOT IN ('open', 'void') AND at >= {since} AND at < {until}"""
TURNS = "SELECT count(DISTINCT turn) FROM usage WHERE state <> 'open' AND at >= {since} AND at < {until}"
SPAN = "SELECT min(at), max(at) FROM usage"
EVER = (-(2**62), 2**62)


def sums(each: UsageSummary) -> tuple[int, ...]:
    """All but the turns: one that used two models is one of each."""
    tokens = each.tokens
    counted = (tokens.uncached, tokens.read, tokens.write_5m, tokens.write_1h, tokens.output)
    facts = (each.cost, each.requests, each.unpriced, each.estimated, each.estimated_cost, each.saved or 0)
    return (*counted, *facts)


def added(lines: Sequence[UsageSummary]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*map(sums, lines), strict=True))) if lines else (0,) * 11


async def untrue(manager: SessionManager, store: Store) -> list[str]:
    """By every grouping: since ever, of each day, of the days until then and from then on, and of stretches in a day.

    Whole days of the gateway's zone come from their sums, the others from the ledger; both must be its rows.
    """
    if await store.read(lambda unit: unit.rollup.zone()) is None:
        await manager.sum_by_day()  # a gateway that was stopped while it made them has left them unread
    wrong = [f"{await store.read(lambda unit: unit.rollup.drift())} sums by day have drifted"]
    if wrong[0].startswith("0 "):
        wrong.clear()
    ((first, last),) = await store.read(lambda unit: unit.tx.all(SPAN))
    if first is None:
        return wrong
    days = [midnight(each, manager.zone) for each in _days(first, last)]
    stretches: list[tuple[int | None, int | None]] = [
        (None, None),
        ((first + last) // 2, None),
        (first, last),
    ]
    for begin, end in pairwise(days):
        stretches += [(begin, end), (None, end), (begin, None)]
    for since, until in dict.fromkeys(stretches):
        found = await manager.cost_overview(since, until=until)
        bounds = {"since": EVER[0] if since is None else since, "until": EVER[1] if until is None else until}
        by_hand, turns = BY_HAND.format(**bounds), TURNS.format(**bounds)
        (rows,) = await store.read(lambda unit, sql=by_hand: unit.tx.all(sql))
        ((count,),) = await store.read(lambda unit, sql=turns: unit.tx.all(sql))
        wrong += [f"{since}..{until}: {each}" for each in _differences(found, tuple(rows), count)]
    return wrong


def _differences(found: CostOverview, rows: tuple[int, ...], turns: int) -> Iterator[str]:
    if sums(found.total) != rows or found.total.turns != turns:
        yield f"the total is {found.total}, the rows are {rows} of {turns} turns"
    for key in SHARED:
        if (lines := added([each.usage for each in getattr(found, f"by_{key}")])) != rows:
            yield f"by {key} it is {lines}, the rows are {rows}"
    if (lines := added([each.usage for each in found.by_day])) != rows:
        yield f"by day it is {lines}, the rows are {rows}"
    for day in found.by_day:
        if sum(day.by_model.values()) != day.cost:
            yield f"{day.date}: {day.by_model} is not {day.cost}"


def _days(first: int, last: int) -> Iterator[date]:
    """From the day before the first request to the second after the last, so that no zone has another."""
    epoch, day = date(1970, 1, 1), 86_400_000_000
    for number in range(first // day - 1, last // day + 3):
        yield epoch + timedelta(days=number)
