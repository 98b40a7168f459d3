"""The one place that wires everything and runs it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from gateway import __version__, heap, log
from gateway.alerts import Alerts
from gateway.chores import chores
from gateway.commands.table import Table
from gateway.configured import (
    default_model,
    discounts,
    habits,
    job_specs,
    options,
    outside,
    overrides,
    pricing,
    providers,
    usable,
)
from gateway.core import Core, build, system_clock
from gateway.cron import Cron
from gateway.errors import DeliveryError, StoreError
from gateway.failpoints import Point
from gateway.fetcher import Fetcher
from gateway.keys import Keys
from gateway.manager import SessionManager
from gateway.models.catalogue import Catalogue
from gateway.nightly import Nightly
from gateway.protocols import Channel, Clock, Tool, Webhook
from gateway.roster import Roster
from gateway.settings import (
    Changes,
    Settings,
    SettingsError,
    TelegramAccount,
    compare,
    load,
)
from gateway.tools import default_tools
from gateway.tools.jobs import job_tools
from gateway.types import DAY, MINUTE, Account
from gateway.whereabouts import open_private

LOCK_WAIT = 10.0  # seconds for a CLI command to let go of the database
MEDIA = "media"  # the folder of files, in the data folder
SUMS_AFTER = 5.0  # seconds after the start
TICK = 60.0  # seconds between two rounds of housekeeping
DOWN_AFTER = 5 * MINUTE  # a channel that is down as long is an alert
MOST_PURGED = 20  # deleted sessions in a minute that an earlier process had begun with
MOST_WRITTEN = 20  # sessions at a time
LEAST_FREE = 200 * 1024 * 1024  # bytes of disk
LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107  # bytes; sun_path in unix(7), less its final null


@dataclass(slots=True)
class ChannelState:
    """How a channel is doing; *since* is when it came into this state (microseconds UTC)."""

    name: str
    channel: Channel
    state: str = "starting"  # starting, ok, conflict, down, disk, auth
    text: str | None = None
    since: int = 0
    account: Account | None = None


@dataclass(slots=True)
class App:
    """A gateway that runs. Made by `start`; ended by `stop`."""

    settings: Settings  # as taken over last
    booted: Settings  # as this process was started
    core: Core
    manager: SessionManager
    roster: Roster
    keys: Keys
    cron: Cron
    alerts: Alerts
    nightly: Nightly
    table: Table
    fetcher: Fetcher
    environ: Mapping[str, str]
    clock: Clock
    started: int
    channels: list[ChannelState] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)  # where platforms deliver to our web server
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    # -- while running ----------------------------------------------------------------------------------------

    async def reload(self) -> Changes:
        """Read the configuration again and take over what can be; raises SettingsError and changes nothing then."""
        new = load(self.settings.source, environ=self.environ)
        # What waits for a restart is what differs from how this process was started.
        changes = Changes(now=compare(self.settings, new).now, restart=compare(self.booted, new).restart)
        log.hide(new.secrets())
        await self.core.catalogue.replace(
            providers=providers(new),
            default=default_model(new),
            fallbacks=new.agent.fallback_models,
            offered=new.agent.models,
        )
        self.table.rights = new.commands
        self.core.pricing.overrides = overrides(new)
        self.core.pricing.discounts = discounts(new)
        self.core.runner.options = options(new)
        self.core.dispatcher.habits = habits(new)
        self.settings = new
        await self.cron.sync(job_specs(new))
        log.info("reloaded", now=",".join(changes.now) or None, restart=",".join(changes.restart) or None)
        return changes

    @property
    def ready(self) -> str | None:
        """None when all is well; else the first thing that is not."""
        for each in self.channels:
            if each.state not in ("ok",):
                return f"{each.name}: {each.state}" + (f" ({each.text})" if each.text else "")
        if self.core.dispatcher.outage_since is not None:
            return "the model provider refuses us"
        return None

    async def cursors(self, account: int) -> dict[str, str]:
        """Up to where an account's events are on disk, by the channel's own scopes."""
        return await self.core.store.read(lambda unit: unit.people.cursors(account))

    async def remember(self, account: int, scope: str, value: str) -> None:
        """Set a cursor that comes with no event."""
        await self.core.store.commit(Point.META, lambda unit: unit.people.set_cursor(account, scope, value))

    # -- tasks ------------------------------------------------------------------------------------------------

    async def serve(self, state: ChannelState) -> None:
        """Keep one channel going whatever happens to it; its trouble is not the others'."""
        wait = 1.0
        while not self.stopping.is_set():
            try:
                id, name = await state.channel.start()
                await self._connect(state, id, name)
                wait = 1.0
                assert state.account is not None
                await state.channel.run(state.account, self.core.dispatcher.accept)
            except DeliveryError as error:
                if error.kind == "auth":
                    # Nothing waits for it any longer: jobs that deliver elsewhere as well go on.
                    if all(
                        other.state == "auth" for other in self._of(state.channel.name) if other is not state
                    ):
                        self.core.dispatcher.expected.discard(state.channel.name)
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
        account = await self.core.store.commit(
            Point.PEOPLE, lambda unit: unit.people.account(state.channel.name, id, name)
        )
        account = replace(account, key=state.name)
        self.core.delivery.register(account, state.channel)
        state.account = account
        log.info("channel.connected", channel=state.name, account=id, name=name)
        # Not before the first poll: whoever writes now waits for nothing.
        self.tasks.append(
            asyncio.create_task(self.core.dispatcher.recovery.connected(account.id), name="connected")
        )
        self.tasks.append(asyncio.create_task(self._open_private(account, state.channel), name="private"))

    async def _open_private(self, account: Account, channel: Channel) -> None:
        try:
            await open_private(self.core.store, account, channel, self.core.dispatcher.habits.policy)
        except StoreError as error:
            self.alerts.tell("storage", f"nothing can be stored: {error}")

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

    async def sums(self) -> None:
        """Until they are made the bill is read from its rows: nobody who writes waits for it at the start."""
        await asyncio.sleep(SUMS_AFTER)
        try:
            await self.manager.sum_by_day()
        except StoreError as error:
            self.alerts.tell("storage", f"nothing can be stored: {error}")

    async def housekeeping(self) -> None:
        """Once a minute: a sign of life, idle sessions, the disk, channels that stay down."""
        swept = self.clock()
        tidied = 0
        while not self.stopping.is_set():
            with suppress(TimeoutError):
                # Not wait_for: on Python 3.11 it can swallow a cancellation.
                async with asyncio.timeout(TICK):
                    await self.stopping.wait()
                return
            now = self.clock()
            try:
                await self.core.dispatcher.recovery.alive()
                if now - tidied >= DAY:
                    tidied = now
                    keep = self.settings.media.keep_days * DAY
                    await self.core.gallery.sweep(now, before=now - keep if keep else 0)
                    await (
                        self.manager.sum_by_day()
                    )  # nothing to do, but when a chat has moved or a year is over
                if now - swept >= self.settings.sessions.idle_sweep_minutes * MINUTE:
                    swept = now
                    await self.core.dispatcher.sweep()
                await self.manager.purge_deleted(MOST_PURGED)
                await self.manager.forget_words()
                await self._write_out()
            except StoreError as error:
                self.alerts.tell("storage", f"nothing can be stored: {error}")
            else:
                self.alerts.over("storage", "The database can be written again.")
            free = shutil.disk_usage(self.booted.gateway.data_dir).free
            if free < LEAST_FREE:
                self.alerts.tell(
                    "disk", f"only {free // 1_000_000} MB are free on the disk of the data folder."
                )
            else:
                self.alerts.over("disk", "There is space on the disk again.")
            for each in self.channels:
                if each.state == "down" and now - each.since >= DOWN_AFTER:
                    self.alerts.tell(
                        f"channel:{each.name}", f"{each.name} has been down for five minutes: {each.text}"
                    )

    async def _write_out(self) -> None:
        """Closed sessions, where the operator wants them as files."""
        try:
            while await self.manager.export_closed(MOST_WRITTEN) == MOST_WRITTEN:
                pass
        except OSError as error:
            self.alerts.tell("export", f"closed sessions cannot be written to [sessions] export_dir: {error}")
        else:
            self.alerts.over("export", "Closed sessions are written out again.")

    async def stop(self) -> None:
        """Nothing new in, running turns to their end within drain_seconds, the rest parked; all on disk."""
        self.stopping.set()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.cron.stop()
        await self.core.dispatcher.stop(self.settings.gateway.drain_seconds)
        await self.core.delivery.drain(3.0)
        await self.alerts.drain(1.0)
        for each in self.channels:
            await each.channel.close()
        await self.core.catalogue.close()
        await self.fetcher.close()
        with suppress(StoreError):
            await self.core.dispatcher.recovery.alive()
        await self.core.store.close()
        log.info("stopped")


async def start(
    settings: Settings,
    *,
    environ: Mapping[str, str],
    clock: Clock = system_clock,
    tools: Mapping[str, Tool] | None = None,
    serving: bool = True,
) -> App:
    """Lock, migrate, recover, connect. Raises Locked, SchemaTooNew and StoreError.

    *serving* False: for one command on the database; no channel, no job, nothing that waits is taken up.
    """
    from storage import open_store

    log.hide(settings.secrets())
    data = settings.gateway.data_dir
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = await open_store(settings.database, wait=LOCK_WAIT)
    catalogue = Catalogue(
        providers=providers(settings),
        default=default_model(settings),
        fallbacks=settings.agent.fallback_models,
        offered=settings.agent.models,
        silence=settings.agent.first_token_timeout_seconds,
    )
    fetcher = Fetcher(outside(settings), seconds=settings.tools.fetch_seconds)
    # The alerts need the delivery and the delivery's owner needs the alerts: the later one is bound by name.
    core = build(
        store=store,
        catalogue=catalogue,
        pricing=pricing(settings),
        tools=_tools(settings, fetcher, data / MEDIA, lambda: manager) if tools is None else tools,
        options=options(settings),
        habits=habits(settings),
        media=data / MEDIA,
        fetcher=fetcher if settings.tools.web_fetch else None,
        clock=clock,
        on_trouble=lambda cause, text: alerts.tell(cause, text),
        on_stranger=_stranger,
    )

    async def addresses() -> tuple[str, ...]:
        named = app.settings.gateway.alerts
        if named:
            return tuple(named)
        bots = app.settings.channels.bots()
        configured = [f"{key.partition('.')[0]}:{id}" for key, bot in bots for id in bot.owners]
        return tuple(dict.fromkeys([*configured, *await roster.owners()]))

    alerts = Alerts(store=store, delivery=core.delivery, clock=clock, addresses=addresses)
    roster = Roster(
        store=store, clock=clock, delivery=core.delivery, policy=lambda: core.dispatcher.habits.policy
    )
    keys = Keys(store=store, clock=clock, policy=lambda: core.dispatcher.habits.policy)
    manager = SessionManager(
        core, zone=settings.gateway.timezone, exports=lambda: app.settings.sessions.export_dir
    )
    table = Table(manager=manager, roster=roster, rights=settings.commands)
    core.dispatcher.commands = table
    app = App(
        settings=settings,
        booted=settings,
        core=core,
        manager=manager,
        roster=roster,
        keys=keys,
        cron=manager.cron,
        alerts=alerts,
        nightly=Nightly(
            store=store, clock=clock, chores=lambda: chores(app.settings, manager), tell=alerts.tell
        ),
        table=table,
        fetcher=fetcher,
        environ=environ,
        clock=clock,
        started=clock(),
    )
    if not serving:
        # A job that delivers to a platform stays on disk for the gateway that can.
        core.dispatcher.expected.update(key.partition(".")[0] for key, _ in settings.channels.bots())
        await core.dispatcher.recovery.void_leases()
        await app.cron.sync(job_specs(settings))
        return app
    try:
        _channels(app, table)
        await core.dispatcher.recovery.recover()
        for state in app.channels:
            app.tasks.append(asyncio.create_task(app.serve(state), name=f"channel-{state.name}"))
        await app.cron.sync(job_specs(settings))
        await app.cron.start()
    except BaseException:
        await app.stop()
        raise
    app.tasks.append(asyncio.create_task(app.housekeeping(), name="housekeeping"))
    app.tasks.append(asyncio.create_task(app.sums(), name="sums"))
    app.tasks.append(asyncio.create_task(app.nightly.run(), name="nightly"))
    log.info("started", version=__version__, model=catalogue.default, data=str(data))
    return app


def _tools(
    settings: Settings, fetcher: Fetcher, media: Path, manager: Callable[[], SessionManager]
) -> Mapping[str, Tool]:
    """*manager* is there once the first of them is called."""
    jobs: Iterator[Tool] = iter(())
    if settings.tools.jobs:
        jobs = job_tools(lambda: manager().jobs, lambda place, who: manager().requester_in(place, who))
    return default_tools(*usable(settings, fetcher, media), *jobs)


def _stranger(channel: str, user_id: str) -> None:
    log.info("stranger", channel=channel, user_id=user_id, let_in=f"parley people allow {channel}:{user_id}")


def _channels(app: App, table: Table) -> None:
    for key, bot in app.settings.channels.bots():
        from channels import load_channel

        name = key.partition(".")[0]
        state = ChannelState(name=key, channel=None, since=app.clock())  # type: ignore[arg-type]
        menu = table.menu() if bot.commands else ()
        health = partial(app.health, state)
        if isinstance(bot, TelegramAccount):
            state.channel = telegram = load_channel(name)(
                token=bot.token,
                api_url=bot.api_url,
                delivery=bot.delivery,
                rich_messages=bot.rich_messages,
                stream=bot.stream,
                rate=bot.rate,
                poll_seconds=bot.poll_seconds,
                always=bot.always,
                webhook_url=bot.webhook_url,
                webhook_secret=bot.webhook_secret,
                commands=menu,
                cursors=app.cursors,
                clock=app.clock,
                on_health=health,
            )
            app.webhooks += telegram.webhooks()
        else:
            state.channel = load_channel(name)(
                token=bot.token,
                api_url=bot.api_url,
                gateway_url=bot.gateway_url,
                stream=bot.stream,
                rate=bot.rate,
                always=bot.always,
                message_content=bot.message_content,
                threads=bot.threads,
                catch_up_minutes=bot.catch_up_minutes,
                catch_up_messages=bot.catch_up_messages,
                commands=menu,
                cursors=app.cursors,
                remember=app.remember,
                clock=app.clock,
                on_health=health,
            )
        app.channels.append(state)
        app.core.dispatcher.expected.add(name)


async def run(
    settings: Settings,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Clock = system_clock,
    tools: Mapping[str, Tool] | None = None,
    attached: Callable[[App], Awaitable[None]] | None = None,
) -> None:
    """Run until SIGTERM or SIGINT (a second one ends at once). *attached* runs beside it and ends it."""
    heap.grow()
    app = await start(settings, environ=os.environ if environ is None else environ, clock=clock, tools=tools)
    loop = asyncio.get_running_loop()

    def end() -> None:
        if app.stopping.is_set():
            os._exit(130)
        app.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, lambda: app.tasks.append(asyncio.create_task(_reload(app))))
    app.tasks.append(asyncio.create_task(_warm(app), name="warm"))
    from gateway.web.server import serve

    server = asyncio.create_task(serve(app), name="web")
    beside = asyncio.create_task(_attach(attached, app), name="attached") if attached else None
    try:
        await app.stopping.wait()
    finally:
        for task in (beside, server):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in (beside, server) if task is not None), return_exceptions=True)
        await app.stop()


async def _warm(app: App) -> None:
    await app.core.catalogue.warm()
    heap.settle()


async def _attach(attached: Callable[[App], Awaitable[None]], app: App) -> None:
    try:
        await attached(app)
    finally:
        app.stopping.set()


async def _reload(app: App) -> None:
    try:
        await app.reload()
    except SettingsError as error:
        log.error("reload.refused", problems=str(error))


# -- settings as the parts want them --------------------------------------------------------------------------


def socket_path(data_dir: Path) -> Path:
    """Where the local API listens; only this user may connect (0600).

    In a folder of this user's among the temporary files when the path in *data_dir* is too long for a socket.
    """
    path = data_dir.absolute() / "parley.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"parley-{os.getuid()}", f"{name}.sock")
