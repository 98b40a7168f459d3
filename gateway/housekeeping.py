"""What the gateway does by itself once a minute: a sign of life, idle sessions, what is to go, the disk."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.alerts import Alerts
from gateway.core import Core
from gateway.errors import StoreError
from gateway.manager import SessionManager
from gateway.platforms import Platforms
from gateway.settings import Settings
from gateway.types.measures import DAY, MINUTE

TICK = 60.0  # seconds between two rounds
SUMS_AFTER = 5.0  # seconds after the start
MOST_PURGED = 20  # deleted sessions in a minute that an earlier process had begun with
MOST_WRITTEN = 20  # sessions at a time
LEAST_FREE = 200 * 1024 * 1024  # bytes of disk


class Housekeeping:
    """Ends when *stopping* is set. *settings* gives those that hold now; *data*: the data folder."""

    def __init__(
        self,
        *,
        core: Core,
        manager: SessionManager,
        platforms: Platforms,
        alerts: Alerts,
        settings: Callable[[], Settings],
        data: Path,
        stopping: asyncio.Event,
    ) -> None:
        self._core = core
        self._manager = manager
        self._platforms = platforms
        self._alerts = alerts
        self._settings = settings
        self._data = data
        self._stopping = stopping
        self._swept = core.clock()
        self._tidied = 0

    async def run(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                # Not wait_for: on Python 3.11 it can swallow a cancellation.
                async with asyncio.timeout(TICK):
                    await self._stopping.wait()
                return
            now = self._core.clock()
            try:
                await self._round(now)
            except StoreError as error:
                self._alerts.tell("storage", f"nothing can be stored: {error}")
            else:
                self._alerts.over("storage", "The database can be written again.")
            self._look_at_disk()
            self._platforms.tell_down(now)

    async def sums(self) -> None:
        """Until they are made the bill is read from its rows: nobody who writes waits for it at the start."""
        await asyncio.sleep(SUMS_AFTER)
        try:
            await self._manager.sum_by_day()
        except StoreError as error:
            self._alerts.tell("storage", f"nothing can be stored: {error}")

    async def _round(self, now: int) -> None:
        settings = self._settings()
        await self._core.dispatcher.recovery.alive()
        if now - self._tidied >= DAY:
            self._tidied = now
            keep = settings.media.keep_days * DAY
            await self._core.gallery.sweep(now, before=now - keep if keep else 0)
            await self._manager.sum_by_day()  # nothing to do, but when a chat has moved or a year is over
        if now - self._swept >= settings.sessions.idle_sweep_minutes * MINUTE:
            self._swept = now
            await self._core.dispatcher.sweep()
        await self._manager.purge_deleted(MOST_PURGED)
        await self._manager.forget_words()
        await self._write_out()

    async def _write_out(self) -> None:
        """Closed sessions, where the operator wants them as files."""
        try:
            while await self._manager.export_closed(MOST_WRITTEN) == MOST_WRITTEN:
                pass
        except OSError as error:
            self._alerts.tell(
                "export", f"closed sessions cannot be written to [sessions] export_dir: {error}"
            )
        else:
            self._alerts.over("export", "Closed sessions are written out again.")

    def _look_at_disk(self) -> None:
        free = shutil.disk_usage(self._data).free
        if free < LEAST_FREE:
            self._alerts.tell("disk", f"only {free // 1_000_000} MB are free on the disk of the data folder.")
        else:
            self._alerts.over("disk", "There is space on the disk again.")
