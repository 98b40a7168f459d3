"""The SDKs' HTTP over aiohttp, whose parser is in C: a third less CPU where an answer comes word by word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ssl import SSLContext

import aiohttp
import httpx2
from yarl import URL

OPENED: ContextVar[list[httpx2.Response] | None] = ContextVar("opened", default=None)
"""Where the responses of this task are noted, for who must close them and cannot reach them otherwise."""
KEEPALIVE = 60.0  # seconds an idle connection is kept


class Transport(httpx2.AsyncBaseTransport):
    """Follows the client's timeouts and raises its exceptions. Proxies are taken from the environment.

    *connect* in seconds bounds every attempt to connect: Google's SDK sends one timeout for all.
    """

    def __init__(self, *, ssl: SSLContext, connect: float) -> None:
        self._ssl = ssl
        self._connect = connect
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        limits = request.extensions.get("timeout", {})
        connect = min(self._connect, limits.get("connect") or self._connect)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=limits.get("read"))
        with translated():
            response = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[
                    (name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw
                ],
                data=body or None,
                timeout=timeout,
                allow_redirects=False,
            )
        given = httpx2.Response(
            response.status, headers=list(response.raw_headers), stream=_Body(response), request=request
        )
        if (opened := OPENED.get()) is not None:
            opened.append(given)
        return given

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._ssl, keepalive_timeout=KEEPALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
                trust_env=True,
            )
        return self._session


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with translated():
            async for data in self._response.content.iter_any():
                yield data

    async def aclose(self) -> None:
        """Gives the connection back when the body was read to its end, and drops it otherwise."""
        self._response.close()


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx2.ConnectTimeout(str(error)) from error
    except (aiohttp.ServerTimeoutError, TimeoutError) as error:
        raise httpx2.ReadTimeout(str(error)) from error
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
        raise httpx2.ConnectError(str(error)) from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError) as error:
        raise httpx2.RemoteProtocolError(str(error)) from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx2.ReadError(str(error)) from error
