"""/v1/people: who may talk to the gateway."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.app import App
from gateway.roster import Member, Request
from gateway.types.people import Role
from gateway.web.body import Body, Name, Number
from gateway.web.caller import Calling
from gateway.web.routes import Routes


class Letting(Body):
    address: Name  # channel:number
    role: Role = "user"


class Blocking(Body):
    address: Name


class Approving(Body):
    code: Name  # as it was told to who asks


class Refusing(Body):
    request: Number  # its number in the list


class Linking(Body):
    address: Name
    to: Name  # whose person it is to be


class Naming(Body):
    address: Name
    role: Role


def routes(app: App) -> Routes:
    routes = Routes("/v1/people")
    roster = app.roster

    @routes.get("")
    async def listed() -> Sequence[Member]:
        """Everybody who ever wrote, and everybody who was let in."""
        return await roster.list()

    @routes.post("/allow", scope="admin", faults=(409,))
    async def allow(letting: Letting, caller: Calling) -> Member:
        """Let somebody in, also before they have ever written, or a group."""
        return await roster.allow(letting.address, letting.role, by=caller.actor)

    @routes.post("/block", scope="admin", faults=(409,))
    async def block(blocking: Blocking, caller: Calling) -> Member:
        """Answer them no more, on any platform."""
        return await roster.block(blocking.address, by=caller.actor)

    @routes.get("/requests")
    async def requests() -> Sequence[Request]:
        """Who asks to be let in, oldest first."""
        return await roster.requests()

    @routes.post("/approve", scope="admin", faults=(409,))
    async def approve(approving: Approving, caller: Calling) -> Request:
        """Let in whoever has that code."""
        return await roster.approve(approving.code, by=caller.actor)

    @routes.post("/refuse", scope="admin", faults=(409,))
    async def refuse(refusing: Refusing, caller: Calling) -> Request:
        """Turn a request down."""
        return await roster.decide(refusing.request, "refused", by=caller.actor)

    @routes.post("/link", scope="admin", who="owner", faults=(404, 409))
    async def link(linking: Linking, caller: Calling) -> Member:
        """Make an identity the person that another one is."""
        return await roster.link(linking.address, linking.to, by=caller.actor)

    @routes.post("/unlink", scope="admin", who="owner", faults=(404, 409))
    async def unlink(unlinking: Blocking, caller: Calling) -> Member:
        """Make an identity what it was before it was linked."""
        return await roster.unlink(unlinking.address, by=caller.actor)

    @routes.post("/role", scope="admin", faults=(404, 409))
    async def role(naming: Naming, caller: Calling) -> Member:
        """Of the person an address belongs to, on every platform."""
        return await roster.set_role(naming.address, naming.role, by=caller.actor)

    return routes
