"""The one way to a gateway: the running one through its local API, else the same API over one of our own."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import Locked, ParleyError, Refused, StoreError

if TYPE_CHECKING:
    import httpx

    from gateway.app import App
    from gateway.settings import Settings

SETTLE = 10.0  # seconds for a gateway that is starting to open its socket, or for another command to end
ANSWER = 900.0  # seconds; longer than any turn may take by default
BASE = "http://parley"  # only the socket counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A connection. *own* is the app behind it when no gateway was running; None otherwise."""

    http: httpx.AsyncClient
    settings: Settings
    own: App | None = None

    async def ask(self, method: str, path: str, /, **fields: Any) -> Any:
        """The answer's JSON. Fields that are None are left out. Raises Refused with what the gateway said."""
        given = {name: value for name, value in fields.items() if value is not None}
        query, body = (given, None) if method in ("GET", "DELETE") else (None, given)
        return _checked(await self._request(method, path, params=query, json=body))

    async def read(self, path: str) -> str:
        """An answer that is text. Raises Refused with what the gateway said."""
        answer = await self._request("GET", path)
        if answer.status_code >= 400:
            _checked(answer)
        return answer.text

    async def _request(self, method: str, path: str, **told: Any) -> httpx.Response:
        import httpx

        try:
            return await self.http.request(method, path, **told)
        except httpx.HTTPError as error:
            raise ParleyError(f"the gateway broke off: {error or type(error).__name__}") from None

    async def events(self, **fields: Any) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
        """(name, data) of a streamed answer to POST /v1/messages."""
        import httpx

        given = {name: value for name, value in fields.items() if value is not None}
        try:
            async with self.http.stream("POST", "/v1/messages", json={**given, "stream": True}) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    _checked(answer)
                name = "message"
                async for line in answer.aiter_lines():
                    if line.startswith("event:"):
                        name = line.removeprefix("event:").strip()
                    elif line.startswith("data:"):
                        yield name, json.loads(line.removeprefix("data:"))
        except httpx.HTTPError as error:
            raise ParleyError(f"the gateway broke off: {error or type(error).__name__}") from None


def _checked(answer: httpx.Response) -> Any:
    try:
        found = answer.json()
    except ValueError:
        found = None
    # A question that was over a budget has an answer all the same: it says so.
    if answer.status_code < 400 or (
        answer.status_code == 402 and isinstance(found, dict) and "state" in found
    ):
        return found
    said = found.get("error") if isinstance(found, dict) else None
    problem = str(said or f"the gateway answered {answer.status_code}")
    raise StoreError(problem) if answer.status_code == 503 else Refused(problem)


def settings_of(config: Path | None) -> Settings:
    """Raises SettingsError."""
    from gateway.settings import load

    return load(config, environ=os.environ)


def asked(told: Path | Settings | None, method: str, path: str, /, **fields: Any) -> Any:
    """One question from a command that is not asynchronous; *told* is the configuration, or where it is."""
    settings = settings_of(told) if told is None or isinstance(told, Path) else told

    async def ask() -> Any:
        async with connect(settings) as gateway:
            return await gateway.ask(method, path, **fields)

    return asyncio.run(ask())


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Gateway]:
    """Raises Locked when a process has the database and does not answer."""
    import httpx

    from gateway.socket_path import socket_path

    socket = socket_path(settings.gateway.data_dir)
    until = time.monotonic() + SETTLE
    while True:
        if await answers(socket):
            transport = httpx.AsyncHTTPTransport(uds=str(socket))
            async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=ANSWER) as http:
                yield Gateway(http=http, settings=settings)
            return
        holder = lock_holder(settings.database)
        if holder is None:
            break
        if time.monotonic() >= until:
            raise Locked(_silent(holder, socket))
        await asyncio.sleep(0.1)
    async with _own(settings) as gateway:
        yield gateway


def _silent(holder: str, socket: Path) -> str:
    return (
        f"process {holder} has the database, but nobody answers at {socket}. "
        f"Wait a moment if it is starting or ending; else look at its log, or end it: kill {holder}"
    )


async def answers(socket: Path) -> bool:
    """Whether a gateway listens there."""
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


def lock_holder(database: Path) -> str | None:
    """The id of the process that has the database; None when it is free."""
    import fcntl

    try:
        handle = os.open(f"{database}.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            f"{database}.lock: {error.strerror}; run this as the user who runs the gateway"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(handle)
    return None


@asynccontextmanager
async def _own(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway without channels, for as long as the command takes."""
    import httpx

    from gateway import log
    from gateway.app import start
    from gateway.web.api import build

    log.set_up(level="error")
    app = await start(quiet(settings), environ=os.environ, serving=False)
    try:
        transport = httpx.ASGITransport(app=build(app, local=True))
        async with httpx.AsyncClient(transport=transport, base_url=BASE, timeout=ANSWER) as http:
            yield Gateway(http=http, settings=settings, own=app)
    finally:
        await app.stop()


def quiet(settings: Settings) -> Settings:
    """The same for a command, which does not wait for turns it has found waiting: the gateway finishes them."""
    gateway = settings.gateway.model_copy(update={"drain_seconds": 0.0})
    return settings.model_copy(update={"gateway": gateway})
