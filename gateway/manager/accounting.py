"""What was used, what it cost, how full the model's window is."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, get_args

from gateway import log, units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.moments import DAY, day_of, local, offsets
from gateway.reports import (
    By,
    CostOverview,
    DayCost,
    Share,
    ToolUsage,
    UsageSummary,
    days,
    shares,
    usage_summary,
)
from gateway.types.measures import DOLLAR
from gateway.types.people import OPERATOR, Viewer
from gateway.types.usage import Tokens, UsageOpen, UsageSettled
from gateway.views import StoreHealth, UsageRecord

if TYPE_CHECKING:
    from storage import Unit
    from storage.costs import Costs, Grouping
    from storage.rollup import Rollup

from gateway.manager.base import Base

# There are nearly as many turns as requests: they are told when they are asked for.
BREAKDOWNS: tuple[By, ...] = tuple(by for by in get_args(By) if by != "turn")
SHARED: tuple[Grouping, ...] = ("user", "model", "channel", "chat", "trigger", "purpose", "session")
TURN: Grouping = "turn"  # which no sum by day tells apart


YEARS = 2  # for which a zone's changes of the clock are worked out; they are looked at anew each year


class Accounting(Base):
    """Money in nano-dollars, tokens in disjoint kinds."""

    async def record_usage(self, id: str, record: UsageRecord, turn: int | None = None) -> None:
        """Book usage that was measured elsewhere; exact as given. *turn* is a number of the caller's own."""
        now = self.core.clock()
        tokens = Tokens(record.input_tokens, record.cache_read, record.cache_write, 0, record.output_tokens)
        if min(tokens.uncached, tokens.read, tokens.write_5m, tokens.output) < 0:
            raise Refused("token counts are never negative")
        cost = None if record.cost_usd is None else int((record.cost_usd * DOLLAR).to_integral_value())
        uid = f"record:{id}:{turn}" if turn is not None else str(uuid.uuid4())

        async def work(unit: Unit) -> None:
            session = await units.session_named(unit, id)
            place = await unit.places.get(session.conversation)
            who = await unit.people.seen(place.channel, record.user_id) if record.user_id else None
            await unit.ledger.open(
                UsageOpen(
                    uid=uid,
                    worst=Tokens(),
                    purpose="chat",
                    channel=place.channel,
                    provider=record.provider,
                    model_asked=record.model or "unknown",
                    at=now,
                    session=session.id,
                    conversation=place.id,
                    identity=who.id if who else None,
                    trigger=session.triggered_by,
                )
            )
            settled = UsageSettled(
                state="known",
                tokens=tokens,
                ended=now,
                model=record.model,
                cost=cost,
                cost_state="unpriced" if cost is None else "priced",
            )
            await unit.ledger.settle(uid, settled)

        await self._store.commit(Point.SESSION, work)

    async def session_usage(self, id: str) -> UsageSummary:
        """Zeros for a session that has used nothing."""

        async def work(unit: Unit) -> UsageSummary:
            session = (await units.session_named(unit, id)).id
            return usage_summary(await unit.ledger.of_session(session))

        return await self._store.read(work)

    async def session_searches(self, id: str) -> UsageSummary:
        """Of those requests and costs, what its models' providers have searched the web for."""

        async def work(unit: Unit) -> UsageSummary:
            session = (await units.session_named(unit, id)).id
            return usage_summary(await unit.ledger.searches_of(session))

        return await self._store.read(work)

    async def cost_overview(
        self,
        since: int | None = None,
        *,
        until: int | None = None,
        person: int | None = None,
        zone: str | None = None,
        by: Collection[By] = BREAKDOWNS,
        viewer: Viewer = OPERATOR,
    ) -> CostOverview:
        """The bill from *since* (inclusive) to *until* (exclusive); of everybody or of one person.

        *zone* is the one whose days are summed; None: the gateway's. *by*: only these breakdowns are made. Whole days
        of everybody's in the gateway's zone are read from their sums, all else from the ledger itself. Of a session
        that is not for the *viewer*'s eyes only the code is told.
        """
        place = zone or self.zone
        first, last = day_of(since, place), day_of(until, place)
        whole = (since is None) == (first is None) and (until is None) == (last is None)

        async def work(unit: Unit) -> CostOverview:
            ledger = unit.costs.within(since=since, until=until, person=person)
            costs: Costs | Rollup = ledger
            if whole and person is None and (await unit.rollup.zone() or "").split(" ")[0] == place:
                costs = unit.rollup.within(first=first, last=last)
            lines: dict[str, list[Share]] = {}
            for key in (*SHARED, TURN):
                if key in by:
                    rows = await (ledger if key == TURN else costs).by(key)
                    lines[f"by_{key}"] = await _untitled(unit, shares(rows), viewer, key)
            return CostOverview(
                since=since,
                total=usage_summary(await costs.total()),
                by_day=await _days(costs, place) if "day" in by else [],
                by_tool=[ToolUsage(name=r[0], invocations=r[1], errors=r[2]) for r in await costs.tools()]
                if "tool" in by
                else [],
                **lines,
            )

        return await self._store.read(work)

    async def sum_by_day(self) -> None:
        """Have the bill summed by the days of the gateway's zone; made anew where it was another one's."""
        from importlib.metadata import version  # 20 ms, for once a start

        now = self.core.clock()
        year = local(now, "UTC").year
        name = f"{self.zone} {version('tzdata')} {year}"
        if await self._store.read(lambda unit: unit.rollup.zone()) == name:
            return
        clock, me = offsets(0, now + YEARS * 366 * DAY, self.zone), uuid.uuid4().hex
        facets = await self._store.commit(Point.META, lambda unit: unit.rollup.begin(clock, by=me))
        # Each by itself: whoever else writes waits for one of them at most.
        for number, facet in enumerate(facets, start=1):
            await self._store.commit(Point.META, partial(Accounting._fill, facet=facet))
            log.info("sums.made", by=facet, done=number, of=len(facets))
        if not await self._store.commit(Point.META, lambda unit: unit.rollup.finish(name, by=me)):
            log.warning("sums.void", remedy="they are made again within a day")

    @staticmethod
    async def _fill(unit: Unit, *, facet: str) -> None:
        await unit.rollup.fill(facet)

    async def store_health(self) -> StoreHealth:
        """Look at the database: never raises for a sick one, says so."""

        async def work(unit: Unit) -> StoreHealth:
            problem = await unit.meta.problem()
            return StoreHealth(
                engine=self._store.database.engine,
                path=str(getattr(self._store.database, "path", "")),
                schema=int(await unit.meta.get("schema") or 0),
                sessions=await unit.sessions.total(),
                inbox_waiting=await unit.inbox.total_waiting(),
                outbox=await unit.outbox.counts(),
                ok=problem is None,
                problem=problem,
            )

        return await self._store.read(work)


async def _untitled(unit: Unit, lines: list[Share], viewer: Viewer, key: str) -> list[Share]:
    """A title is the first that somebody has said there: it is told to those who may read that."""
    if key != "session" or viewer.everything:
        return lines
    seen = await unit.listing.which([each.name.partition(" ")[0] for each in lines], viewer)
    return [
        each if (code := each.name.partition(" ")[0]) in seen else replace(each, name=code) for each in lines
    ]


async def _days(costs: Costs | Rollup, zone: str) -> list[DayCost]:
    span = await costs.span()
    if span is None:
        return []
    clock = offsets(*span, zone)
    rows = [(row[0], row[1], row[2]) for row in await costs.models_of_days(clock)]
    return days(await costs.days(clock), rows)
