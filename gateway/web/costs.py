"""GET /v1/costs: the bill."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.app import App
from gateway.manager.accounting import BREAKDOWNS
from gateway.reports import By
from gateway.web.encoding import Json
from gateway.web.span import moment


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

    return router
