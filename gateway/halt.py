"""The emergency stop: while it holds, no request is made to any provider; what people write is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gateway.errors import ModelError, Refused, StoreError
from gateway.failpoints import Point

if TYPE_CHECKING:
    from storage import Store, Unit

KEY = "halted"  # in the meta table; '' or missing: not halted


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """*by* as channel:id, or cli; *at* in microseconds UTC."""

    by: str
    at: int
    why: str = ""


class Halt:
    """The switch; on disk, so that a restart changes nothing. *now* is None when all is well."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.now: Halted | None = None

    async def load(self) -> None:
        """What an earlier process, or the command line, has left."""
        self.now = read(await self._store.read(lambda unit: unit.meta.get(KEY)))

    async def pull(self, by: str, why: str, at: int) -> None:
        """From now on nothing is asked. Raises Refused when that is so already."""
        if self.now is not None:
            raise Refused(key="halt.already")
        halted = Halted(by=by, at=at, why=why)
        self.now = halted  # before the commit: nothing may slip through while it is being written
        try:
            await self._store.commit(Point.CONTROL, write, halted, by, at)
        except StoreError:
            # Not when we are cancelled: then the commit may still be made.
            self.now = None
            raise

    async def release(self, by: str, at: int) -> None:
        """Raises Refused when nothing is halted."""
        if self.now is None:
            raise Refused(key="halt.not_halted")
        await self._store.commit(Point.CONTROL, write, None, by, at)
        self.now = None

    def check(self) -> None:
        """Raises ModelError(kind='halted') while it holds; asked before each request's ledger row is opened."""
        if self.now is not None:
            raise ModelError("halted by the operator", kind="halted", sent=False)


def read(text: str | None) -> Halted | None:
    """The switch as it stands in the meta table."""
    if not text:
        return None
    body = json.loads(text)
    return Halted(by=str(body.get("by", "")), at=int(body.get("at", 0)), why=str(body.get("why", "")))


async def write(unit: Unit, halted: Halted | None, by: str, at: int) -> None:
    """Set or clear it, in one unit of work with its line in the audit trail."""
    await unit.meta.put(KEY, json.dumps({"v": 1, **asdict(halted)}) if halted else "")
    await unit.audit.add(at=at, actor=by, action="halt" if halted else "unhalt", outcome="done")
