"""The HTTP API put together."""

from __future__ import annotations

from fastapi import FastAPI

from gateway import __version__
from gateway.app import App
from gateway.web import (
    budgets,
    costs,
    digests,
    faults,
    halt,
    jobs,
    messages,
    operations,
    people,
    send,
    sessions,
)
from gateway.web.guard import Door, Guard


def build(app: App, *, local: bool, docs: bool = False) -> FastAPI:
    """*local*: for the Unix socket, where whoever can connect may do anything; else the door is watched.

    *docs*: describe the API at /docs and /openapi.json, on the Unix socket only.
    """
    shown = local and docs
    api = FastAPI(
        title="Parley",
        version=__version__,
        docs_url="/docs" if shown else None,
        openapi_url="/openapi.json" if shown else None,
        redoc_url=None,
        redirect_slashes=False,
    )
    faults.install(api)
    for family in (messages, send, sessions, costs, budgets, people, jobs, digests, halt, operations):
        api.include_router(family.routes(app))
    web = app.settings.web
    door = None if local else Door(host=web.host, token=web.token.get_secret_value())
    api.add_middleware(Guard, door=door)
    return api
