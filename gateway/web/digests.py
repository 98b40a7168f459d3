"""/v1/digests: who has yesterday summed up every day, set by the operator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import Field

from gateway.app import App
from gateway.commands.digest import time_of
from gateway.config_tables import Zone
from gateway.errors import Refused
from gateway.manager import JobView
from gateway.web.body import Body, Name
from gateway.web.encoding import Json
from gateway.web.span import BadField


class Setting(Body):
    """*to* as telegram:12345, or main; *at* as 8:00. What is left out stays as it was, and *bill* and *silent* off."""

    to: Name
    at: Annotated[str, Field(max_length=10)] | None = None
    zone: Zone | None = None
    bill: bool = False
    silent: bool = False


class Whose(Body):
    to: Name


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/digests")
    digests = app.manager.digests

    @router.get("")
    async def listed() -> Response:
        return Json([_digest(each) for each in await digests.list()])

    @router.post("")
    async def turn_on(setting: Setting) -> Response:
        try:
            at = None if setting.at is None else time_of(setting.at)
        except Refused:
            raise BadField("at", "is no time of day; write it as in 8:00") from None
        by = await digests.of(setting.to)
        zone = setting.zone or ""
        view = await digests.turn_on(by, at=at, zone=zone, bill=setting.bill, silent=setting.silent)
        return Json(_digest(view))

    @router.post("/off")
    async def turn_off(whose: Whose) -> Response:
        return Json({"was_on": await digests.turn_off(await digests.of(whose.to))})

    @router.post("/now")
    async def now(whose: Whose) -> Response:
        """One of yesterday and today so far, delivered where theirs comes."""
        return Json({"run": await digests.now(await digests.of(whose.to))})

    return router


def _digest(view: JobView) -> dict[str, Any]:
    """*next_at* in microseconds UTC; null while it is switched off. *for* null: of a group, or of the configuration."""
    return {
        "name": view.spec.name,
        "for": view.owner,
        "chat": view.chat or ", ".join(view.spec.deliver_to),
        "schedule": view.spec.schedule,
        "zone": view.spec.zone,
        "bill": view.spec.bill,
        "silent": view.spec.silent,
        "state": view.state,
        "next_at": view.next_at,
        "last_run": None
        if view.last is None
        else {"state": view.last.state, "planned_at": view.last.planned},
    }
