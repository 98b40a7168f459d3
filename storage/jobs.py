"""Jobs and their runs: one run per planned time, whatever happens."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gateway.types.json import Json
from storage.database import Row, Tx, scalar

COLUMNS = "id, name, kind, source, spec, zone, state, next_at, failures, identity, conversation, created"
PUT = """
INSERT INTO job (name, kind, source, spec, zone, state, next_at, identity, conversation, failures, created)
VALUES (:name, :kind, :source, :spec, :zone, :state, :next_at, :identity, :conversation, :failures, :created)
ON CONFLICT (name) DO UPDATE SET spec = excluded.spec, zone = excluded.zone, state = excluded.state,
       source = excluded.source, next_at = excluded.next_at, identity = excluded.identity,
       conversation = excluded.conversation, failures = excluded.failures, created = excluded.created"""
DUE = f"SELECT {COLUMNS} FROM job WHERE state = 'on' AND next_at IS NOT NULL AND next_at <= :now ORDER BY next_at, id"
# What is due and was not handed over is owed: the next look does it, whenever that is.
NEXT = """
SELECT min(at) FROM (SELECT min(next_at) AS at FROM job WHERE state = 'on'
               UNION SELECT min(due) FROM job_run WHERE state = 'waiting' AND inbox IS NULL AND due > :now)"""
ADVANCE = "UPDATE job SET next_at = :next_at WHERE id = :id"
SWITCH = "UPDATE job SET state = :state, next_at = :next_at, failures = 0 WHERE id = :id"
RUN = """
INSERT INTO job_run (job, planned, state, reason, inbox) VALUES (:job, :planned, :state, :reason, :inbox)
ON CONFLICT (job, planned) DO NOTHING RETURNING id"""
RUN_STATE = """
UPDATE job_run SET state = :state, session = coalesce(:session, session), turn = coalesce(:turn, turn), reason = :reason,
       started = coalesce(started, :started), ended = coalesce(:ended, ended) WHERE id = :id"""
RUNS = """
SELECT r.id, r.planned, r.state, r.delivery, r.session, r.reason, r.started, r.ended, r.attempt, r.due FROM job_run r
  JOIN job j ON j.id = r.job WHERE j.name = :name ORDER BY r.planned DESC LIMIT :count"""

OPEN = (
    "SELECT count(*) FROM job_run WHERE job = :job AND planned >= :since AND state IN ('waiting', 'running')"
)
OWED = f"""
SELECT r.id, r.planned, r.attempt, r.session, {", ".join(f"j.{each}" for each in COLUMNS.split(", "))}
  FROM job_run r JOIN job j ON j.id = r.job
 WHERE r.state = 'waiting' AND r.inbox IS NULL AND r.due <= :now ORDER BY r.planned, r.id LIMIT :count"""
UNSKIP = "DELETE FROM job_run WHERE job = :job AND planned > :after AND state = 'skipped'"
OWES = "SELECT 1 FROM job_run WHERE state = 'waiting' AND inbox IS NULL AND due <= :now LIMIT 1"
HASTEN = "UPDATE job_run SET due = :latest WHERE state = 'waiting' AND inbox IS NULL AND due > :latest"
LINK = """
UPDATE job_run SET inbox = (SELECT id FROM inbox WHERE account = :account AND event_id = :event_id)
 WHERE id = :id AND attempt = :attempt AND state = 'waiting'"""
AGAIN = """
UPDATE job_run SET state = 'waiting', attempt = attempt + 1, inbox = NULL, turn = NULL, due = :due, reason = :reason
 WHERE id = :id"""
PUT_OFF = (
    "UPDATE job_run SET due = :due, reason = :reason WHERE id = :id AND state = 'waiting' AND inbox IS NULL"
)
SPOKE = """
SELECT session, turn, ended FROM job_run WHERE job = :job AND state = 'done' AND delivery <> 'silent' AND ended >= :since
   AND session IS NOT NULL AND turn IS NOT NULL ORDER BY ended DESC, id DESC LIMIT 1"""
SUCCEEDED = (
    "UPDATE job SET failures = 0 WHERE id = (SELECT job FROM job_run WHERE id = :run) AND failures > 0"
)
FAILED = "UPDATE job SET failures = failures + 1 WHERE id = :id RETURNING failures"
DELIVERED = "UPDATE job_run SET delivery = :state WHERE id = :id AND delivery <> 'owed'"
UNDELIVERED = f"""
SELECT r.id, coalesce(r.ended, 0), r.session, r.turn, {", ".join(f"j.{each}" for each in COLUMNS.split(", "))}
  FROM job_run r JOIN job j ON j.id = r.job WHERE r.delivery = 'owed' ORDER BY r.id LIMIT 200"""
# Its row was refused before a turn began, or that turn is over and has left it behind.
REAP = """
UPDATE job_run SET state = 'failed', reason = :reason, ended = :now
 WHERE state IN ('waiting', 'running') AND inbox IS NOT NULL
   AND (state = 'running' OR EXISTS (SELECT 1 FROM inbox i WHERE i.id = job_run.inbox AND i.state IN ('refused', 'dead')))
   AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.id = job_run.inbox AND i.state IN ('waiting', 'held', 'taken'))
   AND NOT EXISTS (SELECT 1 FROM turn t WHERE t.job_run = job_run.id AND t.state IN ('running', 'parked'))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A schedule and what it asks; *next_at* None: never again."""

    id: int
    name: str
    kind: str
    source: str
    spec: Json
    zone: str
    state: str
    next_at: int | None
    failures: int  # runs in a row that have failed
    identity: int | None  # who made it; None: the operator
    conversation: int | None  # where it was made; None: in no chat
    created: int


def job(row: Row) -> Job:
    return Job(
        id=row[0],
        name=row[1],
        kind=row[2],
        source=row[3],
        spec=json.loads(row[4]),
        zone=row[5],
        state=row[6],
        next_at=row[7],
        failures=row[8],
        identity=row[9],
        conversation=row[10],
        created=row[11],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A run that ended at *ended* and whose answer is in the entries of its turn."""

    run: int
    ended: int
    session: int
    turn: int
    job: Job


class Jobs:
    """Rows of job and job_run."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def put(
        self,
        *,
        name: str,
        spec: Json,
        zone: str,
        next_at: int | None,
        state: str = "on",
        source: str = "config",
        identity: int | None = None,
        conversation: int | None = None,
        failures: int = 0,
        created: int = 0,
    ) -> None:
        await self._tx.run(
            PUT,
            name=name,
            kind=str(spec.get("kind", "prompt")),
            source=source,
            spec=json.dumps(spec, ensure_ascii=False, sort_keys=True),
            zone=zone,
            state=state,
            next_at=next_at,
            identity=identity,
            conversation=conversation,
            failures=failures,
            created=created,
        )

    async def all(self) -> list[Job]:
        rows = await self._tx.all(f"SELECT {COLUMNS} FROM job WHERE state <> 'removed' ORDER BY name")
        return [job(row) for row in rows]

    async def get(self, name: str) -> Job | None:
        row = await self._tx.one(f"SELECT {COLUMNS} FROM job WHERE name = :name", name=name)
        return None if row is None else job(row)

    async def of_kind(self, kind: str) -> list[Job]:
        """Those that are not removed, the oldest first."""
        rows = await self._tx.all(
            f"SELECT {COLUMNS} FROM job WHERE kind = :kind AND state <> 'removed' ORDER BY id", kind=kind
        )
        return [job(row) for row in rows]

    async def spoke(self, job: int, *, since: int) -> tuple[int, int, int] | None:
        """(session, turn, ended at) of the latest run since then that had something to say."""
        row = await self._tx.one(SPOKE, job=job, since=since)
        return None if row is None else (row[0], row[1], row[2])

    async def planned(self, run: int) -> int:
        """For when a run was planned."""
        return int(scalar(await self._tx.one("SELECT planned FROM job_run WHERE id = :id", id=run)))

    async def due(self, *, now: int) -> list[Job]:
        return [job(row) for row in await self._tx.all(DUE, now=now)]

    async def next_at(self, *, now: int) -> int | None:
        """When the next job is due, or the next attempt at a run; None when nothing is planned."""
        row = await self._tx.one(NEXT, now=now)
        return None if row is None or row[0] is None else int(row[0])

    async def advance(self, id: int, next_at: int | None) -> None:
        await self._tx.run(ADVANCE, id=id, next_at=next_at)

    async def switch(self, id: int, state: str, *, next_at: int | None) -> None:
        """On, paused or disabled from now on; what has failed before counts no more."""
        await self._tx.run(SWITCH, id=id, state=state, next_at=next_at)

    async def remove(self, name: str) -> None:
        await self._tx.run("UPDATE job SET state = 'removed', next_at = NULL WHERE name = :name", name=name)

    async def add_run(self, job: int, planned: int, *, state: str, reason: str | None = None) -> int | None:
        """The run's id; None when that planned time has its run already."""
        row = await self._tx.one(RUN, job=job, planned=planned, state=state, reason=reason, inbox=None)
        return None if row is None else int(scalar(row))

    async def run_state(
        self,
        id: int,
        state: str,
        *,
        session: int | None = None,
        turn: int | None = None,
        reason: str | None = None,
        started: int | None = None,
        ended: int | None = None,
    ) -> None:
        await self._tx.run(
            RUN_STATE,
            id=id,
            state=state,
            session=session,
            turn=turn,
            reason=reason,
            started=started,
            ended=ended,
        )

    async def delivery(self, id: int, state: str) -> None:
        await self._tx.run("UPDATE job_run SET delivery = :state WHERE id = :id", id=id, state=state)

    async def delivered(self, id: int, state: str) -> None:
        """What the outbox says of a chunk of its answer; while another chat is owed it, that counts."""
        await self._tx.run(DELIVERED, id=id, state=state)

    async def undelivered(self) -> list[Undelivered]:
        """Runs whose answer is owed to a chat that could not be found."""
        rows = await self._tx.all(UNDELIVERED)
        return [
            Undelivered(run=row[0], ended=row[1], session=row[2], turn=row[3], job=job(row[4:]))
            for row in rows
        ]

    async def runs(self, name: str, count: int) -> list[Row]:
        """(id, planned, state, delivery, session, reason, started, ended, attempt, due), newest first."""
        return await self._tx.all(RUNS, name=name, count=count)

    async def of_run(self, id: int) -> Job | None:
        row = await self._tx.one(
            f"SELECT {COLUMNS} FROM job WHERE id = (SELECT job FROM job_run WHERE id = :id)", id=id
        )
        return None if row is None else job(row)

    async def targets(self, run: int) -> list[str]:
        """Where the answer of a run goes, as its job says."""
        job = await self.of_run(run)
        return [] if job is None else [str(each) for each in job.spec.get("deliver_to", ())]

    async def open(self, job: int, *, since: int) -> int:
        """How many runs planned at *since* or later have not ended."""
        return int(scalar(await self._tx.one(OPEN, job=job, since=since)))

    async def hasten(self, latest: int) -> None:
        """No attempt waits for longer than until *latest*."""
        await self._tx.run(HASTEN, latest=latest)

    async def unskip(self, job: int, *, after: int) -> None:
        """Planned times later than *after* that were skipped come again."""
        await self._tx.run(UNSKIP, job=job, after=after)

    async def owes(self, *, now: int) -> bool:
        """Whether a run is due that has no inbox row."""
        return await self._tx.one(OWES, now=now) is not None

    async def owed(self, *, now: int, count: int) -> list[tuple[int, int, int, int | None, Job]]:
        """(run, planned, attempt, session, job) of runs that are due and without an inbox row, the oldest first."""
        rows = await self._tx.all(OWED, now=now, count=count)
        return [(row[0], row[1], row[2], row[3], job(row[4:])) for row in rows]

    async def again(self, id: int, *, due: int, reason: str) -> None:
        """Another attempt at a run, from *due* on."""
        await self._tx.run(AGAIN, id=id, due=due, reason=reason)

    async def put_off(self, id: int, *, due: int, reason: str) -> None:
        """The same attempt, from *due* on."""
        await self._tx.run(PUT_OFF, id=id, due=due, reason=reason)

    async def attempt(self, id: int) -> int:
        """Which attempt at a run this is, from 1."""
        return int(scalar(await self._tx.one("SELECT attempt FROM job_run WHERE id = :id", id=id)))

    async def succeeded(self, run: int) -> None:
        """What has failed before counts no more."""
        await self._tx.run(SUCCEEDED, run=run)

    async def failed(self, id: int) -> int:
        """One more run in a row; gives how many."""
        return int(scalar(await self._tx.one(FAILED, id=id)))

    async def disable(self, id: int) -> None:
        await self._tx.run("UPDATE job SET state = 'disabled', next_at = NULL WHERE id = :id", id=id)

    async def reap(self, *, reason: str, now: int) -> int:
        """Fail the runs whose event was taken away, or whose turn has left them behind; gives how many."""
        return await self._tx.run(REAP, reason=reason, now=now)

    async def link(self, id: int, *, attempt: int, account: int, event_id: str) -> bool:
        """Note which inbox row that attempt has become; False when it is past that."""
        return bool(await self._tx.run(LINK, id=id, attempt=attempt, account=account, event_id=event_id))
