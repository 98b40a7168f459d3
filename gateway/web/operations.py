"""Health, status, and what an operator does to a running gateway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Response
from pydantic import Field

from gateway import __version__, log
from gateway.app import App
from gateway.backup.rotation import by_hand
from gateway.chores import back_up, backed_up
from gateway.manager import StoreHealth
from gateway.models.catalogue import DEMO
from gateway.settings import Changes
from gateway.types.measures import SECOND
from gateway.web.body import WHOLE, Body, Name
from gateway.web.encoding import Json
from gateway.web.faults import Fault
from gateway.web.routes import Routes


class Keeping(Body):
    keep: Annotated[int, Field(ge=0, le=10_000), WHOLE] = 0  # of those that were asked for; 0: all


class Choosing(Body):
    ref: Name  # provider:model


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    status: Literal["ok"] = "ok"
    version: str = __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """*reason*: why it is not ready; None: it is."""

    status: Literal["ready", "not ready"]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """*state*: starting, ok, conflict, down, disk, auth. *since* in microseconds UTC."""

    name: str
    state: str
    text: str | None
    since: int
    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """*ready*: the first thing that is not well; None: all is. Times in microseconds UTC. *on*: what is used."""

    version: str
    ready: str | None
    model: str
    channels: list[ChannelStatus]
    turns_running: int
    outage_since: int | None
    halted: str | None
    started_at: int
    uptime_seconds: int
    data_dir: Path
    database: Path
    config: Path | None
    on: dict[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """*path* on the gateway's own machine; *removed*: the names of older ones that had to go."""

    path: Path
    bytes: int
    sessions: int
    removed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    model: str


def routes(app: App) -> Routes:
    routes = Routes(family="gateway")
    _health(routes, app)
    _changes(routes, app)
    return routes


def _health(routes: Routes, app: App) -> None:
    @routes.get("/healthz", who="user")
    async def healthz() -> Alive:
        """The process lives and answers; says nothing of channels and providers."""
        return Alive()

    @routes.get("/readyz", who="user", also={503: ("Not ready, and why.", Ready | Fault)})
    async def readyz() -> Ready | Response:
        """503 with the reason when a channel does not work, the provider refuses us, or all is halted."""
        reason = _ready(app)
        if reason is None:
            return Ready(status="ready")
        return Json(Ready(status="not ready", reason=reason), status_code=503)

    @routes.get("/v1/status")
    async def status() -> Status:
        """How it stands: channels, model, turns that run."""
        return _status(app)

    @routes.get("/v1/store")
    async def store() -> StoreHealth:
        """The database, looked through; it takes a while for a large one."""
        return await app.manager.store_health()


def _changes(routes: Routes, app: App) -> None:
    @routes.post("/v1/reload", scope="admin", who="owner", faults=(422,))
    async def reload() -> Changes:
        """Which changed keys hold now, and which after a restart; 422 and no change when something is wrong."""
        return await app.reload()

    @routes.post("/v1/backup", scope="admin", who="owner")
    async def kept(keeping: Keeping) -> BackedUp:
        """Everything into a file in the folder of backups, opened and checked before it gets its name."""
        name = by_hand(app.clock(), app.settings.gateway.timezone, backed_up(app.settings))
        made = await back_up(app.settings, app.manager, name=name, keep=keeping.keep)
        log.info("backup", path=str(made.path), bytes=made.bytes, removed=len(made.removed))
        return BackedUp(
            path=made.path.absolute(), bytes=made.bytes, sessions=made.sessions, removed=list(made.removed)
        )

    @routes.post("/v1/model", scope="admin", faults=(409,))
    async def model(choosing: Choosing) -> Chosen:
        """For sessions without a model of their own, until the next reload or restart."""
        await app.manager.set_default_llm(choosing.ref)
        return Chosen(model=choosing.ref)


def _ready(app: App) -> str | None:
    if app.stopping.is_set():
        return "stopping"
    if app.manager.halted:
        return log.clean(f"halted by {app.manager.halted}")
    return log.clean(app.ready) if app.ready else None


def _status(app: App) -> Status:
    return Status(
        version=__version__,
        ready=_ready(app),
        model=app.core.catalogue.default,
        channels=[
            ChannelStatus(
                name=each.name,
                state=each.state,
                text=log.clean(each.text) if each.text else None,
                since=each.since,
                account=each.account.platform_id if each.account else None,
            )
            for each in app.platforms.channels
        ],
        turns_running=app.core.dispatcher.turns_running,
        outage_since=app.core.dispatcher.outage_since,
        halted=log.clean(app.manager.halted) if app.manager.halted else None,
        started_at=app.started,
        uptime_seconds=(app.clock() - app.started) // SECOND,
        data_dir=app.settings.gateway.data_dir,
        database=app.settings.database,
        config=app.settings.source,
        on=_on(app),
    )


def _on(app: App) -> dict[str, bool]:
    settings = app.settings
    return {
        "model": app.core.catalogue.default != DEMO,
        "fallbacks": bool(settings.agent.fallback_models),
        "prompt_cache": settings.agent.cache != "off",
        "carry_over": settings.sessions.carry_over,
        **settings.channels.known(),
        "jobs": any(job.enabled for job in settings.jobs),
        "tcp": settings.web.port > 0,
        "token": bool(settings.web.token),
    }
