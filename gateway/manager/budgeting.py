"""Budgets: what holds for whom, what is left of it, and setting it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gateway import units
from gateway.access import standing
from gateway.budgets import EVERYBODY, Budget, Payer, amount_of, period_of, scope_of
from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.manager.base import Base
from gateway.roster import parse
from gateway.spending import budgets_for_all, budgets_of
from gateway.views import BudgetSet

if TYPE_CHECKING:
    from storage import Unit


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
