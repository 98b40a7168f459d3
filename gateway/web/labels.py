"""/v1/sessions, writing on them: title, tags, archive, pause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gateway.app import App
from gateway.manager import SessionMeta
from gateway.web.body import Body, Id, Name
from gateway.web.caller import Calling
from gateway.web.routes import Routes

Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=32)]


class Renaming(Body):
    title: Name


class Tagging(Body):
    tags: Tags


class Untagging(Body):
    """*tags* None: all of them."""

    tags: Tags | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """*changed*: it was not so before."""

    changed: bool


def routes(app: App) -> Routes:
    routes = Routes("/v1/sessions", family="labels")
    manager = app.manager

    @routes.post("/{id}/rename", who="user", faults=(404, 409))
    async def rename(id: Id, renaming: Renaming, caller: Calling) -> SessionMeta:
        """One line of at most 60 characters, in place of the title that is there."""
        return await manager.rename(id, renaming.title, viewer=caller.viewer)

    @routes.post("/{id}/tag", who="user", faults=(404, 409))
    async def tag(id: Id, tagging: Tagging, caller: Calling) -> SessionMeta:
        """Add tags behind those it has."""
        return await manager.tag(id, tagging.tags, viewer=caller.viewer)

    @routes.post("/{id}/untag", who="user", faults=(404, 409))
    async def untag(id: Id, caller: Calling, untagging: Untagging | None = None) -> SessionMeta:
        """Take tags off, or all of them."""
        return await manager.untag(id, untagging.tags if untagging else None, viewer=caller.viewer)

    @routes.post("/{id}/archive", who="user", faults=(404, 409))
    async def archive(id: Id, caller: Calling) -> SessionMeta:
        """Out of the lists, and closed."""
        return await manager.archive(id, viewer=caller.viewer)

    @routes.post("/{id}/unarchive", who="user", faults=(404,))
    async def unarchive(id: Id, caller: Calling) -> SessionMeta:
        """Back in the lists; it stays closed."""
        return await manager.unarchive(id, viewer=caller.viewer)

    @routes.post("/{id}/pause", who="user", faults=(404,))
    async def pause(id: Id, caller: Calling) -> Changed:
        """No new turn in it; a running one goes on."""
        return Changed(changed=await manager.pause_session(id, viewer=caller.viewer))

    @routes.post("/{id}/unpause", who="user", faults=(404,))
    async def unpause(id: Id, caller: Calling) -> Changed:
        """The end of a pause."""
        return Changed(changed=await manager.resume_session(id, viewer=caller.viewer))

    return routes
