"""The turn table, and the tool calls of a turn: what has run, what was running when we died."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.types.turns import Turn
from storage.database import Row, Tx, scalar

COLUMNS = "id, session, n, conversation, identity, trigger, job_run, attempt, fence, state, started, finished, error_kind, error, over"
ADD = f"""
INSERT INTO turn (session, n, conversation, identity, trigger, job_run, fence, model, over, state, started)
SELECT :session, s.next_turn, :conversation, :identity, :trigger, :job_run, :fence, :model, :over, 'running', :now
  FROM session s WHERE s.id = :session RETURNING {COLUMNS}"""
GET = f"SELECT {COLUMNS} FROM turn WHERE id = :id"
RUNNING = f"SELECT {COLUMNS} FROM turn WHERE state IN ('running', 'parked') ORDER BY id"
FINISH = """
UPDATE turn SET state = :state, finished = :now, error_kind = :error_kind, error = :error
 WHERE id = :id AND state IN ('running', 'parked')"""
AGAIN = """
UPDATE turn SET state = 'running', attempt = attempt + :crashed, fence = :fence WHERE id = :id RETURNING attempt"""
# What was running while the process was killed is not to blame for it, unless it had begun something that life.
# Nobody waits any more for what is answered in a session that is deleted.
BURY = """
UPDATE turn SET state = 'cancelled', finished = :now, error_kind = 'deleted'
 WHERE state IN ('running', 'parked') AND session IN (SELECT id FROM session WHERE deleted IS NOT NULL)
RETURNING id"""
BLAME = """
UPDATE turn SET attempt = attempt + 1 WHERE state = 'running' AND (
       EXISTS (SELECT 1 FROM usage u WHERE u.turn = turn.id AND u.state = 'open')
    OR EXISTS (SELECT 1 FROM tool_call c WHERE c.turn = turn.id AND c.started IS NOT NULL AND c.ended IS NULL))"""
UNFINISHED = f"""
SELECT {COLUMNS} FROM turn WHERE conversation = :conversation AND state IN ('running', 'parked') ORDER BY id LIMIT 1"""
ENDED = f"""
SELECT {COLUMNS} FROM turn WHERE id > :after AND conversation = :conversation AND state NOT IN ('running', 'parked')
 ORDER BY id LIMIT :count"""
BEFORE = """
SELECT coalesce((SELECT min(id) - 1 FROM turn WHERE conversation = :conversation AND state IN ('running', 'parked')),
       (SELECT max(id) FROM turn), 0)"""
PARK = "UPDATE turn SET state = 'parked' WHERE id = :id AND state = 'running'"
CANCEL = "UPDATE turn SET cancel_at = :now WHERE id = :id AND state = 'running'"
CURRENT = f"SELECT {COLUMNS} FROM turn WHERE conversation = :conversation AND state = 'running' ORDER BY id DESC LIMIT 1"
LATEST = f"SELECT {COLUMNS} FROM turn WHERE session = :session ORDER BY n DESC LIMIT 1"
LAST_STEP = "SELECT coalesce(max(step), -1) FROM usage WHERE turn = :turn"

CALL_ADD = """
INSERT INTO tool_call (turn, step, call_id, name, effect, args_hash, state)
VALUES (:turn, :step, :call_id, :name, :effect, :args_hash, 'intent')
ON CONFLICT (turn, step, call_id) DO NOTHING"""
CALL_START = "UPDATE tool_call SET started = :now WHERE turn = :turn AND step = :step AND call_id = :call_id"
CALL_END = """
UPDATE tool_call SET state = :state, is_error = :is_error, ended = :now
 WHERE turn = :turn AND step = :step AND call_id = :call_id"""
# Of a turn that ends early: what had started may have taken effect, what had not never will.
CALLS_LEFT = """
UPDATE tool_call SET state = CASE WHEN started IS NULL THEN 'denied' ELSE 'unknown' END, ended = :now
 WHERE turn = :turn AND state = 'intent'"""
CALLS_IN = "SELECT count(*) FROM tool_call c JOIN turn t ON t.id = c.turn WHERE t.session = :session"
FORGET = "UPDATE turn SET error = NULL WHERE session = :session"
CALLS = "SELECT call_id, name, state, started FROM tool_call WHERE turn = :turn AND step = :step ORDER BY id"


def turn(row: Row) -> Turn:
    return Turn(
        id=row[0],
        session=row[1],
        n=row[2],
        conversation=row[3],
        identity=row[4],
        trigger=row[5],
        job_run=row[6],
        attempt=row[7],
        fence=row[8],
        state=row[9],
        started=row[10],
        finished=row[11],
        error_kind=row[12],
        error=row[13],
        over=tuple(row[14].split()),
    )


class Turns:
    """Rows of turn and tool_call."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def ended(self, conversation: int, *, after: int, count: int) -> list[Turn]:
        """Those there that are over, with a number above *after*; oldest first."""
        rows = await self._tx.all(ENDED, conversation=conversation, after=after, count=count)
        return [turn(row) for row in rows]

    async def before(self, conversation: int) -> int:
        """Up to which number no turn of that conversation is still to end."""
        return int(scalar(await self._tx.one(BEFORE, conversation=conversation)))

    async def add(
        self,
        *,
        session: int,
        conversation: int,
        identity: int | None,
        trigger: str | None,
        job_run: int | None,
        fence: int,
        model: str | None,
        now: int,
        over: Sequence[str] = (),
    ) -> Turn:
        """*over*: budgets it may run past, as person:day. Raises StoreError when a turn of that session is running already."""
        row = await self._tx.one(
            ADD,
            session=session,
            conversation=conversation,
            identity=identity,
            trigger=trigger,
            job_run=job_run,
            fence=fence,
            model=model,
            over=" ".join(over),
            now=now,
        )
        assert row is not None
        return turn(row)

    async def get(self, id: int) -> Turn | None:
        row = await self._tx.one(GET, id=id)
        return None if row is None else turn(row)

    async def open(self) -> list[Turn]:
        """Running or parked, oldest first."""
        return [turn(row) for row in await self._tx.all(RUNNING)]

    async def current(self, conversation: int) -> Turn | None:
        row = await self._tx.one(CURRENT, conversation=conversation)
        return None if row is None else turn(row)

    async def latest(self, session: int) -> Turn | None:
        row = await self._tx.one(LATEST, session=session)
        return None if row is None else turn(row)

    async def unfinished(self, conversation: int) -> Turn | None:
        """The oldest running or parked turn of a conversation."""
        row = await self._tx.one(UNFINISHED, conversation=conversation)
        return None if row is None else turn(row)

    async def again(self, id: int, fence: int, *, crashed: bool) -> int:
        """Take up an interrupted turn; gives the number of the attempt (a crash begins a new one)."""
        row = await self._tx.one(AGAIN, id=id, fence=fence, crashed=int(crashed))
        assert row is not None
        return int(row[0])

    async def blame(self) -> None:
        """After a crash, before the ledger is settled: count it against the turns that may have caused it."""
        await self._tx.run(BLAME)

    async def bury(self, *, now: int) -> list[int]:
        """End what an earlier process left unfinished in deleted sessions; gives the turns."""
        return [row[0] for row in await self._tx.all(BURY, now=now)]

    async def park(self, id: int) -> None:
        await self._tx.run(PARK, id=id)

    async def cancel(self, id: int, *, now: int) -> bool:
        return await self._tx.run(CANCEL, id=id, now=now) == 1

    async def finish(
        self, id: int, state: str, *, now: int, error_kind: str | None = None, error: str | None = None
    ) -> bool:
        """False when it had ended before. Calls that have no result yet get none any more."""
        if state != "done":
            await self._tx.run(CALLS_LEFT, turn=id, now=now)
        return (
            await self._tx.run(FINISH, id=id, state=state, now=now, error_kind=error_kind, error=error) == 1
        )

    async def last_step(self, turn: int) -> int:
        """The number of the last provider request of a turn; -1 before the first."""
        row = await self._tx.one(LAST_STEP, turn=turn)
        assert row is not None
        return int(row[0])

    async def call(
        self, turn: int, step: int, call_id: str, *, name: str, effect: str, args_hash: str
    ) -> None:
        await self._tx.run(
            CALL_ADD, turn=turn, step=step, call_id=call_id, name=name, effect=effect, args_hash=args_hash
        )

    async def call_started(self, turn: int, step: int, call_id: str, *, now: int) -> None:
        await self._tx.run(CALL_START, turn=turn, step=step, call_id=call_id, now=now)

    async def call_ended(
        self, turn: int, step: int, call_id: str, *, state: str, is_error: bool, now: int
    ) -> None:
        await self._tx.run(
            CALL_END, turn=turn, step=step, call_id=call_id, state=state, is_error=int(is_error), now=now
        )

    async def calls(self, turn: int, step: int) -> list[tuple[str, str, str, int | None]]:
        """(call id, tool, state, when it was started or None) in order."""
        return [(r[0], r[1], r[2], r[3]) for r in await self._tx.all(CALLS, turn=turn, step=step)]

    async def calls_in(self, session: int) -> int:
        """How many calls of tools there were in all turns of a session."""
        row = await self._tx.one(CALLS_IN, session=session)
        return int(row[0]) if row is not None else 0

    async def forget(self, session: int) -> None:
        """What went wrong may quote what was said."""
        await self._tx.run(FORGET, session=session)
