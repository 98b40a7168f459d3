"""The outbox table: each chunk with its delivery state, committed before the call; and the buttons under them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from gateway.types.json import Json
from gateway.types.outbound import Button, Chunk, File, OutboxRow
from storage.database import Row, Tx, scalar

COLUMNS = (
    "id, origin, part, account, conversation, session, kind, payload, nonce, state, message_id, not_before, attempts, "
    "first_try"
)
PUT = f"""
INSERT INTO outbox (origin, part, account, conversation, session, kind, priority, payload, nonce, state, not_before,
                    first_try, created)
VALUES (:origin, :part, :account, :conversation, :session, :kind, :priority, :payload, :nonce, :state, :not_before,
        :first_try, :now)
ON CONFLICT (origin, part) DO UPDATE SET payload = excluded.payload WHERE outbox.state NOT IN ('sent', 'dead')
RETURNING {COLUMNS}"""
ADD = f"""
INSERT INTO outbox (origin, part, account, conversation, session, kind, priority, payload, nonce, state, not_before, created)
VALUES (:origin, :part, :account, :conversation, :session, :kind, :priority, :payload, :nonce, 'ready', :not_before, :now)
ON CONFLICT (origin, part) DO NOTHING RETURNING {COLUMNS}"""
OPEN = f"""
SELECT {COLUMNS} FROM outbox WHERE conversation = :conversation
   AND state IN ('ready', 'placing', 'placed', 'sending', 'unknown') AND payload IS NOT NULL ORDER BY id"""
OPEN_PLACES = """
SELECT DISTINCT conversation FROM outbox WHERE state IN ('ready', 'placing', 'placed', 'sending', 'unknown')"""
# What was given up, or forgotten, while it was on its way does not come to life again.
STATE = """
UPDATE outbox SET state = :state, first_try = coalesce(first_try, :now), attempts = attempts + :tried
 WHERE id = :id AND state NOT IN ('sent', 'dead') RETURNING payload"""
PLACED = f"""
UPDATE outbox SET state = 'placed', message_id = coalesce(:message_id, message_id)
 WHERE id = :id AND state NOT IN ('sent', 'dead') RETURNING {COLUMNS}"""
SENT = """
UPDATE outbox SET state = 'sent', message_id = coalesce(:message_id, message_id), payload = NULL, sent = :now WHERE id = :id"""
DEAD = "UPDATE outbox SET state = 'dead', error = :error WHERE id = :id"
PUT_OFF = """
UPDATE outbox SET not_before = :not_before, state = :state, error = :error
 WHERE id = :id AND state NOT IN ('sent', 'dead') RETURNING payload"""
NEVER_BEGUN = """
UPDATE outbox SET state = 'dead', payload = NULL, error = :error
 WHERE origin = :origin AND state = 'ready' AND attempts = 0"""
TAKE_BACK = f"""
UPDATE outbox SET payload = :payload, state = CASE WHEN state = 'sent' THEN 'placed' ELSE state END, not_before = 0
 WHERE origin = :origin AND state <> 'dead' AND (state <> 'sent' OR message_id IS NOT NULL) RETURNING {COLUMNS}"""
PAYLOAD = "UPDATE outbox SET payload = :payload WHERE id = :id AND state NOT IN ('sent', 'dead')"
OF_ORIGIN = f"SELECT {COLUMNS} FROM outbox WHERE origin = :origin ORDER BY part"
FATE = "SELECT state, error FROM outbox WHERE origin = :origin ORDER BY part"
DROP_PART = "UPDATE outbox SET state = 'dead', payload = NULL, error = :error WHERE origin = :origin AND state = 'ready'"
BUTTON_ADD = """
INSERT INTO button (token, action, args, conversation, for_person, expires)
VALUES (:token, :action, :args, :conversation, :for_person, :expires)"""
BUTTON_GET = "SELECT action, args, conversation, for_person, expires, used FROM button WHERE token = :token"
BUTTON_USE = "UPDATE button SET used = :row WHERE token = :token AND (used IS NULL OR used = :row)"
BUTTON_FREE = "UPDATE button SET used = NULL WHERE token = :token AND used = :row"
LEFT_OVER = """
SELECT t.id FROM outbox o JOIN turn t ON t.id = CAST(substr(o.origin, :length + 1) AS INTEGER)
 WHERE o.account = :account AND o.state <> 'dead' AND o.origin > :first AND o.origin < :last
   AND t.state NOT IN ('running', 'parked')"""
COUNTS = "SELECT state, count(*) FROM outbox GROUP BY state"


def payload(chunk: Chunk) -> str:
    """The chunk as stored."""
    return json.dumps(
        {
            "v": 1,
            "text": chunk.text,
            "extra": chunk.extra,
            "buttons": [[button.label, button.token] for button in chunk.buttons],
            **({"file": asdict(chunk.file)} if chunk.file else {}),
        },
        ensure_ascii=False,
    )


def chunk(text: str | None) -> Chunk:
    """The chunk of a stored payload; an emptied one has no text."""
    if text is None:
        return Chunk(text="")
    body = json.loads(text)
    buttons = tuple(Button(label=label, token=token) for label, token in body["buttons"])
    file = File(**body["file"]) if body.get("file") else None
    return Chunk(text=body["text"], extra=body["extra"], buttons=buttons, file=file)


def outbox_row(row: Row) -> OutboxRow:
    return OutboxRow(
        id=row[0],
        origin=row[1],
        part=row[2],
        account=row[3],
        conversation=row[4],
        session=row[5],
        kind=row[6],
        payload=chunk(row[7]),
        nonce=row[8],
        state=row[9],
        message_id=row[10],
        not_before=row[11],
        attempts=row[12],
        first_try=row[13],
    )


class Outbox:
    """Rows of outbox and button."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(
        self,
        *,
        origin: str,
        part: int,
        account: int,
        conversation: int,
        session: int | None,
        kind: Literal["answer", "notice", "job"],
        payload_: Chunk,
        nonce: str,
        now: int,
        not_before: int = 0,
        priority: int = 0,
    ) -> OutboxRow | None:
        """A chunk that is ready to go; None when that origin and part are there already."""
        row = await self._tx.one(
            ADD,
            origin=origin,
            part=part,
            account=account,
            conversation=conversation,
            session=session,
            kind=kind,
            priority=priority,
            payload=payload(payload_),
            nonce=nonce,
            not_before=not_before,
            now=now,
        )
        return None if row is None else outbox_row(row)

    async def put(
        self,
        *,
        origin: str,
        part: int,
        account: int,
        conversation: int,
        session: int | None,
        kind: Literal["answer", "notice", "job"],
        payload_: Chunk,
        nonce: str,
        state: str,
        now: int,
        priority: int = 0,
    ) -> OutboxRow:
        """The final text of a chunk; one that is on its way already keeps its state and its message id."""
        row = await self._tx.one(
            PUT,
            origin=origin,
            part=part,
            account=account,
            conversation=conversation,
            session=session,
            kind=kind,
            priority=priority,
            payload=payload(payload_),
            nonce=nonce,
            state=state,
            not_before=0,
            first_try=now if state != "ready" else None,
            now=now,
        )
        if row is None:
            row = await self._tx.one(
                f"SELECT {COLUMNS} FROM outbox WHERE origin = :origin AND part = :part",
                origin=origin,
                part=part,
            )
        assert row is not None
        return outbox_row(row)

    async def open(self, conversation: int) -> list[OutboxRow]:
        """What is still to be delivered there, in order."""
        return [outbox_row(row) for row in await self._tx.all(OPEN, conversation=conversation)]

    async def open_places(self) -> list[int]:
        return [row[0] for row in await self._tx.all(OPEN_PLACES)]

    async def of_origin(self, origin: str) -> list[OutboxRow]:
        return [outbox_row(row) for row in await self._tx.all(OF_ORIGIN, origin=origin)]

    async def begun(self, origin: str) -> int:
        """How many parts of it there are, up to the last one."""
        row = await self._tx.one(
            "SELECT coalesce(max(part) + 1, 0) FROM outbox WHERE origin = :origin", origin=origin
        )
        return int(scalar(row))

    async def fate(self, origin: str) -> list[tuple[str, str | None]]:
        """(state, error) of each part."""
        return [(row[0], row[1]) for row in await self._tx.all(FATE, origin=origin)]

    async def get(self, id: int) -> OutboxRow | None:
        row = await self._tx.one(f"SELECT {COLUMNS} FROM outbox WHERE id = :id", id=id)
        return None if row is None else outbox_row(row)

    async def state(self, id: int, state: str, *, now: int, tried: bool = True) -> Chunk | None:
        """Gives what is to be sent, as it stands by now; None: nothing any more."""
        row = await self._tx.one(STATE, id=id, state=state, now=now, tried=int(tried))
        return None if row is None or row[0] is None else chunk(row[0])

    async def placed(self, id: int, message_id: str) -> OutboxRow | None:
        """None when it was given up meanwhile."""
        row = await self._tx.one(PLACED, id=id, message_id=message_id)
        return None if row is None else outbox_row(row)

    async def arrived(
        self, id: int, shows: Chunk, *, now: int, message_id: str | None = None
    ) -> OutboxRow | None:
        """The message *shows* that; None: then it is done with, else the row, which wants another text by now."""
        found = await self.get(id)
        wanted = found is not None and found.state not in ("sent", "dead") and found.payload
        if wanted and wanted != chunk(payload(shows)):
            row = await self._tx.one(PLACED, id=id, message_id=message_id)
            return None if row is None else outbox_row(row)
        await self.sent(id, now=now, message_id=message_id)
        return None

    async def sent(self, id: int, *, now: int, message_id: str | None = None) -> None:
        await self._tx.run(SENT, id=id, message_id=message_id, now=now)

    async def dead(self, id: int, *, error: str) -> None:
        await self._tx.run(DEAD, id=id, error=error)

    async def put_off(self, id: int, *, not_before: int, state: str, error: str) -> Chunk | None:
        """As `state`."""
        row = await self._tx.one(PUT_OFF, id=id, not_before=not_before, state=state, error=error)
        return None if row is None or row[0] is None else chunk(row[0])

    async def take_back(self, origin: str, over: Chunk, *, error: str) -> list[OutboxRow]:
        """What of it nobody has begun to send is never sent; the rest wants to show *over*, and is given."""
        await self._tx.run(NEVER_BEGUN, origin=origin, error=error)
        return [
            outbox_row(row) for row in await self._tx.all(TAKE_BACK, origin=origin, payload=payload(over))
        ]

    async def repay(self, id: int, chunk: Chunk) -> None:
        """Another text for a chunk that is not sent yet."""
        await self._tx.run(PAYLOAD, id=id, payload=payload(chunk))

    async def drop(self, origin: str, *, error: str) -> int:
        """Never send what is still ready of that origin."""
        return await self._tx.run(DROP_PART, origin=origin, error=error)

    async def button(
        self,
        token: str,
        *,
        action: str,
        args: Json,
        conversation: int,
        for_person: int | None = None,
        expires: int | None = None,
    ) -> None:
        await self._tx.run(
            BUTTON_ADD,
            token=token,
            action=action,
            args=json.dumps(args),
            conversation=conversation,
            for_person=for_person,
            expires=expires,
        )

    async def pressed(self, token: str) -> tuple[str, Json, int, int | None, int | None, int | None] | None:
        """(action, args, conversation, for person, expires, used) of a button; None for an unknown token."""
        row = await self._tx.one(BUTTON_GET, token=token)
        return None if row is None else (row[0], json.loads(row[1]), row[2], row[3], row[4], row[5])

    async def use_button(self, token: str, *, row: int) -> bool:
        """True for exactly one press, the inbox row of that id; for that one also when it is taken up again."""
        return await self._tx.run(BUTTON_USE, token=token, row=row) == 1

    async def free_button(self, token: str, *, row: int) -> None:
        """That press has done nothing: another may."""
        await self._tx.run(BUTTON_FREE, token=token, row=row)

    async def left_over(self, account: int, prefix: str) -> list[int]:
        """The turns of notices of that origin whose turn has ended, and which are not taken back."""
        rows = await self._tx.all(
            LEFT_OVER, account=account, first=prefix, last=prefix + "\uffff", length=len(prefix)
        )
        return [row[0] for row in rows]

    async def counts(self) -> dict[str, int]:
        return {str(row[0]): int(row[1]) for row in await self._tx.all(COUNTS)}

    async def session_of(self, conversation: int, message_id: str) -> int | None:
        """The session a delivered message belongs to."""
        row = await self._tx.one(
            "SELECT session FROM outbox WHERE conversation = :conversation AND message_id = :message_id",
            conversation=conversation,
            message_id=message_id,
        )
        return None if row is None else row[0]

    async def ids(self) -> int:
        return int(scalar(await self._tx.one("SELECT coalesce(max(id), 0) FROM outbox")))
