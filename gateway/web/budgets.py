"""/v1/budgets: what may be spent, by whom, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict, Field, model_validator

from gateway.app import App
from gateway.budgets import Budget
from gateway.views import BudgetSet, Refusal
from gateway.web.body import Body, Name, Number
from gateway.web.caller import Calling
from gateway.web.routes import Routes


class Capping(Body):
    scope: Name
    id: Name
    period: Name
    amount: Annotated[str, Field(min_length=1, max_length=40)]  # dollars, off, default


class Allowing(Body):
    """One of *session* (the last one refused there) and *turn*. *raised*: raise the budget instead."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["session"]}, {"required": ["turn"]}]}
    )

    session: Name = ""
    turn: Number = 0
    raised: Annotated[bool, Field(alias="raise")] = False

    @model_validator(mode="after")
    def _one(self) -> Allowing:
        if not {"session", "turn"} & self.model_fields_set or {"session", "turn"} <= self.model_fields_set:
            raise ValueError("name a session or a turn")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """*cap* of the budget now, nano-dollars; None: there is none."""

    turn: int
    decision: str
    cap: int | None


Whose = Annotated[str, Query(max_length=200)]


def routes(app: App) -> Routes:
    routes = Routes("/v1/budgets")

    @routes.get("", faults=(404, 409))
    async def listed(scope: Whose = "", id: Whose = "") -> list[Budget]:
        """Of one scope and id; without them all that were set by command, and the whole gateway's."""
        return await app.manager.budgets(scope, id)

    @routes.get("/refused")
    async def refused() -> list[Refusal]:
        """Questions that a budget refused within a day and about which nobody has decided, newest first."""
        return await app.manager.refusals()

    @routes.post("/allow", faults=(404, 409))
    async def allow(allowing: Allowing, caller: Calling) -> Allowed:
        """The question is asked again; past the budget that was in the way, this once, or under a raised one."""
        turn = allowing.turn if allowing.turn else await app.manager.refused_in(allowing.session)
        done = await app.manager.decide(
            turn, "raise" if allowing.raised else "allow", by=caller.name, name=""
        )
        return Allowed(turn=turn, decision=done.decision, cap=done.cap)

    @routes.post("", scope="admin", faults=(404, 409))
    async def set(capping: Capping, caller: Calling) -> BudgetSet:
        """A cap in dollars; off: none, whatever is configured; default: as configured."""
        return await app.manager.set_budget(
            capping.scope, capping.id, capping.period, capping.amount, by=caller.name
        )

    return routes
