"""A gateway as a process: it runs until it is told to end, the web server beside it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping

from gateway import heap, log
from gateway.app import App, start
from gateway.config_file import SettingsError
from gateway.core import system_clock
from gateway.protocols.clock import Clock
from gateway.protocols.tool import Tool
from gateway.settings import Settings
from gateway.web.server import serve


async def run(
    settings: Settings,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Clock = system_clock,
    tools: Mapping[str, Tool] | None = None,
    attached: Callable[[App], Awaitable[None]] | None = None,
) -> None:
    """Run until SIGTERM or SIGINT (a second one ends at once). *attached* runs beside it and ends it."""
    heap.grow()
    app = await start(settings, environ=os.environ if environ is None else environ, clock=clock, tools=tools)
    loop = asyncio.get_running_loop()

    def end() -> None:
        if app.stopping.is_set():
            os._exit(130)
        app.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, lambda: app.tasks.append(asyncio.create_task(_reload(app))))
    app.tasks.append(asyncio.create_task(_warm(app), name="warm"))
    server = asyncio.create_task(serve(app), name="web")
    beside = asyncio.create_task(_attach(attached, app), name="attached") if attached else None
    try:
        await app.stopping.wait()
    finally:
        for task in (beside, server):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in (beside, server) if task is not None), return_exceptions=True)
        await app.stop()


async def _warm(app: App) -> None:
    await app.core.catalogue.warm()
    heap.settle()


async def _attach(attached: Callable[[App], Awaitable[None]], app: App) -> None:
    try:
        await attached(app)
    finally:
        app.stopping.set()


async def _reload(app: App) -> None:
    try:
        await app.reload()
    except SettingsError as error:
        log.error("reload.refused", problems=str(error))
