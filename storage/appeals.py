"""The tables of questions that a budget refused, and of the messages under which it can be decided about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from gateway.types.json import Json
from storage.database import Row, Tx

Decision = Literal["allow", "raise"]

COLUMNS = "a.turn, a.scope, a.scope_id, a.period, a.facts, a.created, a.decision"
ADD = """
INSERT INTO appeal (turn, scope, scope_id, period, facts, created)
VALUES (:turn, :scope, :scope_id, :period, :facts, :now) ON CONFLICT (turn) DO NOTHING"""
GET = f"SELECT {COLUMNS} FROM appeal a WHERE a.turn = :turn"
OPEN = f"""
SELECT {COLUMNS} FROM appeal a WHERE a.decision IS NULL AND a.created > :since ORDER BY a.created DESC, a.turn DESC"""
LATEST = f"""
SELECT {COLUMNS} FROM appeal a JOIN turn t ON t.id = a.turn
 WHERE t.session = :session AND a.decision IS NULL AND a.created > :since ORDER BY a.turn DESC LIMIT 1"""
SETTLE = """
UPDATE appeal SET decision = :decision, actor = :actor, decided = :now WHERE turn = :turn AND decision IS NULL"""
ASK = """
UPDATE appeal SET asked = 1 WHERE turn = :turn AND NOT EXISTS (
  SELECT 1 FROM appeal o WHERE o.decision IS NULL AND o.created > :since AND o.asked = 1
     AND o.scope = appeal.scope AND o.scope_id = appeal.scope_id AND o.period = appeal.period)"""
NOTICE = """
INSERT INTO appeal_notice (turn, origin, lang, text) VALUES (:turn, :origin, :lang, :text)
ON CONFLICT (turn, origin) DO UPDATE SET text = excluded.text, lang = excluded.lang"""
NOTICES = "SELECT origin, lang, text FROM appeal_notice WHERE turn = :turn ORDER BY origin"
FORGET = "DELETE FROM appeal_notice WHERE turn = :turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """A row; *scope*, *scope_id* and *period* are those of the budget that was in the way."""

    turn: int
    scope: str
    scope_id: str
    period: str
    facts: Json
    created: int
    decision: Decision | None


def appeal(row: Row) -> Appeal:
    return Appeal(
        turn=row[0],
        scope=row[1],
        scope_id=row[2],
        period=row[3],
        facts=json.loads(row[4]),
        created=row[5],
        decision=row[6],
    )


class Appeals:
    """Rows of appeal and appeal_notice."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(self, turn: int, *, scope: str, scope_id: str, period: str, facts: Json, now: int) -> None:
        """Of a turn that is there already nothing is changed."""
        await self._tx.run(
            ADD, turn=turn, scope=scope, scope_id=scope_id, period=period, facts=json.dumps(facts), now=now
        )

    async def get(self, turn: int) -> Appeal | None:
        row = await self._tx.one(GET, turn=turn)
        return None if row is None else appeal(row)

    async def open(self, *, since: int) -> list[Appeal]:
        """Undecided ones that were made after *since*, newest first."""
        return [appeal(row) for row in await self._tx.all(OPEN, since=since)]

    async def latest(self, session: int, *, since: int) -> Appeal | None:
        """The last undecided one of a session that was made after *since*."""
        row = await self._tx.one(LATEST, session=session, since=since)
        return None if row is None else appeal(row)

    async def settle(self, turn: int, decision: Decision, *, actor: str, now: int) -> bool:
        """False when it was decided before."""
        return await self._tx.run(SETTLE, turn=turn, decision=decision, actor=actor, now=now) == 1

    async def ask(self, turn: int, *, since: int) -> bool:
        """Note that admins are told of it; False when they know of an open one of the same budget after *since*."""
        return await self._tx.run(ASK, turn=turn, since=since) == 1

    async def notice(self, turn: int, origin: str, *, lang: str, text: str) -> None:
        """The message of that outbox origin has the buttons under *text*."""
        await self._tx.run(NOTICE, turn=turn, origin=origin, lang=lang, text=text)

    async def notices(self, turn: int) -> list[tuple[str, str, str]]:
        """(origin, language, text) of every message with the buttons."""
        return [(row[0], row[1], row[2]) for row in await self._tx.all(NOTICES, turn=turn)]

    async def forget(self, turn: int) -> None:
        """Its notices' texts are needed no longer."""
        await self._tx.run(FORGET, turn=turn)
