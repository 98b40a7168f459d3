"""/v1/sessions/{id}/compact, compactions, context: what the model is told no more, and how full its window is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from gateway.app import App
from gateway.manager import Compacted, ContextUsage
from gateway.web.body import Body, Id
from gateway.web.caller import Calling
from gateway.web.routes import Routes


class Compacting(Body):
    """*focus*: what the notes should attend to; with it notes are taken, whatever else would make room."""

    focus: Annotated[str, Field(max_length=500)] = ""


class Switching(Body):
    """*automatic*: default is as configured."""

    automatic: Literal["on", "off", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Automatic:
    """*automatic*: it is shortened unasked. *said* for this session; None: as configured."""

    automatic: bool
    said: bool | None


def routes(app: App) -> Routes:
    routes = Routes("/v1/sessions")
    manager = app.manager

    @routes.post("/{id}/compact", who="user", faults=(402, 404, 409, 502))
    async def compact(id: Id, caller: Calling, compacting: Compacting | None = None) -> Compacted:
        """Put the earlier part away: old results of tools, or all of it into notes the model writes; booked."""
        payer = caller.identity.id if caller.identity is not None else None
        focus = compacting.focus if compacting else ""
        return await manager.compact(id, "api", focus=focus, identity=payer, viewer=caller.viewer)

    @routes.get("/{id}/compactions", who="user", faults=(404,))
    async def compactions(id: Id, caller: Calling) -> list[Compacted]:
        """What was put away, oldest first; also what was taken back."""
        return await manager.compactions(id, viewer=caller.viewer)

    @routes.post("/{id}/compactions/undo", who="user", faults=(404, 409))
    async def undo(id: Id, caller: Calling) -> Compacted:
        """Take the newest back: the model is told again what it was told before, and what was said since."""
        return await manager.undo_compaction(id, viewer=caller.viewer)

    @routes.post("/{id}/compactions/redo", who="user", faults=(404, 409))
    async def redo(id: Id, caller: Calling) -> Compacted:
        """Put back what was taken back last; 409 when something was put away since."""
        return await manager.redo_compaction(id, viewer=caller.viewer)

    @routes.get("/{id}/context", who="user", faults=(404,))
    async def context(id: Id, caller: Calling) -> ContextUsage:
        """How full the model's window is."""
        return await manager.context_usage(id, viewer=caller.viewer)

    @routes.get("/{id}/compactions/automatic", who="user", faults=(404,))
    async def automatic(id: Id, caller: Calling) -> Automatic:
        """Whether it is shortened unasked."""
        now, said = await manager.auto_compact(id, viewer=caller.viewer)
        return Automatic(automatic=now, said=said)

    @routes.post("/{id}/compactions/automatic", who="user", faults=(404,))
    async def switched(id: Id, switching: Switching, caller: Calling) -> Automatic:
        """Shorten it unasked from now on, or not, or as configured."""
        wanted = None if switching.automatic == "default" else switching.automatic == "on"
        await manager.set_auto_compact(id, wanted, viewer=caller.viewer)
        now, said = await manager.auto_compact(id, viewer=caller.viewer)
        return Automatic(automatic=now, said=said)

    return routes
