"""/v1/sessions, their turns: taken back, brought back, asked again, copied; and how the model answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.app import App
from gateway.manager import Generated, Rewound, SessionMeta
from gateway.manager.configuring import LONGEST
from gateway.web.body import WHOLE, Body, Id, Name
from gateway.web.caller import Calling
from gateway.web.routes import Routes

Count = Annotated[int, Field(ge=0, le=10**9), WHOLE]


class Rewinding(Body):
    """*turns*: so many stay, counted from the beginning."""

    turns: Count


class Forking(Body):
    """*turns* None: all of them are copied. *name* None: its own, with “(fork)”."""

    turns: Count | None = None
    name: Name | None = None


class Bearing(Body):
    title: Name | None = None


class Configuring(Body):
    """Only what is given changes; "default", and '' of the system prompt, take it back."""

    model: Name | None = None
    thinking: Literal["off", "low", "medium", "high", "default"] | None = None
    thinking_tokens: Count | None = None
    system_prompt: Annotated[str, Field(max_length=LONGEST)] | None = None
    auto_compact: bool | None = None


def routes(app: App) -> Routes:
    routes = Routes("/v1/sessions", family="turns")
    manager = app.manager

    @routes.post("/{id}/rewind", who="user", faults=(404, 409))
    async def rewind(id: Id, rewinding: Rewinding, caller: Calling) -> Rewound:
        """The first turns stay, later ones are taken back. What tools did in them is not undone."""
        return await manager.rewind(id, rewinding.turns, viewer=caller.viewer)

    @routes.post("/{id}/undo", who="user", faults=(404, 409))
    async def undo(id: Id, caller: Calling) -> Rewound:
        """Take the last turn back."""
        return await manager.undo(id, viewer=caller.viewer)

    @routes.post("/{id}/redo", who="user", faults=(404, 409))
    async def redo(id: Id, caller: Calling) -> Rewound:
        """All as it was before the last rewind or undo, unless something was said since."""
        return await manager.redo(id, viewer=caller.viewer)

    @routes.post("/{id}/retry", who="user", faults=(404, 409))
    async def retry(id: Id, caller: Calling) -> Generated:
        """Take the last turn back and ask its message again; the new answer."""
        return await manager.retry(id, who=caller.identity, viewer=caller.viewer)

    @routes.post("/{id}/fork", status=201, who="user", faults=(404, 409))
    async def fork(id: Id, caller: Calling, forking: Forking | None = None) -> SessionMeta:
        """A copy that goes on by itself; its usage begins at 0."""
        told = forking or Forking()
        return await manager.fork(id, told.turns, told.name, viewer=caller.viewer)

    @routes.post("/{id}/children", status=201, who="user", faults=(404, 409))
    async def bear(id: Id, caller: Calling, bearing: Bearing | None = None) -> SessionMeta:
        """A session that works for it: with its settings, empty, closed with it."""
        title = bearing.title if bearing else None
        made = await manager.create_child_session(id, title, viewer=caller.viewer)
        return await manager.find(made, viewer=caller.viewer)

    @routes.post("/{id}/configure", who="user", faults=(404, 409))
    async def configure(id: Id, configuring: Configuring, caller: Calling) -> SessionMeta:
        """Model, thinking, what it is told of itself (for admins), from the next turn on."""
        return await manager.configure(
            id,
            model=configuring.model,
            thinking=configuring.thinking,
            budget=configuring.thinking_tokens,
            system_prompt=configuring.system_prompt,
            auto_compact=configuring.auto_compact,
            viewer=caller.viewer,
        )

    return routes
