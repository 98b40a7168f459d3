"""Discord as a channel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from channels.discord import menu
from channels.discord.inbound import Manner
from channels.discord.places import THREAD_OF, Places
from channels.discord.press import MOST_TITLE, Press
from channels.discord.refusal import UNKNOWN_CHANNEL, ApiError
from channels.discord.words import Me
from channels.text import discord as text
from channels.text import long
from gateway.errors import DeliveryError
from gateway.failpoints import Point, passing
from gateway.protocols.channel import Accept
from gateway.protocols.clock import Clock
from gateway.types.abilities import Capabilities, Limits
from gateway.types.outbound import Chunk, MenuEntry, Reaction
from gateway.types.places import Account, Address, Place

if TYPE_CHECKING:
    from channels.discord.api import Api
    from channels.discord.cdn import Cdn
    from channels.discord.http import Http
    from channels.discord.marks import Marks
    from channels.discord.outbound import Outbound

API_URL = "https://discord.com/api/v10"
TOAST = 2000  # characters
REACTIONS: dict[Reaction, str] = {
    "seen": "👀",
    "steered": "✍️",
    "interrupted": "⚡",
    "done": "✅",
    "failed": "⚠️",
}

log = logging.getLogger(__name__)


def _chunks(markdown: str) -> list[Chunk]:
    return [Chunk(text=part) for part in text.render(markdown)]


PAGES = long.Pages(all=_chunks, beginning=lambda markdown, note: Chunk(text=text.beginning(markdown, note)))


class Secret(Protocol):
    """A token that does not print itself."""

    def get_secret_value(self) -> str: ...


class Discord:
    """One bot.

    *gateway_url* '': the API is asked. *always*: ids of channels, threads and servers where every message is meant
    for the bot. *message_content*: whether to ask for the privileged intent (auto: if the application may).
    *threads*: each conversation in a server's channel gets a thread of its own. Catch-up reads at most
    *catch_up_messages* of the last *catch_up_minutes* in each channel; *cursors* gives, for an account, up to where
    they are on disk. *commands* are (name, description), or objects with these attributes and perhaps *private*.
    *on_health* is told of every change with a kind and a reason: ok, auth (token refused), down (no connection,
    or nothing could be stored), disk (no space left). *silence*: seconds without a word after which a connection
    is dead. Raises ValueError for an empty token.
    """

    name = "discord"
    can = Capabilities(
        edit=True, delete=True, button=True, reaction=True, thread=True, file=True, whisper=True
    )

    def __init__(
        self,
        *,
        token: Secret | str,
        api_url: str = API_URL,
        gateway_url: str = "",
        stream: bool = True,
        rate: Literal["adaptive", "strict"] = "adaptive",
        always: Sequence[str] = (),
        message_content: Literal["auto", "on", "off"] = "auto",
        threads: bool = False,
        catch_up_minutes: int = 1440,
        catch_up_messages: int = 100,
        commands: Sequence[MenuEntry] = (),
        cursors: Callable[[int], Awaitable[dict[str, str]]] | None = None,
        remember: Callable[[int, str, str], Awaitable[None]] | None = None,
        clock: Clock,
        on_health: Callable[[str, str | None], None] | None = None,
        silence: float = 60.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        # Five messages in five seconds in a channel and fifty requests a second in all; API reference, Rate Limits.
        # (For messages the limit is what servers answer with, not documented.) "Typing" lasts ten seconds.
        self.limits = Limits(
            placing="exact",
            stream=stream,
            typing_every=8.0,
            chat_per_second=1.0,
            group_per_minute=60.0,
            account_per_second=45.0,
            slack=0.2,
            burst=5,
            strict=rate == "strict",
        )
        self._token = (token if isinstance(token, str) else token.get_secret_value()).strip()
        if not self._token:
            raise ValueError("a Discord bot needs a token")
        self._api_url, self._gateway_url, self._content = api_url, gateway_url, message_content
        self._always, self._threads = frozenset(always), threads
        self._catch_up = (catch_up_minutes, catch_up_messages)
        self._commands, self._cursors, self._noted = tuple(commands), cursors, remember
        self._clock, self._sleep, self._silence = clock, sleep, silence
        self._on_health = on_health or (lambda kind, text: None)
        self._places = Places()
        self._http: Http | None = None
        self._opened: Api | None = None
        self._out: Outbound | None = None
        self._marking: Marks | None = None
        self._cdn: Cdn | None = None
        self._menu: asyncio.Task[None] | None = None
        self._registered = False

    async def start(self) -> tuple[str, str]:
        """The bot's id and name. Raises DeliveryError; the caller tries again."""
        try:
            about = await (self._log_in() if self._opened is None else self._opened.me())
        except DeliveryError as error:
            if error.kind == "auth":
                self._on_health("auth", str(error))
            raise
        id = str(about.get("id", ""))
        return id, str(about.get("username") or id)

    async def run(self, account: Account, accept: Accept) -> None:
        from channels.discord.account import Running
        from channels.discord.health import Health
        from channels.discord.link import Link

        assert self._http is not None
        me = Me(account.platform_id, self._api.application)
        health = Health(self._on_health)
        running = Running(
            account=account,
            accept=accept,
            api=self._api,
            outbound=self._outbound,
            places=self._places,
            manner=Manner(me, self._always, self._threads),
            health=health,
            hidden=menu.private(self._commands),
            cursors=await self._cursors(account.id) if self._cursors else {},
            remember=partial(self._remember, account.id),
            clock=self._clock,
            catch_up_minutes=self._catch_up[0],
            catch_up_messages=self._catch_up[1],
            connected=self._register,
            sleep=self._sleep,
        )
        link = Link(
            http=self._http,
            api=self._api,
            gateway_url=self._gateway_url,
            content=self._content,
            handlers=running.handlers,
            health=health,
            silence=self._silence,
            sleep=self._sleep,
        )
        await running.run(link)

    async def _remember(self, account: int, scope: str, value: str) -> None:
        if self._noted is not None:
            await self._noted(account, scope, value)

    def render(self, markdown: str, *, growing: bool = False) -> list[Chunk]:
        if growing:
            shown = [Chunk(text=part) for part in text.grown(markdown)]
            return shown[: long.MOST] if self.can.file else shown
        return long.chunks(markdown, PAGES) if self.can.file else _chunks(markdown)

    def plain(self, chunk: Chunk) -> Chunk:
        """Without its buttons: the text itself is never refused for its formatting."""
        return replace(chunk, buttons=())

    def opening(self, chunk: Chunk) -> Chunk:
        if chunk.file is not None:
            return chunk
        first = text.opening(chunk.text)
        return chunk if first == chunk.text else Chunk(text=first, extra=chunk.extra)

    def answering(self, chunk: Chunk, press_id: str, *, whisper: bool) -> Chunk:
        if Press.read(press_id) is None:
            return chunk
        extra = {**chunk.extra, "press": press_id} | ({"whisper": 1} if whisper else {})
        return replace(chunk, extra=extra)

    def calling(self, chunks: Sequence[Chunk], role: str) -> list[Chunk]:
        """Message Formatting and Allowed Mentions: that one role is pinged, whatever else the text says."""
        call, (first, *rest) = f"<@&{role}>", chunks
        if first.file is not None or len(call) + 1 + len(first.text) > text.MAX_TEXT:
            return [Chunk(text=call, extra={"role": role}), first, *rest]
        return [replace(first, text=f"{call} {first.text}", extra={**first.extra, "role": role}), *rest]

    async def send(
        self,
        address: Address,
        chunk: Chunk,
        *,
        nonce: str,
        tried: int | None = None,
        content: bytes | None = None,
    ) -> str:
        passing(Point.SEND, "before")
        sent = await self._outbound.send(address, chunk, nonce=nonce, tried=tried, content=content)
        passing(Point.SEND, "after")
        return sent

    async def fetch(self, ref: str, put: Callable[[bytes], None], *, most: int) -> None:
        if self._cdn is None:
            raise ApiError("not connected yet", kind="connect")
        await self._cdn.fetch(ref, put, most)

    async def edit(self, address: Address, message_id: str, chunk: Chunk) -> None:
        passing(Point.EDIT, "before")
        await self._outbound.edit(address, message_id, chunk)
        passing(Point.EDIT, "after")

    async def draft(self, address: Address, draft_id: int, chunk: Chunk) -> None:
        raise ApiError("Discord has no drafts", kind="rejected")

    async def delete(self, address: Address, message_id: str) -> None:
        try:
            await self._outbound.delete(address, message_id)
        except DeliveryError as error:
            if error.kind != "missing":
                raise

    async def react(self, address: Address, message_id: str, reaction: Reaction | None) -> None:
        # A message on which a thread was begun stands in the channel above it.
        begun_on = message_id == address.thread_id
        channel = address.chat_id if begun_on or not address.thread_id else address.thread_id
        await self._marks.put(channel, message_id, None if reaction is None else REACTIONS[reaction])

    async def typing(self, address: Address) -> None:
        if self._outbound.silent(address):
            return
        try:
            await self._api.typing(address.thread_id or address.chat_id)
        except ApiError as error:
            if error.code != UNKNOWN_CHANNEL or not address.thread_id:
                raise
            await self._api.typing(address.chat_id)  # the thread begins with the answer

    async def place(self, id: str) -> Place:
        """A channel or thread by its id, or the private channel with the person of that id."""
        try:
            spot = self._places.get(id) or self._places.learn(await self._api.channel(id))
        except ApiError as error:
            if error.kind != "gone":
                raise
            spot = None
        if spot is None:
            return Place(chat_id=await self._api.direct(id))
        if spot.is_thread:
            return Place(chat_id=spot.parent or id, thread_id=id, kind="thread", server=spot.server)
        return Place(chat_id=id, kind="group" if spot.server else "direct", server=spot.server)

    async def open_thread(self, address: Address, title: str) -> Place | None:
        if address.kind == "direct":
            return None
        spot = self._places.get(address.chat_id) or self._places.learn(
            await self._api.channel(address.chat_id)
        )
        kind = THREAD_OF.get(spot.type) if spot is not None and spot.server else None
        if spot is None or kind is None:
            return None
        made = await self._api.open_thread(address.chat_id, kind, title[:MOST_TITLE])
        self._places.learn(made, spot.server)
        return Place(chat_id=address.chat_id, thread_id=str(made["id"]), kind="thread", server=spot.server)

    async def direct(self, user_id: str) -> str:
        return await self._api.direct(user_id)

    async def administers(self, address: Address, user_id: str) -> bool:
        if address.kind == "direct":
            return False
        spot = self._places.get(address.chat_id) or self._places.learn(
            await self._api.channel(address.chat_id)
        )
        return spot is not None and bool(spot.server) and await self._api.manages(spot.server, user_id)

    async def ack(self, press_id: str, text: str = "") -> None:
        """That it arrived was told as soon as it was on disk; here remains what is to be said to who pressed."""
        press = Press.read(press_id)
        if press is not None and text:
            await self._outbound.answers.whisper(press, Chunk(text=text[:TOAST]))

    async def close(self) -> None:
        if self._menu is not None:
            self._menu.cancel()
            await asyncio.wait([self._menu])
        if self._cdn is not None:
            await self._cdn.close()
        if self._http is not None:
            await self._http.close()

    # -- inside -----------------------------------------------------------------------------------------------

    @property
    def _api(self) -> Api:
        if self._opened is None:
            raise ApiError("not connected yet", kind="connect")
        return self._opened

    @property
    def _outbound(self) -> Outbound:
        if self._out is None:
            raise ApiError("not connected yet", kind="connect")
        return self._out

    @property
    def _marks(self) -> Marks:
        if self._marking is None:
            raise ApiError("not connected yet", kind="connect")
        return self._marking

    async def _log_in(self) -> dict[str, Any]:
        # The SDK (30 MB): only who uses it pays for it.
        from channels.discord.api import Api
        from channels.discord.cdn import Cdn
        from channels.discord.http import Http
        from channels.discord.marks import Marks
        from channels.discord.outbound import Outbound

        http = Http(api_url=self._api_url)
        api = Api(http.call)
        try:
            about = await http.log_in(self._token)
        except BaseException:  # cancelled, too: nobody else knows the connection yet
            await http.close()
            raise
        self._http, self._opened = http, api
        self._out = Outbound(api=api, me=str(about.get("id", "")), clock=self._clock)
        self._cdn = Cdn(api=api, api_url=self._api_url)
        self._marking = Marks(api, since=self._clock(), known=frozenset(REACTIONS.values()))
        return about

    def _register(self) -> None:
        if self._commands and not self._registered and self._menu is None:
            self._menu = asyncio.create_task(self._name_commands(), name="discord.commands")
            self._menu.add_done_callback(self._named)

    async def _name_commands(self) -> None:
        wanted = menu.definitions(self._commands)
        try:
            if not menu.same(await self._api.commands(), wanted):
                await self._api.overwrite_commands(wanted)
            self._registered = True
        except DeliveryError as error:
            log.warning("discord.commands_not_set", extra={"reason": str(error)})

    def _named(self, task: asyncio.Task[None]) -> None:
        self._menu = None
