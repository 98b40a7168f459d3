"""The session table."""

from __future__ import annotations

import json

from gateway.types import CloseReason, Json, Session
from storage.database import Row, Tx, scalar

COLUMNS = (
    "id, code, conversation, owner, state, close_reason, origin, parent, triggered_by, title, summary, "
    "system_prompt, model, message_count, next_seq, next_turn, unread, created, last_person, last_active, closed, "
    "settings"
)
GET = f"SELECT {COLUMNS} FROM session WHERE id = :id"
BY_CODE = f"SELECT {COLUMNS} FROM session WHERE code = :code"
ADD = f"""
INSERT INTO session (code, conversation, owner, origin, parent, triggered_by, title, model, unread, created, last_active)
VALUES (:code, :conversation, :owner, :origin, :parent, :triggered_by, :title, :model, :unread, :now, :now)
RETURNING {COLUMNS}"""
CLOSE = """
UPDATE session SET state = 'closed', close_reason = :reason, closed = :now, summary = coalesce(:summary, summary)
 WHERE id = :id AND state = 'open'"""
REOPEN = (
    "UPDATE session SET state = 'open', close_reason = NULL, closed = NULL, last_active = :now WHERE id = :id"
)
COUNT = """
UPDATE session SET message_count = message_count + :messages, next_seq = next_seq + :entries,
       next_turn = next_turn + :turns, last_active = max(last_active, :now),
       last_person = CASE WHEN :person IS NULL THEN last_person ELSE max(coalesce(last_person, 0), :person) END
 WHERE id = :id"""
TITLE = "UPDATE session SET title = :title WHERE id = :id AND title IS NULL"
UNREAD = "UPDATE session SET unread = :unread WHERE id = :id"
SETTINGS = "UPDATE session SET settings = :settings WHERE id = :id"
# A range, so that the index of codes serves; '~' is behind every letter.
BY_PREFIX = f"""
SELECT {COLUMNS} FROM session WHERE code >= :prefix AND code < :prefix || '~' AND deleted IS NULL
   AND (:conversation IS NULL OR conversation = :conversation) ORDER BY last_active DESC, id DESC LIMIT :count"""
MODEL = "UPDATE session SET model = :model WHERE id = :id"
RECENT = f"""
SELECT {COLUMNS} FROM session WHERE deleted IS NULL AND archived IS NULL
   AND (:conversation IS NULL OR conversation = :conversation)
   AND (:owner IS NULL OR owner = :owner)
   AND (:channel IS NULL OR conversation IN (SELECT c.id FROM conversation c JOIN account a ON a.id = c.account
                                              WHERE a.channel = :channel))
 ORDER BY last_active DESC, id DESC LIMIT :count OFFSET :skip"""
PREVIOUS = f"""
SELECT {COLUMNS} FROM session
 WHERE conversation = :conversation AND id <> :but AND state = 'closed' AND message_count > 0 AND deleted IS NULL
   AND triggered_by IS NULL
 ORDER BY last_active DESC, id DESC LIMIT 1"""
# A conversation's own gap (minutes, or 'never') goes before that of its account; threads have none.
IDLE = """
SELECT s.id, s.conversation FROM session s JOIN conversation c ON c.current_session = s.id
 WHERE s.state = 'open' AND c.account = :account AND c.kind <> 'thread' AND c.owner IS NULL
   AND coalesce(json_extract(c.settings, '$.gap'), :gap) IS NOT NULL
   AND coalesce(json_extract(c.settings, '$.gap'), :gap) <> 'never'
   AND coalesce(s.last_person, s.created) + coalesce(json_extract(c.settings, '$.gap'), :gap) * 60000000 <= :now
   AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.conversation = c.id AND i.state IN ('waiting', 'taken'))
 LIMIT 200"""
TOLD = "UPDATE session SET reset_told = :now WHERE id = :id AND reset_told IS NULL"


def session(row: Row) -> Session:
    return Session(
        id=row[0],
        code=row[1],
        conversation=row[2],
        owner=row[3],
        state=row[4],
        close_reason=row[5],
        origin=row[6],
        parent=row[7],
        triggered_by=row[8],
        title=row[9],
        summary=row[10],
        system_prompt=row[11],
        model=row[12],
        message_count=row[13],
        next_seq=row[14],
        next_turn=row[15],
        unread=bool(row[16]),
        created=row[17],
        last_person=row[18],
        last_active=row[19],
        closed=row[20],
        settings=json.loads(row[21]),
    )


class Sessions:
    """Rows of session."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def get(self, id: int) -> Session | None:
        row = await self._tx.one(GET, id=id)
        return None if row is None else session(row)

    async def by_code(self, code: str) -> Session | None:
        row = await self._tx.one(BY_CODE, code=code)
        return None if row is None else session(row)

    async def add(
        self,
        *,
        code: str,
        conversation: int,
        now: int,
        owner: int | None = None,
        origin: str = "new",
        parent: int | None = None,
        triggered_by: str | None = None,
        title: str | None = None,
        model: str | None = None,
        unread: bool = False,
    ) -> Session:
        row = await self._tx.one(
            ADD,
            code=code,
            conversation=conversation,
            owner=owner,
            origin=origin,
            parent=parent,
            triggered_by=triggered_by,
            title=title,
            model=model,
            unread=int(unread),
            now=now,
        )
        assert row is not None
        return session(row)

    async def close(self, id: int, *, reason: CloseReason, now: int, summary: str | None = None) -> bool:
        """True when it was open."""
        return await self._tx.run(CLOSE, id=id, reason=reason, now=now, summary=summary) == 1

    async def reopen(self, id: int, *, now: int) -> None:
        await self._tx.run(REOPEN, id=id, now=now)

    async def count(
        self,
        id: int,
        *,
        now: int,
        messages: int = 0,
        entries: int = 0,
        turns: int = 0,
        person: int | None = None,
    ) -> None:
        """Add to the counters; *person* is when a person's message was received (None: not a person's)."""
        await self._tx.run(
            COUNT, id=id, now=now, messages=messages, entries=entries, turns=turns, person=person
        )

    async def set_title_if_empty(self, id: int, title: str) -> None:
        await self._tx.run(TITLE, id=id, title=title)

    async def set_unread(self, id: int, unread: bool) -> bool:
        return await self._tx.run(UNREAD, id=id, unread=int(unread)) == 1

    async def set_model(self, id: int, model: str | None) -> None:
        await self._tx.run(MODEL, id=id, model=model)

    async def set_settings(self, id: int, settings: Json) -> None:
        await self._tx.run(SETTINGS, settings=json.dumps(settings), id=id)

    async def by_prefix(self, prefix: str, *, conversation: int | None, count: int) -> list[Session]:
        """Sessions whose code begins so, newest first; *conversation* None: of everywhere."""
        rows = await self._tx.all(BY_PREFIX, prefix=prefix, conversation=conversation, count=count)
        return [session(row) for row in rows]

    async def told(self, id: int, *, now: int) -> bool:
        """True when the reset had not been told before."""
        return await self._tx.run(TOLD, id=id, now=now) == 1

    async def recent(
        self,
        *,
        count: int,
        skip: int = 0,
        conversation: int | None = None,
        owner: int | None = None,
        channel: str | None = None,
    ) -> list[Session]:
        """Newest first; archived and deleted ones left out."""
        rows = await self._tx.all(
            RECENT, count=count, skip=skip, conversation=conversation, owner=owner, channel=channel
        )
        return [session(row) for row in rows]

    async def previous(self, conversation: int, *, but: int) -> Session | None:
        """The last closed session of that place that had messages."""
        row = await self._tx.one(PREVIOUS, conversation=conversation, but=but)
        return None if row is None else session(row)

    async def idle(self, account: int, *, gap: int | None, now: int) -> list[tuple[int, int]]:
        """(session, conversation) that are at rest and in which nobody wrote for the gap or longer.

        *gap*: the account's, in minutes; None: explicit sessions.
        """
        return [(row[0], row[1]) for row in await self._tx.all(IDLE, account=account, gap=gap, now=now)]

    async def total(self) -> int:
        return int(scalar(await self._tx.one("SELECT count(*) FROM session WHERE deleted IS NULL")))

    async def owned_by(self, id: int, person: int | None) -> None:
        await self._tx.run("UPDATE session SET owner = :person WHERE id = :id", id=id, person=person)
