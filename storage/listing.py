"""Sessions found: by what they are, by who may see them, by the words said in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gateway.types.people import Viewer
from gateway.types.sessions import Filter, Session
from storage import beginnings
from storage.database import Row, Tx, scalar
from storage.sessions import COLUMNS, session

WHOLE = ", ".join(f"s.{name.strip()}" for name in COLUMNS.split(","))
FROM = "FROM session s JOIN conversation c ON c.id = s.conversation JOIN account a ON a.id = c.account"
# In a shared chat one sees what is of that chat. A member's own session in a group is theirs alone.
VISIBLE = """(:everything OR s.conversation = :seen_from
    OR s.id = (SELECT current_session FROM conversation WHERE id = :seen_from)
    OR (s.owner = :viewer AND c.kind IN ('direct', 'client', 'job'))
    OR (:groups AND c.kind IN ('group', 'thread') AND c.user_id = ''))"""
MEANT = """s.deleted IS NULL
   AND (:conversation IS NULL OR s.conversation = :conversation)
   AND (:person IS NULL OR (s.owner = :person AND (c.kind IN ('direct', 'client', 'job') OR c.user_id <> '')))
   AND (:channel IS NULL OR a.channel = :channel)
   AND (:tag IS NULL OR EXISTS (SELECT 1 FROM tag t WHERE t.session = s.id AND t.tag = :tag))
   AND (:trigger IS NULL OR s.triggered_by = :trigger OR (:trigger = '' AND s.triggered_by IS NOT NULL))
   AND (:unread IS NULL OR s.unread = :unread)
   AND (s.archived IS NOT NULL) = (:state IS 'archived')
   AND (:state IS NULL OR :state = 'archived' OR (:state = 'paused' AND s.paused = 1)
        OR (:state IN ('open', 'closed') AND s.state = :state))"""
LIST = f"""
SELECT {WHOLE} {FROM} WHERE {VISIBLE} AND {MEANT} ORDER BY s.last_active DESC, s.id DESC LIMIT :count OFFSET :skip"""
AMONG = f"""
SELECT {WHOLE} {FROM} WHERE s.id IN (SELECT value FROM json_each(:ids)) AND {VISIBLE} AND {MEANT}
 ORDER BY s.last_active DESC, s.id DESC LIMIT :count OFFSET :skip"""
COUNT = f"SELECT count(*) {FROM} WHERE {VISIBLE} AND {MEANT}"
BY_CODE = f"SELECT {WHOLE} {FROM} WHERE s.code = :code AND s.deleted IS NULL AND {VISIBLE}"
WHICH = f"SELECT s.code {FROM} WHERE s.code IN (SELECT value FROM json_each(:codes)) AND {VISIBLE}"
# A range, so that the index of codes serves; '~' is behind every letter.
BY_PREFIX = f"""
SELECT {WHOLE} {FROM} WHERE s.code >= :prefix AND s.code < :prefix || '~' AND s.deleted IS NULL AND {VISIBLE}
 ORDER BY s.last_active DESC, s.id DESC LIMIT :count"""

SHIFT = 16_777_216  # see the migration that made the table of words
TITLE = SHIFT - 1
MOST_HITS = 5_000  # so many are gathered in one go, within some milliseconds
# The latest message that has the words; -1: the title alone has them.
WHERE = f"max(CASE rowid % {SHIFT} WHEN {TITLE} THEN -1 ELSE rowid % {SHIFT} END)"
HITS = f"""
SELECT rowid / {SHIFT}, {WHERE}, count(*) FROM (
       SELECT rowid FROM said WHERE said MATCH :words ORDER BY rowid DESC LIMIT :most) GROUP BY 1"""
# First who may be meant, then one after the other until there are enough: each look costs some 50 us.
THROUGH = f"""
WITH meant AS MATERIALIZED (
  SELECT s.id FROM session s JOIN conversation c ON c.id = s.conversation JOIN account a ON a.id = c.account
   WHERE {VISIBLE} AND {MEANT} ORDER BY s.last_active DESC, s.id DESC)
SELECT id FROM meant WHERE EXISTS (
  SELECT 1 FROM said WHERE said MATCH :words AND rowid >= meant.id * {SHIFT} AND rowid < (meant.id + 1) * {SHIFT})
 LIMIT :count OFFSET :skip"""
WITHIN = f"SELECT {WHERE} FROM said WHERE said MATCH :words AND rowid >= :first AND rowid < :first + {SHIFT}"


class Listing:
    """Rows of session, as somebody sees them."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def find(self, viewer: Viewer, filter: Filter, *, count: int, skip: int = 0) -> list[Session]:
        """Newest activity first."""
        rows = await self._tx.all(LIST, **_seen(viewer), **asdict(filter), count=count, skip=skip)
        return [session(row) for row in rows]

    async def count(self, viewer: Viewer, filter: Filter) -> int:
        row = await self._tx.one(COUNT, **_seen(viewer), **asdict(filter))
        return int(row[0]) if row is not None else 0

    async def by_code(self, code: str, viewer: Viewer) -> Session | None:
        """None also for one that is not for their eyes."""
        row = await self._tx.one(BY_CODE, code=code, **_seen(viewer))
        return None if row is None else session(row)

    async def which(self, codes: Sequence[str], viewer: Viewer) -> set[str]:
        """Those of these that are for their eyes."""
        rows = await self._tx.all(WHICH, codes=json.dumps(list(codes)), **_seen(viewer))
        return {row[0] for row in rows}

    async def by_prefix(self, prefix: str, viewer: Viewer, *, count: int) -> list[Session]:
        """Sessions whose code begins so, newest first."""
        rows = await self._tx.all(BY_PREFIX, prefix=prefix, count=count, **_seen(viewer))
        return [session(row) for row in rows]

    async def search(
        self, terms: Sequence[str], viewer: Viewer, filter: Filter, *, count: int, skip: int = 0
    ) -> list[tuple[Session, int | None]]:
        """(session, the entry that was found in it, None: its title), newest activity first.

        *terms*, all of which must be there, as FTS5 wants them: in quotes, a beginning with a * behind them. Of
        words that are nearly everywhere sessions are looked through one by one; but not where each look would cost
        as much as the first.
        """
        query = await beginnings.spelt(self._tx, terms)
        if not query.possible:
            return []
        hits = await self._tx.all(HITS, words=query.text, most=MOST_HITS if query.quick else -1)
        found = {row[0]: row[1] for row in hits}
        meant = {**_seen(viewer), **asdict(filter), "count": count, "skip": skip}
        if query.quick and sum(row[2] for row in hits) >= MOST_HITS:
            ids = [row[0] for row in await self._tx.all(THROUGH, words=query.text, **meant)]
            found = {id: scalar(await self._tx.one(WITHIN, words=query.text, first=id * SHIFT)) for id in ids}
            meant["skip"] = 0
        rows = await self._tx.all(AMONG, ids=str(list(found)), **meant)
        return [_hit(row, found[row[0]]) for row in rows]


def _hit(row: Row, seq: int) -> tuple[Session, int | None]:
    return session(row), None if seq < 0 else seq


def _seen(viewer: Viewer) -> dict[str, Any]:
    return {
        "everything": int(viewer.everything),
        "seen_from": viewer.conversation,
        "viewer": viewer.person,
        "groups": int(viewer.groups),
    }
