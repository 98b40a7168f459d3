"""The entry table: append-only transcripts."""

from __future__ import annotations

import json
from typing import Literal

from gateway.types import Entry, Json
from storage.database import Row, Tx, scalar

ADD = """
INSERT INTO entry (session, seq, turn, kind, body, created)
SELECT :session, s.next_seq, :turn, :kind, :body, :now FROM session s WHERE s.id = :session RETURNING seq"""
NEXT = "UPDATE session SET next_seq = next_seq + 1 WHERE id = :session"
ALL = (
    "SELECT seq, turn, kind, body, created FROM entry WHERE session = :session AND seq >= :since ORDER BY seq"
)
HAND_ON = "UPDATE entry SET turn = :new WHERE session = :session AND turn = :old"
OF_TURN = (
    "SELECT seq, turn, kind, body, created FROM entry WHERE session = :session AND turn = :turn ORDER BY seq"
)
LAST = """
SELECT seq, turn, kind, body, created FROM entry WHERE session = :session AND kind IN ('user', 'assistant')
 ORDER BY seq DESC LIMIT :count"""
SUMMARY = """
SELECT max(e.seq) FROM entry e WHERE e.session = :session AND e.kind = 'summary' AND NOT EXISTS (
       SELECT 1 FROM compaction c WHERE c.session = e.session AND c.entry_seq = e.seq AND c.state <> 'on')"""

Kind = Literal["user", "assistant", "results", "note", "summary", "mark"]


def entry(row: Row) -> Entry:
    return Entry(seq=row[0], turn=row[1], kind=row[2], body=json.loads(row[3]), created=row[4])


class Transcript:
    """Rows of entry."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(self, session: int, kind: Kind, body: Json, *, now: int, turn: int | None = None) -> int:
        """Append; gives its seq within the session."""
        row = await self._tx.one(
            ADD, session=session, turn=turn, kind=kind, body=json.dumps(body, ensure_ascii=False), now=now
        )
        seq = int(scalar(row))
        await self._tx.run(NEXT, session=session)
        return seq

    async def all(self, session: int, *, since: int = 0) -> list[Entry]:
        return [entry(row) for row in await self._tx.all(ALL, session=session, since=since)]

    async def live(self, session: int) -> list[Entry]:
        """What still bears on the next prompt: from what the latest summary that holds left standing."""
        row = await self._tx.one(SUMMARY, session=session)
        since = 0
        if row is not None and row[0] is not None:
            found = await self._tx.all(ALL, session=session, since=row[0])
            upto = json.loads(found[0][3]).get("upto")
            # One that makes no sense stands for nothing: then everything still counts.
            since = upto if isinstance(upto, int) and upto <= row[0] else 0
        return await self.all(session, since=since)

    async def hand_on(self, session: int, old: int, new: int) -> None:
        """What belonged to a turn is another's from now on, which goes on with it; what it says is not touched."""
        await self._tx.run(HAND_ON, session=session, old=old, new=new)

    async def of_turn(self, session: int, turn: int) -> list[Entry]:
        return [entry(row) for row in await self._tx.all(OF_TURN, session=session, turn=turn)]

    async def last(self, session: int, count: int) -> list[Entry]:
        """The last user and assistant entries, oldest first."""
        rows = await self._tx.all(LAST, session=session, count=count)
        return [entry(row) for row in reversed(rows)]
