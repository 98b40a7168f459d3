"""/v1/keys: who may come in over HTTP, and how far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from gateway.app import App
from gateway.keys import Key, NewKey, Scope
from gateway.web.body import Body, Id
from gateway.web.caller import Calling
from gateway.web.routes import Routes
from gateway.web.span import until


class Making(Body):
    """*who* as telegram:12345; None: whoever has the machine. *expires* as 90d, 12h, YYYY-MM-DD; None: never."""

    scope: Scope = "read"
    who: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    name: Annotated[str, Field(max_length=100)] = ""
    expires: Annotated[str, Field(max_length=40, examples=["90d"])] | None = None


def routes(app: App) -> Routes:
    routes = Routes("/v1/keys")

    @routes.get("", scope="admin")
    async def listed() -> Sequence[Key]:
        """All that were ever made, oldest first, without their secrets."""
        return await app.keys.list()

    @routes.post("", scope="admin", status=201, faults=(404, 409))
    async def made(making: Making, caller: Calling) -> NewKey:
        """The secret is in this answer and nowhere else. A key goes no further than whose it is."""
        expires = None
        if making.expires is not None:
            expires = until(making.expires, field="expires", zone=app.manager.zone, now=app.clock())
        return await app.keys.add(
            making.scope, who=making.who or "", name=making.name, expires=expires, by=caller.actor
        )

    @routes.post("/{prefix}/revoke", scope="admin", faults=(404, 409))
    async def revoke(prefix: Id, caller: Calling) -> Key:
        """No request with it is let in from now on."""
        return await app.keys.revoke(prefix, by=caller.actor)

    return routes
