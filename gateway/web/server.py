"""Listens for the API: on a Unix socket, and on TCP where that is configured."""

from __future__ import annotations

import asyncio
import importlib
import socket
from typing import TYPE_CHECKING

from gateway import log
from gateway.app import App
from gateway.socket_path import socket_path
from gateway.vendors import loopback
from gateway.web.listening import Unix, tcp

if TYPE_CHECKING:
    from gateway.web.http import Http

START_UP = 5.0  # seconds that channels get to connect before we use the processor
LOOK_EVERY = 0.05  # seconds
BACKLOG = 2048  # connections that wait to be accepted; as uvicorn has it


async def serve(app: App) -> None:
    """Until cancelled. What cannot be listened on is logged, and the rest is served all the same."""
    await _after_start_up(app)
    unix = _unix(app)
    local = [unix.socket] if unix else []
    remote = await asyncio.to_thread(_tcp, app) if app.settings.web.port > 0 else []
    if not local and not remote:
        return
    if remote:
        await _warn(app)
    servers: list[Http] = []
    tasks: list[asyncio.Task[None]] = []
    try:
        await _somebody([*local, *remote])
        # FastAPI takes a good part of a second to import: in a thread, messages go on meanwhile.
        for server, sockets in zip(await asyncio.to_thread(_prepare, app), (local, remote), strict=True):
            if server is not None and sockets:
                servers.append(server)
                tasks.append(asyncio.create_task(_run(server, sockets), name="http"))
        if tasks:
            await asyncio.wait(tasks)
    finally:
        for server in servers:
            server.end()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in remote:
            each.close()
        if unix:
            unix.remove()


async def _somebody(sockets: list[socket.socket]) -> None:
    """Until the first connection, which stays where it is: who never uses the API saves the memory it takes."""
    loop = asyncio.get_running_loop()
    come = asyncio.Event()
    try:
        for each in sockets:
            each.setblocking(False)
            each.listen(BACKLOG)
            loop.add_reader(each, come.set)
        await come.wait()
    finally:
        for each in sockets:
            loop.remove_reader(each)


async def _run(server: Http, sockets: list[socket.socket]) -> None:
    try:
        await server.serve(sockets=sockets)
    except Exception as error:  # noqa: BLE001 - the edge of a task: messages go on without the API
        log.crash("web.server", error)


async def _after_start_up(app: App) -> None:
    """Channels come first: whoever writes now waits for nothing."""
    until = asyncio.get_running_loop().time() + START_UP
    while any(each.state == "starting" for each in app.platforms.channels):
        if asyncio.get_running_loop().time() >= until:
            return
        await asyncio.sleep(LOOK_EVERY)


def _prepare(app: App) -> tuple[Http, Http | None]:
    build = importlib.import_module("gateway.web.api").build
    http = importlib.import_module("gateway.web.http").Http
    webhooks = importlib.import_module("gateway.web.webhooks").Webhooks
    remote = (
        http(webhooks(build(app, local=False), app.platforms.webhooks)) if app.settings.web.port > 0 else None
    )
    return http(build(app, local=True)), remote


def _unix(app: App) -> Unix | None:
    path = socket_path(app.settings.gateway.data_dir)
    if path.parent != app.settings.gateway.data_dir.absolute():
        log.warning("web.socket.moved", why="the path in data_dir is too long", path=str(path))
    try:
        unix = Unix(path)
    except OSError as error:
        log.error("web.socket.failed", path=str(path), error=str(error))
        return None
    log.info("web.socket", path=str(path))
    return unix


def _tcp(app: App) -> list[socket.socket]:
    web = app.settings.web
    try:
        sockets = tcp(web.host, web.port)
    except OSError as error:
        log.error("web.tcp.failed", host=web.host, port=web.port, error=str(error))
        return []
    log.info("web.tcp", host=web.host, port=web.port, token=bool(web.token))
    return sockets


async def _warn(app: App) -> None:
    """Of a door that nobody can open."""
    web = app.settings.web
    if not web.token and not loopback(web.host) and not await app.keys.any():
        log.warning("web.tcp.closed", why="nobody has a key to it", remedy="parley keys add")
