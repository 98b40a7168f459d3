"""The audit table: who changed what about people and the gateway, in a chain of hashes that shows tampering."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from storage.database import Tx, scalar
from storage.meta import Meta

LAST = "SELECT hash FROM audit ORDER BY id DESC LIMIT 1"
ADD = """
INSERT INTO audit (session, at, actor, action, outcome, hash, previous)
VALUES (:session, :at, :actor, :action, :outcome, :hash, :previous)"""
ALL = "SELECT id, session, at, actor, action, outcome, hash, previous FROM audit ORDER BY id"
RECENT = """
SELECT id, session, at, actor, action, outcome FROM audit ORDER BY id DESC LIMIT :count"""
# As a word: telegram:12 is not in telegram:123.
NAMING = """
SELECT count(*) FROM audit WHERE EXISTS (
  SELECT 1 FROM json_each(:addresses) a
   WHERE actor = a.value OR instr(' ' || action || ' ', ' ' || a.value || ' ') > 0)"""
END = "audit"  # in meta: the hash of the last row, so that rows cut off at the end are missed too


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One entry. *actor* is channel:user id, or cli; *at* in microseconds UTC."""

    id: int
    session: int | None
    at: int
    actor: str
    action: str
    outcome: str


class Audit:
    """Rows of audit; none is ever changed or removed."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._meta = Meta(tx)

    async def add(
        self, *, at: int, actor: str, action: str, outcome: str, session: int | None = None
    ) -> None:
        """Note that *actor* did *action* (such as 'role discord:5 admin'), and what came of it."""
        row = await self._tx.one(LAST)
        previous = str(row[0]) if row is not None else ""
        hash = _hash(previous, session, at, actor, action, outcome)
        await self._tx.run(
            ADD,
            session=session,
            at=at,
            actor=actor,
            action=action,
            outcome=outcome,
            hash=hash,
            previous=previous,
        )
        await self._meta.put(END, hash)

    async def verify(self) -> int | None:
        """The id of the first row that does not follow from those before it; None when all do.

        0 when rows are missing at the end.
        """
        before = ""
        for id, session, at, actor, action, outcome, hash, previous in await self._tx.all(ALL):
            if previous != before or hash != _hash(previous, session, at, actor, action, outcome):
                return int(id)
            before = hash
        return None if (await self._meta.get(END) or "") == before else 0

    async def naming(self, addresses: Iterable[str]) -> int:
        """How many lines have one of these addresses in them, as who did it or whom it was done to."""
        found = await self._tx.one(NAMING, addresses=json.dumps(list(addresses)))
        return int(scalar(found))

    async def recent(self, count: int) -> list[Audited]:
        """The latest entries, newest first."""
        return [
            Audited(id=row[0], session=row[1], at=row[2], actor=row[3], action=row[4], outcome=row[5])
            for row in await self._tx.all(RECENT, count=count)
        ]


def _hash(previous: str, session: int | None, at: int, actor: str, action: str, outcome: str) -> str:
    # JSON keeps the fields apart: no two rows read the same.
    fields = json.dumps([previous, session, at, actor, action, outcome], ensure_ascii=True)
    return hashlib.sha256(fields.encode()).hexdigest()
