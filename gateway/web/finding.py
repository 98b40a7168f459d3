"""/v1/sessions, looking: words in them, everything there is to know of one, what the model would be sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from gateway.app import App
from gateway.manager import Match, Message, SessionDetails, SessionMeta
from gateway.types import Filter, SessionState
from gateway.web.body import Id, Skip
from gateway.web.caller import Calling
from gateway.web.routes import Routes

MOST = 1000  # sessions, or messages, at once

Words = Annotated[str, Query(min_length=1, max_length=1000)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Tag = Annotated[str, Query(min_length=1, max_length=64)]
Trigger = Annotated[str, Query(max_length=200)]


def routes(app: App) -> Routes:
    routes = Routes("/v1/sessions", family="finding")
    manager = app.manager

    @routes.get("/search", who="user", faults=(409,))
    async def search(
        q: Words,
        caller: Calling,
        limit: Limit = 20,
        skip: Skip = 0,
        tag: Tag | None = None,
        state: SessionState | None = None,
        unread: bool | None = None,
        trigger: Trigger | None = None,
    ) -> list[Match]:
        """Those whose title or messages have all the words; "in quotes" one after another, word* as a beginning."""
        filter = Filter(tag=tag, state=state, unread=unread, trigger=trigger)
        return await manager.search(q, filter, limit=limit, skip=skip, viewer=caller.viewer)

    @routes.get("/find", who="user", faults=(409,))
    async def find(code: Annotated[str, Query(min_length=1, max_length=32)], caller: Calling) -> SessionMeta:
        """The one whose code begins so; 409 when none does, or several do."""
        return await manager.find(code, viewer=caller.viewer)

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
