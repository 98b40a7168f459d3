"""Who may come in over HTTP: decided from the head of a request, before its body is read."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import log
from gateway.errors import Refused, StoreError
from gateway.keys import Holder, Keys
from gateway.texts import say
from gateway.vendors import loopback
from gateway.web import openai_form
from gateway.web.caller import CALLER, OPERATOR, Caller

LARGEST_BODY = 1024 * 1024  # bytes
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
MOST_WRONG = 30  # wrong tokens from one address within WRONG_WINDOW
WRONG_WINDOW = 60.0  # seconds
MOST_ADDRESSES = 1000  # whose wrong tokens are remembered
TOO_LARGE = f"The body is larger than {LARGEST_BODY} bytes."
# A name or an address in brackets, and a port (RFC 9110, "Host and :authority").
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]*)?")
ASK = "Send an API key (parley keys add), or the token of [web], as the header Authorization: Bearer <key>."
STOPPING = "Parley is stopping. Send it again with the same event_id, and it is answered once."


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer given instead of the one that was asked for."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(slots=True, kw_only=True)
class Attempts:
    """Wrong tokens by address, so that guessing is slow. *clock* in seconds."""

    clock: Callable[[], float] = time.monotonic
    wrong: dict[str, list[float]] = field(default_factory=dict)

    def too_many(self, address: str) -> bool:
        recent = [at for at in self.wrong.get(address, ()) if self.clock() - at < WRONG_WINDOW]
        return len(recent) >= MOST_WRONG

    def count(self, address: str) -> None:
        found = self.wrong.pop(address, [])
        self.wrong[address] = [*found[1 - MOST_WRONG :], self.clock()]
        if len(self.wrong) > MOST_ADDRESSES:
            del self.wrong[next(iter(self.wrong))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The rules for TCP. *host* is the one that is listened on.

    A key is asked for, or the *token* of whoever has the machine ('': there is none), everywhere but on loopback as
    long as there is no token and no key was ever made. Whoever shows one must show a right one.
    """

    host: str
    keys: Keys
    token: str = field(default="", repr=False)
    attempts: Attempts = field(default_factory=Attempts)

    async def admit(self, method: str, headers: Mapping[str, str], address: str) -> Caller | Refusal:
        """Who it is, or why they may not come in. Raises StoreError."""
        host = headers.get("host", "")
        if not served(host, self.host):
            return Refusal(status=421, text="This host name is not served here.")
        caller = await self._caller(headers.get("authorization", ""), address)
        if (
            isinstance(caller, Caller)
            and method not in SAFE_METHODS
            and not _same(headers.get("origin"), host)
        ):
            return Refusal(status=403, text="Requests from other web pages are not taken.")
        return caller

    async def _caller(self, authorization: str, address: str) -> Caller | Refusal:
        if not authorization and await self._open():
            return OPERATOR
        if self.attempts.too_many(address):
            wait = (b"retry-after", str(int(WRONG_WINDOW)).encode())
            return Refusal(status=429, text="Too many wrong keys; wait a minute.", headers=(wait,))
        scheme, _, rest = authorization.partition(" ")
        given, text = rest.strip(), ASK
        if given and scheme.lower() == "bearer":
            if self.token and hmac.compare_digest(given.encode("latin-1"), self.token.encode()):
                return OPERATOR
            try:
                return _of(await self.keys.holder(given))
            except Refused as error:
                text = str(error)
        if given:
            self.attempts.count(address)
        return Refusal(status=401, text=text, headers=((b"www-authenticate", b"Bearer"),))

    async def _open(self) -> bool:
        """Whether everybody on this machine may come in."""
        return not self.token and loopback(self.host) and not await self.keys.any()


def served(host: str, listens: str) -> bool:
    """Whether that Host header means us, who listen on *listens*.

    A web page whose own name leads to this machine (DNS rebinding) still sends that name.
    """
    named = _HOST.fullmatch(host.lower())
    if named is None:
        return False
    name = named[1]
    mine = _bracketed(listens.strip("[]").lower())
    # Whoever listens everywhere is reached by any of the machine's addresses; an address is never rebound.
    return name in LOOPBACK_NAMES or name == mine or (_everywhere(mine) and _is_address(name))


def _of(holder: Holder) -> Caller:
    name = f"key:{holder.prefix}"
    identity = None if holder.local else holder.identity
    return Caller(name=name, scope=holder.scope, role=holder.role, identity=identity)


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _everywhere(host: str) -> bool:
    return _is_address(host) and ip_address(host.strip("[]")).is_unspecified


def _same(origin: str | None, host: str) -> bool:
    """Browsers name the page that sends a request; other programs name none."""
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


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
        await self._run(scope, _capped(receive), send)

    async def _admitted(self, scope: Scope, headers: Mapping[str, str]) -> Caller | Refusal:
        caller: Caller | Refusal = OPERATOR
        if self._door is not None:
            address = scope["client"][0] if scope.get("client") else ""
            try:
                caller = await self._door.admit(scope["method"], headers, address)
            except StoreError as error:
                caller = Refusal(status=503, text=log.clean(str(error)))
        length = headers.get("content-length", "0")
        if isinstance(caller, Caller) and (not length.isdecimal() or int(length) > LARGEST_BODY):
            return Refusal(status=413, text=TOO_LARGE)
        return caller

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", ()), *PROTECTIVE]
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
    headers += [*refusal.headers, *PROTECTIVE]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _capped(receive: Receive) -> Receive:
    """A body without a length is counted as it comes."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise HTTPException(413, TOO_LARGE)
        return message

    return counted
