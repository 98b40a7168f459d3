"""/v1/sessions, looking: words in them, everything there is to know of one, what the model would be sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from gateway.app import App
from gateway.errors import NotFound
from gateway.manager import Match, Message, SessionDetails, SessionManager, SessionMeta
from gateway.types.sessions import Filter, SessionState
from gateway.web.body import Id, Skip
from gateway.web.caller import Caller, Calling
from gateway.web.routes import Routes

MOST = 1000  # sessions, or messages, at once

Words = Annotated[str, Query(min_length=1, max_length=1000)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Tag = Annotated[str, Query(min_length=1, max_length=64)]
Trigger = Annotated[str, Query(max_length=200)]
Address = Annotated[str, Query(min_length=3, max_length=200)]
Channel = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


def routes(app: App) -> Routes:
    routes = Routes("/v1/sessions", family="finding")
    manager = app.manager

    @routes.get("/search", who="user", faults=(404, 409))
    async def search(
        q: Words,
        caller: Calling,
        limit: Limit = 20,
        skip: Skip = 0,
        tag: Tag | None = None,
        state: SessionState | None = None,
        unread: bool | None = None,
        trigger: Trigger | None = None,
        channel: Channel | None = None,
        person: Address | None = None,
    ) -> list[Match]:
        """Those whose title or messages have all the words; "in quotes" one after another, word* as a beginning."""
        theirs = await whose(manager, person, caller)
        filter = Filter(channel=channel, tag=tag, state=state, unread=unread, trigger=trigger, person=theirs)
        return await manager.search(q, filter, limit=limit, skip=skip, viewer=caller.viewer)

    @routes.get("/find", who="user", faults=(404, 409))
    async def find(code: Annotated[str, Query(min_length=1, max_length=32)], caller: Calling) -> SessionMeta:
        """The one whose code begins so; 404 when none does, 409 when several do."""
        try:
            return await manager.find(code, viewer=caller.viewer)
        except NotFound:  # what that says is of a chat, and of its commands
            raise NotFound(key="session.begins", code=code.strip()) from None

    @routes.get("/{id}/details", who="user", faults=(404,))
    async def details(id: Id, caller: Calling) -> SessionDetails:
        """Everything but what was said: state, counters, usage, parent, children, copies, settings."""
        return await manager.show(id, viewer=caller.viewer)

    @routes.get("/{id}/last", who="user", faults=(404,))
    async def last(id: Id, caller: Calling, count: Limit = 10) -> list[Message]:
        """What people and the model said last, oldest first."""
        return await manager.last_messages(id, count, viewer=caller.viewer)

    @routes.get("/{id}/prompt", who="user", faults=(404,))
    async def prompt(id: Id, caller: Calling) -> list[Message]:
        """What the model would be sent now of what was said."""
        return await manager.history(id, viewer=caller.viewer)

    @routes.get("/{id}/children", who="user", faults=(404,))
    async def children(id: Id, caller: Calling) -> list[SessionMeta]:
        """The sessions that work for it, oldest first."""
        return await manager.get_child_sessions(id, viewer=caller.viewer)

    return routes


async def whose(manager: SessionManager, address: str | None, caller: Caller) -> int | None:
    """The number of a person by their address, as `Filter.person` takes it; None for None.

    Raises NotFound for nobody; not to who sees only their own: they would learn who has written.
    """
    try:
        return None if address is None else await manager.person_of(address)
    except NotFound:
        if caller.only is None:
            raise
        return 0  # nobody's
