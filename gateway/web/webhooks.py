"""Platforms that deliver events: let in by a secret in the headers, confirmed when the event is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import log
from gateway.errors import ParleyError
from gateway.protocols.channel import Webhook
from gateway.web.guard import Guard

SLOWEST_BODY = 20.0  # seconds for all of it


class Webhooks:
    """Stands before the API: a delivery names another host than ours and has no token of the API's."""

    def __init__(self, inner: ASGIApp, hooks: Iterable[Webhook]) -> None:
        self._inner = inner
        self._hooks = {hook.path: hook for hook in hooks}
        self._guarded = Guard(self._take, door=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hook = self._hooks.get(scope["path"]) if scope["type"] == "http" else None
        if hook is None:
            await self._inner(scope, receive, send)
        elif not hook.admits(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        ):
            await _answer(send, 401)
        elif scope["method"] != "POST":
            await _answer(send, 405)
        else:
            await self._guarded(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(SLOWEST_BODY):
                body = await _body(receive)
        except HTTPException as error:
            await _answer(send, error.status_code)
            return
        except TimeoutError:
            await _answer(send, 408)
            return
        if body is None:
            return
        try:
            await self._hooks[scope["path"]].take(body)
        except ParleyError as error:
            # Nothing was stored: whoever delivers is to do it again.
            log.warning("webhook.not_taken", path=scope["path"], error=str(error))
            await _answer(send, 503)
            return
        await _answer(send, 200)


async def _body(receive: Receive) -> bytes | None:
    """None: who sent it has hung up. Raises HTTPException for one that is too large."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _answer(send: Send, status: int) -> None:
    """Without words: it is read by a machine. A refused sender's body is not waited for."""
    headers = [(b"content-length", b"0")]
    if status >= 400:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
