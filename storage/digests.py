"""What a digest tells: a stretch of time as one person, or the people in one chat, had it.

*person* is whose it is; None: that of the conversations in *places*, and of nothing that was said anywhere else.
*since* (inclusive) and *until* (exclusive) in microseconds UTC.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gateway.types.turns import Entry
from storage.costs import SUMMED
from storage.database import Row, Tx, scalar
from storage.jobs import COLUMNS, Job, job
from storage.transcript import entry

PLACES = "(SELECT value FROM json_each(:places))"
ONES = "(SELECT id FROM identity WHERE person = :person)"
# In a chat only what was begun and said there counts: a session can go on in another place.
SAID = {
    "person": f"t.identity IN {ONES}",
    "places": f"t.session IN (SELECT id FROM session WHERE conversation IN {PLACES}) AND t.conversation IN {PLACES}",
}
TALKS = """
SELECT s.id, s.title, a.channel, c.kind, json_group_array(json_array(t.id, t.started)),
       EXISTS (SELECT 1 FROM entry e WHERE e.session = s.id AND e.kind = 'mark' AND json_extract(e.body, '$.op') = 'rewind')
  FROM turn t JOIN session s ON s.id = t.session JOIN conversation c ON c.id = s.conversation
  JOIN account a ON a.id = c.account
 WHERE t.trigger IS NULL AND s.deleted IS NULL AND t.started >= :since AND t.started < :until AND {said}
 GROUP BY s.id ORDER BY min(t.started), s.id"""
EXCHANGE = """
SELECT kind, body FROM entry WHERE session = :session AND turn = :turn AND kind IN ('user', 'assistant') ORDER BY seq"""
# What says which turns stand: the words themselves are not needed for it.
OUTLINE = """
SELECT seq, turn, kind, CASE WHEN kind IN ('mark', 'summary') THEN body ELSE '{}' END, created
  FROM entry WHERE session = :session ORDER BY seq"""
# By the index of what is not over.
PARKED = """
SELECT t.id, t.session, t.started FROM turn t
 WHERE t.state IN ('running', 'parked') AND t.state = 'parked' AND t.trigger IS NULL AND {said} ORDER BY t.id LIMIT :most"""
APPROVALS = f"""
SELECT p.token, p.action, p.created, p.lang FROM approval p LEFT JOIN identity i ON i.id = p.identity
 WHERE p.state = 'waiting' AND p.expires > :now
   AND CASE WHEN :person IS NULL THEN p.conversation IN {PLACES} ELSE i.person = :person END
 ORDER BY p.id LIMIT :most"""
HELD = f"""
SELECT count(*) FROM inbox x LEFT JOIN identity i ON i.id = x.identity
 WHERE x.state = 'held' AND CASE WHEN :person IS NULL THEN x.conversation IN {PLACES} ELSE i.person = :person END"""
# Theirs, and those of nobody: whether these concern them is seen from where they deliver to.
JOBS = f"""
SELECT {COLUMNS} FROM job
 WHERE kind <> 'digest'
   AND (identity IS NULL OR CASE WHEN :person IS NULL THEN conversation IN {PLACES}
                                 ELSE identity IN {ONES} END) ORDER BY id"""
OF_JOBS = "(SELECT value FROM json_each(:jobs))"
RAN = f"""
SELECT job, sum(state = 'done' AND delivery <> 'silent'), sum(state = 'done' AND delivery = 'silent'),
       sum(state = 'failed'), sum(state = 'skipped'),
       (SELECT l.reason FROM job_run l WHERE l.job = r.job AND l.state = 'failed' AND l.planned >= :since
           AND l.planned < :until ORDER BY l.planned DESC LIMIT 1)
  FROM job_run r WHERE job IN {OF_JOBS} AND planned >= :since AND planned < :until GROUP BY job ORDER BY job"""
UNREAD = f"""
SELECT r.job, r.session, r.turn, r.ended
  FROM job_run r JOIN session s ON s.id = r.session
 WHERE r.job IN {OF_JOBS} AND r.state = 'done' AND s.unread = 1 AND s.deleted IS NULL ORDER BY r.ended DESC, r.id DESC"""
# Between that run and the one before it which was made.
LEFT_OUT = """
SELECT min(planned), max(planned), count(*) FROM job_run
 WHERE job = :job AND state = 'skipped' AND reason = :reason AND planned < :planned
   AND planned > coalesce((SELECT max(planned) FROM job_run WHERE job = :job AND state = 'done' AND planned < :planned), 0)"""
OLDER = f"""
SELECT 1 FROM job j JOIN conversation c ON c.id = j.conversation
 WHERE j.kind = 'digest' AND j.state = 'on' AND j.id < :job AND c.kind NOT IN ('group', 'thread') AND j.identity IN {ONES}
 LIMIT 1"""
# A forum's or a server's topics and threads are other chats: not all who are in one are in the others.
SAME_CHAT = """
SELECT o.id FROM conversation c JOIN conversation o
    ON o.account = c.account AND o.chat_id = c.chat_id AND o.thread_id = c.thread_id
 WHERE c.id = :place ORDER BY o.id"""
COST = f"SELECT {SUMMED} FROM usage u WHERE u.trigger = :trigger AND u.state NOT IN ('open', 'void') AND u.at >= :since AND u.at < :until"
COMPACTIONS = """
SELECT count(*) FROM compaction WHERE created >= :since AND created < :until AND cause IN ('auto', 'overflow')
   AND session IN (SELECT value FROM json_each(:sessions))"""


class Digests:
    """Reads only."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def talks(self, person: int | None, places: Sequence[int], *, since: int, until: int) -> list[Row]:
        """(session, title, channel, kind of place, [[turn, started]] as JSON, 1 where turns were ever taken back) of
        people, by time."""
        return await self._tx.all(
            _of(TALKS, person), person=person, places=_list(places), since=since, until=until
        )

    async def exchange(self, session: int, turn: int) -> list[Row]:
        """(user or assistant, body) of a turn, in order."""
        return await self._tx.all(EXCHANGE, session=session, turn=turn)

    async def outline(self, session: int) -> list[Entry]:
        """Its entries in order; only marks and summaries with their bodies."""
        return [entry(row) for row in await self._tx.all(OUTLINE, session=session)]

    async def parked(self, person: int | None, places: Sequence[int], *, most: int) -> list[Row]:
        """(turn, session, since when) of people's questions that wait for an answer, oldest first."""
        return await self._tx.all(_of(PARKED, person), person=person, places=_list(places), most=most)

    async def approvals(self, person: int | None, places: Sequence[int], *, now: int, most: int) -> list[Row]:
        """(token, what would be done, asked at, its language), oldest first."""
        return await self._tx.all(APPROVALS, person=person, places=_list(places), now=now, most=most)

    async def held(self, person: int | None, places: Sequence[int]) -> int:
        """Messages that came while we were away and wait for a decision."""
        return int(scalar(await self._tx.one(HELD, person=person, places=_list(places))))

    async def jobs(self, person: int | None, places: Sequence[int]) -> list[Job]:
        """Theirs and the operator's, also removed ones, but no digests."""
        return [job(row) for row in await self._tx.all(JOBS, person=person, places=_list(places))]

    async def ran(self, jobs: Sequence[int], *, since: int, until: int) -> list[Row]:
        """(job, runs that had something to say, that were silent, failed, were skipped, why the last one failed)."""
        return await self._tx.all(RAN, jobs=_list(jobs), since=since, until=until)

    async def unread(self, jobs: Sequence[int]) -> list[Row]:
        """(job, session, turn, ended at) of runs whose session nobody has opened or answered, newest first."""
        return await self._tx.all(UNREAD, jobs=_list(jobs))

    async def older(self, job: int, person: int) -> bool:
        """Whether that person has another private digest that is on and was there before."""
        return await self._tx.one(OLDER, job=job, person=person) is not None

    async def left_out(self, job: int, *, planned: int, reason: str) -> tuple[int, int, int] | None:
        """(first, last, how many) planned times that were skipped for that reason since the run before; None: no one."""
        row = await self._tx.one(LEFT_OUT, job=job, planned=planned, reason=reason)
        return (row[0], row[1], row[2]) if row is not None and row[2] else None

    async def cost_of(self, trigger: str, *, since: int, until: int) -> Row:
        """Sums of a job, in the order of storage.costs.SUMMED."""
        row = await self._tx.one(COST, trigger=trigger, since=since, until=until)
        assert row is not None
        return row

    async def places(self, place: int) -> list[int]:
        """Every conversation of the same chat, or topic: those of single members too."""
        return [row[0] for row in await self._tx.all(SAME_CHAT, place=place)]

    async def compactions(self, sessions: Sequence[int], *, since: int, until: int) -> int:
        """How many of those sessions' earlier parts were put into notes without anybody asking for it."""
        row = await self._tx.one(COMPACTIONS, sessions=_list(sessions), since=since, until=until)
        return int(scalar(row))


def _of(sql: str, person: int | None) -> str:
    return sql.format(said=SAID["places" if person is None else "person"])


def _list(ids: Sequence[int]) -> str:
    return json.dumps(list(ids))
