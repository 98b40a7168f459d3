"""One account while it runs: the gateway's events in, to the disk, and only then acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from channels.discord.api import DEFER, DEFER_UPDATE, SAY, Api
from channels.discord.body import HIDDEN, NOBODY
from channels.discord.catchup import ALIVE, CatchUp
from channels.discord.health import Health
from channels.discord.inbound import Manner, is_ours, to_inbound
from channels.discord.link import Handler, Link
from channels.discord.outbound import Outbound
from channels.discord.pages import Pages, Raw
from channels.discord.places import Places
from channels.discord.press import Press
from channels.discord.refusal import ApiError
from channels.discord.snowflake import is_id
from gateway.errors import StoreError
from gateway.protocols.channel import Accept
from gateway.protocols.clock import Clock
from gateway.texts import say
from gateway.types.inbound import Inbound, Kind, Receipt
from gateway.types.json import Json
from gateway.types.measures import MINUTE
from gateway.types.places import Account

ALIVE_EVERY = 30.0  # seconds
SLACK = MINUTE  # between two clocks; what we had taken in already is a duplicate, and changes nothing

log = logging.getLogger(__name__)


class Running:
    """Lives as long as `Channel.run`. *hidden*: names of commands that answer only who gave them.

    *connected* is called with every new session.
    """

    def __init__(
        self,
        *,
        account: Account,
        accept: Accept,
        api: Api,
        outbound: Outbound,
        places: Places,
        manner: Manner,
        health: Health,
        hidden: frozenset[str],
        cursors: Mapping[str, str],
        remember: Callable[[str, str], Awaitable[None]],
        clock: Clock,
        catch_up_minutes: int,
        catch_up_messages: int,
        connected: Callable[[], None],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._api, self._outbound, self._places, self._manner = api, outbound, places, manner
        self._hidden, self._connected = hidden, connected

        def pages() -> Pages:
            return Pages(
                account=account, accept=accept, read=self._read, taken=self._taken, health=health, sleep=sleep
            )

        self._messages = pages()
        self._presses = pages()  # apart, for Discord waits three seconds for their acknowledgement
        self._catch_up = CatchUp(
            api=api,
            places=places,
            cursors=cursors,
            put=self._messages.put,
            counts=lambda raw: to_inbound(raw.name, raw.data, manner, raw.spot) is not None,
            clock=clock,
            minutes=catch_up_minutes,
            messages=catch_up_messages,
            sleep=sleep,
        )
        self._clock, self._sleep, self._remember = clock, sleep, remember
        self._listening = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self.handlers: dict[str, Handler] = {
            "READY": self._ready,
            "GUILD_CREATE": self._joined,
            "GUILD_DELETE": self._left,
            "CHANNEL_CREATE": self._learn,
            "CHANNEL_UPDATE": self._learn,
            "CHANNEL_DELETE": places.forget,
            "THREAD_CREATE": self._learn,
            "THREAD_UPDATE": self._learn,
            "THREAD_DELETE": places.forget,
            "THREAD_LIST_SYNC": self._synced,
            "MESSAGE_CREATE": lambda data: self._said("MESSAGE_CREATE", data),
            "MESSAGE_UPDATE": lambda data: self._said("MESSAGE_UPDATE", data),
            "INTERACTION_CREATE": lambda data: self._presses.put(Raw("INTERACTION_CREATE", data)),
        }

    async def run(self, link: Link) -> None:
        """Never comes back; raises what the first of its parts raises."""
        parts = [
            asyncio.create_task(each, name=f"discord.{name}")
            for name, each in (
                ("link", link.run()),
                ("messages", self._messages.run()),
                ("presses", self._presses.run()),
                ("alive", self._stay_alive()),
            )
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*parts, *self._calls):
                task.cancel()
            await asyncio.gather(*parts, *self._calls, return_exceptions=True)
            await self._catch_up.close()
            self._outbound.answers.settle_all()

    # -- what the gateway tells --------------------------------------------------------------------------------

    async def _stay_alive(self) -> None:
        """While we listen, note it on disk: what is said afterwards, wherever it is, will have been missed."""
        await self._listening.wait()
        while True:
            moment = self._clock() - SLACK
            try:
                await self._remember(ALIVE, str(moment))
            except StoreError as error:
                log.warning("discord.alive", extra={"reason": str(error)})
            else:
                self._catch_up.alive(moment)
            await asyncio.sleep(ALIVE_EVERY)

    def _ready(self, data: Any) -> None:
        self._catch_up.begin()
        self._listening.set()
        self._connected()

    def _joined(self, guild: Any) -> None:
        if isinstance(guild, dict) and is_id(guild.get("id")) and not guild.get("unavailable"):
            for channel in self._places.joined(guild):
                self._catch_up.joined(channel)

    def _left(self, guild: Any) -> None:
        if isinstance(guild, dict):
            self._places.left(guild)

    def _learn(self, channel: Any) -> None:
        self._places.learn(channel)

    def _synced(self, data: Any) -> None:
        threads = data.get("threads") if isinstance(data, dict) else None
        for thread in threads if isinstance(threads, list) else ():
            self._places.learn(thread, str(data.get("guild_id") or ""))

    def _said(self, name: str, data: Any) -> None:
        if not is_ours(data, self._manner.me):
            self._catch_up.came(Raw(name, data))

    # -- on its way to the disk --------------------------------------------------------------------------------

    async def _read(self, raw: Raw) -> Inbound | None:
        spot = raw.spot
        if spot is None and isinstance(raw.data, dict):
            channel = str(raw.data.get("channel_id"))
            spot = self._places.get(channel)
            if spot is None and is_id(channel) and "guild_id" in raw.data and "channel" not in raw.data:
                try:
                    spot = self._places.learn(await self._api.channel(channel))
                except ApiError as error:
                    log.info("discord.channel_unknown", extra={"reason": str(error)})
        event = to_inbound(raw.name, raw.data, self._manner, spot)
        if event is not None and (press := Press.read(event.press_id)) is not None:
            self._outbound.answers.expect(press)
        return event

    def _taken(self, event: Inbound, receipt: Receipt) -> None:
        if event.cursor is not None:
            self._catch_up.taken(event.cursor)
        press = Press.read(event.press_id)
        if event.hint and event.place is not None and receipt.state not in ("duplicate", "refused"):
            self._outbound.heard(event.place, event.hint)
        if press is not None:
            hidden = event.kind is Kind.COMMAND and event.text.split()[0].removeprefix("/") in self._hidden
            self._call(self._acknowledge(press, event, receipt, hidden))

    async def _acknowledge(self, press: Press, event: Inbound, receipt: Receipt, hidden: bool) -> None:
        """Tells Discord that it arrived; whoever may not gets a line that only they see."""
        try:
            if receipt.state in ("refused", "dead"):
                text = _refusal(event, receipt)
                data: Json = {"content": text, "flags": HIDDEN, "allowed_mentions": NOBODY}
                await self._api.respond(press, SAY, data)
            elif press.button:
                await self._api.respond(press, DEFER_UPDATE)
            else:
                await self._api.respond(press, DEFER, {"flags": HIDDEN} if hidden else None)
            if receipt.state not in ("refused", "dead", "duplicate"):
                self._outbound.answers.acknowledged(press, hidden=hidden)
        except ApiError as error:
            log.warning("discord.not_acknowledged", extra={"reason": str(error)})
        finally:
            self._outbound.answers.settle(press)

    def _call(self, work: Any) -> None:
        task = asyncio.create_task(work, name="discord.acknowledge")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)


def _refusal(event: Inbound, receipt: Receipt) -> str:
    lang = event.sender.lang if event.sender else ""
    if receipt.state == "dead" or event.sender is None:
        return say("message.internal", lang)
    if receipt.during == "reject":
        return say("during.reject", lang)
    return say("message.stranger", lang, user_id=event.sender.user_id, channel="discord")
