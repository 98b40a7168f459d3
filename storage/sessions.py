"""The session table."""

from __future__ import annotations

import json

from gateway.types.json import Json
from gateway.types.sessions import CloseReason, Session
from storage.database import Row, Tx, scalar

COLUMNS = (
    "id, code, conversation, owner, state, close_reason, origin, parent, triggered_by, title, summary, "
    "system_prompt, model, message_count, next_seq, next_turn, unread, created, last_person, last_active, closed, "
    "settings, paused, archived, deleted, fork_seq"
)
GET = f"SELECT {COLUMNS} FROM session WHERE id = :id"
BY_CODE = f"SELECT {COLUMNS} FROM session WHERE code = :code AND deleted IS NULL"
ADD = f"""
INSERT INTO session (code, conversation, owner, origin, parent, fork_seq, triggered_by, title, model, unread, created,
                     last_active)
VALUES (:code, :conversation, :owner, :origin, :parent, :fork_seq, :triggered_by, :title, :model, :unread, :now, :now)
RETURNING {COLUMNS}"""
CLOSE = """
UPDATE session SET state = 'closed', close_reason = :reason, closed = :now, summary = coalesce(:summary, summary)
 WHERE id = :id AND state = 'open'"""
# What works for it ends with it.
CLOSE_CHILDREN = """
WITH RECURSIVE below(id) AS (
  SELECT id FROM session WHERE parent = :id AND origin = 'child'
  UNION SELECT s.id FROM session s JOIN below b ON s.parent = b.id WHERE s.origin = 'child')
UPDATE session SET state = 'closed', close_reason = 'parent', closed = :now
 WHERE id IN (SELECT id FROM below) AND state = 'open'"""
REOPEN = (
    "UPDATE session SET state = 'open', close_reason = NULL, closed = NULL, exported = NULL, last_active = :now "
    "WHERE id = :id"
)
COUNT = """
UPDATE session SET message_count = message_count + :messages, next_seq = next_seq + :entries,
       next_turn = next_turn + :turns, last_active = max(last_active, :now),
       last_person = CASE WHEN :person IS NULL THEN last_person ELSE max(coalesce(last_person, 0), :person) END
 WHERE id = :id"""
MESSAGES = "UPDATE session SET message_count = :count WHERE id = :id"
TITLE = "UPDATE session SET title = :title WHERE id = :id AND title IS NULL"
RENAME = "UPDATE session SET title = :title WHERE id = :id"
PAUSE = "UPDATE session SET paused = :paused WHERE id = :id AND paused <> :paused"
ARCHIVE = "UPDATE session SET archived = :now WHERE id = :id AND archived IS NULL"
UNARCHIVE = "UPDATE session SET archived = NULL WHERE id = :id AND archived IS NOT NULL"
SYSTEM = "UPDATE session SET system_prompt = :text WHERE id = :id"
DESCRIBED = """
UPDATE session SET title = :title, summary = :summary, system_prompt = :system_prompt, model = :model,
       triggered_by = :triggered_by, created = :created, last_active = :last_active, last_person = :last_active,
       state = CASE WHEN :closed IS NULL THEN 'open' ELSE 'closed' END, closed = :closed WHERE id = :id"""
CHILDREN = (
    f"SELECT {COLUMNS} FROM session WHERE parent = :id AND origin = 'child' AND deleted IS NULL ORDER BY id"
)
FORKS = (
    f"SELECT {COLUMNS} FROM session WHERE parent = :id AND origin = 'fork' AND deleted IS NULL ORDER BY id"
)
# Content goes; the row stays, since the bill names it.
DELETED = """
UPDATE session SET deleted = :now, state = 'closed', close_reason = 'deleted', closed = coalesce(closed, :now), title = NULL,
       summary = NULL, system_prompt = NULL, settings = '{"v":1}', unread = 0, archived = NULL, paused = 0
 WHERE id = :id AND deleted IS NULL"""
UNPURGED = (
    f"SELECT {COLUMNS} FROM session WHERE deleted IS NOT NULL AND purged IS NULL ORDER BY id LIMIT :count"
)
PURGED = "UPDATE session SET purged = :now WHERE id = :id"
UNREAD = "UPDATE session SET unread = :unread WHERE id = :id"
SETTINGS = "UPDATE session SET settings = :settings WHERE id = :id"
MODEL = "UPDATE session SET model = :model WHERE id = :id"
PREVIOUS = f"""
SELECT {COLUMNS} FROM session
 WHERE conversation = :conversation AND id <> :but AND state = 'closed' AND message_count > 0 AND deleted IS NULL
   AND archived IS NULL AND triggered_by IS NULL
 ORDER BY last_active DESC, id DESC LIMIT 1"""
# A conversation's own gap (minutes, or 'never') goes before that of its account; threads have none.
IDLE = """
SELECT s.id, s.conversation FROM session s JOIN conversation c ON c.current_session = s.id
 WHERE s.state = 'open' AND s.paused = 0 AND c.account = :account AND c.kind <> 'thread' AND c.owner IS NULL
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
        paused=bool(row[22]),
        archived=row[23],
        deleted=row[24],
        fork_seq=row[25],
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

    async def taken(self, code: str) -> bool:
        """Whether there is, or was, a session of that code."""
        return await self._tx.one("SELECT 1 FROM session WHERE code = :code", code=code) is not None

    async def add(
        self,
        *,
        code: str,
        conversation: int,
        now: int,
        owner: int | None = None,
        origin: str = "new",
        parent: int | None = None,
        fork_seq: int | None = None,
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
            fork_seq=fork_seq,
            triggered_by=triggered_by,
            title=title,
            model=model,
            unread=int(unread),
            now=now,
        )
        assert row is not None
        return session(row)

    async def close(self, id: int, *, reason: CloseReason, now: int, summary: str | None = None) -> bool:
        """True when it was open; then its children are closed with it."""
        closed = await self._tx.run(CLOSE, id=id, reason=reason, now=now, summary=summary) == 1
        if closed:
            await self._tx.run(CLOSE_CHILDREN, id=id, now=now)
        return closed

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

    async def set_messages(self, id: int, count: int) -> None:
        """How many of people's messages are in it."""
        await self._tx.run(MESSAGES, id=id, count=count)

    async def set_title_if_empty(self, id: int, title: str) -> None:
        await self._tx.run(TITLE, id=id, title=title)

    async def set_unread(self, id: int, unread: bool) -> bool:
        return await self._tx.run(UNREAD, id=id, unread=int(unread)) == 1

    async def set_model(self, id: int, model: str | None) -> None:
        await self._tx.run(MODEL, id=id, model=model)

    async def set_settings(self, id: int, settings: Json) -> None:
        await self._tx.run(SETTINGS, settings=json.dumps(settings), id=id)

    async def rename(self, id: int, title: str) -> None:
        await self._tx.run(RENAME, id=id, title=title)

    async def unlabel(self, id: int, title: str | None) -> None:
        """Without its summary, and with that title, or none."""
        await self._tx.run(
            "UPDATE session SET title = :title, summary = NULL WHERE id = :id", id=id, title=title
        )

    async def set_system_prompt(self, id: int, text: str | None) -> None:
        await self._tx.run(SYSTEM, id=id, text=text)

    async def described(
        self,
        id: int,
        *,
        title: str | None,
        summary: str | None,
        system_prompt: str | None,
        model: str | None,
        triggered_by: str | None,
        created: int,
        last_active: int,
        closed: int | None,
    ) -> None:
        """Everything that is written on it, as a document has it."""
        await self._tx.run(
            DESCRIBED,
            id=id,
            title=title,
            summary=summary,
            system_prompt=system_prompt,
            model=model,
            triggered_by=triggered_by,
            created=created,
            last_active=last_active,
            closed=closed,
        )

    async def pause(self, id: int, paused: bool) -> bool:
        """True when that is a change."""
        return await self._tx.run(PAUSE, id=id, paused=int(paused)) == 1

    async def archive(self, id: int, *, now: int) -> bool:
        """True when it was not archived."""
        return await self._tx.run(ARCHIVE, id=id, now=now) == 1

    async def unarchive(self, id: int) -> bool:
        """True when it was archived."""
        return await self._tx.run(UNARCHIVE, id=id) == 1

    async def children(self, id: int) -> list[Session]:
        """Those that work for it, oldest first."""
        return [session(row) for row in await self._tx.all(CHILDREN, id=id)]

    async def forks(self, id: int) -> list[Session]:
        """Copies of it, oldest first."""
        return [session(row) for row in await self._tx.all(FORKS, id=id)]

    async def delete(self, id: int, *, now: int) -> bool:
        """It is to be found no more; what was said in it is still to be purged. False when it was so already."""
        return await self._tx.run(DELETED, id=id, now=now) == 1

    async def unpurged(self, count: int) -> list[Session]:
        """Deleted ones of which something may be left."""
        return [session(row) for row in await self._tx.all(UNPURGED, count=count)]

    async def purged(self, id: int, *, now: int) -> None:
        await self._tx.run(PURGED, id=id, now=now)

    async def told(self, id: int, *, now: int) -> bool:
        """True when the reset had not been told before."""
        return await self._tx.run(TOLD, id=id, now=now) == 1

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
