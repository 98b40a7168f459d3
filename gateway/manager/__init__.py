"""SessionManager: the product's one public surface; commands, web and cli call nothing beneath it.

Sessions are named by their code (10 characters). Times are microseconds UTC, money is nano-dollars.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.access import Policy
from gateway.announcing import Audience
from gateway.compaction import NEAR_LIMIT as NEAR_LIMIT
from gateway.completions.desk import Completions
from gateway.core import Core, build
from gateway.cron import Cron
from gateway.digest.book import Digests
from gateway.errors import Refused
from gateway.habits import Habits
from gateway.jobs.book import OPERATOR, Bounds, Jobs, JobSpec, JobView, Planned, Requester, RunView
from gateway.jobs.carrier import Carrier
from gateway.manager.ageing import Ageing
from gateway.manager.branches import Branches
from gateway.manager.budgeting import Budgeting
from gateway.manager.closing import Closing
from gateway.manager.compactions import Compactions
from gateway.manager.configuring import Configuring
from gateway.manager.documents import Documents
from gateway.manager.labels import Labels
from gateway.manager.listing import Listing
from gateway.manager.measuring import Measuring
from gateway.manager.personal import Personal
from gateway.manager.posting import Posting
from gateway.manager.reconciling import Reconciling
from gateway.manager.requesting import Requesting
from gateway.manager.watching import Watching
from gateway.models.catalogue import DEMO, Catalogue
from gateway.posting import Posted
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.session_views import Closed, Deleted, Erased, Forked, Match, Rewound, SessionDetails
from gateway.tools import default_tools
from gateway.tools.jobs import job_tools
from gateway.types.people import Viewer
from gateway.types.sessions import Filter
from gateway.views import (
    Compacted,
    ContextUsage,
    Generated,
    Message,
    Offered,
    Resumed,
    SessionMeta,
    Standing,
    Stopped,
    StoreHealth,
    UsageRecord,
)

if TYPE_CHECKING:
    from storage import Store

__all__ = [
    "OPERATOR",
    "Audience",
    "Closed",
    "Compacted",
    "ContextUsage",
    "Deleted",
    "Erased",
    "Filter",
    "Forked",
    "Generated",
    "JobSpec",
    "JobView",
    "Jobs",
    "Match",
    "Message",
    "Offered",
    "Planned",
    "Posted",
    "Requester",
    "Resumed",
    "Rewound",
    "RunView",
    "SessionDetails",
    "SessionManager",
    "SessionMeta",
    "Standing",
    "Stopped",
    "StoreHealth",
    "UsageRecord",
    "Viewer",
]


class SessionManager(
    Listing,
    Branches,
    Labels,
    Configuring,
    Closing,
    Documents,
    Ageing,
    Personal,
    Watching,
    Compactions,
    Measuring,
    Budgeting,
    Requesting,
    Posting,
    Reconciling,
):
    """Sessions, accounting and the agent over one store.

    `async with await SessionManager.open("sqlite:///parley.db") as manager: ...`, or `from_store` over a store
    that is open already, or the one inside a running gateway. *jobs*: what runs by the clock; it does once *cron* is
    started, as it is in a running gateway.
    """

    def __init__(
        self, core: Core, *, zone: str = "UTC", exports: Callable[[], Path | None] = lambda: None
    ) -> None:
        self.core = core
        self.zone = zone
        self.exports = exports
        self._store: Store = core.store
        dispatcher = core.dispatcher
        carrier = Carrier(
            store=core.store,
            delivery=core.delivery,
            accept=dispatcher.accept,
            clock=core.clock,
            ended=dispatcher.endings.ended,
            language=lambda: dispatcher.habits.language,
        )
        self.cron = Cron(store=core.store, carrier=carrier, clock=core.clock)
        dispatcher.endings.on_run_ended = self.cron.wake
        self.jobs = Jobs(
            store=core.store,
            clock=core.clock,
            zone=zone,
            bounds=self._job_bounds,
            changed=self.cron.wake,
            hand_over=carrier.hand_over,
        )
        self.digests = Digests(
            store=core.store,
            jobs=self.jobs,
            hub=core.hub,
            clock=core.clock,
            zone=zone,
            changed=self.cron.wake,
        )
        self.completions = Completions(
            store=core.store,
            dispatcher=dispatcher,
            hub=core.hub,
            catalogue=core.catalogue,
            clock=core.clock,
            generated=self._generated,
            pictures=core.pictures,
        )
        self._closing = AsyncExitStack()

    def _job_bounds(self) -> Bounds:
        habits = self.core.dispatcher.habits
        return Bounds(
            interval=habits.job_interval, each=habits.jobs_each, model=self._offered, reached=self._reached
        )

    def _reached(self, platform: str) -> bool:
        """Whether a bot there is connected, or will be."""
        expected = self.core.dispatcher.expected
        return platform in expected or self.core.delivery.line_of(platform) is not None

    def _offered(self, ref: str) -> None:
        """Raises Refused for a model that people may not choose."""
        if ref not in self.core.catalogue.allowed:
            raise Refused(key="job.model", ref=ref)

    @classmethod
    async def open(
        cls, url: str, *, model: str = "", catalogue: Catalogue | None = None, wait: float = 0.0
    ) -> SessionManager:
        """Over a database of its own: sqlite:///relative.db, sqlite:////absolute.db or a plain path.

        *model* such as "anthropic:claude-sonnet-5" with a *catalogue* that knows the provider; the demo agent
        otherwise. Raises Locked when another process has the file, SchemaTooNew, StoreError.
        """
        from storage import open_store

        store = await open_store(_file(url), wait=wait)
        media = _file(url).parent / "media"
        manager = cls.from_store(store, model=model, catalogue=catalogue, media=media)
        manager._closing.push_async_callback(store.close)
        manager._closing.push_async_callback(manager.core.catalogue.close)
        manager._closing.push_async_callback(manager.core.dispatcher.stop, 5.0)
        await manager.core.dispatcher.recovery.recover()
        return manager

    @classmethod
    def from_store(
        cls,
        store: Store,
        *,
        model: str = "",
        catalogue: Catalogue | None = None,
        options: Options | None = None,
        media: Path | None = None,
    ) -> SessionManager:
        """Over an open store, the caller's to close. *media*: the folder of files; None: a temporary one."""
        core = build(
            store=store,
            catalogue=catalogue or Catalogue(providers={}, default=model or DEMO),
            pricing=Pricing(),
            tools=default_tools(
                *job_tools(lambda: manager.jobs, lambda place, who: manager.requester_in(place, who))
            ),
            options=options or Options(),
            media=media,
            habits=Habits(policy=Policy(allow={}, owners={}), gap_minutes={"main": None, "telegram": 360}),
        )
        manager = cls(core)
        return manager

    async def close(self) -> None:
        """Let running turns end (5 s), then give the database back."""
        await self._closing.aclose()

    async def __aenter__(self) -> SessionManager:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///")).expanduser()
