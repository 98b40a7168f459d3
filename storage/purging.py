"""What is to be forgotten: the content of a session, of a person, of what has grown old. Ids and the bill stay."""

from __future__ import annotations

import json
from collections.abc import Iterable

from storage.database import Tx, scalar

EMPTY = "'{\"v\":1}'"
OF_TURNS = "turn IN (SELECT id FROM turn WHERE session = :session)"
INBOX_OF_SESSION = f"""
UPDATE inbox SET body = {EMPTY}, raw = NULL,
       state = CASE WHEN state IN ('waiting', 'held') THEN 'refused' ELSE state END
 WHERE {OF_TURNS} OR (session = :session AND state IN ('waiting', 'held'))"""
# What is on its way this very moment is emptied when it has arrived.
OUTBOX_OF_SESSION = """
UPDATE outbox SET payload = NULL, state = CASE WHEN state = 'ready' THEN 'dead' ELSE state END
 WHERE session = :session AND state IN ('ready', 'dead', 'unknown')"""
MEDIA_OF_SESSION = f"""
SELECT m.id, m.path FROM media m WHERE m.deleted IS NULL AND (
       m.inbox IN (SELECT i.id FROM inbox i WHERE i.{OF_TURNS})
    OR m.id IN (SELECT json_extract(f.value, '$.media') FROM entry e, json_each(e.body, '$.files') f
                 WHERE e.session = :session AND e.kind IN ('user', 'assistant')))"""
# A fork shows the same pictures as what it is a copy of.
MEDIA_ELSEWHERE = """
WITH RECURSIVE family(id) AS (
  SELECT :session
  UNION SELECT s.parent FROM session s JOIN family f ON s.id = f.id WHERE s.parent IS NOT NULL
  UNION SELECT s.id FROM session s JOIN family f ON s.parent = f.id)
SELECT DISTINCT json_extract(m.value, '$.media') FROM family f JOIN session s ON s.id = f.id
  JOIN entry e ON e.session = f.id, json_each(e.body, '$.files') m
 WHERE f.id <> :session AND s.deleted IS NULL AND e.kind IN ('user', 'assistant')"""
# What a tool would have done, in words; a yes that comes now finds nothing.
APPROVALS_OF_SESSION = """
UPDATE approval SET args = '{}', action = '', outcome = NULL, state = CASE WHEN state = 'waiting' THEN 'denied' ELSE state END
 WHERE session = :session"""
APPEALS_OF_SESSION = f"DELETE FROM appeal_notice WHERE {OF_TURNS}"
RUNS_OF_SESSION = f"UPDATE job_run SET reason = NULL WHERE {OF_TURNS}"
WAITING_FOR = """
SELECT id, conversation FROM inbox
 WHERE (session = :session AND state IN ('waiting', 'held')) OR (turn = :parked AND state = 'taken')"""
ASKED_OF_SESSION = "DELETE FROM asked WHERE session = :session"
BUDGET_OF_SESSION = "DELETE FROM budget WHERE scope = 'session' AND scope_id = :code"
COMPACTIONS = "DELETE FROM compaction WHERE session = :session"
ASKED = "DELETE FROM asked WHERE session = :session"  # hashes of short texts can be guessed
REQUESTS = "SELECT count(*) FROM usage WHERE session = :session AND state <> 'void'"

# Of a person, by their identities.
MINE = "identity IN (SELECT value FROM json_each(:identities))"
REQUESTS_OF = f"SELECT count(*) FROM usage WHERE {MINE} AND state <> 'void'"
SESSIONS_OF = f"""
SELECT s.id FROM session s JOIN conversation c ON c.id = s.conversation
 WHERE s.deleted IS NULL AND (c.kind IN ('direct', 'client', 'job') OR c.user_id <> '') AND (
       s.owner = :person
    OR (SELECT count(*) FROM turn t WHERE t.session = s.id AND t.{MINE}) > 0)
 ORDER BY s.id"""
# What they said where others talk too, and what they were answered there.
SAID_OF = f"""
SELECT e.session, e.seq, e.kind FROM entry e JOIN turn t ON t.id = e.turn JOIN session s ON s.id = e.session
 WHERE t.{MINE} AND e.kind IN ('user', 'assistant', 'results') AND s.deleted IS NULL ORDER BY e.session, e.seq"""
# What was made of it: summaries of what they took part in.
SUMMED_UP_OF = f"""
SELECT e.session, e.seq, e.kind FROM entry e JOIN session s ON s.id = e.session
 WHERE e.kind = 'summary' AND s.deleted IS NULL AND EXISTS (
       SELECT 1 FROM turn t JOIN entry o ON o.turn = t.id WHERE t.{MINE} AND o.session = e.session AND o.seq < e.seq)"""
# Taken into another person's turn on the way.
STEERED_OF = f"""
SELECT e.session, e.seq, e.kind FROM inbox i JOIN entry e ON e.turn = i.turn JOIN turn t ON t.id = i.turn
 WHERE i.{MINE} AND t.identity IS NOT i.identity AND e.kind = 'user'
   AND json_extract(e.body, '$.text') = json_extract(i.body, '$.text') ORDER BY e.session, e.seq"""
INBOX_OF = f"""
UPDATE inbox SET body = {EMPTY}, raw = NULL,
       state = CASE WHEN state IN ('waiting', 'held', 'overheard') THEN 'refused' ELSE state END WHERE {MINE}"""
MEDIA_OF = f"""
SELECT id, path FROM media WHERE deleted IS NULL AND inbox IN (SELECT id FROM inbox WHERE {MINE})"""
FILES_OF = f"""
SELECT name, type, bytes, created FROM media WHERE deleted IS NULL AND inbox IN (SELECT id FROM inbox WHERE {MINE})"""
BILL_OF = f"""
SELECT at, purpose, provider || ':' || coalesce(model, model_asked), cost FROM usage
 WHERE {MINE} AND state NOT IN ('open', 'void') ORDER BY at, id"""
PLACES_OF = f"""
SELECT DISTINCT c.id FROM conversation c JOIN inbox i ON i.conversation = c.id
 WHERE i.{MINE} AND (c.kind = 'direct' OR c.user_id <> '')"""
OUTBOX_AT = """
UPDATE outbox SET payload = NULL, state = CASE WHEN state = 'sent' THEN state ELSE 'dead' END
 WHERE conversation = :conversation AND (payload IS NOT NULL OR state <> 'sent')"""
BUTTONS_AT = "DELETE FROM button WHERE conversation = :conversation"
# A platform's private chat is called after the person in it.
PLACE_GONE = """
UPDATE conversation SET chat_id = CASE WHEN user_id = '' THEN 'erased:' || id ELSE chat_id END,
       user_id = CASE WHEN user_id = '' THEN '' ELSE 'erased:' || id END,
       settings = '{"v":1}', address = '', current_session = NULL WHERE id = :conversation"""
# Who was blocked stays known as that; else nothing tells any more who it was.
IDENTITY_GONE = """
UPDATE identity SET name = '', lang = '', person_before = NULL, state_before = NULL,
       user_id = CASE WHEN state = 'blocked' THEN user_id ELSE 'erased:' || id END WHERE id = :id"""
PERSON_GONE = """
UPDATE person SET name = NULL, lang = NULL, zone = NULL, settings = '{"v":1}', role = 'user', erased = :now
 WHERE id = :person"""
PAIRINGS_OF = f"DELETE FROM pairing WHERE {MINE}"
BUDGETS_OF = (
    "DELETE FROM {table} WHERE scope = 'person' AND scope_id IN (SELECT value FROM json_each(:addresses))"
)
JOBS_OF = f"""
UPDATE job SET state = 'removed', next_at = NULL, spec = json_set(spec, '$.prompt', '')
 WHERE source <> 'config' AND {MINE}"""
APPROVALS_OF = f"""
UPDATE approval SET args = '{{}}', action = '', outcome = NULL,
       state = CASE WHEN state = 'waiting' THEN 'denied' ELSE state END WHERE {MINE}"""
TURNS_OF = f"UPDATE turn SET error = NULL WHERE {MINE}"
APPEALS_OF = f"DELETE FROM appeal_notice WHERE turn IN (SELECT id FROM turn WHERE {MINE})"
RUNS_OF = f"UPDATE job_run SET reason = NULL WHERE job IN (SELECT id FROM job WHERE {MINE})"
# The rows stay: as long as there was ever a key, nobody comes in without one.
KEYS_OF = f"UPDATE api_key SET name = '', revoked = coalesce(revoked, :now) WHERE {MINE}"
FOCUS_OF = f"UPDATE compaction SET focus = '' WHERE session IN (SELECT session FROM turn WHERE {MINE})"
BUSY_OF = f"SELECT count(*) FROM turn WHERE {MINE} AND state IN ('running', 'parked')"

# Of what has grown old: a bite at a time, each through an index.
STALE = """
SELECT s.id FROM session s JOIN conversation c ON c.id = s.conversation
 WHERE c.account = :account AND s.last_active < :before AND s.deleted IS NULL AND {state}
   AND NOT EXISTS (SELECT 1 FROM turn t WHERE t.session = s.id AND t.state IN ('running', 'parked'))
 ORDER BY s.last_active LIMIT :count"""
TO_ARCHIVE = STALE.format(state="s.archived IS NULL AND s.paused = 0")
TO_DELETE = STALE.format(state="s.paused = 0")
# From a number on: what is done with is not looked at again each time.
NEXT_INBOX = "SELECT id, received FROM inbox WHERE id > :after ORDER BY id LIMIT :count"
EMPTY_INBOX = f"""
UPDATE inbox SET raw = NULL, body = {EMPTY}
 WHERE id > :after AND id <= :upto AND state NOT IN ('waiting', 'held', 'taken')"""
OLD_OUTBOX = """
DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT :count)
   AND state IN ('sent', 'dead') AND created < :before"""
DEAD_OUTBOX = """
UPDATE outbox SET payload = NULL WHERE id IN (
  SELECT id FROM outbox WHERE state = 'dead' AND payload IS NOT NULL AND created < :before LIMIT :count)"""
OLD = """
SELECT (SELECT count(*) FROM inbox WHERE id > :after AND received < :inbox AND state NOT IN ('waiting', 'held', 'taken')),
       (SELECT count(*) FROM outbox WHERE state IN ('sent', 'dead') AND created < :outbox),
       (SELECT count(*) FROM outbox WHERE state = 'dead' AND payload IS NOT NULL AND created < :undelivered)"""
TO_EXPORT = """
SELECT code FROM session WHERE state = 'closed' AND exported IS NULL AND deleted IS NULL AND next_seq > 0
 ORDER BY id LIMIT :count"""
EXPORTED = "UPDATE session SET exported = :now WHERE code = :code AND deleted IS NULL"


# Some milliseconds of work. Below 0: everything is to become one piece, else go on with that.
MERGE = "INSERT INTO said (said, rank) VALUES ('merge', :pages)"
PAGES = 64


class Purging:
    """Content of every table. Each method is small enough for a commit of its own."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def wiping(self, on: bool) -> None:
        """Whether what is deleted from now on is written over with zeros; around a unit of work that deletes."""
        await self._tx.run(f"PRAGMA secure_delete = {'ON' if on else 'OFF'}")

    async def merge_words(self, *, first: bool) -> bool:
        """A bite of leaving out of the index of words what was deleted; False when there is nothing left to do."""
        before = scalar(await self._tx.one("SELECT total_changes()"))
        await self._tx.run(MERGE, pages=-PAGES if first else PAGES)
        return int(scalar(await self._tx.one("SELECT total_changes()"))) - int(before) > 1

    async def media_of(self, session: int) -> list[tuple[int, str]]:
        """(number, path) of files that only this session shows."""
        shared = {row[0] for row in await self._tx.all(MEDIA_ELSEWHERE, session=session)}
        found = await self._tx.all(MEDIA_OF_SESSION, session=session)
        return [(row[0], row[1]) for row in found if row[0] not in shared]

    async def waiting_for(self, session: int, parked: int | None) -> list[tuple[int, int]]:
        """(inbox row, conversation) of what is to be answered there, with that of the turn that is put aside."""
        rows = await self._tx.all(WAITING_FOR, session=session, parked=parked)
        return [(row[0], row[1]) for row in rows]

    async def session(self, session: int, code: str) -> int:
        """Everything around a deleted session but its entries; gives how many requests stay on the bill."""
        for sql in (
            INBOX_OF_SESSION, OUTBOX_OF_SESSION, COMPACTIONS, APPROVALS_OF_SESSION, APPEALS_OF_SESSION, RUNS_OF_SESSION,
            ASKED_OF_SESSION,
        ):  # fmt: skip
            await self._tx.run(sql, session=session)
        await self._tx.run(BUDGET_OF_SESSION, code=code)
        return int(scalar(await self._tx.one(REQUESTS, session=session)))

    async def busy(self, identities: Iterable[int]) -> bool:
        """Whether an answer to any of them is being made."""
        return bool(scalar(await self._tx.one(BUSY_OF, identities=_list(identities))))

    async def sessions_of(self, person: int | None, identities: Iterable[int]) -> list[int]:
        """Sessions that are theirs alone."""
        rows = await self._tx.all(SESSIONS_OF, person=person, identities=_list(identities))
        return [row[0] for row in rows]

    async def said_by(self, identities: Iterable[int]) -> list[tuple[int, int, str]]:
        """(session, seq, kind) of what they said, and were answered, in sessions of several people."""
        mine = _list(identities)
        found = [
            *await self._tx.all(SAID_OF, identities=mine),
            *await self._tx.all(STEERED_OF, identities=mine),
            *await self._tx.all(SUMMED_UP_OF, identities=mine),
        ]
        return sorted({(row[0], row[1], row[2]) for row in found})

    async def media_by(self, identities: Iterable[int]) -> list[tuple[int, str]]:
        """(number, path) of files that came with their messages."""
        return [(row[0], row[1]) for row in await self._tx.all(MEDIA_OF, identities=_list(identities))]

    async def files_of(self, identities: Iterable[int]) -> list[tuple[str, str, int, int]]:
        """(name, media type, bytes, when) of those files."""
        rows = await self._tx.all(FILES_OF, identities=_list(identities))
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    async def bill_of(self, identities: Iterable[int]) -> list[tuple[int, str, str, int | None]]:
        """(when, purpose, model, nano-dollars or None) of each request on their bill."""
        rows = await self._tx.all(BILL_OF, identities=_list(identities))
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    async def requests_of(self, identities: Iterable[int]) -> int:
        """How many requests on the bill were theirs."""
        return int(scalar(await self._tx.one(REQUESTS_OF, identities=_list(identities))))

    async def person(
        self, person: int | None, identities: Iterable[int], addresses: Iterable[str], *, now: int
    ) -> list[int]:
        """Everything around somebody but their sessions; a nameless row stays, which the bill points to.

        Gives their private conversations, which have another address now: none.
        """
        mine = list(identities)
        places = [row[0] for row in await self._tx.all(PLACES_OF, identities=_list(mine))]
        for conversation in places:
            await self._tx.run(OUTBOX_AT, conversation=conversation)
            await self._tx.run(BUTTONS_AT, conversation=conversation)
            await self._tx.run(PLACE_GONE, conversation=conversation)
        for sql in (
            FOCUS_OF, APPROVALS_OF, TURNS_OF, APPEALS_OF, RUNS_OF, INBOX_OF, PAIRINGS_OF, JOBS_OF,
        ):  # fmt: skip
            await self._tx.run(sql, identities=_list(mine))
        await self._tx.run(KEYS_OF, identities=_list(mine), now=now)
        for table in ("budget", "budget_warning"):
            await self._tx.run(BUDGETS_OF.format(table=table), addresses=json.dumps(list(addresses)))
        for id in mine:
            await self._tx.run(IDENTITY_GONE, id=id)
        if person is not None:
            await self._tx.run(PERSON_GONE, person=person, now=now)
        return places

    # -- what has grown old -----------------------------------------------------------------------------------

    async def to_archive(self, account: int, *, before: int, count: int) -> list[int]:
        """Sessions of an account in which nothing happened since then (microseconds UTC)."""
        rows = await self._tx.all(TO_ARCHIVE, account=account, before=before, count=count)
        return [row[0] for row in rows]

    async def to_delete(self, account: int, *, before: int, count: int) -> list[int]:
        """The same, archived or not."""
        rows = await self._tx.all(TO_DELETE, account=account, before=before, count=count)
        return [row[0] for row in rows]

    async def old_inbox(self, *, after: int, before: int, count: int) -> int:
        """Empty what came in before then and is done with, behind the row *after*; ids stay: a repeat is still one.

        Gives the last row that was looked at; *after* when nothing is left to do.
        """
        upto = after
        for id, received in await self._tx.all(NEXT_INBOX, after=after, count=count):
            if received >= before:
                break
            upto = id
        if upto > after:
            await self._tx.run(EMPTY_INBOX, after=after, upto=upto)
        return upto

    async def old_outbox(self, *, before: int, count: int) -> int:
        """Forget what was sent, or could not be, before then; gives how many."""
        return await self._tx.run(OLD_OUTBOX, before=before, count=count)

    async def dead_outbox(self, *, before: int, count: int) -> int:
        """Empty what could not be delivered and is from before then; gives how many."""
        return await self._tx.run(DEAD_OUTBOX, before=before, count=count)

    async def old(self, *, after: int, inbox: int, outbox: int, undelivered: int) -> tuple[int, int, int]:
        """How much the three would do in all, each with what is from before its moment."""
        row = await self._tx.one(OLD, after=after, inbox=inbox, outbox=outbox, undelivered=undelivered)
        assert row is not None
        return row[0], row[1], row[2]

    async def to_export(self, count: int) -> list[str]:
        """Codes of closed sessions that were not written out yet."""
        return [row[0] for row in await self._tx.all(TO_EXPORT, count=count)]

    async def unexported(self, session: int) -> None:
        """What was written out is not what it says now: it is written anew."""
        await self._tx.run("UPDATE session SET exported = NULL WHERE id = :session", session=session)

    async def exported(self, code: str, *, now: int) -> bool:
        """False when it is deleted."""
        return await self._tx.run(EXPORTED, code=code, now=now) == 1


def _list(identities: Iterable[int]) -> str:
    return json.dumps(list(identities))
