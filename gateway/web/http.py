"""uvicorn inside our own event loop: it leaves signals alone and sleeps while nobody asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import Server

MOST_CONNECTIONS = 256
GRACE = 1  # seconds that running requests get at the end; what they asked for is on disk
DATE_EVERY = 1.0  # seconds; the Date header has no finer unit


class Http(Server):
    """Ended by `end`."""

    def __init__(self, asgi: ASGIApp) -> None:
        super().__init__(
            Config(
                asgi,
                http="h11",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level=logging.ERROR,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self._ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(DATE_EVERY):  # not wait_for: on 3.11 it can swallow a cancellation
                    await self._ending.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
