"""Budgets: what holds for whom, what is left of it, and setting it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gateway import appeals, units
from gateway.access import standing
from gateway.appeals import VALID, Decided
from gateway.budgets import EVERYBODY, Budget, Payer, amount_of, period_of, raised, scope_of
from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.manager.base import Base
from gateway.roster import parse
from gateway.spending import budgets_for_all, budgets_of
from gateway.views import BudgetSet, Refusal

if TYPE_CHECKING:
    from storage import Unit
    from storage.appeals import Appeal, Decision


class Budgeting(Base):
    """What is set here goes before the configuration. Money is nano-dollars, all spend that of the ledger."""

    async def budgets_here(
        self, conversation: int, *, identity: int | None = None, named: int | None = None
    ) -> list[Budget]:
        """Those that hold for what that identity asks in that conversation; *named*: in that session there."""

        async def work(unit: Unit) -> list[Budget]:
            place = await unit.places.get(conversation)
            session = await units.current_of(unit, conversation, named)
            payer = Payer(
                channel=place.channel,
                session=session.id if session is not None else None,
                conversation=conversation,
                identity=identity,
                job=session.triggered_by if session is not None else None,
            )
            return await self._budgets(unit, payer)

        return await self._store.read(work)

    async def budgets(self, scope: str = "", id: str = "") -> list[Budget]:
        """Those of one person, chat, session, job or channel; without a *scope* all that were set by
        command, and the whole gateway's.

        Raises Refused for what is no scope, NotFound for who is not there.
        """

        async def work(unit: Unit) -> list[Budget]:
            if scope:
                return await self._of(unit, scope, id)
            found = await self._of(unit, "gateway", EVERYBODY)
            stored = dict.fromkeys((row[0], row[1]) for row in await unit.budgets.caps())
            for each, whose in stored:
                if each != "gateway":
                    with suppress(NotFound):  # a session that was deleted, a job that is gone
                        found += await self._of(unit, each, whose)
            return found

        return await self._store.read(work)

    async def set_budget(self, scope: str, id: str, period: str, amount: str, *, by: str) -> BudgetSet:
        """*amount* in dollars, or 'off' (no cap) or 'default' (as configured); *by* as channel:id, or cli.

        *id*: an address, a code, a name, or * for all who have none of their own; it goes into the audit trail.
        Raises Refused for what cannot be meant, NotFound for who is not there.
        """
        wanted = scope_of(scope)
        span = period_of(period, wanted)
        cap = amount_of(amount)
        now = self.core.clock()

        async def work(unit: Unit) -> BudgetSet:
            whose, _ = await _resolved(unit, scope, id)
            if isinstance(cap, str):
                await unit.budgets.drop(wanted, whose, span)
            else:
                await unit.budgets.put(wanted, whose, span, cap)
            await unit.audit.add(
                at=now, actor=by, action=f"budget {wanted} {whose} {span} {amount.strip()}", outcome="done"
            )
            return BudgetSet(
                scope=wanted,
                id=whose,
                period=span,
                cap=None if isinstance(cap, str) else cap,
                configured=isinstance(cap, str),
            )

        return await self._store.commit(Point.META, work)

    async def refusals(self) -> list[Refusal]:
        """What budgets refused within a day and nobody has decided yet, newest first."""
        since = self.core.clock() - VALID

        async def work(unit: Unit) -> list[Refusal]:
            return [await _refusal(unit, each) for each in await unit.appeals.open(since=since)]

        return await self._store.read(work)

    async def refused_in(self, session: str) -> int:
        """The turn of the last question there that a budget refused. Raises NotFound when none waits for a decision."""
        since = self.core.clock() - VALID

        async def work(unit: Unit) -> int:
            found = await unit.appeals.latest((await units.session_named(unit, session)).id, since=since)
            if found is None:
                raise NotFound(key="appeal.none")
            return found.turn

        return await self._store.read(work)

    async def decide(self, turn: int, decision: Decision, *, by: str, name: str) -> Decided:
        """Let a refused question pass once, or raise the budget that was in the way; it is asked again either way.

        *by* as channel:id, or cli, for the audit trail; *name* is what the messages that asked are told ('': the
        operator). Raises NotFound when it was decided before, or is older than a day.
        """
        now = self.core.clock()
        done = await self._store.commit(
            Point.CONTROL,
            lambda unit: appeals.decide(unit, turn, decision, actor=by, now=now, budgets=self._budgets),
        )
        if done is None:
            raise NotFound(key="appeal.none")
        self.core.dispatcher.take_up(done.conversation.id)
        marking = appeals.mark(self._store, self.core.delivery, done, name)
        self.core.dispatcher.beside(marking, f"appeal-{turn}")
        return done

    async def _of(self, unit: Unit, scope: str, id: str) -> list[Budget]:
        wanted = scope_of(scope)
        if id.strip() == EVERYBODY and wanted != "gateway":
            return await budgets_for_all(unit, wanted, rules=self.core.dispatcher.habits.budgets)
        _, payer = await _resolved(unit, wanted, id)
        return [each for each in await self._budgets(unit, payer) if each.scope == wanted]

    async def _budgets(self, unit: Unit, payer: Payer) -> list[Budget]:
        habits = self.core.dispatcher.habits
        return await budgets_of(
            unit,
            payer,
            rules=habits.budgets,
            now=self.core.clock(),
            zone=habits.zone,
            acting=lambda who: standing(who, habits.policy),
        )


async def _refusal(unit: Unit, appeal: Appeal) -> Refusal:
    turn = await unit.turns.get(appeal.turn)
    assert turn is not None
    session = await unit.sessions.get(turn.session)
    who = await unit.people.identity_by_id(turn.identity) if turn.identity is not None else None
    over = appeals.shortfall_of(appeal)
    assert over.budget is not None
    return Refusal(
        turn=turn.id,
        session_id=session.code if session is not None else "",
        who=f"{who.channel}:{who.user_id}" if who is not None else turn.trigger or "",
        at=appeal.created,
        raised=raised(over.budget, over.worst),
        over=over,
    )


async def _resolved(unit: Unit, scope: str, id: str) -> tuple[str, Payer]:
    """(what it is called in the budget table, whose rows of the ledger). Raises Refused and NotFound."""
    nobody = Payer(channel="")
    wanted, name = scope_of(scope), id.strip()
    if name == EVERYBODY:
        return name, nobody
    if wanted in ("gateway", "request"):
        raise Refused(key="budget.all", scope=wanted)
    if wanted == "person":
        who = await unit.people.identity(*parse(name))
        if who is not None:
            return (await unit.budgets.addresses(who.id))[0], Payer(channel=who.channel, identity=who.id)
    elif wanted == "chat":
        channel, _, chat_id = name.partition(":")
        for place in await unit.places.of_channel(channel, chat_id):
            return f"{channel}:{chat_id}", Payer(channel=channel, conversation=place.id)
    elif wanted == "session":
        session = await units.session_named(unit, name)
        return session.code, Payer(channel="", session=session.id)
    elif wanted == "job":
        if await unit.jobs.get(name) is not None:
            return name, Payer(channel="", job=name)
    elif any(name == account.channel for account in await unit.people.accounts()):
        return name, Payer(channel=name)
    raise NotFound(key="budget.no_id", text=name[:80])
