"""/v1/sessions and /v1/data: written out, read in, deleted for good."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from starlette.responses import PlainTextResponse

from gateway.app import App
from gateway.errors import Refused
from gateway.manager import Deleted, Erased, SessionMeta
from gateway.types.json import Json as Object
from gateway.web.body import Body, Id
from gateway.web.caller import Caller, Calling
from gateway.web.finding import Address
from gateway.web.routes import Routes

MARKDOWN = "text/markdown"


class Importing(Body):
    """*session*: the JSON form, as it was exported."""

    session: Annotated[dict[str, Any], Field()]


def routes(app: App) -> Routes:
    routes = Routes("/v1", family="documents")
    _sessions(routes, app)
    _people(routes, app)
    return routes


def _sessions(routes: Routes, app: App) -> None:
    manager = app.manager

    @routes.get("/sessions/{id}/markdown", who="user", faults=(404,), media={MARKDOWN: "What was said."})
    async def markdown(id: Id, caller: Calling) -> PlainTextResponse:
        """What was said and stands, to be read."""
        text = await manager.export_session(id, "markdown", viewer=caller.viewer)
        return PlainTextResponse(text, media_type=MARKDOWN)

    @routes.get("/sessions/{id}/export", who="user", faults=(404,))
    async def export(id: Id, caller: Calling) -> Object:
        """Everything, in the form that can be read in again."""
        return await manager.export_json(id, viewer=caller.viewer)

    @routes.post("/sessions/import", status=201, who="user", faults=(409,))
    async def read_in(importing: Importing, caller: Calling) -> SessionMeta:
        """A new session, of whoever asks; nobody is in it yet."""
        who = caller.identity
        owner = who.person if who is not None else None
        return await manager.import_session(importing.session, owner=owner, viewer=caller.viewer)

    @routes.delete("/sessions/{id}", who="user", faults=(404, 409))
    async def delete(id: Id, caller: Calling) -> Deleted:
        """For good, with its files; the bill stays. A running turn is stopped first."""
        return await manager.delete(id, viewer=caller.viewer)


def _people(routes: Routes, app: App) -> None:
    manager = app.manager

    @routes.get("/data", who="user", faults=(404, 409))
    async def data(caller: Calling, address: Address | None = None) -> Object:
        """Everything there is of whoever asks; of another address for whoever has the machine."""
        return await manager.export_person(_whose(caller, address))

    @routes.delete("/data", who="user", faults=(404, 409))
    async def erase(caller: Calling, address: Address | None = None) -> Erased:
        """Delete everything there is of whoever asks, for good; the bill stays. As above."""
        return await manager.erase_person(_whose(caller, address), by=caller.name)


def _whose(caller: Caller, address: str | None) -> str:
    """Raises Refused when that is not for who asks, or nobody is named: of others only whoever has the machine."""
    who = caller.identity
    own = None if who is None else f"{who.channel}:{who.user_id}"
    if address is None and own is None:
        raise Refused("Say whose: address=channel:number.")
    wanted = address or str(own)
    if wanted != own and who is not None:
        raise Refused("Only whoever has the machine may do that for somebody else.")
    return wanted
