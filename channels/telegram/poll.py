"""The loop that takes updates in: nothing is confirmed to Telegram before it is on disk here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from channels.backoff import Backoff
from channels.telegram.api import Api
from channels.telegram.health import Health
from channels.telegram.page import Page, read_page
from channels.telegram.refusal import ApiError
from gateway.errors import StoreError
from gateway.failpoints import Point, passing
from gateway.protocols.channel import Accept
from gateway.types.inbound import Inbound
from gateway.types.places import Account

GRACE = 10.0  # seconds a poll may take longer than it asked for, before its connection counts as dead
STRIKES = 3  # refusals of the token before we believe it
HASTE = (
    0.5  # seconds: an empty answer sooner than this comes from a server that does not wait, as stand-ins do
)
WANTED = ("message", "edited_message", "callback_query", "my_chat_member")

log = logging.getLogger(__name__)


class Poll:
    """Long polling of one bot; *answered* is told of each completed poll."""

    def __init__(
        self,
        *,
        api: Api,
        read: Callable[[object], Inbound],
        health: Health,
        answered: Callable[[], None],
        seconds: int,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._read, self._answered = api, read, answered
        self._health = health
        self._seconds, self._sleep, self._clock = seconds, sleep, clock
        self._outage, self._rivalry = Backoff(0.5, 30.0), Backoff(5.0, 60.0)
        self._strikes = 0
        self._webhook_dropped = False

    async def run(self, account: Account, accept: Accept) -> None:
        """Never comes back. Raises ApiError(kind='auth') when the token is refused."""
        offset: int | None = None
        while True:
            try:
                page = await self._page(offset)
                if page.events:
                    await accept(account, page.events)
            except ApiError as error:
                await self._refused(error)
            except StoreError as error:
                # Nothing was stored: with the old offset the same page comes again.
                self._health.not_stored(error)
                await self._sleep(self._outage.next())
            else:
                # An empty answer to an offset has confirmed it. To go on without one is right even when ids
                # begin anew after a week of silence: an old, higher offset would drop the new updates.
                offset = page.offset
                await self._taken(page)

    async def _page(self, offset: int | None) -> Page:
        # The first poll, and one after trouble, does not wait: its answer tells at once that all is well.
        seconds = 0 if self._health.state in ("", "down", "disk") else self._seconds
        asked_at = self._clock()
        passing(Point.POLL, "before")
        try:
            async with asyncio.timeout(seconds + GRACE):
                body = await self._api.updates(offset, seconds, WANTED)
        except TimeoutError:
            raise ApiError("getUpdates: no answer, not even an empty one", kind="lost") from None
        passing(Point.POLL, "after")
        try:
            page = read_page(body, self._read)
        except ValueError as error:
            raise ApiError(f"getUpdates: {error}", kind="lost", status=200) from None
        self._answered()
        if seconds and not page.events and self._clock() - asked_at < HASTE:
            await self._sleep(HASTE)
        return page

    async def _taken(self, page: Page) -> None:
        if page.events and page.offset is None:
            # Stored, but nothing there to confirm it by: it comes again with the next one that has a number.
            self._health.tell("down", "an update without a number")
            await self._sleep(self._outage.next())
            return
        self._outage.reset()
        self._rivalry.reset()
        self._strikes = 0
        self._health.tell("ok", None)

    async def _refused(self, error: ApiError) -> None:
        if error.status == 409:
            await self._conflict(error)
        elif error.kind == "auth":
            self._strikes += 1
            if self._strikes >= STRIKES:
                self._health.tell("auth", str(error))
                raise error
            await self._sleep(self._outage.next())
        elif error.kind == "flood":
            await self._sleep(error.retry_after or self._outage.next())
        else:
            self._health.tell("down", str(error))
            await self._api.reconnect()
            await self._sleep(self._outage.next())

    async def _conflict(self, error: ApiError) -> None:
        """Somebody else takes our updates: another instance, or a webhook that was left behind."""
        if "webhook" in str(error) and not self._webhook_dropped:
            self._webhook_dropped = True
            try:
                await self._api.drop_webhook()
            except ApiError as failure:
                log.warning("telegram.webhook_stays", extra={"reason": str(failure)})
            else:
                log.warning("telegram.webhook_dropped")
                return
        self._health.tell("conflict", str(error))
        await self._sleep(self._rivalry.next())
