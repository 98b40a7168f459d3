"""Health, status, and what an operator does to a running gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from gateway import __version__, log
from gateway.app import App
from gateway.models.catalogue import DEMO
from gateway.types import SECOND
from gateway.web.backup import backup
from gateway.web.body import Body, Name
from gateway.web.encoding import Json


class Copying(Body):
    path: Path


class Choosing(Body):
    ref: Name  # provider:model


def routes(app: App) -> APIRouter:
    router = APIRouter()
    _health(router, app)
    _changes(router, app)
    return router


def _health(router: APIRouter, app: App) -> None:
    @router.get("/healthz")
    async def healthz() -> Response:
        """The process lives and answers; says nothing of channels and providers."""
        return Json({"status": "ok", "version": __version__})

    @router.get("/readyz")
    async def readyz() -> Response:
        reason = _ready(app)
        if reason is None:
            return Json({"status": "ready"})
        return Json({"status": "not ready", "reason": reason}, status_code=503)

    @router.get("/v1/status")
    async def status() -> Response:
        return Json(_status(app))

    @router.get("/v1/store")
    async def store() -> Response:
        return Json(await app.manager.store_health())


def _changes(router: APIRouter, app: App) -> None:
    @router.post("/v1/reload")
    async def reload() -> Response:
        """Which changed keys hold now, and which after a restart; 422 and no change when something is wrong."""
        return Json(await app.reload())

    @router.post("/v1/backup")
    async def copied(copying: Copying) -> Response:
        size = await backup(app.core.store.database, copying.path)
        log.info("backup", path=str(copying.path), bytes=size)
        return Json({"path": copying.path, "bytes": size})

    @router.post("/v1/model")
    async def model(choosing: Choosing) -> Response:
        """For sessions without a model of their own, until the next reload or restart."""
        await app.manager.set_default_llm(choosing.ref)
        return Json({"model": choosing.ref})


def _ready(app: App) -> str | None:
    if app.stopping.is_set():
        return "stopping"
    if app.manager.halted:
        return log.clean(f"halted by {app.manager.halted}")
    return log.clean(app.ready) if app.ready else None


def _status(app: App) -> dict[str, Any]:
    """Times in microseconds UTC."""
    channels = [
        {
            "name": each.name,
            "state": each.state,
            "text": log.clean(each.text) if each.text else None,
            "since": each.since,
            "account": each.account.platform_id if each.account else None,
        }
        for each in app.channels
    ]
    return {
        "version": __version__,
        "ready": _ready(app),
        "model": app.core.catalogue.default,
        "channels": channels,
        "turns_running": app.core.dispatcher.turns_running,
        "outage_since": app.core.dispatcher.outage_since,
        "halted": log.clean(app.manager.halted) if app.manager.halted else None,
        "started_at": app.started,
        "uptime_seconds": (app.clock() - app.started) // SECOND,
        "data_dir": app.settings.gateway.data_dir,
        "database": app.settings.database,
        "config": app.settings.source,
        "on": _on(app),
    }


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
