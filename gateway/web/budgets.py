"""/v1/budgets: what may be spent, by whom, and what is left of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field, model_validator

from gateway.app import App
from gateway.web.body import Body, Name
from gateway.web.encoding import Json

BY = "cli"  # in the audit trail: whoever has the API is the operator


class Setting(Body):
    scope: Name
    id: Name
    period: Name
    amount: Annotated[str, Field(min_length=1, max_length=40)]  # dollars, off, default


class Allowing(Body):
    """One of *session* (the last one refused there) and *turn*. *raised*: raise the budget instead."""

    session: Name | None = None
    turn: int | None = None
    raised: Annotated[bool, Field(alias="raise")] = False

    @model_validator(mode="after")
    def _one(self) -> Allowing:
        if (self.session is None) == (self.turn is None):
            raise ValueError("name a session or a turn")
        return self


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/budgets")

    @router.get("")
    async def budgets(scope: str = "", id: str = "") -> Response:
        """Of one scope and id; without them all that were set by command, and the whole gateway's."""
        return Json(await app.manager.budgets(scope, id))

    @router.get("/refused")
    async def refused() -> Response:
        """Questions that a budget refused within a day and about which nobody has decided, newest first."""
        return Json(await app.manager.refusals())

    @router.post("/allow")
    async def allow(allowing: Allowing) -> Response:
        """The question is asked again; past the budget that was in the way, this once, or under a raised one."""
        turn = (
            allowing.turn
            if allowing.turn is not None
            else await app.manager.refused_in(allowing.session or "")
        )
        done = await app.manager.decide(turn, "raise" if allowing.raised else "allow", by=BY, name="")
        return Json({"turn": turn, "decision": done.decision, "cap": done.cap})

    @router.post("")
    async def set_budget(setting: Setting) -> Response:
        done = await app.manager.set_budget(setting.scope, setting.id, setting.period, setting.amount, by=BY)
        return Json(done)

    return router
