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
from gateway.web.body import WHOLE, Body, Id, Name, Skip
from gateway.web.encoding import Json
from gateway.web.routes import Routes

MOST = 1000  # sessions at once

Channel = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


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


async def _shown(app: App, id: str) -> SessionMeta:
    found = await app.manager.get_session(id)
    if found is None:
        raise NotFound(f"There is no session {id}.")
    return found


def _reading(routes: Routes, app: App) -> None:
    manager = app.manager

    @routes.get("")
    async def listed(
        limit: Annotated[int, Query(ge=1, le=MOST)] = 20,
        skip: Skip = 0,
        channel: Channel | None = None,
    ) -> list[SessionMeta]:
        """Newest activity first."""
        return await manager.list_sessions(limit, skip=skip, channel=channel)

    @routes.get("/{id}", faults=(404,))
    async def one(id: Id) -> SessionMeta:
        """By its code."""
        return await _shown(app, id)

    @routes.get("/{id}/messages", faults=(404,))
    async def messages(id: Id, limit: Annotated[int, Query(ge=1, le=10**9)] | None = None) -> list[Message]:
        """The last ones, or all of them; oldest first."""
        return await manager.get_messages(id, limit)

    @routes.get("/{id}/usage", faults=(404,))
    async def usage(id: Id) -> UsageSummary:
        """All that was asked in it."""
        return await manager.session_usage(id)


def _acting(routes: Routes, app: App) -> None:
    manager = app.manager

    @routes.post("", status=201, also={200: ("The one that was open there.", SessionMeta)})
    async def opened(opening: Opening) -> SessionMeta | Response:
        """201 for a new one; 200 when the one that was open goes on (fresh is false)."""
        if opening.fresh:
            id = await manager.create_session_full(opening.channel, opening.key, user_id=opening.user_id)
            return await _shown(app, id)
        found = await manager.open_session(
            opening.channel, opening.key, opening.gap_minutes, user_id=opening.user_id
        )
        return Json(found)

    @routes.post("/{id}/close", faults=(404,))
    async def close(id: Id, closing: Closing | None = None) -> Closed:
        """With a summary, if one is given."""
        return Closed(closed=await manager.close_session(id, closing.summary if closing else None))

    @routes.post("/{id}/read", faults=(404,))
    async def read(id: Id, reading: Reading | None = None) -> SessionMeta:
        """Mark it read, or unread."""
        await manager.mark_read(id, reading.read if reading else True)
        return await _shown(app, id)

    @routes.post("/{id}/title", faults=(404,))
    async def title(id: Id, titling: Titling) -> SessionMeta:
        """A title that is there already stays."""
        await manager.set_title_if_empty(id, titling.title)
        return await _shown(app, id)

    @routes.post("/{id}/clear", faults=(404, 409))
    async def clear(id: Id) -> SessionMeta:
        """The model forgets what was said so far; the transcript and the usage stay."""
        await manager.clear(id)
        return await _shown(app, id)

    @routes.post("/{id}/cancel", faults=(404,))
    async def cancel(id: Id) -> Cancelled:
        """Stop the turn that is running in it."""
        return Cancelled(cancelled=await manager.cancel_operation(id))
