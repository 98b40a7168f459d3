"""A store that can be left behind as a killed process leaves it."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path

from gateway.failpoints import Point
from storage import Store, open_store
from storage.database import Work
from storage.sqlite import Sqlite
from tests.walk.screen import T


class Mortal:
    """A database whose owner can be dead: then nothing of his is stored or read any more."""

    engine = "sqlite"

    def __init__(self, inner: Sqlite) -> None:
        self._inner = inner
        self.path = inner.path
        self._dead = False

    async def commit(self, point: Point, work: Work[T]) -> T:
        await self._living()
        result = await self._inner.commit(point, work)
        await self._living()
        return result

    async def read(self, work: Work[T]) -> T:
        await self._living()
        result = await self._inner.read(work)
        await self._living()
        return result

    async def backup(self, target: Path) -> None:
        await self._inner.backup(target)

    async def close(self) -> None:
        await self._inner.close()

    async def _living(self) -> None:
        if self._dead:
            await asyncio.Event().wait()  # the dead wait for ever

    def die(self) -> None:
        self._dead = True

    def leave(self, folder: Path) -> None:
        """Copy what a kill would leave on disk into *folder*. The loop stands still meanwhile.

        A commit that its thread has begun is either whole or not there: we wait until the thread has done with it.
        """
        writer = self._inner._writer
        assert writer is not None
        still = threading.Event()
        writer._tx.put_nowait((None, still.set))
        still.wait()
        folder.mkdir()
        for each in self.path.parent.glob(f"{self.path.name}*"):
            if not each.name.endswith(("-shm", ".lock")):
                shutil.copyfile(each, folder / each.name)

    async def bury(self) -> None:
        """Let go of the old file; nobody uses it any more."""
        assert self._inner._writer is not None
        for connection in (*self._inner._reading, self._inner._writer):
            stopped = connection.stop()
            if stopped is not None:
                await stopped
        if self._inner._lock is not None:
            os.close(self._inner._lock)
        shutil.rmtree(self.path.parent)


async def open_mortal(folder: Path) -> Store:
    """The store in *folder*."""
    store = await open_store(folder / "parley.db")
    assert isinstance(store.database, Sqlite)
    store.database = Mortal(store.database)
    return store
