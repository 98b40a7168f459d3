"""/v1/costs: the bill, and the bill beside a provider's own account."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, cast

from fastapi import Query
from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from gateway.app import App
from gateway.exports import ExportError
from gateway.manager.accounting import BREAKDOWNS
from gateway.reconciliation import Reconciliation
from gateway.reports import By, DayCost, Share, ToolUsage, UsageSummary
from gateway.web.body import Body, Name, When
from gateway.web.caller import Calling
from gateway.web.routes import Routes
from gateway.web.span import BadField, moment


class Comparing(Body):
    export: str  # the text of the file
    zone: Name = "UTC"
    providers: Annotated[list[Name], Field(max_length=100, default_factory=list)]


class Bill(TypedDict):
    """From *since* (inclusive; None: since ever) to *until* (exclusive; None: now), days by *zone*.

    Times in microseconds UTC. Only the breakdowns that were asked for are there.
    """

    since: int | None
    until: int | None
    zone: str
    total: UsageSummary
    by_user: NotRequired[list[Share]]
    by_model: NotRequired[list[Share]]
    by_channel: NotRequired[list[Share]]
    by_chat: NotRequired[list[Share]]
    by_trigger: NotRequired[list[Share]]
    by_purpose: NotRequired[list[Share]]
    by_session: NotRequired[list[Share]]
    by_turn: NotRequired[list[Share]]
    by_day: NotRequired[list[DayCost]]
    by_tool: NotRequired[list[ToolUsage]]


def routes(app: App) -> Routes:
    routes = Routes("/v1/costs")

    @routes.get("", who="user")
    async def bill(
        caller: Calling,
        since: When | None = None,
        until: When | None = None,
        by: Annotated[list[By] | None, Query(max_length=20)] = None,
    ) -> Bill:
        """From since (inclusive) to until (exclusive); by: only these breakdowns, all of them otherwise.

        Moments as microseconds UTC, YYYY-MM-DD, today, or a number of days such as 7d. Of everybody for admins, who
        are told no title of what is not theirs; of their own questions for everybody else.
        """
        zone, now = app.manager.zone, app.clock()
        start = moment(since, field="since", zone=zone, now=now) if since else None
        end = moment(until, field="until", zone=zone, now=now) if until else None
        names = by or BREAKDOWNS
        overview = await app.manager.cost_overview(
            start, until=end, by=names, person=caller.only, viewer=caller.viewer
        )
        wanted: dict[str, Any] = {"since": start, "until": end, "zone": zone, "total": overview.total}
        return cast(Bill, wanted | {f"by_{name}": getattr(overview, f"by_{name}") for name in names})

    @routes.post("/reconcile", scope="read", faults=(409,))
    async def reconcile(comparing: Comparing) -> Reconciliation:
        """An export of a provider's beside the ledger; 422 for one that cannot be read."""
        try:
            return await app.manager.reconcile(
                comparing.export, zone=comparing.zone, providers=tuple(comparing.providers)
            )
        except ExportError as error:
            raise BadField("export", str(error)) from None

    return routes
