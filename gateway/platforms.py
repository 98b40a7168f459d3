"""The bots on chat platforms: each is connected and kept going, whatever happens to it or to the others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gateway import log
from gateway.alerts import Alerts
from gateway.delivery import Delivery
from gateway.dispatcher import Dispatcher
from gateway.errors import DeliveryError, StoreError
from gateway.failpoints import Point
from gateway.protocols.channel import Channel, Webhook
from gateway.protocols.clock import Clock
from gateway.types.measures import MINUTE
from gateway.types.places import Account
from gateway.whereabouts import open_private

if TYPE_CHECKING:
    from storage import Store

DOWN_AFTER = 5 * MINUTE  # a channel that is down as long is an alert


@dataclass(slots=True)
class ChannelState:
    """How a channel is doing; *since* is when it came into this state (microseconds UTC)."""

    name: str
    channel: Channel
    state: str = "starting"  # starting, ok, conflict, down, disk, auth
    text: str | None = None
    since: int = 0
    account: Account | None = None


@dataclass(slots=True, kw_only=True)
class Platforms:
    """Owns the channels, and the tasks in which they run. *stopping* is set when the gateway ends."""

    store: Store
    delivery: Delivery
    dispatcher: Dispatcher
    alerts: Alerts
    clock: Clock
    stopping: asyncio.Event
    channels: list[ChannelState] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)  # where platforms deliver to our web server
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        for state in self.channels:
            self._tasks.append(asyncio.create_task(self._serve(state), name=f"channel-{state.name}"))

    async def end(self) -> None:
        """Nothing new comes in."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Nothing goes out any more, either."""
        for each in self.channels:
            await each.channel.close()

    @property
    def trouble(self) -> str | None:
        """None when all are well; else the first that is not, and why."""
        for each in self.channels:
            if each.state != "ok":
                return f"{each.name}: {each.state}" + (f" ({each.text})" if each.text else "")
        return None

    async def cursors(self, account: int) -> dict[str, str]:
        """Up to where an account's events are on disk, by the channel's own scopes."""
        return await self.store.read(lambda unit: unit.people.cursors(account))

    async def remember(self, account: int, scope: str, value: str) -> None:
        """Set a cursor that comes with no event."""
        await self.store.commit(Point.META, lambda unit: unit.people.set_cursor(account, scope, value))

    def health(self, state: ChannelState, kind: str, text: str | None) -> None:
        """A channel's own word on how it is."""
        if state.state != kind:
            state.since = self.clock()
        state.state, state.text = kind, text
        cause = f"channel:{state.name}"
        match kind:
            case "ok":
                self.alerts.over(cause, f"{state.name} works again.")
            case "auth":
                self.alerts.tell(cause, f"{state.name}: the token was refused; put a new one in and restart.")
            case "conflict":
                self.alerts.tell(cause, f"{state.name}: another program polls with the same token.")
            case "disk":
                self.alerts.tell("storage", f"nothing can be stored: {text}")
            case _:
                log.warning("channel.down", channel=state.name, error=text)

    def tell_down(self, now: int) -> None:
        """Of those that stay down."""
        for each in self.channels:
            if each.state == "down" and now - each.since >= DOWN_AFTER:
                self.alerts.tell(
                    f"channel:{each.name}", f"{each.name} has been down for five minutes: {each.text}"
                )

    # -- one channel ------------------------------------------------------------------------------------------

    async def _serve(self, state: ChannelState) -> None:
        """Keep one channel going whatever happens to it; its trouble is not the others'."""
        wait = 1.0
        while not self.stopping.is_set():
            try:
                id, name = await state.channel.start()
                await self._connect(state, id, name)
                wait = 1.0
                assert state.account is not None
                await state.channel.run(state.account, self.dispatcher.accept)
            except DeliveryError as error:
                if error.kind == "auth":
                    # Nothing waits for it any longer: jobs that deliver elsewhere as well go on.
                    if all(
                        other.state == "auth" for other in self._of(state.channel.name) if other is not state
                    ):
                        self.dispatcher.expected.discard(state.channel.name)
                    self.health(state, "auth", str(error))
                    return
                self.health(state, "down", str(error))
            except StoreError as error:
                self.health(state, "disk", str(error))
            except Exception as error:  # noqa: BLE001 - the edge of a task: one channel's fault stays its own
                log.crash("channel.failed", error, channel=state.name)
                self.health(state, "down", f"{type(error).__name__}: {error}")
            await asyncio.sleep(wait)
            wait = min(60.0, wait * 2)

    def _of(self, channel: str) -> list[ChannelState]:
        return [each for each in self.channels if each.channel.name == channel]

    async def _connect(self, state: ChannelState, id: str, name: str) -> None:
        if state.account is not None and state.account.platform_id == id:
            return
        account = await self.store.commit(
            Point.PEOPLE, lambda unit: unit.people.account(state.channel.name, id, name)
        )
        account = replace(account, key=state.name)
        self.delivery.register(account, state.channel)
        state.account = account
        log.info("channel.connected", channel=state.name, account=id, name=name)
        # Not before the first poll: whoever writes now waits for nothing.
        self._tasks.append(
            asyncio.create_task(self.dispatcher.recovery.connected(account.id), name="connected")
        )
        self._tasks.append(asyncio.create_task(self._open_private(account, state.channel), name="private"))

    async def _open_private(self, account: Account, channel: Channel) -> None:
        try:
            await open_private(self.store, account, channel, self.dispatcher.habits.policy)
        except StoreError as error:
            self.alerts.tell("storage", f"nothing can be stored: {error}")
