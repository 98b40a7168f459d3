"""/v1/people: who may talk to the gateway."""

from __future__ import annotations

from fastapi import APIRouter, Response

from gateway.app import App
from gateway.types import Role
from gateway.web.body import Body, Name
from gateway.web.encoding import Json


class Letting(Body):
    address: Name  # channel:number
    role: Role = "user"


class Blocking(Body):
    address: Name


class Naming(Body):
    address: Name
    role: Role


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/people")
    roster = app.roster

    @router.get("")
    async def listed() -> Response:
        return Json(await roster.list())

    @router.post("/allow")
    async def allow(letting: Letting) -> Response:
        return Json(await roster.allow(letting.address, letting.role))

    @router.post("/block")
    async def block(blocking: Blocking) -> Response:
        return Json(await roster.block(blocking.address))

    @router.post("/role")
    async def role(naming: Naming) -> Response:
        return Json(await roster.set_role(naming.address, naming.role))

    return router
