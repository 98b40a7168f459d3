"""A Discord channel at work on the fake server: what it was told, what it reported, how long it waited."""

import asyncio
import time

from channels.discord import Discord
from gateway.types.places import Account, Address
from tests.inbox import Inbox


class Bot:
    """One channel and its inbox. Time can be moved on; pauses last a hundredth, at most a tenth of a second."""

    def __init__(self, server, *, inbox=None, **options):
        self.server = server
        self.health, self.pauses = [], []
        self.ahead = 0  # microseconds
        self.inbox = inbox or Inbox()
        settings = {"token": server.token, "api_url": server.api_url} | options
        self.channel = Discord(
            **settings,
            cursors=self._cursors,
            remember=self._remember,
            clock=lambda: time.time_ns() // 1000 + self.ahead,
            on_health=lambda *told: self.health.append(told),
            sleep=self._sleep,
        )
        self.task = None

    async def _cursors(self, account):
        return self.inbox.cursors | self.inbox.noted

    async def _remember(self, account, scope, value):
        self.inbox.noted[scope] = value

    async def _sleep(self, seconds):
        self.pauses.append(seconds)
        await asyncio.sleep(min(seconds / 100, 0.1))

    @property
    def states(self):
        return [state for state, _ in self.health]

    async def runs(self):
        number, name = await self.channel.start()
        account = Account(id=1, channel="discord", platform_id=number, name=name)
        self.task = asyncio.create_task(self.channel.run(account, self.inbox))
        await self.server.until(lambda: "ok" in self.states or self.task.done())
        return self

    async def stop(self):
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self.channel.close()


def to(chat_id, thread_id="", kind="direct", hint=""):
    return Address(
        account=1, conversation=1, chat_id=str(chat_id), thread_id=str(thread_id), kind=kind, hint=hint
    )
