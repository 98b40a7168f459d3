"""The approval table: what waits for a person's yes, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from gateway.types.json import Json
from storage.database import Row, Tx

ApprovalState = Literal["waiting", "approved", "done", "failed", "unknown", "denied", "expired"]

COLUMNS = """
SELECT id, token, turn, step, call_id, session, conversation, identity, tool, args, action, action_hash, lang, zone,
       state, expires, row, outcome, decided_by FROM approval"""
ADD = """
INSERT INTO approval (token, turn, step, call_id, session, conversation, identity, tool, args, action, action_hash, lang,
                      zone, state, created, expires)
VALUES (:token, :turn, :step, :call_id, :session, :conversation, :identity, :tool, :args, :action, :action_hash, :lang,
        :zone, 'waiting', :now, :expires)
ON CONFLICT DO NOTHING RETURNING id"""
GET = f"{COLUMNS} WHERE id = :id"
WAITING = f"{COLUMNS} WHERE conversation = :conversation AND state = 'waiting' AND expires > :now ORDER BY id"
TYPED = f"{COLUMNS} WHERE conversation = :conversation AND token = :token"
DECIDE = """
UPDATE approval SET state = :state, decided = :now, decided_by = :by, row = :row WHERE id = :id AND state = 'waiting'"""
IN_SESSION = f"{COLUMNS} WHERE session = :session AND state = 'waiting' ORDER BY id"
DENY = "UPDATE approval SET state = 'denied', decided = :now WHERE id = :id AND state = 'waiting'"
END = """
UPDATE approval SET state = :state, outcome = :outcome, ended = :now WHERE id = :id AND state = 'approved'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A call of a tool that waits for a yes. *row*: the inbox row that decided; *outcome*: what the tool gave; *decided_by*:
    the identity that did."""

    id: int
    token: str
    turn: int
    step: int
    call_id: str
    session: int
    conversation: int
    identity: int | None
    tool: str
    args: Json
    action: str
    action_hash: str
    lang: str
    zone: str
    state: ApprovalState
    expires: int
    row: int | None = None
    outcome: str | None = None
    decided_by: int | None = None


def approval(row: Row) -> Approval:
    return Approval(
        id=row[0],
        token=row[1],
        turn=row[2],
        step=row[3],
        call_id=row[4],
        session=row[5],
        conversation=row[6],
        identity=row[7],
        tool=row[8],
        args=json.loads(row[9]),
        action=row[10],
        action_hash=row[11],
        lang=row[12],
        zone=row[13],
        state=row[14],
        expires=row[15],
        row=row[16],
        outcome=row[17],
        decided_by=row[18],
    )


class Approvals:
    """Rows of approval."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(
        self,
        *,
        token: str,
        turn: int,
        step: int,
        call_id: str,
        session: int,
        conversation: int,
        identity: int | None,
        tool: str,
        args: Json,
        action: str,
        action_hash: str,
        lang: str,
        zone: str,
        now: int,
        expires: int,
    ) -> int | None:
        """Its number; None when that call has one already, or that token is taken."""
        row = await self._tx.one(
            ADD,
            token=token,
            turn=turn,
            step=step,
            call_id=call_id,
            session=session,
            conversation=conversation,
            identity=identity,
            tool=tool,
            args=json.dumps(args),
            action=action,
            action_hash=action_hash,
            lang=lang,
            zone=zone,
            now=now,
            expires=expires,
        )
        return None if row is None else int(row[0])

    async def get(self, id: int) -> Approval | None:
        row = await self._tx.one(GET, id=id)
        return None if row is None else approval(row)

    async def typed(self, conversation: int, token: str) -> Approval | None:
        """The one that was shown there under that token, whatever its state."""
        row = await self._tx.one(TYPED, conversation=conversation, token=token)
        return None if row is None else approval(row)

    async def waiting(self, conversation: int, *, now: int) -> list[Approval]:
        """Oldest first."""
        return [approval(row) for row in await self._tx.all(WAITING, conversation=conversation, now=now)]

    async def decide(self, id: int, state: ApprovalState, *, by: int | None, row: int, now: int) -> bool:
        """False when it had been decided before; nothing is changed then."""
        return await self._tx.run(DECIDE, id=id, state=state, by=by, row=row, now=now) == 1

    async def count(self, session: int) -> int:
        """How many were ever asked for there."""
        row = await self._tx.one("SELECT count(*) FROM approval WHERE session = :session", session=session)
        return 0 if row is None else int(row[0])

    async def in_session(self, session: int) -> list[Approval]:
        """Those that wait there, oldest first, whether they have expired or not."""
        return [approval(row) for row in await self._tx.all(IN_SESSION, session=session)]

    async def deny(self, id: int, *, now: int) -> bool:
        """A no that came by no message; False when it had been decided before."""
        return await self._tx.run(DENY, id=id, now=now) == 1

    async def end(self, id: int, state: ApprovalState, *, outcome: str, now: int) -> bool:
        """What came of one that was approved; False when that is known already."""
        return await self._tx.run(END, id=id, state=state, outcome=outcome, now=now) == 1
