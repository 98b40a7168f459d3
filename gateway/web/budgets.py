"""/v1/budgets: what may be spent, by whom, and what is left of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from gateway.app import App
from gateway.web.body import Body, Name
from gateway.web.encoding import Json

BY = "cli"  # in the audit trail: whoever has the API is the operator


class Setting(Body):
    scope: Name
    id: Name
    period: Name
    amount: Annotated[str, Field(min_length=1, max_length=40)]  # dollars, off, default


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/budgets")

    @router.get("")
    async def budgets(scope: str = "", id: str = "") -> Response:
        """Of one scope and id; without them all that were set by command, and the whole gateway's."""
        return Json(await app.manager.budgets(scope, id))

    @router.post("")
    async def set_budget(setting: Setting) -> Response:
        done = await app.manager.set_budget(setting.scope, setting.id, setting.period, setting.amount, by=BY)
        return Json(done)

    return router
