"""POST /v1/halt and /v1/unhalt: the emergency stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gateway.app import App
from gateway.web.body import Body
from gateway.web.caller import Calling
from gateway.web.routes import Routes


class Halting(Body):
    why: Annotated[str, Field(max_length=500)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """*halted*: by whom, and why. *stopped*: running answers that were put aside."""

    halted: str | None
    stopped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unhalted:
    halted: None = None


def routes(app: App) -> Routes:
    routes = Routes("/v1", family="gateway")

    @routes.post("/halt", faults=(409,))
    async def halt(caller: Calling, halting: Halting | None = None) -> Halted:
        """No request to any provider until unhalt, also after a restart; 409 when it is so already."""
        stopped = await app.manager.halt(by=caller.name, why=halting.why if halting else "")
        return Halted(halted=app.manager.halted, stopped=stopped)

    @routes.post("/unhalt", faults=(409,))
    async def unhalt(caller: Calling) -> Unhalted:
        """Go on with everything that was kept; 409 when nothing was halted."""
        await app.manager.unhalt(by=caller.name)
        return Unhalted()

    return routes
