"""GET /v1/costs: the bill."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query, Response

from gateway.app import App
from gateway.web.encoding import Json
from gateway.web.span import BadField, moment

Breakdown = Literal["user", "model", "channel", "trigger", "purpose", "day", "tool"]
BREAKDOWNS: tuple[Breakdown, ...] = get_args(Breakdown)


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/costs")

    @router.get("")
    async def costs(
        since: str | None = None,
        until: str | None = None,
        by: Annotated[list[Breakdown] | None, Query()] = None,
    ) -> Response:
        """From since (inclusive) to until (exclusive); by: only these breakdowns, all of them otherwise.

        Tools are counted up to now, so that there is no by_tool together with until.
        """
        zone, now = app.manager.zone, app.clock()
        start = moment(since, field="since", zone=zone, now=now) if since else None
        end = moment(until, field="until", zone=zone, now=now) if until else None
        overview = await app.manager.cost_overview(start, until=end)
        wanted: dict[str, Any] = {"since": start, "until": end, "zone": zone, "total": overview.total}
        if end is not None and by and "tool" in by:
            raise BadField("by", "tools are counted up to now; leave out until")
        for name in by or [name for name in BREAKDOWNS if name != "tool" or end is None]:
            wanted[f"by_{name}"] = getattr(overview, f"by_{name}")
        return Json(wanted)

    return router
