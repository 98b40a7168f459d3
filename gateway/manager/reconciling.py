"""The ledger beside what a provider says was used."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.errors import Refused
from gateway.exports import SEARCHES, Export, read
from gateway.manager.base import Base
from gateway.moments import local, offsets
from gateway.reconciliation import Reconciliation, TornBucket, reconciled

if TYPE_CHECKING:
    from storage import Unit


class Reconciling(Base):
    """Providers are compared by day and model; their days are UTC's."""

    async def reconcile(
        self, export: str, *, zone: str = "UTC", providers: Collection[str] = ()
    ) -> Reconciliation:
        """Compare a provider's usage or cost export, given as its text, with the ledger of the same time.

        *zone*: whose days to compare; another one than UTC needs buckets of an hour or less. *providers* of the ledger;
        none: those at the vendor's own address. Raises ExportError for what cannot be read, and Refused.
        """
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Refused(f"no such time zone: {zone!r}; use an IANA name such as Europe/Berlin") from None
        found = await asyncio.to_thread(read, export)
        clock = offsets(found.begin, found.end, zone)

        async def work(unit: Unit) -> list[tuple[Any, ...]]:
            costs = unit.costs.within(since=found.begin, until=found.end)
            return await costs.booked(clock, speech=found.speech, searches=SEARCHES if found.money else None)

        rows = await self._store.read(work)
        names, found = self._compared(found, {row[0] for row in rows}, providers)
        ours = [row for row in rows if row[0] in names]
        try:
            return reconciled(found, ours, zone=zone, providers=names)
        except TornBucket as torn:
            first, last = (local(at, zone).strftime("%Y-%m-%d %H:%M") for at in (torn.begin, torn.end))
            raise Refused(
                f"what was used from {first} to {last} lies in two days of {zone}; "
                "leave the zone out to compare days of UTC, or export by the hour or minute"
            ) from None

    def _compared(
        self, export: Export, booked: Collection[str], wanted: Collection[str]
    ) -> tuple[tuple[str, ...], Export]:
        """The providers of the ledger that the export is about, and the export with what to know of the others."""
        catalogue, vendor = self.core.catalogue, export.vendor
        kinds = catalogue.kinds
        if wanted:
            for name in wanted:
                if name not in booked and name not in kinds:
                    known = ", ".join(sorted({*booked, *kinds})) or "none"
                    raise Refused(f"no provider is called {name!r}; there are: {known}")
            return tuple(sorted(set(wanted))), export
        names = set(catalogue.served_by(vendor))
        if vendor not in kinds:
            names.add(vendor)  # it was configured once
        for name in sorted(set(booked) - names):
            if kinds.get(name) == vendor:
                export = export.with_note(
                    f"Not compared: {name}, whose address is not the vendor's. --provider {name} takes it in."
                )
        return tuple(sorted(names)), export
