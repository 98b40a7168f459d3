"""The way to the Bot API: the SDK's requests over aiohttp."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import quote, urlencode

import aiohttp
from telegram.request import BaseRequest, RequestData
from yarl import URL

from channels.telegram.refusal import ApiError, refusal
from channels.telegram.uploads import Upload
from gateway.types.json import Json

CONNECT_SECONDS = 10.0
PIECE = 1 << 16  # bytes
CONNECTIONS = 256  # at once; a waiting one costs the time of its call

# Raised before a byte of the request is sent.
_CONNECTING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)

# At DEBUG the SDK logs every message with its text.
logging.getLogger("telegram").setLevel(logging.WARNING)


# The last good answer of the running task.
last_answer: ContextVar[bytes] = ContextVar("answer", default=b"")


class Request(BaseRequest):
    """The SDK's way to the server. It alone knows the token, so that nothing else can print it.

    *hidden*: more that must not be in the text of an error. *seconds* for a whole call; None: its caller sees to it.
    """

    def __init__(
        self, *, token: str, api_url: str, seconds: float | None, hidden: Sequence[str] = ()
    ) -> None:
        self._root = f"{api_url.rstrip('/')}/bot{quote(token, safe=':')}/"
        self._files = f"{api_url.rstrip('/')}/file/bot{quote(token, safe=':')}/"
        self._secrets = (token, quote(token, safe=":"), quote(token, safe=""), *hidden)
        self._timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        return self._timeout.total

    async def initialize(self) -> None:
        """Nothing: the session begins with the first call."""

    async def shutdown(self) -> None:
        """Drops all connections; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *_: object, **__: object
    ) -> tuple[int, bytes]:
        parameters = {} if request_data is None else request_data.parameters
        return 200, await self.fetch(url.rpartition("/")[2], parameters)

    async def fetch(self, method: str, parameters: Json) -> bytes:
        """The body of a good answer. Raises ApiError, never with the token in its text."""
        body = urlencode({name: _plain(value) for name, value in parameters.items()}).encode()
        return await self._post(method, body, {"Content-Type": "application/x-www-form-urlencoded"})

    async def upload(self, file: Upload, parameters: Json) -> bytes:
        """As `fetch`, with a file. Bot API, Sending files: multipart/form-data."""
        # Unquoted: the server takes a name as it stands, in UTF-8.
        form = aiohttp.FormData(quote_fields=False)
        for name, value in parameters.items():
            form.add_field(name, _plain(value))
        form.add_field(file.field, io.BytesIO(file.content), filename=file.name, content_type=file.type)
        return await self._post(file.method, form, {})

    async def download(self, path: str, put: Callable[[bytes], None], *, most: int) -> None:
        """A file by its file_path. Raises ApiError: 'too_big' above *most* bytes, 'missing' if it is not there."""
        what = "a file"
        url = URL(self._files + quote(path, safe="/"), encoded=True)
        size = 0
        with self._told(what):
            async with self._open().get(url, allow_redirects=False) as answer:
                if answer.status == 404:
                    raise ApiError(f"{what}: not there (404)", kind="missing", status=404)
                if answer.status != 200:
                    raise refusal(what, answer.status, self._safe(await answer.text(errors="replace")))
                if (answer.content_length or 0) > most:
                    raise ApiError(f"{what}: more than {most} bytes", kind="too_big")
                async for piece in answer.content.iter_chunked(PIECE):
                    size += len(piece)
                    if size > most:
                        raise ApiError(f"{what}: more than {most} bytes", kind="too_big")
                    put(piece)

    async def _post(self, method: str, data: object, headers: dict[str, str]) -> bytes:
        url = self._root + method
        with self._told(method):
            async with self._open().post(url, data=data, headers=headers, allow_redirects=False) as answer:
                status, content = answer.status, await answer.read()
        if 200 <= status < 300:
            last_answer.set(content)
            return content
        raise refusal(method, status, self._safe(content.decode("utf-8", "replace")))

    async def result(self, method: str, parameters: Json) -> Json:
        """The object that a call gave, as it came: of what we do not use nothing need be right in it."""
        result = self.parse_json_payload(await self.fetch(method, parameters))["result"]
        if not isinstance(result, dict):
            raise ApiError(f"{method}: an answer that cannot be read", kind="lost", status=200)
        return result

    @staticmethod
    def parse_json_payload(payload: bytes) -> Json:
        """The envelope of a good answer. Raises ApiError: done, but what came of it cannot be read."""
        try:
            answer = json.loads(payload)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or answer.get("ok") is not True or "result" not in answer:
            raise ApiError("an answer that cannot be read", kind="lost", status=200)
        return answer

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """What the connection raises, as ours."""
        try:
            yield
        except _CONNECTING as error:
            raise ApiError(self._safe(f"{what}: {type(error).__name__} {error}"), kind="connect") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(self._safe(f"{what}: {type(error).__name__} {error}"), kind="lost") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        return self._session

    def _safe(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "<token>")
        return text


def _plain(value: object) -> str:
    """A form's field: objects, lists and flags as JSON (Bot API, "Making requests"); what stock clients send."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
