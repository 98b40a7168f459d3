"""An answer on its way to a program of the OpenAI kind: whole, or in chunks; and what happens when it goes away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.completions.question import Accepted
from gateway.errors import ParleyError, Refused
from gateway.hub import Seen
from gateway.views import Generated
from gateway.web import completion_answer as answer
from gateway.web.completion_answer import Head
from gateway.web.feed import PULSE
from gateway.web.guard import STOPPING
from gateway.web.openai_form import Problem

Event = Accepted | Seen | Generated
Told = Callable[[str], Awaitable[None]]
Left = Callable[[], None]
CHUNKS = (
    "Server-sent events, each a chat.completion.chunk of OpenAI's; with stream_options.include_usage the last one has "
    "the usage. An error is {error} as elsewhere. At the end: [DONE]."
)
STOPPED = Problem(status=503, text=STOPPING, type="server_error", code="stopping")


class Course:
    """The events of one question, for a reader who may be slow: texts that newer ones replace are left out."""

    def __init__(self, events: AsyncGenerator[Event]) -> None:
        self._pending: deque[Event] = deque()
        self._more = asyncio.Event()
        self._filling = asyncio.create_task(self._fill(events), name="completion")

    async def next(self) -> Event:
        """Raises ParleyError as `Completions.ask` does."""
        while not self._pending:
            if self._filling.done():
                self._filling.result()
                raise Refused(key="message.internal")
            self._more.clear()
            await self._more.wait()
        return self._pending.popleft()

    async def coming(self, seconds: float) -> None:
        """Until there is something to tell, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not any(_telling(each) for each in self._pending) and not self._filling.done():
                    self._more.clear()
                    await self._more.wait()

    def ended(self) -> Generated | None:
        """The answer, when it is there before anything of it was told."""
        return next((each for each in self._pending if isinstance(each, Generated)), None)

    async def close(self) -> None:
        """Stop watching; the turn goes on."""
        self._filling.cancel()
        await asyncio.gather(self._filling, return_exceptions=True)

    async def _fill(self, events: AsyncGenerator[Event]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    if self._pending and _is_text(self._pending[-1]) and _is_text(event):
                        self._pending.pop()
                    self._pending.append(event)
                    self._more.set()
        finally:
            self._more.set()


def _is_text(event: Event) -> bool:
    return isinstance(event, Seen) and event.kind == "text"


def _telling(event: Event) -> bool:
    return _is_text(event) or isinstance(event, Generated)


class Written:
    """What of a growing text was sent. What was sent cannot be taken back: where the text has changed, the rest waits
    for the end.
    """

    def __init__(self) -> None:
        self.sent = ""

    def more(self, text: str) -> str:
        """What is new, '' for nothing."""
        text = text.lstrip()
        return self._add(text[len(self.sent) :]) if text.startswith(self.sent) else ""

    def last(self, text: str) -> str:
        """What is still to be sent when *text* is the whole of it."""
        text = text.strip()
        if text.startswith(self.sent):
            return self._add(text[len(self.sent) :])
        if self.sent.strip() == text:
            return ""
        return self._add(f"\n\n{text}")

    def _add(self, text: str) -> str:
        self.sent += text
        return text


async def gone(receive: Receive) -> None:
    """Until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Chunks(Response):
    """Server-sent events as OpenAI's clients read them.

    *told* is called with the text that was sent, before its end is; *left* when the client hangs up before that.
    """

    def __init__(
        self,
        course: Course,
        head: Head,
        *,
        with_usage: bool,
        stopping: asyncio.Event,
        told: Told,
        left: Left,
        headers: dict[str, str],
    ) -> None:
        # Proxies hold back small pieces unless they are told not to.
        super().__init__(media_type="text/event-stream", headers={**headers, "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._course = course
        self._head = head
        self._with_usage = with_usage
        self._stopping = stopping
        self._told = told
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send), name="chunks")
        leaving = asyncio.create_task(gone(receive), name="chunks-gone")
        stopping = asyncio.create_task(self._stopping.wait(), name="chunks-stop")
        tasks: set[asyncio.Task[object]] = {sending, leaving, stopping}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            elif leaving.done() and not self._stopping.is_set():
                await _ended(sending)
                await self._course.close()
                self._left()
            else:
                await _ended(sending)
                await send({"type": "http.response.body", "body": answer.failed(STOPPED)})
        finally:
            for task in tasks:
                task.cancel()
            await self._course.close()

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async for data in self._lines():
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _lines(self) -> AsyncGenerator[bytes]:
        head, written, usage = self._head, Written(), self._with_usage
        yield answer.chunk(head, {"role": "assistant", "content": ""}, with_usage=usage)
        while True:
            try:
                async with asyncio.timeout(PULSE):  # wait_for may swallow a cancellation
                    event = await self._course.next()
            except TimeoutError:
                yield b": working\n\n"
                continue
            except ParleyError as error:
                yield answer.failed(answer.problem_from(error))
                return
            match event:
                case Seen(kind="text", text=text):
                    if more := written.more(text):
                        yield answer.chunk(head, {"content": more}, with_usage=usage)
                case Generated():
                    problem = answer.problem_of(event)
                    if problem is not None:
                        if event.state == "kept":
                            self._left()
                        yield answer.failed(problem)
                        return
                    if more := written.last(event.text):
                        yield answer.chunk(head, {"content": more}, with_usage=usage)
                    await self._told(written.sent)
                    yield answer.chunk(head, {}, finish="stop", with_usage=usage)
                    if usage:
                        yield answer.counted(head, event.usage)
                    yield answer.END
                    return
                case _:
                    continue


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
