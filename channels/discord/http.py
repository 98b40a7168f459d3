"""discord.py's way to the HTTP API, to a server of our choice and with errors of ours.

It waits for its buckets and through short floods, and repeats 500, 502, 504 and 524 by itself.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import discord
from discord.http import HTTPClient, Route

from channels.discord.refusal import ApiError, refusal
from channels.discord.uploads import Upload
from gateway.types.json import Json

CALL_SECONDS = 30.0  # for one try
UPLOAD_SECONDS = 180.0  # for one with a file
CONNECT_SECONDS = 10.0
FAREWELL_SECONDS = 2.0
LONGEST_FLOOD = 30.0  # seconds; longer ones come back to us (discord.py takes no less)
# Raised before a byte of the request is sent.
_CONNECTING = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
# What discord.py trips over when an answer is not as documented.
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)

# At DEBUG it logs every message with its text, and with its floods the address, in which interactions have a token.
logging.getLogger("discord").setLevel(logging.WARNING)
logging.getLogger("discord.http").setLevel(logging.ERROR)


class Http(HTTPClient):
    """One account's HTTP client. discord.py has the server in a class attribute, the same for all clients."""

    def __init__(self, *, api_url: str) -> None:
        super().__init__(asyncio.get_running_loop(), max_ratelimit_timeout=LONGEST_FLOOD)
        self._root = api_url.rstrip("/")
        self._slow = aiohttp.ClientTimeout(total=UPLOAD_SECONDS, sock_connect=CONNECT_SECONDS)
        self._timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS)

    async def log_in(self, token: str) -> Json:
        """Takes the token and opens the connections; the bot's own account. Raises ApiError."""
        about = await _translated(self.static_login(token), "log in", [token])
        if not isinstance(about, dict):
            raise ApiError("log in: an answer that cannot be read", kind="lost", status=200)
        return about

    async def ws_connect(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        socket = await super().ws_connect(url, compress=compress)
        # discord.py would wait half a minute for the farewell of a server that is gone.
        socket._timeout = aiohttp.ClientWSTimeout(ws_close=FAREWELL_SECONDS)
        return socket

    async def request(self, route: Route, **kwargs: Any) -> Any:
        route.url = self._root + route.url.removeprefix(Route.BASE)
        timeout = self._slow if "form" in kwargs else self._timeout
        return await super().request(route, timeout=timeout, allow_redirects=False, **kwargs)

    async def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: object = None,
        query: Mapping[str, str] | None = None,
        file: Upload | None = None,
        **ids: str,
    ) -> Any:
        """The JSON of a good answer, None if it has none. Raises ApiError, which names *what* was wanted.

        With a *file* the body goes as multipart/form-data; API reference, Uploading Files.

        *ids* fill in the path; those called channel_id, guild_id, webhook_id and webhook_token divide the
        rate limits.
        """
        route = Route(method, path, **ids)
        if query:
            route.url += "?" + urlencode(query)
        secrets = [self.token or "", ids.get("webhook_token", "")]
        if file is not None:
            work = self._with_file(route, body, file)
        else:
            work = self.request(route) if body is None else self.request(route, json=body)
        return await _translated(work, what, secrets) or None

    async def _with_file(self, route: Route, body: object, file: Upload) -> Any:
        # discord.py sends the form anew when it repeats a call, and winds the file back before.
        held = discord.File(io.BytesIO(file.content), filename=file.name)
        form = [
            {"name": "payload_json", "value": json.dumps(body), "content_type": "application/json"},
            {"name": "files[0]", "value": held.fp, "filename": file.name, "content_type": file.type},
        ]
        return await self.request(route, files=[held], form=form)


async def _translated(work: Awaitable[Any], what: str, secrets: list[str]) -> Any:
    """What discord.py gives, and what it raises as an error of ours."""
    try:
        answer = await work
        # Where the Content-Type has a charset, discord.py leaves the text as it is.
        return json.loads(answer) if isinstance(answer, str) and answer.strip() else answer
    except discord.LoginFailure:
        raise ApiError(f"{what}: the token is refused (401)", kind="auth", status=401) from None
    except discord.RateLimited as error:
        raise ApiError(f"{what}: flood", kind="flood", status=429, retry_after=error.retry_after) from None
    except discord.HTTPException as error:
        raise _told(what, error, secrets) from None
    except _CONNECTING as error:
        raise ApiError(_safe(f"{what}: {type(error).__name__} {error}", secrets), kind="connect") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ApiError(_safe(f"{what}: {type(error).__name__} {error}", secrets), kind="lost") from None
    except RuntimeError as error:  # the session was closed under it
        raise ApiError(_safe(f"{what}: {error}", secrets), kind="lost") from None
    except _UNREADABLE as error:
        text = f"{what}: an answer that cannot be read, {type(error).__name__}"
        raise ApiError(text, kind="lost", status=200) from None


def _told(what: str, error: discord.HTTPException, secrets: list[str]) -> ApiError:
    code, said = error.code, error.text
    if not code:
        # Its Content-Type has a charset, or a machine in front of the API has answered with a page.
        try:
            answer = json.loads(said)
            code, said = int(answer["code"]), str(answer["message"])
        except (*_UNREADABLE, RecursionError):
            said = "" if said.lstrip().startswith("<") else said
    return refusal(what, error.status, code, _safe(said, secrets), error.response.headers)


def _safe(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "<token>")
    return text
