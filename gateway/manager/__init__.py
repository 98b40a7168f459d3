"""SessionManager: the product's one public surface; commands, web and cli call nothing beneath it.

Sessions are named by their code (10 characters). Times are microseconds UTC, money is nano-dollars.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.access import Policy
from gateway.announcing import Audience
from gateway.compaction import NEAR_LIMIT as NEAR_LIMIT
from gateway.core import Core, build
from gateway.cron import Cron
from gateway.digest.book import Digests
from gateway.errors import Refused
from gateway.habits import Habits
from gateway.jobs.book import OPERATOR, Bounds, Jobs, JobSpec, JobView, Requester, RunView
from gateway.jobs.carrier import Carrier
from gateway.manager.accounting import Accounting
from gateway.manager.agent import Agent
from gateway.manager.budgeting import Budgeting
from gateway.manager.choices import Choices
from gateway.manager.here import Here
from gateway.manager.posting import Posting
from gateway.manager.reconciling import Reconciling
from gateway.models.catalogue import DEMO, Catalogue
from gateway.posting import Posted
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.tools import default_tools
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
    "Compacted",
    "ContextUsage",
    "Generated",
    "JobSpec",
    "JobView",
    "Jobs",
    "Message",
    "Offered",
    "Posted",
    "Requester",
    "Resumed",
    "RunView",
    "SessionManager",
    "SessionMeta",
    "Standing",
    "Stopped",
    "StoreHealth",
    "UsageRecord",
]


class SessionManager(Agent, Accounting, Budgeting, Choices, Posting, Reconciling, Here):
    """Sessions, accounting and the agent over one store.

    `async with await SessionManager.open("sqlite:///parley.db") as manager: ...`, or `from_store` over a store
    that is open already, or the one inside a running gateway. *jobs*: what runs by the clock; it does once *cron* is
    started, as it is in a running gateway.
    """

    def __init__(self, core: Core, *, zone: str = "UTC") -> None:
        self.core = core
        self.zone = zone
        self._store: Store = core.store
        dispatcher = core.dispatcher
        carrier = Carrier(
            store=core.store,
            delivery=core.delivery,
            accept=dispatcher.accept,
            clock=core.clock,
            ended=dispatcher.runs.ended,
            language=lambda: dispatcher.habits.language,
        )
        self.cron = Cron(store=core.store, carrier=carrier, clock=core.clock)
        dispatcher.runs.on_run_ended = self.cron.wake
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
        self._closing = AsyncExitStack()

    def _job_bounds(self) -> Bounds:
        habits = self.core.dispatcher.habits
        return Bounds(interval=habits.job_interval, each=habits.jobs_each, model=self._offered)

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
        await manager.core.dispatcher.recover()
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
            tools=default_tools(),
            options=options or Options(),
            media=media,
            habits=Habits(policy=Policy(allow={}, owners={}), gap_minutes={"main": None, "telegram": 360}),
        )
        return cls(core)

    async def close(self) -> None:
        """Let running turns end (5 s), then give the database back."""
        await self._closing.aclose()

    async def __aenter__(self) -> SessionManager:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///")).expanduser()
