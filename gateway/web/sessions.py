"""/v1/sessions: what was talked about, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from gateway.app import App
from gateway.errors import NotFound
from gateway.manager import Message, SessionMeta
from gateway.reports import UsageSummary
from gateway.types.sessions import Filter, SessionState
from gateway.web.body import WHOLE, Body, Id, Name, Skip
from gateway.web.caller import Caller, Calling
from gateway.web.encoding import Json
from gateway.web.finding import Address, Channel, Limit, Tag, Trigger, whose
from gateway.web.routes import Routes


class Opening(Body):
    """*fresh*: a new session even when one is open there. *gap_minutes* None: an open one never gets too old."""

    channel: Channel = "main"
    key: Name = "main"
    user_id: Annotated[str, Field(max_length=200)] = ""
    fresh: bool = True
    gap_minutes: Annotated[int, Field(ge=0, le=10**9), WHOLE] | None = None


class Closing(Body):
    summary: Annotated[str, Field(max_length=10_000)] | None = None


class Reading(Body):
    read: bool = True


class Titling(Body):
    title: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """*closed*: it was open."""

    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """*cancelled*: a turn was running."""

    cancelled: bool


def routes(app: App) -> Routes:
    routes = Routes("/v1/sessions")
    _reading(routes, app)
    _acting(routes, app)
    return routes


async def _shown(app: App, id: str, caller: Caller) -> SessionMeta:
    found = await app.manager.get_session(id, viewer=caller.viewer)
    if found is None:
        raise NotFound(f"There is no session {id}.")
    return found


def _reading(routes: Routes, app: App) -> None:
    manager = app.manager

    @routes.get("", who="user", faults=(404, 409))
    async def listed(
        caller: Calling,
        limit: Limit = 20,
        skip: Skip = 0,
        channel: Channel | None = None,
        tag: Tag | None = None,
        state: SessionState | None = None,
        unread: bool | None = None,
        trigger: Trigger | None = None,
        person: Address | None = None,
    ) -> list[SessionMeta]:
        """Newest activity first: one's own; for admins also those of groups, for whoever has the machine all.

        Archived ones only with that state; *trigger* is the job that began it, *person* as channel:number.
        """
        theirs = await whose(manager, person, caller)
        filter = Filter(channel=channel, tag=tag, state=state, unread=unread, trigger=trigger, person=theirs)
        return await manager.list(filter, limit=limit, skip=skip, viewer=caller.viewer)

    @routes.get("/{id}", who="user", faults=(404,))
    async def one(id: Id, caller: Calling) -> SessionMeta:
        """By its code."""
        return await _shown(app, id, caller)

    @routes.get("/{id}/messages", who="user", faults=(404,))
    async def messages(
        id: Id, caller: Calling, limit: Annotated[int, Query(ge=1, le=10**9)] | None = None
    ) -> list[Message]:
        """The last ones, or all of them; oldest first."""
        return await manager.get_messages(id, limit, viewer=caller.viewer)

    @routes.get("/{id}/usage", who="user", faults=(404,))
    async def usage(id: Id, caller: Calling) -> UsageSummary:
        """All that was asked in it."""
        return await manager.session_usage((await _shown(app, id, caller)).id)


def _acting(routes: Routes, app: App) -> None:
    manager = app.manager

    # It may close what somebody else has open there, and shows it.
    @routes.post("", who="machine", status=201, also={200: ("The one that was open there.", SessionMeta)})
    async def opened(opening: Opening) -> SessionMeta | Response:
        """201 for a new one; 200 when the one that was open goes on (fresh is false)."""
        if opening.fresh:
            id = await manager.create_session_full(opening.channel, opening.key, user_id=opening.user_id)
            found = await manager.get_session(id)
            assert found is not None
            return found
        found = await manager.open_session(
            opening.channel, opening.key, opening.gap_minutes, user_id=opening.user_id
        )
        return Json(found)

    @routes.post("/{id}/close", who="user", faults=(404, 409))
    async def close(id: Id, caller: Calling, closing: Closing | None = None) -> Closed:
        """With a summary: the one that is given, else a model's where one is set for it, else the last exchange."""
        done = await manager.close_with_summary(
            id,
            closing.summary if closing else None,
            identity=caller.identity.id if caller.identity is not None else None,
            viewer=caller.viewer,
        )
        return Closed(closed=done.was_open)

    @routes.post("/{id}/read", who="user", faults=(404,))
    async def read(id: Id, caller: Calling, reading: Reading | None = None) -> SessionMeta:
        """Mark it read, or unread."""
        return await manager.mark_read(id, reading.read if reading else True, viewer=caller.viewer)

    @routes.post("/{id}/title", who="user", faults=(404,))
    async def title(id: Id, titling: Titling, caller: Calling) -> SessionMeta:
        """A title that is there already stays."""
        await manager.set_title_if_empty((await _shown(app, id, caller)).id, titling.title)
        return await _shown(app, id, caller)

    @routes.post("/{id}/clear", who="user", faults=(404, 409))
    async def clear(id: Id, caller: Calling) -> SessionMeta:
        """The model forgets what was said so far; the transcript and the usage stay."""
        await manager.clear(id, viewer=caller.viewer)
        return await _shown(app, id, caller)

    @routes.post("/{id}/cancel", who="user", faults=(404,))
    async def cancel(id: Id, caller: Calling) -> Cancelled:
        """Stop the turn that is running in it."""
        return Cancelled(cancelled=await manager.cancel_operation(id, viewer=caller.viewer))
