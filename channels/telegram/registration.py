"""Tells the server where to bring updates, and looks now and then whether it can."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from channels.backoff import Backoff
from channels.telegram.api import Api, Hook
from channels.telegram.health import Health
from channels.telegram.poll import STRIKES, WANTED
from channels.telegram.refusal import ApiError

CONNECTIONS = 40  # by which updates come at the same time; Bot API, setWebhook, its default
LOOK_EVERY = 60.0  # seconds

log = logging.getLogger(__name__)


class Registration:
    """The webhook of one bot, kept as it should be."""

    def __init__(
        self,
        *,
        api: Api,
        url: str,
        secret: str,
        health: Health,
        answered: Callable[[], None],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._api, self._url, self._secret = api, url, secret
        self._health, self._answered, self._sleep = health, answered, sleep
        self._outage, self._rivalry = Backoff(0.5, 30.0), Backoff(5.0, 300.0)
        self._set = False
        self._error_at: int | None = None  # of the last failed delivery that we know of; None: not looked yet
        self._strikes = 0

    async def run(self) -> None:
        """Never comes back. Raises ApiError(kind='auth') when the token is refused."""
        while True:
            try:
                pause = await self._look()
            except ApiError as error:
                pause = self._refused(error)
            await self._sleep(pause)

    async def _look(self) -> float:
        """One look; the seconds until the next."""
        if not self._set:
            # Not only where it differs: the server does not say which secret it has.
            await self._put()
            self._set = True
        hook = await self._api.webhook()
        self._answered()
        self._strikes = 0
        self._outage.reset()
        if hook.url != self._url:
            return await self._taken_away(hook)
        if hook.kinds and not hook.kinds.issuperset(WANTED):
            await self._put()
        self._rivalry.reset()
        self._judge(hook)
        return LOOK_EVERY

    def _judge(self, hook: Hook) -> None:
        """What does not reach us is told; that it does again is told by the next delivery."""
        failing = self._error_at is not None and hook.error_at > self._error_at
        self._error_at = hook.error_at
        if not hook.pending or self._health.state in ("", "conflict"):
            self._health.tell("ok", None)
        elif failing and self._health.state != "disk":
            self._health.tell("down", f"updates cannot be delivered: {hook.error}")

    async def _taken_away(self, hook: Hook) -> float:
        """Somebody else polls, or has updates delivered elsewhere."""
        what = "has updates delivered elsewhere" if hook.url else "has removed the webhook"
        self._health.tell("conflict", f"another program with the same token {what}")
        await self._put()
        return self._rivalry.next()

    async def _put(self) -> None:
        await self._api.set_webhook(self._url, secret=self._secret, kinds=WANTED, connections=CONNECTIONS)
        log.info("telegram.webhook_set")

    def _refused(self, error: ApiError) -> float:
        """What to do after an error; the seconds until the next look."""
        if error.kind == "auth":
            self._strikes += 1
            if self._strikes >= STRIKES:
                self._health.tell("auth", str(error))
                raise error
        elif error.kind == "flood":
            return error.retry_after or self._outage.next()
        else:
            self._health.tell("down", str(error))
        return self._outage.next()
