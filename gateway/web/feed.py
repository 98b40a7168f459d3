"""What happens in a conversation as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from starlette.responses import StreamingResponse

from gateway import log
from gateway.errors import ParleyError
from gateway.hub import Seen
from gateway.manager import Generated
from gateway.manager.watching import Happening
from gateway.texts import say
from gateway.web.encoding import plain
from gateway.web.guard import STOPPING

HEAD_START = 1.0  # seconds in which a refusal is still a status of its own
PULSE = 15.0  # seconds; a line nobody reads, so that nothing in between takes the silence for the end

LONGEST = 60.0  # seconds that watching goes on before the key is looked at again
EVENTS = {
    "type": "object",
    "description": "Server-sent events: started, text (the whole text so far), tool, notice, done (with what the JSON "
    "answer is), error.",
    "properties": {
        "event": {"enum": ["started", "text", "tool", "notice", "done", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string", "description": "For the header Last-Event-ID."},
    },
    "required": ["event", "data"],
}
"""Of text/event-stream, by the description of each event (OpenAPI before 3.2 has no other way)."""


@dataclass(frozen=True, slots=True)
class Event:
    """*id* '': there is no coming back to it."""

    name: str
    data: Any
    id: str = ""

    def line(self) -> bytes:
        id = f"id: {self.id}\n" if self.id else ""
        return f"{id}event: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode()


class Feed:
    """Events on their way to one client; a slow client misses texts that newer ones replace.

    *longest*: seconds after which it ends by itself, to be begun again; None: when the events do. *at_once*: without
    waiting for what might be refused.
    """

    def __init__(
        self,
        events: AsyncGenerator[Seen | Generated] | AsyncGenerator[Happening],
        *,
        stopping: asyncio.Event,
        longest: float | None = None,
        at_once: bool = False,
    ) -> None:
        self._stopping = stopping
        self._longest = longest
        self._head_start = 0.0 if at_once else HEAD_START
        self._pending: deque[Event] = deque()
        self._more = asyncio.Event()
        self._filling = asyncio.create_task(self._fill(events), name="feed")

    async def response(self) -> StreamingResponse:
        """Raises ParleyError for what is refused at once."""
        try:
            with suppress(TimeoutError):
                # Not wait_for: on Python 3.11 it can swallow a cancellation.
                async with asyncio.timeout(self._head_start):
                    await self._more.wait()
        except asyncio.CancelledError:
            self._filling.cancel()
            raise
        if self._filling.done():
            self._filling.result()
        # Proxies hold back small pieces unless they are told not to.
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(self._lines(), media_type="text/event-stream", headers=headers)

    async def _fill(self, events: AsyncGenerator[Seen | Generated] | AsyncGenerator[Happening]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self._put(_event(event))
        finally:
            self._more.set()

    def _put(self, event: Event) -> None:
        if self._pending and self._pending[-1].name == event.name == "text":
            self._pending.pop()
        self._pending.append(event)
        self._more.set()

    async def _lines(self) -> AsyncIterator[bytes]:
        ending = asyncio.create_task(self._end(), name="feed-end")
        try:
            while not (self._filling.done() and not self._pending):
                try:
                    async with asyncio.timeout(PULSE):
                        await self._more.wait()
                except TimeoutError:
                    yield b": working\n\n"
                self._more.clear()
                while self._pending:
                    yield self._pending.popleft().line()
            if failed := self._failure():
                yield Event("error", {"error": failed}).line()
        finally:
            # The turn goes on: only we stop watching.
            self._filling.cancel()
            ending.cancel()

    async def _end(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._longest):
                await self._stopping.wait()
                self._put(Event("error", {"error": STOPPING}))
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


def _event(event: Seen | Generated | Happening) -> Event:
    match event:
        case Generated():
            return Event("done", plain(event))
        case Happening(answer=Generated() as answer):
            return Event("done", {**plain(answer), "messages": list(event.messages)}, event.id)
        case Happening():
            return Event(event.kind, {"text": event.text, "messages": list(event.messages)}, event.id)
        case Seen(kind="started"):
            return Event("started", {})
        case Seen(kind=kind, text=text):
            return Event(kind, {"text": text})
