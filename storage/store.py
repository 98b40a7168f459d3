"""The store: units of work over all tables, in one transaction each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Concatenate, ParamSpec, TypeVar

from gateway.errors import StoreError
from gateway.failpoints import Point
from storage.appeals import Appeals
from storage.approvals import Approvals
from storage.asked import Asked
from storage.audit import Audit
from storage.budgets import Budgets
from storage.compactions import Compactions
from storage.costs import Costs
from storage.database import Database, Tx
from storage.depths import Depths
from storage.digests import Digests
from storage.inbox import Inbox
from storage.jobs import Jobs
from storage.keys import Keys
from storage.listing import Listing
from storage.media import Media
from storage.meta import Meta
from storage.outbox import Outbox
from storage.pairings import Pairings
from storage.people import People
from storage.places import Places
from storage.purging import Purging
from storage.rollup import Rollup
from storage.sessions import Sessions
from storage.tags import Tags
from storage.transcript import Transcript
from storage.turns import Turns
from storage.usage import Ledger

T = TypeVar("T")
P = ParamSpec("P")


class Unit:
    """Every table, inside one transaction. A unit of work awaits nothing but these."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx

    @cached_property
    def meta(self) -> Meta:
        return Meta(self.tx)

    @cached_property
    def people(self) -> People:
        return People(self.tx)

    @cached_property
    def places(self) -> Places:
        return Places(self.tx)

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.tx)

    @cached_property
    def listing(self) -> Listing:
        return Listing(self.tx)

    @cached_property
    def tags(self) -> Tags:
        return Tags(self.tx)

    @cached_property
    def transcript(self) -> Transcript:
        return Transcript(self.tx)

    @cached_property
    def compactions(self) -> Compactions:
        return Compactions(self.tx)

    @cached_property
    def inbox(self) -> Inbox:
        return Inbox(self.tx)

    @cached_property
    def turns(self) -> Turns:
        return Turns(self.tx)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.tx)

    @cached_property
    def costs(self) -> Costs:
        return Costs(self.tx)

    @cached_property
    def budgets(self) -> Budgets:
        return Budgets(self.tx)

    @cached_property
    def appeals(self) -> Appeals:
        return Appeals(self.tx)

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self.tx)

    @cached_property
    def approvals(self) -> Approvals:
        return Approvals(self.tx)

    @cached_property
    def asked(self) -> Asked:
        return Asked(self.tx)

    @cached_property
    def pairings(self) -> Pairings:
        return Pairings(self.tx)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.tx)

    @cached_property
    def depths(self) -> Depths:
        return Depths(self.tx)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.tx)

    @cached_property
    def media(self) -> Media:
        return Media(self.tx)

    @cached_property
    def purging(self) -> Purging:
        return Purging(self.tx)

    @cached_property
    def rollup(self) -> Rollup:
        return Rollup(self.tx)

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self.tx)

    @cached_property
    def digests(self) -> Digests:
        return Digests(self.tx)


class Store:
    """Units of work over a database.

    `await store.commit(Point.X, work, a, b)` runs `work(unit, a, b)` in a transaction of its own and returns
    when it is on disk. Raises StoreError when nothing was stored.

    *commits* of them were stored since it was opened, *failed* could not be.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.commits = 0
        self.failed = 0

    async def commit(
        self,
        point: Point,
        work: Callable[Concatenate[Unit, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            done = await self.database.commit(point, lambda tx: work(Unit(tx), *args, **kwargs))
        except StoreError:
            self.failed += 1
            raise
        self.commits += 1
        return done

    async def read(
        self, work: Callable[Concatenate[Unit, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.database.read(lambda tx: work(Unit(tx), *args, **kwargs))

    async def close(self) -> None:
        await self.database.close()
