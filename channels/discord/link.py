"""The connection to the gateway: begins sessions, resumes them, and comes back whatever happens to it."""

from __future__ import annotations

import asyncio
import logging
import random
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from channels.backoff import Backoff
from channels.discord.api import Api
from channels.discord.health import Health
from channels.discord.http import Http
from channels.discord.refusal import ApiError
from gateway.errors import DeliveryError

Handler = Callable[[Any], None]

HELLO_SECONDS = 30.0  # for a connection and its first word
READY_SECONDS = 60.0  # from there to READY or RESUMED
CLOSE_SECONDS = 2.0
BETWEEN_STARTS = 5.0  # seconds between two IDENTIFYs; Gateway, Rate Limiting
MOST_RESUMES = 3  # tries that came to nothing, before a new session is begun
REFUSED_SECONDS = 600.0  # after a refusal that only the operator can lift: a day has 1,000 IDENTIFYs
AUTH, SHARDS, VERSION, INTENT_BITS, INTENTS = (
    4004,
    (4010, 4011),
    4012,
    4013,
    4014,
)  # Gateway Close Event Codes
# Application Flags: the intent is on, for a verified app or one in fewer than 100 servers.
MAY_READ = 1 << 18 | 1 << 19
READ_REFUSED = (
    'Discord refuses the message content intent. Switch on "Message Content Intent" in the developer portal '
    '(discord.com/developers, your application, Bot), or set message_content = "off".'
)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Session:
    """What a broken session is resumed by."""

    id: str
    sequence: int | None
    gateway: yarl.URL
    failures: int = 0


class Client(discord.Client):
    """discord.py's client, with its own server and without anything kept in memory."""

    def __init__(self, *, http: Http, silence: float) -> None:
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # voice is not meant
        super().__init__(
            intents=intents(content=False),
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            heartbeat_timeout=silence,
        )
        self.http = http
        self._connection.http = http
        self.loop = http.loop
        self._connection.loop = http.loop

    def listen(self, handlers: dict[str, Handler], opened: Callable[[DiscordWebSocket], None]) -> None:
        """The events go to *handlers* as JSON, and none into discord.py's caches."""
        self._connection.parsers = dict(handlers)
        self._connection._update_references = opened  # type: ignore[method-assign, assignment]

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Nothing: Link waits before it connects."""

    def want(self, wanted: discord.Intents) -> None:
        self._connection._intents = wanted


def intents(*, content: bool) -> discord.Intents:
    """What we must be told of, and no more."""
    return discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=content)


class Link:
    """One account's gateway connection. *handlers* take events by name; they are called in order and never raise.

    *content*: whether to ask for the texts of messages (auto: if the application may). *silence*: seconds without
    a word after which the connection counts as dead.
    """

    def __init__(
        self,
        *,
        http: Http,
        api: Api,
        gateway_url: str,
        content: str,
        handlers: dict[str, Handler],
        health: Health,
        silence: float,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._api, self._gateway_url, self._content = api, gateway_url, content
        self._health, self._sleep = health, sleep
        self._client = Client(http=http, silence=silence)
        self._client.listen(handlers | {"READY": self._ready, "RESUMED": self._resumed}, self._opened)
        self._on_ready = handlers.get("READY", lambda data: None)
        self._socket: DiscordWebSocket | None = None
        self._session: Session | None = None
        self._greeted = False
        self._refused = False  # the application may not read contents, whatever its flags say
        self._note: str | None = None
        self._outage = Backoff(0.5, 30.0)
        self._starts = Backoff(BETWEEN_STARTS, 120.0)
        self._started: float | None = None  # the last IDENTIFY, on the loop's clock

    async def run(self) -> None:
        """Never comes back. Raises ApiError(kind='auth') when the token is refused."""
        try:
            while True:
                await self._once()
        finally:
            await self._close(1000)

    async def _once(self) -> None:
        """One connection, from its begin to its end."""
        pause = 0.0
        try:
            await self._connect()
            await self._listen()
        except ReconnectWebSocket as error:
            pause = self._broken(resume=error.resume)
        except discord.ConnectionClosed as error:
            pause = self._closed(error.code)
        except DeliveryError as error:
            if error.kind == "auth":
                self._health.link("auth", str(error))
                raise
            pause = self._failed(str(error), error.retry_after)
        except (
            OSError,
            aiohttp.ClientError,
            TimeoutError,
            ValueError,
            KeyError,
            TypeError,
            zlib.error,
        ) as error:
            pause = self._failed(f"{type(error).__name__}: {error}")
        await self._close(4000)
        await self._sleep(pause)

    async def _connect(self) -> None:
        self._greeted = False
        session = self._session
        if session is None:
            gateway = await self._begin()
        else:
            gateway = session.gateway
        async with asyncio.timeout(HELLO_SECONDS):
            await DiscordWebSocket.from_client(
                self._client,
                initial=session is None,
                gateway=gateway,
                resume=session is not None,
                session=session.id if session else None,
                sequence=session.sequence if session else None,
            )

    async def _begin(self) -> yarl.URL:
        """Waits until a session may be begun; gives the gateway for it."""
        loop = asyncio.get_running_loop()
        if self._started is not None:
            pause = max(BETWEEN_STARTS, self._starts.next()) - (loop.time() - self._started)
            if pause > 0:
                await self._sleep(pause + random.uniform(0.0, 1.0))
        self._client.want(intents(content=await self._reads()))
        address = self._gateway_url or await self._asked()
        self._started = loop.time()
        return yarl.URL(address)

    async def _asked(self) -> str:
        found = await self._api.gateway()
        limit = found.get("session_start_limit")
        if isinstance(limit, dict) and limit.get("remaining") == 0:
            seconds = float(limit.get("reset_after") or 0) / 1000.0
            text = "no more sessions may be begun today"
            raise ApiError(text, kind="flood", retry_after=min(max(seconds, 60.0), 86_400.0))
        address = found.get("url")
        if not isinstance(address, str) or not address.startswith(("ws://", "wss://")):
            raise ApiError("the gateway: no address", kind="lost")
        return address

    async def _reads(self) -> bool:
        """Whether to ask for message contents."""
        if self._content != "auto" or self._refused:
            return self._content == "on" and not self._refused
        try:
            flags = (await self._api.app()).get("flags")
        except ApiError as error:
            if error.kind in ("auth", "connect", "lost", "flood"):
                raise
            return False
        return isinstance(flags, int) and bool(flags & MAY_READ)

    async def _listen(self) -> None:
        assert self._socket is not None
        begun = asyncio.get_running_loop().time()
        async with asyncio.timeout(READY_SECONDS) as limit:
            while True:
                await self._socket.poll_event()
                if self._greeted and limit.when() is not None:
                    limit.reschedule(None)
                elif limit.when() is None and asyncio.get_running_loop().time() - begun > READY_SECONDS:
                    self._outage.reset()
                    self._starts.reset()

    # -- what comes -------------------------------------------------------------------------------------------

    def _opened(self, socket: DiscordWebSocket) -> None:
        self._socket = socket

    def _ready(self, data: Any) -> None:
        application = data.get("application") if isinstance(data, dict) else None
        if isinstance(application, dict) and application.get("id"):
            self._api.application = str(application["id"])
        self._greet()
        self._on_ready(data)

    def _resumed(self, data: Any) -> None:
        self._greet()

    def _greet(self) -> None:
        self._greeted = True
        self._session = None
        self._health.link("ok", self._note)

    # -- what goes wrong --------------------------------------------------------------------------------------

    def _broken(self, *, resume: bool) -> float:
        """The connection is over, as happens every day; seconds to wait before the next."""
        failures = self._session.failures + 1 if self._session else 0
        self._session = None
        socket = self._socket
        if not resume or socket is None or not socket.session_id or failures >= MOST_RESUMES:
            return 0.0  # a new session, at its own pace
        self._session = Session(socket.session_id, socket.sequence, socket.gateway, failures)
        return self._outage.next() if failures else 0.0

    def _failed(self, text: str, wait: float | None = None) -> float:
        """No connection, or one that made no sense."""
        self._health.link("down", text)
        if self._greeted:
            self._broken(resume=True)
        elif self._session is not None:
            self._session.failures += 1
            if self._session.failures >= MOST_RESUMES:
                self._session = None
        return wait or self._outage.next()

    def _closed(self, code: int) -> float:
        """A close code after which the same again would not help."""
        self._session = None
        if code == AUTH:
            text = "the gateway refuses the token (4004)"
            self._health.link("auth", text)
            raise ApiError(text, kind="auth", code=code)
        if code == INTENTS:
            self._health.link("down", READ_REFUSED)
            if self._content == "auto" and not self._refused:
                self._refused = True
                self._note = READ_REFUSED
                return 0.0
            return REFUSED_SECONDS
        if code in (*SHARDS, VERSION, INTENT_BITS):
            self._health.link("down", f"the gateway refuses us ({code})")
            return REFUSED_SECONDS
        return self._failed(f"the gateway closed the connection ({code})")

    async def _close(self, code: int) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            return
        with suppress(TimeoutError, OSError, aiohttp.ClientError, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close(code)  # stops its thread for the heartbeats, too
