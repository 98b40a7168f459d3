"""The inbox table: what came in, on disk before anybody is told so; each event once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from gateway.types.inbound import Inbound, Kind, Lane, Waiting
from gateway.types.json import Json
from storage.database import Row, Tx, scalar

COLUMNS = (
    "id, account, event_id, kind, lane, conversation, identity, session, message_id, reply_to, trigger, job_run, "
    "body, received, sent, state, turn, attempts"
)
ADD = """
INSERT INTO inbox (account, event_id, kind, lane, conversation, identity, session, message_id, reply_to, album,
                   trigger, job_run, raw, body, received, sent, not_before, state, error)
VALUES (:account, :event_id, :kind, :lane, :conversation, :identity, :session, :message_id, :reply_to, :album,
        :trigger, :job_run, :raw, :body, :received, :sent, :not_before, :state, :error)
ON CONFLICT (account, event_id) DO NOTHING RETURNING id"""
HEAD = f"""
SELECT {COLUMNS}, not_before FROM inbox
 WHERE conversation = :conversation AND state = 'waiting' AND lane = 'turn' ORDER BY id LIMIT :count"""
GET = f"SELECT {COLUMNS} FROM inbox WHERE id = :id"
OF_TURN = f"SELECT {COLUMNS} FROM inbox WHERE turn = :turn ORDER BY id"
WAITING_PLACES = """
SELECT DISTINCT conversation FROM inbox WHERE state = 'waiting' AND lane = 'turn'"""
# The rest of an album, of forwarded messages or of a long text may still come: those before it wait with it.
GATHER = """
UPDATE inbox SET not_before = min(:until, received + :most) WHERE conversation = :conversation AND state = 'waiting'
   AND not_before > :now AND lane = 'turn'"""
GATHERED = """
UPDATE inbox SET not_before = 0 WHERE conversation = :conversation AND state = 'waiting' AND not_before > :now
   AND lane = 'turn'"""
OVERHEARD = """
SELECT id, body FROM inbox WHERE conversation = :conversation AND state = 'overheard' AND id < :before
 ORDER BY id DESC LIMIT :count"""
FORGET_OVERHEARD = """
UPDATE inbox SET state = 'done', body = '{"v":1}', raw = NULL WHERE conversation = :conversation AND state = 'overheard'
   AND id NOT IN (SELECT id FROM inbox WHERE conversation = :conversation AND state = 'overheard' ORDER BY id DESC LIMIT :keep)"""
STEERING = f"""
SELECT {COLUMNS} FROM inbox WHERE conversation = :conversation AND state = 'waiting' AND lane = 'turn'
   AND json_extract(body, '$.steer') = :turn ORDER BY id"""
TAKE = "UPDATE inbox SET state = 'taken', turn = :turn, attempts = attempts + 1 WHERE id = :id AND state = 'waiting'"
# Raw platform JSON and refused content do not outlive their use; the ids stay, so a repeat stays a repeat.
SETTLE = "UPDATE inbox SET state = :state, raw = NULL, error = :error WHERE id = :id"
SETTLE_TURN = "UPDATE inbox SET state = :state, raw = NULL WHERE turn = :turn AND state = 'taken'"
FORGET = """
UPDATE inbox SET state = 'refused', raw = NULL, body = '{"v":1}', error = :error WHERE id = :id"""
PUT_BACK = """
UPDATE inbox SET state = 'waiting', turn = NULL, session = :session, not_before = :not_before WHERE turn = :turn
   AND state = 'taken'"""
LOOSEN = "UPDATE inbox SET state = 'waiting' WHERE state = 'taken' AND turn IS NULL"
HELD = "SELECT count(*), min(received), max(received) FROM inbox WHERE conversation = :conversation AND state = 'held'"
RELEASE_HELD = "UPDATE inbox SET state = 'waiting' WHERE conversation = :conversation AND state = 'held'"
DROP_HELD = """
UPDATE inbox SET state = 'refused', raw = NULL, body = '{"v":1}', error = 'dropped by the person'
 WHERE conversation = :conversation AND state = 'held'"""
HOLD_OLD = """
UPDATE inbox SET state = 'held' WHERE state = 'waiting' AND lane = 'turn' AND kind = 'message' AND trigger IS NULL
   AND coalesce(sent, received) < :before AND account IN
       (SELECT id FROM account WHERE channel NOT IN ('main', 'job')) RETURNING conversation"""
REPLACE_TEXT = """
UPDATE inbox SET body = json_set(body, '$.text', :text) WHERE conversation = :conversation
   AND message_id = :message_id AND state IN ('waiting', 'held') AND kind = 'message' AND message_id <> ''"""
SAID = """
SELECT json_extract(body, '$.text') FROM inbox WHERE conversation = :conversation AND message_id = :message_id
   AND message_id <> '' AND kind IN ('message', 'edit') AND state IN ('taken', 'done') ORDER BY id DESC LIMIT 1"""
COLLECTING = "UPDATE inbox SET attempts = attempts + 1 WHERE id = :id"
COLLECTED = """
UPDATE inbox SET body = json_set(json_remove(body, '$.attachments'), '$.files', json(:files)) WHERE id = :id"""
REPLACE_FILES = """
UPDATE inbox SET body = json_set(body, '$.attachments', json(:attachments)) WHERE conversation = :conversation
   AND message_id = :message_id AND state IN ('waiting', 'held') AND kind = 'message' AND message_id <> ''"""
HELD_PLACES = "SELECT conversation, max(id) FROM inbox WHERE state = 'held' GROUP BY conversation"
ID_OF = "SELECT id FROM inbox WHERE account = :account AND event_id = :event_id"
BY_EVENT = "SELECT state, turn FROM inbox WHERE account = :account AND event_id = :event_id"
# Of who wrote last among those who wait for an answer; what the person chose goes before what the platform says.
WRITER = """
SELECT {column} FROM inbox x JOIN identity i ON i.id = x.identity
  LEFT JOIN person p ON p.id = i.person
 WHERE x.conversation = :conversation AND x.state = '{state}' ORDER BY x.id DESC LIMIT 1"""
LANGUAGES = {
    state: WRITER.format(column="coalesce(nullif(p.lang, ''), i.lang)", state=state)
    for state in ("waiting", "held")
}  # literals: partial indexes
ZONE_HELD = WRITER.format(column="coalesce(p.zone, '')", state="held")
TOTAL_WAITING = "SELECT count(*) FROM inbox WHERE state = 'waiting'"
OPEN_CONTROL = f"SELECT {COLUMNS} FROM inbox WHERE state = 'waiting' AND lane = 'control' ORDER BY id"
# Bounded: whoever floods must not make the count dear. LIMIT ends it at what matters.
RECENT = """
SELECT count(*) FROM (SELECT 1 FROM inbox WHERE identity = :identity AND received > :since
   AND coalesce(sent, received) > :sent AND (NOT :urgent OR kind IN ('command', 'button')) LIMIT :most)"""
CROWD = """
SELECT count(*) FROM (SELECT 1 FROM inbox WHERE conversation = :conversation AND state = 'waiting' LIMIT :most)"""
FLOODED = """
SELECT 1 FROM inbox WHERE identity = :identity AND received > :since AND state = 'refused' AND error LIKE 'flood: %'
 ORDER BY received DESC LIMIT 1"""
WRITER = """
SELECT i.channel, i.user_id FROM inbox x JOIN identity i ON i.id = x.identity JOIN conversation c ON c.id = x.conversation
 WHERE c.account = :account AND c.chat_id = :chat_id AND x.message_id = :message_id AND x.kind IN ('message', 'command')
 ORDER BY x.id LIMIT 1"""
# What is unfinished goes before what waits.
SCHEDULED = """
SELECT coalesce((SELECT job_run IS NOT NULL FROM turn
                  WHERE conversation = :conversation AND state IN ('running', 'parked') ORDER BY id LIMIT 1),
                (SELECT job_run IS NOT NULL FROM inbox
                  WHERE conversation = :conversation AND state = 'waiting' AND lane = 'turn' ORDER BY id LIMIT 1), 0)"""
DROP_WAITING = """
UPDATE inbox SET state = 'refused', raw = NULL, error = 'stopped' WHERE conversation = :conversation
   AND state = 'waiting' AND lane = 'turn'"""


def waiting(row: Row) -> Waiting:
    return Waiting(
        id=row[0],
        account=row[1],
        event_id=row[2],
        kind=Kind(row[3]),
        lane=Lane(row[4]),
        conversation=row[5],
        identity=row[6],
        session=row[7],
        message_id=row[8],
        reply_to=row[9],
        trigger=row[10],
        job_run=row[11],
        body=json.loads(row[12]),
        received=row[13],
        sent=row[14],
        state=row[15],
        turn=row[16],
        attempts=row[17],
    )


class Inbox:
    """Rows of inbox."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(
        self,
        event: Inbound,
        *,
        account: int,
        lane: Lane,
        state: str,
        received: int,
        body: Json,
        conversation: int | None,
        identity: int | None,
        error: str | None = None,
        not_before: int = 0,
        session: int | None = None,
    ) -> int | None:
        """Its id, or None when this event was here before."""
        row = await self._tx.one(
            ADD,
            account=account,
            event_id=event.event_id,
            kind=event.kind.value,
            lane=lane.value,
            conversation=conversation,
            identity=identity,
            session=session,
            message_id=event.message_id,
            reply_to=event.reply_to,
            album=event.album,
            trigger=event.trigger,
            job_run=event.job_run,
            raw=(event.raw or None) if state not in ("refused", "overheard", "done") else None,
            body=json.dumps(body, ensure_ascii=False),
            received=received,
            sent=event.sent,
            not_before=not_before,
            state=state,
            error=error,
        )
        return None if row is None else int(row[0])

    async def get(self, id: int) -> Waiting | None:
        row = await self._tx.one(GET, id=id)
        return None if row is None else waiting(row)

    async def head(self, conversation: int, *, now: int, count: int) -> list[Waiting]:
        """The first waiting rows of a conversation, in order of arrival, up to one that is not due yet."""
        found: list[Waiting] = []
        for row in await self._tx.all(HEAD, conversation=conversation, count=count):
            if row[-1] > now:
                break
            found.append(waiting(row))
        return found

    async def due(self, conversation: int, *, now: int) -> int | None:
        """When the first waiting row there may be taken; None when none waits for its time."""
        rows = await self._tx.all(HEAD, conversation=conversation, count=1)
        return int(rows[0][-1]) if rows and rows[0][-1] > now else None

    async def gather(self, conversation: int, *, now: int, until: int, most: int) -> None:
        """Let those that wait for their rest wait on until *until*, for *most* microseconds in all."""
        await self._tx.run(GATHER, conversation=conversation, now=now, until=until, most=most)

    async def gathered(self, conversation: int, *, now: int) -> None:
        """What waits for its rest waits no longer."""
        await self._tx.run(GATHERED, conversation=conversation, now=now)

    async def overheard(self, conversation: int, *, before: int, count: int) -> list[Json]:
        """Bodies of the last messages there that were not meant for us, oldest first; before row *before*."""
        rows = await self._tx.all(OVERHEARD, conversation=conversation, before=before, count=count)
        return [json.loads(row[1]) for row in reversed(rows)]

    async def forget_overheard(self, conversation: int, *, keep: int) -> None:
        """Of what was not meant for us no more than the last *keep* messages are kept."""
        await self._tx.run(FORGET_OVERHEARD, conversation=conversation, keep=keep)

    async def steering(self, conversation: int, turn: int) -> list[Waiting]:
        """What the running turn is to take in."""
        return [waiting(row) for row in await self._tx.all(STEERING, conversation=conversation, turn=turn)]

    async def of_turn(self, turn: int) -> list[Waiting]:
        return [waiting(row) for row in await self._tx.all(OF_TURN, turn=turn)]

    async def open_control(self) -> list[Waiting]:
        return [waiting(row) for row in await self._tx.all(OPEN_CONTROL)]

    async def waiting_places(self) -> list[int]:
        """Conversations that have something to do, now or soon."""
        return [row[0] for row in await self._tx.all(WAITING_PLACES)]

    async def take(self, id: int, turn: int | None) -> bool:
        return await self._tx.run(TAKE, id=id, turn=turn) == 1

    async def settle(self, id: int, state: str, *, error: str | None = None) -> None:
        await self._tx.run(SETTLE, id=id, state=state, error=error)

    async def settle_turn(self, turn: int, state: str) -> None:
        await self._tx.run(SETTLE_TURN, turn=turn, state=state)

    async def forget(self, id: int, *, error: str) -> None:
        """Refuse: ids stay, content goes."""
        await self._tx.run(FORGET, id=id, error=error)

    async def put_back(self, turn: int, *, session: int | None, not_before: int = 0) -> None:
        """Let the rows of a turn wait again, for *session* if given."""
        await self._tx.run(PUT_BACK, turn=turn, session=session, not_before=not_before)

    async def loosen(self) -> int:
        """Let commands that were being carried out when the process died wait again."""
        return await self._tx.run(LOOSEN)

    async def replace_text(self, conversation: int, message_id: str, text: str) -> bool:
        """An edit of a message whose turn has not begun; False when it is too late."""
        changed = await self._tx.run(
            REPLACE_TEXT, conversation=conversation, message_id=message_id, text=text
        )
        return changed > 0

    async def replace_files(self, conversation: int, message_id: str, attachments: list[Json]) -> None:
        """Other files for a message whose turn has not begun."""
        await self._tx.run(
            REPLACE_FILES,
            conversation=conversation,
            message_id=message_id,
            attachments=json.dumps(attachments, ensure_ascii=False),
        )

    async def said(self, conversation: int, message_id: str) -> str | None:
        """What a message whose turn has begun says, with its last edit; None when it is not known."""
        row = await self._tx.one(SAID, conversation=conversation, message_id=message_id)
        return None if row is None else str(row[0] or "")

    async def collecting(self, id: int) -> None:
        """Its files are about to be fetched: one more attempt at it."""
        await self._tx.run(COLLECTING, id=id)

    async def collected(self, id: int, files: list[Json]) -> None:
        """What became of the files that came with it."""
        await self._tx.run(COLLECTED, id=id, files=json.dumps(files, ensure_ascii=False))

    async def held_places(self) -> list[tuple[int, int]]:
        """(conversation, id of its last held row)."""
        return [(row[0], row[1]) for row in await self._tx.all(HELD_PLACES)]

    async def held(self, conversation: int) -> tuple[int, int, int]:
        """How many are held, and when the first and the last were received."""
        row = await self._tx.one(HELD, conversation=conversation)
        assert row is not None
        return row[0], row[1] or 0, row[2] or 0

    async def release_held(self, conversation: int) -> int:
        return await self._tx.run(RELEASE_HELD, conversation=conversation)

    async def drop_held(self, conversation: int) -> int:
        return await self._tx.run(DROP_HELD, conversation=conversation)

    async def scheduled(self, conversation: int) -> bool:
        """Whether the next turn there is a job's."""
        return bool(scalar(await self._tx.one(SCHEDULED, conversation=conversation)))

    async def drop_waiting(self, conversation: int) -> int:
        return await self._tx.run(DROP_WAITING, conversation=conversation)

    async def hold_old(self, *, before: int) -> list[int]:
        """Hold people's messages older than *before*; gives the conversations."""
        return sorted({row[0] for row in await self._tx.all(HOLD_OLD, before=before)})

    async def by_event(self, account: int, event_id: str) -> tuple[str, int | None] | None:
        """(state, turn) of an event; None when it was never here."""
        row = await self._tx.one(BY_EVENT, account=account, event_id=event_id)
        return None if row is None else (row[0], row[1])

    async def id_of(self, account: int, event_id: str) -> int | None:
        """The row of an event; None when it was never here."""
        row = await self._tx.one(ID_OF, account=account, event_id=event_id)
        return None if row is None else int(row[0])

    async def events(self, rows: Iterable[int]) -> list[str]:
        """The ids that the events of these rows came with."""
        sql = "SELECT event_id FROM inbox WHERE id = :id"
        return [str(found[0]) for id in rows if (found := await self._tx.one(sql, id=id)) is not None]

    async def language(self, conversation: int, state: Literal["waiting", "held"]) -> str:
        """Of the last person with a row in that state there, as a BCP 47 tag; '' when it is not known."""
        row = await self._tx.one(LANGUAGES[state], conversation=conversation)
        return "" if row is None else str(row[0])

    async def zone_of_held(self, conversation: int) -> str:
        """Of the last person with a held row there, as an IANA name; '' when they chose none."""
        row = await self._tx.one(ZONE_HELD, conversation=conversation)
        return "" if row is None else str(row[0])

    async def recent(self, identity: int, *, since: int, sent: int, most: int, urgent: bool = False) -> int:
        """How much of that person came after *since* and was sent after *sent*; counted up to *most*.

        *urgent*: commands and buttons alone.
        """
        row = await self._tx.one(
            RECENT, identity=identity, since=since, sent=sent, urgent=int(urgent), most=most
        )
        return int(scalar(row))

    async def crowd(self, conversation: int, *, most: int) -> int:
        """How much waits in a chat, counted up to *most*."""
        return int(scalar(await self._tx.one(CROWD, conversation=conversation, most=most)))

    async def flooded(self, identity: int, *, since: int) -> bool:
        """Whether that person sent too much after *since*."""
        return await self._tx.one(FLOODED, identity=identity, since=since) is not None

    async def writer(self, account: int, chat_id: str, message_id: str) -> tuple[str, str] | None:
        """(channel, user id) of whoever wrote a message in that chat; None when we did, or never saw it."""
        row = await self._tx.one(WRITER, account=account, chat_id=chat_id, message_id=message_id)
        return None if row is None else (row[0], row[1])

    async def total_waiting(self) -> int:
        return int(scalar(await self._tx.one(TOTAL_WAITING)))
