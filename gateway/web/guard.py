"""The outermost layer of the API: who comes in, how much they may send, and the last catch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import log
from gateway.errors import StoreError
from gateway.texts import say
from gateway.web import openai_form
from gateway.web.admission import Door, Refusal
from gateway.web.caller import CALLER, OPERATOR, Caller

LARGEST_BODY = 1024 * 1024  # bytes
# Programs send the pictures of a conversation again with each question; as Messages API has it ("Request size limits").
LARGEST_WITH_PICTURES = 32 * LARGEST_BODY
# A session that was written out is read in again by whoever has the machine, however long it is.
LARGEST_IMPORT = 256 * 1024 * 1024
IMPORT = "/v1/sessions/import"
STOPPING = "Parley is stopping. Send it again with the same event_id, and it is answered once."


class Guard:
    """The outermost layer: the door (None: everybody who can connect may), the size, and the last catch."""

    def __init__(self, inner: ASGIApp, *, door: Door | None) -> None:
        self._inner = inner
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        admitted = await self._admitted(scope, headers)
        if isinstance(admitted, Refusal):
            await _refuse(send, admitted, scope["path"])
            return
        scope[CALLER] = admitted
        await self._run(scope, _capped(receive, _largest(scope, admitted)), send)

    async def _admitted(self, scope: Scope, headers: Mapping[str, str]) -> Caller | Refusal:
        caller: Caller | Refusal = OPERATOR
        if self._door is not None:
            address = scope["client"][0] if scope.get("client") else ""
            try:
                caller = await self._door.admit(scope["method"], headers, address)
            except StoreError as error:
                caller = Refusal(status=503, text=log.clean(str(error)))
        length = headers.get("content-length", "0")
        if isinstance(caller, Caller):
            most = _largest(scope, caller)
            if not length.isdecimal() or int(length) > most:
                return Refusal(status=413, text=_too_large(most))
        return caller

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", ()), *PROTECTIVE, *_when(message["status"])]
            await send(message)

        try:
            await self._inner(scope, receive, sending)
        except asyncio.CancelledError:
            # Only the server's own end cancels requests, and each of them is a task of its own.
            if not begun:
                await _refuse(send, Refusal(status=503, text=STOPPING), scope["path"])
        except Exception as error:  # noqa: BLE001 - the edge of a task: one request's fault stays its own
            log.crash("web.failed", error, method=scope["method"], path=scope["path"])
            if not begun:
                refusal = Refusal(status=500, text=say("message.internal"))
                await _refuse(send, refusal, scope["path"])


PROTECTIVE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


async def _refuse(send: Send, refusal: Refusal, path: str) -> None:
    told: dict[str, Any] = {"error": refusal.text}
    if openai_form.spoken(path):
        told = openai_form.problem(refusal.status, refusal.text).body
    body = json.dumps(told).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [*refusal.headers, *PROTECTIVE, *_when(refusal.status)]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _largest(scope: Scope, caller: Caller) -> int:
    """The bytes that a body may have."""
    if scope["path"] == openai_form.COMPLETIONS:
        return LARGEST_WITH_PICTURES
    return LARGEST_IMPORT if scope["path"] == IMPORT and caller.identity is None else LARGEST_BODY


def _too_large(most: int) -> str:
    return f"The body is larger than {most} bytes, which is the most that is taken there; send less."


def _when(status: int) -> tuple[tuple[bytes, bytes], ...]:
    """Of a 503: when to ask again, for a gateway that is started anew or a disk that is emptied."""
    return ((b"retry-after", b"5"),) if status == 503 else ()  # seconds


def _capped(receive: Receive, most: int) -> Receive:
    """A body without a length is counted as it comes."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise HTTPException(413, _too_large(most))
        return message

    return counted
