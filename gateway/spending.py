"""What is left to spend: each request is judged, and what it may cost reserved, in the commit of its ledger row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import log
from gateway.budgets import (
    ENDLESS,
    EVERYBODY,
    PERIODS,
    Budget,
    OverBudget,
    Payer,
    Period,
    Rules,
    Scope,
    judge,
    span,
)
from gateway.types import HOUR

if TYPE_CHECKING:
    from storage import Unit

STILL_OPEN = 2 * HOUR  # longer than any request is waited for


class Past:
    """Sums over the days that are over, so that those of a whole month are not read anew for each request.

    For budgets that are everybody's alone: the rows of one person or chat are few.
    """

    def __init__(self) -> None:
        self._today = 0
        self._sums: dict[tuple[Scope, int | str, int], int] = {}

    async def spent(
        self, unit: Unit, scope: Scope, key: int | str, *, since: int, until: int, today: int, now: int
    ) -> tuple[int, int]:
        """(settled, reserved) as Budgets.spent; *today* is when the day began."""
        # A row of yesterday may be open for a while yet: a settled one never changes.
        if scope not in ("channel", "gateway") or since >= today or now - today < STILL_OPEN:
            return await unit.budgets.spent(scope, key, since=since, until=until)
        if today != self._today:
            self._today, self._sums = today, {}
        if (scope, key, since) not in self._sums:
            before, open = await unit.budgets.spent(scope, key, since=since, until=today)
            if open:
                return await unit.budgets.spent(scope, key, since=since, until=until)
            self._sums[scope, key, since] = before
        spent, reserved = await unit.budgets.spent(scope, key, since=today, until=until)
        return self._sums[scope, key, since] + spent, reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """*output* tokens at most, for *amount* at most (None: nobody knows); *near*: those of which little is left."""

    output: int
    amount: int | None = None
    near: tuple[Budget, ...] = ()


async def budgets_for_all(unit: Unit, scope: Scope, *, rules: Rules) -> list[Budget]:
    """The caps of that scope for whoever has none of their own; nothing is summed up for them."""
    stored = await _stored(unit)
    found = [(period, _cap(scope, (), period, stored, rules)[1]) for period in PERIODS[scope]]
    return [
        Budget(scope=scope, id=EVERYBODY, period=period, cap=cap) for period, cap in found if cap is not None
    ]


async def budgets_of(
    unit: Unit, payer: Payer, *, rules: Rules, now: int, zone: str, past: Past | None = None
) -> list[Budget]:
    """Every budget that holds for what that payer asks, with what is used of it; the single request's last."""
    past = past or Past()
    today, _ = span("day", now, zone)
    stored = await _stored(unit)
    if not rules.caps and not stored:
        return []
    found: list[Budget] = []
    for scope, (key, ids) in (await _subjects(unit, payer)).items():
        for period in PERIODS[scope]:
            id, cap = _cap(scope, ids, period, stored, rules)
            if cap is None:
                continue
            since, until = span(period, now, zone)
            spent = reserved = 0
            if scope != "request":
                end = ENDLESS if until is None else until
                spent, reserved = await past.spent(
                    unit, scope, key, since=since, until=end, today=today, now=now
                )
            found.append(
                Budget(
                    scope=scope,
                    id=id,
                    period=period,
                    cap=cap,
                    spent=spent,
                    reserved=reserved,
                    since=since,
                    until=until,
                )
            )
    return found


async def reserve(
    unit: Unit,
    payer: Payer,
    *,
    rules: Rules,
    now: int,
    zone: str,
    model: str,
    cost: Callable[[int], int | None],
    output: int,
    warn: bool,
    past: Past,
) -> Reserved:
    """What that request may do. Raises OverBudget when what it may cost does not fit.

    *cost* of so many output tokens; None: the model has no price. *output*: what is wanted. *warn*: who asks can
    be told that little is left.
    """
    budgets = await budgets_of(unit, payer, rules=rules, now=now, zone=zone, past=past)
    worst = cost(output)
    if worst is None:
        if budgets and rules.unpriced == "refuse":
            raise OverBudget(None, model=model, worst=0, now=now, zone=zone)
        if budgets:
            log.warning("budget.unpriced", model=model, counted=0, remedy="set providers.<name>.price")
        return Reserved(output=output)
    found = judge(budgets, lambda tokens: cost(tokens) or 0, output)
    if isinstance(found, Budget):
        raise OverBudget(found, model=model, worst=worst, now=now, zone=zone)
    near = await _nearly(unit, budgets) if warn else ()
    return Reserved(output=found.output, amount=found.reserved, near=near)


async def _nearly(unit: Unit, budgets: Sequence[Budget]) -> tuple[Budget, ...]:
    """Those of which so much is spent that it is to be said now; once in each period."""
    fresh = [
        each
        for each in budgets
        if each.near and await unit.budgets.warned(each.scope, each.id, each.period, each.since)
    ]
    for each in fresh:
        log.warning(
            "budget.near", scope=each.scope, id=each.id, period=each.period, spent=each.spent, cap=each.cap
        )
    return tuple(fresh)


async def _stored(unit: Unit) -> dict[tuple[Scope, str, Period], int | None]:
    """What was set by command."""
    return {(scope, id, period): cap for scope, id, period, cap in await unit.budgets.caps()}


async def _subjects(unit: Unit, payer: Payer) -> Mapping[Scope, tuple[int | str, tuple[str, ...]]]:
    """By scope: the key of the ledger's rows, and what it is called in the budget table."""
    found: dict[Scope, tuple[int | str, tuple[str, ...]]] = {}
    if payer.identity is not None:
        found["person"] = payer.identity, await unit.budgets.addresses(payer.identity)
    if payer.conversation is not None:
        found["chat"] = payer.conversation, (await unit.budgets.chat(payer.conversation),)
    if payer.session is not None:
        found["session"] = payer.session, (await unit.budgets.code(payer.session),)
    if payer.job:
        found["job"] = payer.job, (payer.job,)
    found["channel"] = payer.channel, (payer.channel,)
    found["gateway"] = "", ()
    found["request"] = "", ()
    return found


def _cap(
    scope: Scope,
    ids: tuple[str, ...],
    period: Period,
    stored: Mapping[tuple[Scope, str, Period], int | None],
    rules: Rules,
) -> tuple[str, int | None]:
    """(whose, how much; None: no cap): what was set for them, else for everybody, else what is configured.

    Of several addresses of one person the smallest cap counts.
    """
    own = [stored[scope, id, period] for id in ids if (scope, id, period) in stored]
    id = ids[0] if ids else EVERYBODY
    if own:
        return id, min((cap for cap in own if cap is not None), default=None)
    if (scope, EVERYBODY, period) in stored:
        return id, stored[scope, EVERYBODY, period]
    return id, rules.caps.get((scope, period))
