"""/v1/sessions: what was talked about, and what can be done with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateway.app import App
from gateway.errors import NotFound
from gateway.web.body import Body, Name
from gateway.web.encoding import Json

MOST = 1000  # sessions at once

Channel = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Opening(Body):
    """*fresh*: a new session even when one is open there. *gap_minutes* None: an open one never gets too old."""

    channel: Channel = "main"
    key: Name = "main"
    user_id: Annotated[str, Field(max_length=200)] = ""
    fresh: bool = True
    gap_minutes: Annotated[int, Field(ge=0)] | None = None


class Closing(Body):
    summary: Annotated[str, Field(max_length=10_000)] | None = None


class Reading(Body):
    read: bool = True


class Titling(Body):
    title: Name


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/sessions")
    _reading(router, app)
    _acting(router, app)
    return router


async def _shown(app: App, id: str, status: int = 200) -> Json:
    found = await app.manager.get_session(id)
    if found is None:
        raise NotFound(f"There is no session {id}.")
    return Json(found, status_code=status)


def _reading(router: APIRouter, app: App) -> None:
    manager = app.manager

    @router.get("")
    async def listed(
        limit: Annotated[int, Query(ge=1, le=MOST)] = 20,
        skip: Annotated[int, Query(ge=0, le=10**9)] = 0,
        channel: str | None = None,
    ) -> Response:
        """Newest activity first."""
        return Json(await manager.list_sessions(limit, skip=skip, channel=channel))

    @router.get("/{id}")
    async def one(id: str) -> Response:
        return await _shown(app, id)

    @router.get("/{id}/messages")
    async def messages(id: str, limit: Annotated[int | None, Query(ge=1)] = None) -> Response:
        """The last ones, or all of them; oldest first."""
        return Json(await manager.get_messages(id, limit))

    @router.get("/{id}/usage")
    async def usage(id: str) -> Response:
        return Json(await manager.session_usage(id))


def _acting(router: APIRouter, app: App) -> None:
    manager = app.manager

    @router.post("")
    async def opened(opening: Opening) -> Response:
        if opening.fresh:
            id = await manager.create_session_full(opening.channel, opening.key, user_id=opening.user_id)
            return await _shown(app, id, 201)
        found = await manager.open_session(
            opening.channel, opening.key, opening.gap_minutes, user_id=opening.user_id
        )
        return Json(found)

    @router.post("/{id}/close")
    async def close(id: str, closing: Closing | None = None) -> Response:
        return Json({"closed": await manager.close_session(id, closing.summary if closing else None)})

    @router.post("/{id}/read")
    async def read(id: str, reading: Reading | None = None) -> Response:
        await manager.mark_read(id, reading.read if reading else True)
        return await _shown(app, id)

    @router.post("/{id}/title")
    async def title(id: str, titling: Titling) -> Response:
        """A title that is there already stays."""
        await manager.set_title_if_empty(id, titling.title)
        return await _shown(app, id)

    @router.post("/{id}/clear")
    async def clear(id: str) -> Response:
        await manager.clear(id)
        return await _shown(app, id)

    @router.post("/{id}/compact")
    async def compact(id: str) -> Response:
        return Json(await manager.compact(id, "api"))

    @router.post("/{id}/cancel")
    async def cancel(id: str) -> Response:
        return Json({"cancelled": await manager.cancel_operation(id)})
