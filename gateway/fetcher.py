"""Fetches what lies outside: bounded in size, time and steps, and never from a network that is not public."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.errors import FetchError

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult
    from yarl import URL

    from gateway.outside import Rules

SECONDS = 60.0  # for all of it
CONNECT_SECONDS = 10.0
REDIRECTS = 3
PIECE = 1 << 16  # bytes
HEADERS = {"User-Agent": "Parley", "Accept-Encoding": "identity"}
_MOVED = frozenset({301, 302, 303, 307, 308})
# RFC 9110, 8.4.1; the number tells zlib which wrapping to expect.
_CODED = {"gzip": 31, "x-gzip": 31, "deflate": 15}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came: from where in the end, its media type as the server says ('' if it does not), and how many bytes."""

    url: str
    type: str
    size: int


class Resolver(Protocol):
    """Gives the addresses of a name. Raises OSError."""

    async def __call__(self, host: str, port: int) -> list[str]: ...


class Fetcher:
    """By *rules*, and within *seconds* for each fetch. Keeps no cookies and sends no credentials.

    *resolve*: how names become addresses; None: as the system does it.
    """

    def __init__(self, rules: Rules, *, seconds: float = SECONDS, resolve: Resolver | None = None) -> None:
        self._rules, self._seconds, self._resolve = rules, seconds, resolve or _resolved
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, put: Callable[[bytes], None], *, most: int) -> Fetched:
        """The body, unpacked, piece by piece; a first piece may come before an error.

        Raises FetchError: kind 'refused' where it may not be fetched from, 'too_big' above *most* bytes, 'failed'
        for the rest, with the status where the server has answered with another than 2xx.
        """
        import aiohttp

        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url, put, most)
        except TimeoutError:
            raise FetchError(f"not within {self._seconds:g} seconds", kind="failed") from None
        except (aiohttp.ClientError, OSError, zlib.error, ValueError) as error:
            # Not its text: that may have the address in it, and in the address a signature.
            raise FetchError(type(error).__name__, kind="failed") from None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _follow(self, url: str, put: Callable[[bytes], None], most: int) -> Fetched:
        here = self._rules.judge(url)
        for _ in range(REDIRECTS + 1):
            async with self._open().get(here, allow_redirects=False, headers=HEADERS) as answer:
                if answer.status not in _MOVED:
                    return await _body(answer, here, put, most)
                here = self._rules.onward(here, answer.headers.get("Location", ""))
        raise FetchError(f"more than {REDIRECTS} redirects", kind="refused")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(
                resolver=_guarded(self._rules, self._resolve), use_dns_cache=False
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            )
        return self._session


async def _body(
    answer: aiohttp.ClientResponse, here: URL, put: Callable[[bytes], None], most: int
) -> Fetched:
    if not 200 <= answer.status < 300:
        raise FetchError(f"the server says {answer.status}", kind="failed", status=answer.status)
    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in _CODED and coding not in ("identity", ""):
        raise FetchError(f"it is packed as {coding[:20]!r}", kind="failed", status=answer.status)
    if coding not in _CODED and (answer.content_length or 0) > most:
        raise _too_big(most)
    unpack = zlib.decompressobj(_CODED[coding]) if coding in _CODED else None
    size = 0
    async for piece in answer.content.iter_chunked(PIECE):
        # A small piece can unpack to a thousand times as much: never more than is wanted is made of it.
        data = piece if unpack is None else unpack.decompress(piece, most - size + 1)
        size += len(data)
        if size > most:
            raise _too_big(most)
        if data:
            put(data)
    if unpack is not None and not unpack.eof:
        raise FetchError("it ends early", kind="failed", status=answer.status)
    return Fetched(url=str(here), type=answer.headers.get("Content-Type", ""), size=size)


def _too_big(most: int) -> FetchError:
    return FetchError(f"more than {most} bytes", kind="too_big")


def _guarded(rules: Rules, resolve: Resolver) -> AbstractResolver:
    """What aiohttp connects by: only to addresses that were judged, for a name may have others a moment later."""
    from aiohttp.abc import AbstractResolver

    class Guarded(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            found = await resolve(host, port)
            rules.admit(host, found)
            return [
                {
                    "hostname": host,
                    "host": each,
                    "port": port,
                    "family": socket.AF_INET6 if ":" in each else socket.AF_INET,
                    "proto": 0,
                    "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                }
                for each in found
            ]

        async def close(self) -> None:
            pass

    return Guarded()


async def _resolved(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
