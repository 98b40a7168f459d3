"""What is left to spend: each request is judged, and what it may cost reserved, in the commit of its ledger row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
    Source,
    judge,
    span,
)
from gateway.types.measures import HOUR
from gateway.types.people import Identity, Role

if TYPE_CHECKING:
    from storage import Unit

STILL_OPEN = 2 * HOUR  # longer than any request is waited for
Acting = Callable[[Identity], Role]
"""As what somebody acts: the configuration names owners that the store does not know as such."""


def stored_role(who: Identity) -> Role:
    """As the store has it; whoever has no role yet is a user."""
    return who.role or "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Of one scope: the *key* of the ledger's rows, what it is called in the budget table, a person's *role*."""

    key: int | str
    ids: tuple[str, ...] = ()
    role: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """How much (None: no cap), for whom, and where that comes from."""

    id: str
    amount: int | None
    source: Source
    role: Role | None = None


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
    found = [(period, _cap(scope, Subject(key=""), period, stored, rules)) for period in PERIODS[scope]]
    return [
        Budget(scope=scope, id=EVERYBODY, period=period, cap=cap.amount, source=cap.source)
        for period, cap in found
        if cap.amount is not None
    ]


async def budgets_of(
    unit: Unit,
    payer: Payer,
    *,
    rules: Rules,
    now: int,
    zone: str,
    past: Past | None = None,
    acting: Acting = stored_role,
) -> list[Budget]:
    """Every budget that holds for what that payer asks, with what is used of it; the single request's last."""
    past = past or Past()
    today, _ = span("day", now, zone)
    stored = await _stored(unit)
    if not rules.caps and not rules.roles and not stored:
        return []
    found: list[Budget] = []
    for scope, subject in (await _subjects(unit, payer, acting)).items():
        for period in PERIODS[scope]:
            cap = _cap(scope, subject, period, stored, rules)
            if cap.amount is None:
                continue
            since, until = span(period, now, zone)
            spent = reserved = 0
            if scope != "request":
                end = ENDLESS if until is None else until
                spent, reserved = await past.spent(
                    unit, scope, subject.key, since=since, until=end, today=today, now=now
                )
            found.append(
                Budget(
                    scope=scope,
                    id=cap.id,
                    period=period,
                    cap=cap.amount,
                    spent=spent,
                    reserved=reserved,
                    since=since,
                    until=until,
                    source=cap.source,
                    role=cap.role,
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
    acting: Acting = stored_role,
    over: Collection[str] = (),
) -> Reserved:
    """What that request may do. Raises OverBudget when what it may cost does not fit.

    *cost* of so many output tokens; None: the model has no price. *output*: what is wanted. *warn*: who asks can
    be told that little is left. *over*: the budgets that it may run past, as person:day.
    """
    budgets = await budgets_of(unit, payer, rules=rules, now=now, zone=zone, past=past, acting=acting)
    worst = cost(output)
    if worst is None:
        if budgets and rules.unpriced == "refuse":
            raise OverBudget(None, model=model, worst=0, now=now, zone=zone)
        if budgets:
            log.warning("budget.unpriced", model=model, counted=0, remedy="set providers.<name>.price")
        return Reserved(output=output)
    held = [each for each in budgets if each.kind not in over]
    found = judge(held, lambda tokens: cost(tokens) or 0, output)
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


async def _subjects(unit: Unit, payer: Payer, acting: Acting) -> Mapping[Scope, Subject]:
    """By scope, whoever pays."""
    found: dict[Scope, Subject] = {}
    if payer.identity is not None:
        who = await unit.people.identity_by_id(payer.identity)
        addresses = await unit.budgets.addresses(payer.identity)
        role = acting(who) if who is not None else None
        found["person"] = Subject(key=payer.identity, ids=addresses, role=role)
    if payer.conversation is not None:
        chat = await unit.budgets.chat(payer.conversation)
        found["chat"] = Subject(key=payer.conversation, ids=(chat,))
    if payer.session is not None:
        found["session"] = Subject(key=payer.session, ids=(await unit.budgets.code(payer.session),))
    if payer.job:
        found["job"] = Subject(key=payer.job, ids=(payer.job,))
    found["channel"] = Subject(key=payer.channel, ids=(payer.channel,))
    found["gateway"] = Subject(key="")
    found["request"] = Subject(key="")
    return found


def _cap(
    scope: Scope,
    subject: Subject,
    period: Period,
    stored: Mapping[tuple[Scope, str, Period], int | None],
    rules: Rules,
) -> Cap:
    """What was set for them, else what is configured for their role, else set for everybody, else configured.

    Of several addresses of one person the smallest cap counts.
    """
    own = [stored[scope, id, period] for id in subject.ids if (scope, id, period) in stored]
    id, role = subject.ids[0] if subject.ids else EVERYBODY, subject.role
    if own:
        return Cap(id=id, amount=min((cap for cap in own if cap is not None), default=None), source="own")
    if role is not None and (role, period) in rules.roles:
        return Cap(id=id, amount=rules.roles[role, period], source="role", role=role)
    if (scope, EVERYBODY, period) in stored:
        return Cap(id=id, amount=stored[scope, EVERYBODY, period], source="all")
    return Cap(id=id, amount=rules.caps.get((scope, period)), source="config")
