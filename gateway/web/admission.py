"""Who may come in over TCP: decided from the head of a request."""

from __future__ import annotations

import hmac
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.errors import Refused
from gateway.keys import Holder, Keys
from gateway.vendors import loopback
from gateway.web.caller import OPERATOR, Caller

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
MOST_WRONG = 30  # wrong tokens from one address within WRONG_WINDOW
WRONG_WINDOW = 60.0  # seconds
WAIT = (b"retry-after", str(int(WRONG_WINDOW)).encode())
MOST_ADDRESSES = 1000  # whose wrong tokens are remembered
# A name or an address in brackets, and a port (RFC 9110, "Host and :authority").
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]*)?")
ASK = "Send an API key (parley keys add), or the token of [web], as the header Authorization: Bearer <key>."


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer given instead of the one that was asked for."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(slots=True, kw_only=True)
class Attempts:
    """Wrong tokens by address, so that guessing is slow; or what a person asks for. *clock* in seconds."""

    clock: Callable[[], float] = time.monotonic
    wrong: dict[str, list[float]] = field(default_factory=dict)

    def too_many(self, address: str, most: int | None = None) -> bool:
        """Within WRONG_WINDOW; *most* None: MOST_WRONG."""
        recent = [at for at in self.wrong.get(address, ()) if self.clock() - at < WRONG_WINDOW]
        return len(recent) >= (MOST_WRONG if most is None else most)

    def count(self, address: str, most: int | None = None) -> None:
        found = self.wrong.pop(address, [])
        self.wrong[address] = [*found[1 - (MOST_WRONG if most is None else most) :], self.clock()]
        if len(self.wrong) > MOST_ADDRESSES:
            del self.wrong[next(iter(self.wrong))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The rules for TCP. *host* is the one that is listened on.

    A key is asked for, or the *token* of whoever has the machine ('': there is none), everywhere but on loopback as
    long as there is no token and no key was ever made. Whoever shows one must show a right one. *pace*: how much a
    person may ask for within a minute, besides looking.
    """

    host: str
    keys: Keys
    token: str = field(default="", repr=False)
    pace: Callable[[], int] = lambda: sys.maxsize
    attempts: Attempts = field(default_factory=Attempts)
    asked: Attempts = field(default_factory=Attempts)

    async def admit(self, method: str, headers: Mapping[str, str], address: str) -> Caller | Refusal:
        """Who it is, or why they may not come in. Raises StoreError."""
        host = headers.get("host", "")
        if not served(host, self.host):
            return Refusal(
                status=421,
                text=f"The host name {host[:100]!r} is not served here; ask for localhost, or name it as [web] host.",
            )
        caller = await self._caller(headers.get("authorization", ""), address)
        if isinstance(caller, Refusal) or method in SAFE_METHODS:
            return caller
        if not _same(headers.get("origin"), host):
            return Refusal(
                status=403, text="Requests from other web pages (the header Origin) are not taken."
            )
        return self._paced(caller) or caller

    def _paced(self, caller: Caller) -> Refusal | None:
        """None: not too fast. One person's keys count together."""
        who, most = caller.identity, self.pace()
        if who is None:
            return None
        name = str(who.person or f"identity {who.id}")
        if self.asked.too_many(name, most):
            return Refusal(
                status=429, text="That was too much within a minute; wait a little.", headers=(WAIT,)
            )
        self.asked.count(name, most)
        return None

    async def _caller(self, authorization: str, address: str) -> Caller | Refusal:
        if not authorization and await self._open():
            return OPERATOR
        scheme, _, rest = authorization.partition(" ")
        given, text = rest.strip(), ASK
        if given and scheme.lower() == "bearer":
            try:
                # A key is too long to be guessed: whoever has one is let in, whatever others try from that address.
                return _of(await self.keys.holder(given))
            except Refused as error:
                text = str(error)
        if self.attempts.too_many(address):
            return Refusal(status=429, text="Too many wrong keys; wait a minute.", headers=(WAIT,))
        if scheme.lower() == "bearer" and self._is_token(given):
            return OPERATOR
        if given:
            self.attempts.count(address)
        return Refusal(status=401, text=text, headers=((b"www-authenticate", b"Bearer"),))

    def _is_token(self, given: str) -> bool:
        return bool(self.token) and hmac.compare_digest(given.encode("latin-1"), self.token.encode())

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
