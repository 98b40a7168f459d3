"""The asked table: questions that came with a whole history, found again by the hash of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from storage.database import Tx

ADD = """
INSERT INTO asked (event, session, seq, digest)
SELECT :event, id, next_seq, :digest FROM session WHERE id = :session"""
GET = "SELECT a.digest, s.code FROM asked a JOIN session s ON s.id = a.session WHERE a.event = :event"
TOLD = "UPDATE asked SET told = :told WHERE event = :event"
KNOWN = "SELECT DISTINCT digest FROM asked WHERE digest IN (SELECT value FROM json_each(:digests))"
FIND = """
SELECT a.event, a.session, a.told, i.state, t.id, t.state, a.seq FROM asked a JOIN session s ON s.id = a.session
  LEFT JOIN inbox i ON i.event_id = a.event AND i.account = :account
  LEFT JOIN turn t ON t.id = i.turn
 WHERE a.digest = :digest AND s.owner = :owner AND s.deleted IS NULL ORDER BY a.id DESC LIMIT :count"""
# Whether anything came after: an answer, a mark, a turn that runs, or a message that waits.
LATER = """
SELECT EXISTS (SELECT 1 FROM entry WHERE session = :session AND seq >= :upto AND kind IN ('assistant', 'mark'))
    OR EXISTS (SELECT 1 FROM turn WHERE session = :session AND state IN ('running', 'parked')
                                    AND (:turn IS NULL OR id <> :turn))
    OR EXISTS (SELECT 1 FROM inbox WHERE session = :session AND state IN ('waiting', 'taken')
                                     AND event_id <> :event)
    OR EXISTS (SELECT 1 FROM asked WHERE session = :session AND event <> :event
                                     AND event IN (SELECT value FROM json_each(:coming))
                                     AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.account = :account
                                                                           AND i.event_id = asked.event))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A question, and how far it has come. *inbox* and *turn_state* None: there is no such row (yet).

    *seq*: the transcript's next number when it was asked.
    """

    event: str
    session: int
    told: str | None
    inbox: str | None
    turn: int | None
    turn_state: str | None
    seq: int


class Asked:
    """Rows of asked."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(self, *, event: str, session: int, digest: str) -> None:
        """Each event once."""
        await self._tx.run(ADD, event=event, session=session, digest=digest)

    async def get(self, event: str) -> tuple[str, str] | None:
        """(digest, code of its session) of a question; None when it was never asked."""
        row = await self._tx.one(GET, event=event)
        return None if row is None else (row[0], row[1])

    async def told(self, event: str, told: str) -> None:
        """The answer has been sent; *told* is its digest."""
        await self._tx.run(TOLD, event=event, told=told)

    async def known(self, digests: Sequence[str]) -> set[str]:
        """Those with which anybody has asked."""
        rows = await self._tx.all(KNOWN, digests=json.dumps(list(digests)))
        return {row[0] for row in rows}

    async def find(self, digest: str, *, account: int, owner: int, count: int) -> list[Found]:
        """Questions with that history in the sessions of one person, the newest first."""
        rows = await self._tx.all(FIND, digest=digest, account=account, owner=owner, count=count)
        return [
            Found(
                event=row[0],
                session=row[1],
                told=row[2],
                inbox=row[3],
                turn=row[4],
                turn_state=row[5],
                seq=row[6],
            )
            for row in rows
        ]

    async def later(
        self,
        session: int,
        upto: int,
        *,
        turn: int | None,
        event: str,
        account: int,
        coming: Iterable[str],
    ) -> bool:
        """Whether anything was said in the session from entry *upto* on, other than that turn and event.

        *coming*: events that count although they are not in the *account*'s inbox yet.
        """
        row = await self._tx.one(
            LATER,
            session=session,
            upto=upto,
            turn=turn,
            event=event,
            account=account,
            coming=json.dumps(list(coming)),
        )
        assert row is not None
        return bool(row[0])
