"""The entry table: append-only transcripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from gateway.types.json import Json
from gateway.types.turns import Entry
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
# The newest that was not taken back, or was put back again.
SUMMARY = """
SELECT max(e.seq) FROM entry e WHERE e.session = :session AND e.kind = 'summary' AND coalesce((
       SELECT json_extract(m.body, '$.op') FROM entry m
        WHERE m.session = e.session AND m.kind = 'mark' AND m.seq > e.seq AND json_extract(m.body, '$.seq') = e.seq
          AND json_extract(m.body, '$.op') IN ('uncompact', 'recompact') ORDER BY m.seq DESC LIMIT 1), '') <> 'uncompact'"""
# What was taken back from before *upto* on, or brought back, after it: then nothing can be left out.
TURNED_BACK = """
SELECT 1 FROM entry WHERE session = :session AND seq >= :upto AND kind = 'mark' AND (
       json_extract(body, '$.op') = 'redo' OR (json_extract(body, '$.op') = 'rewind' AND json_extract(body, '$.seq') < :upto))"""
COPY = """
INSERT INTO entry (session, seq, turn, kind, body, created)
SELECT :to, seq, turn, kind, body, created FROM entry
 WHERE session = :session AND seq IN (SELECT value FROM json_each(:seqs)) ORDER BY seq"""
NEXT_IS = """
UPDATE session SET next_seq = :next, message_count = (SELECT count(*) FROM entry WHERE session = :to AND kind = 'user')
 WHERE id = :to"""
AT = "SELECT seq, turn, kind, body, created FROM entry WHERE session = :session AND seq = :seq"
PUT = """
INSERT INTO entry (session, seq, turn, kind, body, created) VALUES (:session, :seq, :turn, :kind, :body, :created)"""
REDACT = "UPDATE entry SET kind = :kind, body = :body WHERE session = :session AND seq = :seq"
PURGE = """
DELETE FROM entry WHERE session = :session
   AND seq IN (SELECT seq FROM entry WHERE session = :session ORDER BY seq LIMIT :count) RETURNING kind"""

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
            body = json.loads(found[0][3])
            upto, text = body.get("upto"), body.get("text")
            # One that makes no sense stands for nothing: then everything still counts.
            if isinstance(upto, int) and upto <= row[0] and isinstance(text, str) and text.strip("\0 \n\t"):
                since = upto
        if since and await self._tx.one(TURNED_BACK, session=session, upto=since) is not None:
            since = 0
        return await self.all(session, since=since)

    async def hand_on(self, session: int, old: int, new: int) -> None:
        """What belonged to a turn is another's from now on, which goes on with it; what it says is not touched."""
        await self._tx.run(HAND_ON, session=session, old=old, new=new)

    async def of_turn(self, session: int, turn: int) -> list[Entry]:
        return [entry(row) for row in await self._tx.all(OF_TURN, session=session, turn=turn)]

    async def at(self, session: int, seq: int) -> Entry | None:
        row = await self._tx.one(AT, session=session, seq=seq)
        return None if row is None else entry(row)

    async def copy(self, session: int, to: int, seqs: Sequence[int], *, next_seq: int) -> None:
        """Give the session *to* these entries, under their own numbers; it goes on with *next_seq*."""
        await self._tx.run(COPY, session=session, to=to, seqs=str(list(seqs)))
        await self._tx.run(NEXT_IS, to=to, next=next_seq)

    async def put(self, session: int, entries: Sequence[Entry], *, next_seq: int) -> None:
        """Entries from elsewhere, under their own numbers. Their turns were not run here, so they count below 0."""
        for each in entries:
            await self._tx.run(
                PUT,
                session=session,
                seq=each.seq,
                turn=None if each.turn is None else -1 - each.turn,
                kind=each.kind,
                body=json.dumps(each.body, ensure_ascii=False),
                created=each.created,
            )
        await self._tx.run(NEXT_IS, to=session, next=next_seq)

    async def redact(self, session: int, seq: int, kind: Kind, body: Json) -> None:
        """Write over what was said: only where a person has a right to be forgotten."""
        await self._tx.run(
            REDACT, session=session, seq=seq, kind=kind, body=json.dumps(body, ensure_ascii=False)
        )

    async def purge(self, session: int, *, count: int) -> list[str]:
        """Delete the first *count* entries; gives the kind of each."""
        return [str(row[0]) for row in await self._tx.all(PURGE, session=session, count=count)]

    async def last(self, session: int, count: int) -> list[Entry]:
        """The last user and assistant entries, oldest first."""
        rows = await self._tx.all(LAST, session=session, count=count)
        return [entry(row) for row in reversed(rows)]
