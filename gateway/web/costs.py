"""/v1/costs: the bill, and the bill beside a provider's own account."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.app import App
from gateway.exports import ExportError
from gateway.manager.accounting import BREAKDOWNS
from gateway.reports import By
from gateway.web.body import Body, Name
from gateway.web.encoding import Json, plain
from gateway.web.span import BadField, moment


class Comparing(Body):
    export: str  # the text of the file
    zone: Name = "UTC"
    providers: tuple[Name, ...] = ()


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/costs")

    @router.get("")
    async def costs(
        since: str | None = None,
        until: str | None = None,
        by: Annotated[list[By] | None, Query()] = None,
    ) -> Response:
        """From since (inclusive) to until (exclusive); by: only these breakdowns, all of them otherwise."""
        zone, now = app.manager.zone, app.clock()
        start = moment(since, field="since", zone=zone, now=now) if since else None
        end = moment(until, field="until", zone=zone, now=now) if until else None
        names = by or BREAKDOWNS
        overview = await app.manager.cost_overview(start, until=end, by=names)
        wanted: dict[str, Any] = {"since": start, "until": end, "zone": zone, "total": overview.total}
        wanted |= {f"by_{name}": getattr(overview, f"by_{name}") for name in names}
        return Json(wanted)

    @router.post("/reconcile")
    async def reconcile(comparing: Comparing) -> Response:
        """An export of a provider's beside the ledger; 422 for one that cannot be read."""
        try:
            found = await app.manager.reconcile(
                comparing.export, zone=comparing.zone, providers=comparing.providers
            )
        except ExportError as error:
            raise BadField("export", str(error)) from None
        return Json({**plain(found), "agrees": found.agrees})

    return router
