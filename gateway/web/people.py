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


class Approving(Body):
    code: Name  # as it was told to who asks


class Refusing(Body):
    request: int  # its number in the list


class Linking(Body):
    address: Name
    to: Name  # whose person it is to be


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

    @router.get("/requests")
    async def requests() -> Response:
        return Json(await roster.requests())

    @router.post("/approve")
    async def approve(approving: Approving) -> Response:
        return Json(await roster.approve(approving.code))

    @router.post("/refuse")
    async def refuse(refusing: Refusing) -> Response:
        return Json(await roster.decide(refusing.request, "refused"))

    @router.post("/link")
    async def link(linking: Linking) -> Response:
        return Json(await roster.link(linking.address, linking.to))

    @router.post("/unlink")
    async def unlink(unlinking: Blocking) -> Response:
        return Json(await roster.unlink(unlinking.address))

    @router.post("/role")
    async def role(naming: Naming) -> Response:
        return Json(await roster.set_role(naming.address, naming.role))

    return router
