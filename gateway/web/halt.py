"""POST /v1/halt and /v1/unhalt: the emergency stop."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from gateway.app import App
from gateway.web.body import Body
from gateway.web.encoding import Json

BY = "cli"  # in the audit trail: whoever has the API is the operator


class Halting(Body):
    why: Annotated[str, Field(max_length=500)] = ""


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.post("/halt")
    async def halt(halting: Halting | None = None) -> Response:
        """No request to any provider until unhalt, also after a restart; 409 when it is so already."""
        stopped = await app.manager.halt(by=BY, why=halting.why if halting else "")
        return Json({"halted": app.manager.halted, "stopped": stopped})

    @router.post("/unhalt")
    async def unhalt() -> Response:
        await app.manager.unhalt(by=BY)
        return Json({"halted": None})

    return router
