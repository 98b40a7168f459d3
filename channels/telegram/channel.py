"""Telegram as a channel."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import unquote, urlsplit

from channels.telegram import rich
from channels.telegram.albums import Albums
from channels.telegram.always import Always
from channels.telegram.deliveries import Deliveries
from channels.telegram.health import Health
from channels.telegram.inbound import to_inbound
from channels.text import long
from channels.text import telegram as text
from gateway.errors import DeliveryError
from gateway.failpoints import Point, passing
from gateway.protocols.channel import Accept, Webhook
from gateway.protocols.clock import Clock
from gateway.types.abilities import Capabilities, Limits
from gateway.types.inbound import Inbound
from gateway.types.outbound import Chunk, MenuEntry, Reaction
from gateway.types.places import Account, Address, Place

if TYPE_CHECKING:
    from channels.telegram.api import Api
    from channels.telegram.outbound import Outbound

API_URL = "https://api.telegram.org"
ACK_TEXT = 200  # characters; Bot API, answerCallbackQuery
ADMINISTRATORS = frozenset({"creator", "administrator"})  # Bot API, ChatMember
# Parts of descriptions of refusals: there is no such person in that chat.
TOPIC_NAME = 128  # characters; Bot API, createForumTopic
UNKNOWN_MEMBER = (
    "user not found",
    "member not found",
    "participant_id_invalid",
    "user_not_participant",
    "user_id_invalid",
)
# Parts of descriptions of refusals: the server has no such method, or not for this bot.
NO_DRAFTS = ("method not found", ": not found (404)", "textdraft_peer_invalid")
# Of the emoji that bots may use; Bot API, ReactionTypeEmoji.
SLACK = 0.2  # seconds
REACTIONS: dict[Reaction, str] = {
    "seen": "👀",
    "steered": "✍",
    "interrupted": "⚡",
    "done": "👌",
    "failed": "🤷",
}

log = logging.getLogger(__name__)


class Secret(Protocol):
    """A token that does not print itself."""

    def get_secret_value(self) -> str: ...


class Telegram:
    """One bot.

    *poll_seconds* is how long the server may hold a poll open (Bot API: at most 50); *commands* are for
    the client's menu; *always* are ids of groups in which every message is meant for the bot;
    *rich_messages*: answers with tables, headings or formulas are drawn by the app itself (some show nothing then);
    *cursors* gives an account's cursors as they are on disk (here: where groups have moved). With *webhook_url*
    updates are not polled but delivered there, with *webhook_secret* in a header. *on_health* is told of every
    change with a kind and a reason: ok, conflict (somebody else takes updates with this token), auth (token
    refused), down (no answers, or nothing could be stored), disk (no space left). Raises ValueError for an empty
    token, and for a webhook without a secret.
    """

    name = "telegram"
    can = Capabilities(edit=True, delete=True, button=True, reaction=True, thread=True, file=True)

    def __init__(
        self,
        *,
        token: Secret | str,
        api_url: str = API_URL,
        delivery: Literal["opening", "placeholder", "draft"] = "opening",
        stream: bool = True,
        rate: Literal["adaptive", "strict"] = "adaptive",
        poll_seconds: int = 50,
        always: Sequence[str] = (),
        webhook_url: str = "",
        webhook_secret: Secret | str = "",
        commands: Sequence[MenuEntry] = (),
        rich_messages: bool = False,
        cursors: Callable[[int], Awaitable[Mapping[str, str]]] | None = None,
        clock: Clock,
        on_health: Callable[[str, str | None], None] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.can = replace(type(self).can, draft=delivery == "draft")
        self.limits = Limits(placing=delivery, stream=stream, slack=SLACK, strict=rate == "strict")
        self.last_poll: int | None = None  # microseconds UTC of the last completed poll, or update delivered
        self._token = _plain(token)
        if not self._token:
            raise ValueError("a Telegram bot needs a token")
        self._webhook_url, self._webhook_secret = webhook_url, _plain(webhook_secret)
        if webhook_url and not self._webhook_secret:
            raise ValueError("a webhook needs a secret")
        self._deliveries = Deliveries(secret=self._webhook_secret, answered=self._answered)
        self._always, self._albums = Always(always), Albums()
        self._cursors, self._rich = cursors, rich_messages
        self._api_url, self._poll_seconds, self._commands = api_url, poll_seconds, tuple(commands)
        self._clock, self._sleep = clock, sleep
        self._on_health = on_health or (lambda kind, text: None)
        self._opened: Api | None = None
        self._answered_at: float | None = None  # the same moment as last_poll, on the monotonic clock
        self._menu: asyncio.Task[None] | None = None

    async def start(self) -> tuple[str, str]:
        """The bot's id and username. Raises DeliveryError; the caller tries again."""
        try:
            number, username = await self._api.me()
        except DeliveryError as error:
            if error.kind == "auth":
                self._on_health("auth", str(error))
            raise
        if self._commands and self._menu is None:
            self._menu = asyncio.create_task(self._name_commands(), name="telegram.commands")
        return number, username

    async def run(self, account: Account, accept: Accept) -> None:
        from channels.telegram.poll import Poll
        from channels.telegram.registration import Registration

        if self._cursors is not None:
            self._always.recall(await self._cursors(account.id))

        def read(update: object) -> Inbound:
            event = to_inbound(
                update,
                bot_id=int(account.platform_id),
                bot_username=account.name,
                always=self._always,
            )
            return self._albums.seen(self._always.seen(event))

        health = Health(self._on_health)
        if self._webhook_url:
            registration = Registration(
                api=self._api,
                url=self._webhook_url,
                secret=self._webhook_secret,
                health=health,
                answered=self._answered,
                sleep=self._sleep,
            )
            with self._deliveries.taken(account, accept, read, health):
                await registration.run()
            return
        poll = Poll(
            api=self._api,
            read=read,
            health=health,
            answered=self._answered,
            seconds=self._poll_seconds,
            sleep=self._sleep,
        )
        await poll.run(account, accept)

    def webhooks(self) -> list[Webhook]:
        """Where our web server is to take updates for this bot; none when it polls."""
        if not self._webhook_url:
            return []
        path = urlsplit(self._webhook_url).path or "/"
        return [Webhook(path=unquote(path), admits=self._deliveries.admits, take=self._deliveries.take)]

    def poll_age(self) -> float | None:
        """Seconds since the last completed poll, or update delivered; None before the first."""
        return None if self._answered_at is None else time.monotonic() - self._answered_at

    def render(self, markdown: str, *, growing: bool = False) -> list[Chunk]:
        if growing:
            shown = [_chunk(piece) for piece in text.grown(markdown)]
            return shown[: long.MOST] if self.can.file else shown
        chunks = long.chunks(markdown, PAGES) if self.can.file else _chunks(markdown)
        if self._rich and len(chunks) == 1 and chunks[0].file is None and rich.wanted(markdown):
            return [replace(chunks[0], extra={**chunks[0].extra, "rich": markdown.strip()})]
        return chunks

    def plain(self, chunk: Chunk) -> Chunk:
        return replace(chunk, extra={})

    def opening(self, chunk: Chunk) -> Chunk:
        """Buttons come with the whole text: what is short already keeps them, and what has a file is sent whole."""
        if chunk.file is not None:
            return chunk
        piece = text.Piece(chunk.text, tuple(chunk.extra.get("entities", ())))
        first = text.opening(piece)
        return chunk if first is piece else _chunk(first)

    def answering(self, chunk: Chunk, press_id: str, *, whisper: bool) -> Chunk:
        return chunk

    def calling(self, chunks: Sequence[Chunk], role: str) -> list[Chunk]:
        return list(chunks)

    async def send(
        self,
        address: Address,
        chunk: Chunk,
        *,
        nonce: str,
        tried: int | None = None,
        content: bytes | None = None,
    ) -> str:
        """*nonce* and *tried* are of no use here: the Bot API has no way to recognise a repeat."""
        passing(Point.SEND, "before")
        sent = await self._outbound.send(address, chunk, content)
        passing(Point.SEND, "after")
        return sent

    async def fetch(self, ref: str, put: Callable[[bytes], None], *, most: int) -> None:
        """Bot API, getFile: at most 20 MB, unless the server is one of our own."""
        await self._outbound.fetch(ref, put, most)

    async def edit(self, address: Address, message_id: str, chunk: Chunk) -> None:
        passing(Point.EDIT, "before")
        await self._outbound.edit(address, message_id, chunk)
        passing(Point.EDIT, "after")

    async def draft(self, address: Address, draft_id: int, chunk: Chunk) -> None:
        """Bot API 9.5, sendMessageDraft. A server that does not know it is not asked again."""
        try:
            await self._outbound.draft(address, draft_id, chunk)
        except DeliveryError as error:
            if self.can.draft and any(part in str(error).lower() for part in NO_DRAFTS):
                log.warning("telegram.no_drafts", extra={"fields": {"reason": str(error)}})
                self.can, self.limits = (
                    replace(self.can, draft=False),
                    replace(self.limits, placing="opening"),
                )
            raise

    async def delete(self, address: Address, message_id: str) -> None:
        try:
            await self._api.delete(address.chat_id, int(message_id))
        except DeliveryError as error:
            if error.kind != "missing":
                raise

    async def react(self, address: Address, message_id: str, reaction: Reaction | None) -> None:
        emoji = None if reaction is None else REACTIONS[reaction]
        await self._api.react(address.chat_id, int(message_id), emoji)

    async def place(self, id: str) -> Place:
        """Bot API, Chat.id: groups are negative; a topic stands behind a slash."""
        chat, _, topic = id.partition("/")
        return Place(chat_id=chat, thread_id=topic, kind="group" if chat.startswith("-") else "direct")

    async def open_thread(self, address: Address, title: str) -> Place | None:
        """Bot API, createForumTopic: refused where a group has no topics, or we may not manage them."""
        if address.kind == "direct":
            return None
        topic = await self._api.open_topic(address.chat_id, title[:TOPIC_NAME])
        return Place(chat_id=address.chat_id, thread_id=str(topic), kind="group")

    async def direct(self, user_id: str) -> str:
        return user_id  # Bot API, Chat.id: a private chat has the id of the person

    async def typing(self, address: Address) -> None:
        await self._api.typing(address.chat_id, _thread(address))

    async def administers(self, address: Address, user_id: str) -> bool:
        """Nobody does in a private chat, and nobody whom the chat does not know."""
        if address.kind == "direct" or not user_id.isdecimal():
            return False
        try:
            return await self._api.status(address.chat_id, int(user_id)) in ADMINISTRATORS
        except DeliveryError as error:
            if any(part in str(error).lower() for part in UNKNOWN_MEMBER):
                return False
            raise

    async def ack(self, press_id: str, text: str = "") -> None:
        await self._api.answer(press_id, text[:ACK_TEXT])

    async def close(self) -> None:
        if self._menu is not None:
            self._menu.cancel()
            await asyncio.wait([self._menu])
        if self._opened is not None:
            await self._opened.close()

    @cached_property
    def _outbound(self) -> Outbound:
        from channels.telegram.outbound import Outbound

        return Outbound(self._api)

    @property
    def _api(self) -> Api:
        if self._opened is None:
            # The SDK imports httpx, and that its command line with rich and pygments (3 MB), unless it is missing.
            sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
            from channels.telegram.api import Api  # the SDK: only who uses it pays for it

            hidden = [self._webhook_secret] if self._webhook_secret else []
            self._opened = Api(token=self._token, api_url=self._api_url, hidden=hidden)
        return self._opened

    def _answered(self) -> None:
        self.last_poll, self._answered_at = self._clock(), time.monotonic()

    async def _name_commands(self) -> None:
        try:
            await self._api.name_commands([each for each in self._commands if not each.admin])
        except DeliveryError as error:
            log.warning("telegram.commands_not_set", extra={"reason": str(error)})


def _plain(secret: Secret | str) -> str:
    return (secret if isinstance(secret, str) else secret.get_secret_value()).strip()


def _chunk(piece: text.Piece) -> Chunk:
    return Chunk(text=piece.text, extra={"entities": list(piece.entities)} if piece.entities else {})


def _chunks(markdown: str) -> list[Chunk]:
    return [_chunk(piece) for piece in text.render(markdown)]


PAGES = long.Pages(all=_chunks, beginning=lambda markdown, note: _chunk(text.beginning(markdown, note)))


def _thread(address: Address) -> int | None:
    return int(address.thread_id) if address.thread_id else None
