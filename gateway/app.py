"""The one place that wires everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway import __version__, bots, log
from gateway.alerts import Alerts
from gateway.chores import MEDIA, chores
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
from gateway.errors import StoreError
from gateway.fetcher import Fetcher
from gateway.housekeeping import Housekeeping
from gateway.keys import Keys
from gateway.manager import SessionManager
from gateway.models.catalogue import Catalogue
from gateway.nightly import Nightly
from gateway.platforms import Platforms
from gateway.protocols.clock import Clock
from gateway.protocols.tool import Tool
from gateway.roster import Roster
from gateway.settings import Changes, Settings, compare, load
from gateway.tools import default_tools
from gateway.tools.jobs import job_tools

LOCK_WAIT = 10.0  # seconds for a CLI command to let go of the database


@dataclass(slots=True)
class App:
    """A gateway that runs. Made by `start`; ended by `stop`."""

    settings: Settings  # as taken over last
    booted: Settings  # as this process was started
    core: Core
    manager: SessionManager
    roster: Roster
    platforms: Platforms
    keys: Keys
    cron: Cron
    alerts: Alerts
    nightly: Nightly
    table: Table
    fetcher: Fetcher
    environ: Mapping[str, str]
    clock: Clock
    started: int
    stopping: asyncio.Event  # set when it ends
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

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
        if self.platforms.trouble is not None:
            return self.platforms.trouble
        if self.core.dispatcher.outage_since is not None:
            return "the model provider refuses us"
        return None

    async def stop(self) -> None:
        """Nothing new in, running turns to their end within drain_seconds, the rest parked; all on disk."""
        self.stopping.set()
        await self.platforms.end()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.cron.stop()
        await self.core.dispatcher.stop(self.settings.gateway.drain_seconds)
        await self.core.delivery.drain(3.0)
        await self.alerts.drain(1.0)
        await self.platforms.close()
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
        configured = [
            f"{key.partition('.')[0]}:{id}" for key, bot in app.settings.channels.bots() for id in bot.owners
        ]
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
    stopping = asyncio.Event()
    platforms = Platforms(
        store=store,
        delivery=core.delivery,
        dispatcher=core.dispatcher,
        alerts=alerts,
        clock=clock,
        stopping=stopping,
    )
    app = App(
        settings=settings,
        booted=settings,
        core=core,
        manager=manager,
        roster=roster,
        platforms=platforms,
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
        stopping=stopping,
    )
    if not serving:
        # A job that delivers to a platform stays on disk for the gateway that can.
        core.dispatcher.expected.update(key.partition(".")[0] for key, _ in settings.channels.bots())
        await core.dispatcher.recovery.void_leases()
        await app.cron.sync(job_specs(settings))
        return app
    try:
        bots.add(platforms, settings, table.menu())
        await core.dispatcher.recovery.recover()
        platforms.start()
        await app.cron.sync(job_specs(settings))
        await app.cron.start()
    except BaseException:  # cancelled, too: what was begun ends, and the database is let go of
        await app.stop()
        raise
    housekeeping = Housekeeping(
        core=core,
        manager=manager,
        platforms=platforms,
        alerts=alerts,
        settings=lambda: app.settings,
        data=data,
        stopping=stopping,
    )
    app.tasks.append(asyncio.create_task(housekeeping.run(), name="housekeeping"))
    app.tasks.append(asyncio.create_task(housekeeping.sums(), name="sums"))
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
