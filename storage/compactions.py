"""The compaction table: what was put away of a transcript, how, and whether it was taken back; and when to try again."""

from __future__ import annotations

from gateway.types.compactions import Compaction
from storage.database import Row, Tx, scalar

COLUMNS = (
    "c.id, c.session, c.entry_seq, c.cause, c.method, c.to_seq, c.messages, c.before, c.after, c.requests, c.cost, "
    "c.model, c.focus, c.state, c.created, c.changed, "
    "CASE WHEN e.kind = 'summary' THEN coalesce(json_extract(e.body, '$.text'), '') ELSE '' END"
)
FROM = "FROM compaction c LEFT JOIN entry e ON e.session = c.session AND e.seq = c.entry_seq"
ADD = """
INSERT INTO compaction (session, entry_seq, cause, method, from_seq, to_seq, messages, before, after, requests, cost,
                        model, focus, usage_uid, created, changed)
VALUES (:session, :entry_seq, :cause, :method, :from_seq, :to_seq, :messages, :before, :after, :requests, :cost,
        :model, :focus, :usage_uid, :now, :now) RETURNING id"""
ALL = f"SELECT {COLUMNS} {FROM} WHERE c.session = :session ORDER BY c.id"
LATEST = f"SELECT {COLUMNS} {FROM} WHERE c.session = :session ORDER BY c.changed DESC, c.id DESC LIMIT 1"
# For a copy of a session, which may end before one was taken back; what it is made of was paid for there.
COPY = """
INSERT INTO compaction (session, entry_seq, cause, method, from_seq, to_seq, messages, before, after, requests, cost, model,
                        focus, state, created, changed)
SELECT :to, entry_seq, cause, method, from_seq, to_seq, messages, before, after, 0, 0, model, focus,
       CASE coalesce((SELECT json_extract(m.body, '$.op') FROM entry m
                       WHERE m.session = :to AND m.kind = 'mark' AND json_extract(m.body, '$.seq') = entry_seq
                         AND json_extract(m.body, '$.op') IN ('uncompact', 'recompact') ORDER BY m.seq DESC LIMIT 1), '')
            WHEN 'uncompact' THEN CASE state WHEN 'gone' THEN 'gone' ELSE 'off' END ELSE 'on' END, created, changed
  FROM compaction WHERE session = :session AND entry_seq IN (SELECT seq FROM entry WHERE session = :to) ORDER BY id"""
STATE = "UPDATE compaction SET state = :state, changed = :now WHERE id = :id"
GONE = "UPDATE compaction SET state = 'gone' WHERE session = :session AND state = 'off'"
FORGET = "UPDATE compaction SET focus = '' WHERE session = :session AND entry_seq = :seq"
PAUSE = "SELECT compact_vain, compact_from FROM session WHERE id = :session"
SET_PAUSE = "UPDATE session SET compact_vain = :vain, compact_from = :turn WHERE id = :session"


def compaction(row: Row) -> Compaction:
    return Compaction(
        id=row[0],
        session=row[1],
        entry_seq=row[2],
        cause=row[3],
        method=row[4],
        upto=row[5],
        messages=row[6],
        before=row[7],
        after=row[8],
        requests=row[9],
        cost=row[10],
        model=row[11],
        focus=row[12],
        state=row[13],
        created=row[14],
        changed=row[15],
        summary=row[16],
    )


class Compactions:
    """Rows of compaction; a session's pause between those that nobody asks for."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(
        self,
        session: int,
        *,
        entry_seq: int,
        cause: str,
        method: str,
        from_seq: int,
        upto: int,
        messages: int,
        before: int,
        after: int | None,
        requests: int,
        cost: int | None,
        model: str | None,
        focus: str,
        usage_uid: str | None,
        now: int,
    ) -> int:
        """*before* and *after* in tokens, *cost* in nano-dollars. Those that were taken back cannot come again now."""
        await self._tx.run(GONE, session=session)
        row = await self._tx.one(
            ADD,
            session=session,
            entry_seq=entry_seq,
            cause=cause,
            method=method,
            from_seq=from_seq,
            to_seq=upto,
            messages=messages,
            before=before,
            after=after,
            requests=requests,
            cost=cost,
            model=model,
            focus=focus,
            usage_uid=usage_uid,
            now=now,
        )
        return int(scalar(row))

    async def of(self, session: int) -> list[Compaction]:
        """Oldest first, also those that were taken back."""
        return [compaction(row) for row in await self._tx.all(ALL, session=session)]

    async def latest(self, session: int) -> Compaction | None:
        """The one that was made, taken back or put back last."""
        row = await self._tx.one(LATEST, session=session)
        return None if row is None else compaction(row)

    async def copy(self, session: int, to: int) -> None:
        """Those whose entries the session *to* was given."""
        await self._tx.run(COPY, session=session, to=to)

    async def set_state(self, id: int, state: str, *, now: int) -> None:
        await self._tx.run(STATE, id=id, state=state, now=now)

    async def forget(self, session: int, seq: int) -> None:
        """What its notes were to attend to."""
        await self._tx.run(FORGET, session=session, seq=seq)

    async def pause(self, session: int) -> tuple[int, int]:
        """(compactions one after another that made no room, the turn before which none is made unasked)."""
        row = await self._tx.one(PAUSE, session=session)
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    async def set_pause(self, session: int, *, vain: int, turn: int) -> None:
        await self._tx.run(SET_PAUSE, session=session, vain=vain, turn=turn)
