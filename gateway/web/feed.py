"""What happens during a turn as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

from starlette.responses import StreamingResponse

from gateway import log
from gateway.errors import ParleyError
from gateway.hub import Seen
from gateway.manager import Generated
from gateway.texts import say
from gateway.web.encoding import plain
from gateway.web.guard import STOPPING

HEAD_START = 1.0  # seconds in which a refusal is still a status of its own
PULSE = 15.0  # seconds; a line nobody reads, so that nothing in between takes the silence for the end

EVENTS = (
    "Server-sent events: started, text (the whole text so far), tool, notice, each with {text}; at last done, with "
    "what the JSON answer is, or error."
)

Event = tuple[str, Any]  # its name, and its data


class Feed:
    """Events of one turn on their way to one client; a slow client misses texts that newer ones replace."""

    def __init__(self, events: AsyncGenerator[Seen | Generated], *, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._pending: deque[Event] = deque()
        self._more = asyncio.Event()
        self._filling = asyncio.create_task(self._fill(events), name="feed")

    async def response(self) -> StreamingResponse:
        """Raises ParleyError for what is refused at once."""
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), HEAD_START)
        except asyncio.CancelledError:
            self._filling.cancel()
            raise
        if self._filling.done():
            self._filling.result()
        # Proxies hold back small pieces unless they are told not to.
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(self._lines(), media_type="text/event-stream", headers=headers)

    async def _fill(self, events: AsyncGenerator[Seen | Generated]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self._put(_event(event))
        finally:
            self._more.set()

    def _put(self, event: Event) -> None:
        if self._pending and self._pending[-1][0] == event[0] == "text":
            self._pending.pop()
        self._pending.append(event)
        self._more.set()

    async def _lines(self) -> AsyncIterator[bytes]:
        ending = asyncio.create_task(self._end(), name="feed-end")
        try:
            while not (self._filling.done() and not self._pending):
                try:
                    await asyncio.wait_for(self._more.wait(), PULSE)
                except TimeoutError:
                    yield b": working\n\n"
                self._more.clear()
                while self._pending:
                    yield _line(*self._pending.popleft())
            if failed := self._failure():
                yield _line("error", {"error": failed})
        finally:
            # The turn goes on: only we stop watching.
            self._filling.cancel()
            ending.cancel()

    async def _end(self) -> None:
        await self._stopping.wait()
        self._put(("error", {"error": STOPPING}))
        self._filling.cancel()

    def _failure(self) -> str | None:
        if self._filling.cancelled():
            return None
        match self._filling.exception():
            case None:
                return None
            case ParleyError() as error:
                return log.clean(str(error))
            case error:
                log.crash("web.feed", error)
                return say("message.internal")


def _event(event: Seen | Generated) -> Event:
    match event:
        case Generated():
            return "done", plain(event)
        case Seen(kind="started"):
            return "started", {}
        case Seen(kind=kind, text=text):
            return kind, {"text": text}


def _line(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
