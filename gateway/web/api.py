"""The HTTP API put together."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI

from gateway import __version__
from gateway.app import App
from gateway.web import (
    budgets,
    compactions,
    completions,
    costs,
    digests,
    document,
    documents,
    faults,
    finding,
    halt,
    jobs,
    keys,
    labels,
    messages,
    metrics,
    operations,
    people,
    retention,
    send,
    sessions,
    turning,
)
from gateway.web.admission import Door
from gateway.web.guard import Guard
from gateway.web.routes import Routes

FAMILIES = (
    messages,
    completions,
    send,
    documents,
    finding,
    sessions,
    labels,
    turning,
    compactions,
    costs,
    budgets,
    people,
    jobs,
    digests,
    halt,
    keys,
    retention,
    operations,
    metrics,
)


def build(app: App, *, local: bool) -> FastAPI:
    """*local*: for the Unix socket, where whoever can connect may do anything; else the door is watched."""
    api = FastAPI(
        title="Parley",
        version=__version__,
        docs_url=None,
        openapi_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    faults.install(api)
    families = [family.routes(app) for family in FAMILIES]
    families.append(_described(api, families))
    for family in families:
        family.install(api)
    api.add_middleware(Guard, door=None if local else _door(app))
    return api


def _door(app: App) -> Door:
    web = app.settings.web
    return Door(
        host=web.host,
        keys=app.keys,
        token=web.token.get_secret_value(),
        pace=lambda: app.core.dispatcher.habits.limits.messages_per_minute,
    )


def _described(api: FastAPI, families: list[Routes]) -> Routes:
    routes = Routes("/v1", family="gateway")
    made: dict[str, Any] = {}

    @routes.get("/openapi.json", who="user")
    async def openapi() -> dict[str, Any]:
        """This description, an OpenAPI 3.1 document."""
        if not made:
            # Two tenths of a second: messages go on meanwhile.
            made.update(await asyncio.to_thread(document.of, api, families))
        return made

    return routes
