"""How a turn ends: the answer, its bill, what is to be sent and every counter, in one commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from gateway import log, transcript
from gateway.jobs import ends
from gateway.jobs.ends import End
from gateway.journal import check
from gateway.notices import nonce, notice
from gateway.opening import first_state
from gateway.outgoing import OVER
from gateway.progress import Outcome, Progress, Started
from gateway.protocols.channel import Channel
from gateway.texts import say
from gateway.types.outbound import Chunk, OutboxRow

if TYPE_CHECKING:
    from storage import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an answer goes: rendered for that channel already."""

    account: int
    conversation: int
    channel: Channel
    chunks: Sequence[Chunk]
    origin: str
    kind: Literal["answer", "job"] = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """*more*: somebody waits in this conversation and we still hold its lease."""

    rows: list[OutboxRow]
    more: bool
    used: int = 0  # tokens of the model's context that its last request took; 0: nobody counted
    end: End | None = None  # of the job's run that it was
    progress: Progress | None = None  # what the turn came to


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The run of a job that a turn was. *delivery*: how far its answer comes with this commit."""

    id: int
    delivery: ends.Delivery
    pen: ends.Pen


async def finish(
    unit: Unit,
    started: Started,
    outcome: Outcome,
    targets: Sequence[Target],
    now: int,
    unread: bool,
    shown: Mapping[int, Chunk],
    run: Run | None = None,
) -> Finished:
    """*run*: of a job. Raises LeaseLost when the conversation is somebody else's by now: then nothing is stored."""
    turn = started.turn
    await check(unit, turn)
    if outcome.request is not None and outcome.request.settled is not None:
        await unit.ledger.settle(outcome.request.uid, outcome.request.settled)
    if outcome.parts or outcome.files:
        body = transcript.assistant(
            outcome.parts,
            model=outcome.model,
            interrupted=outcome.state != "done",
            files=[{"media": file.media, "type": file.type, "name": file.name} for file in outcome.files],
        )
        await unit.transcript.add(turn.session, "assistant", body, now=now, turn=turn.id)
    rows = [row for target in targets for row in await _outgoing(unit, started, target, now, shown)]
    await unit.inbox.settle_turn(turn.id, "done")
    await unit.turns.finish(
        turn.id, outcome.state, now=now, error_kind=outcome.error_kind, error=outcome.error
    )
    await unit.sessions.count(turn.session, now=now)
    if unread:
        await unit.sessions.set_unread(turn.session, True)
    end = None if run is None else await _end(unit, run, outcome)
    more = bool(await unit.inbox.head(turn.conversation, now=now, count=1))
    if not more:
        await unit.places.release(turn.conversation, turn.fence)
    return Finished(rows=rows, more=more, end=end)


async def _outgoing(
    unit: Unit, started: Started, target: Target, now: int, shown: Mapping[int, Chunk]
) -> list[OutboxRow]:
    """One row a chunk. The first goes out at once, so it is committed in the state of being sent.

    What a preview has begun and the answer does not fill is taken back; the outbox knows of it, also where the
    preview has never heard what became of its call. Files come behind all that: no message of text can become one.
    """
    rows: list[OutboxRow] = []
    texts = [chunk for chunk in target.chunks if chunk.file is None]
    files = [chunk for chunk in target.chunks if chunk.file is not None]
    chunks = [*texts, *[OVER] * (await unit.outbox.begun(target.origin) - len(texts)), *files]
    for part, chunk in enumerate(chunks):
        row = await unit.outbox.put(
            origin=target.origin,
            part=part,
            account=target.account,
            conversation=target.conversation,
            session=started.session.id,
            kind=target.kind,
            payload_=chunk,
            nonce=nonce(target.origin, part),
            state=first_state(target.channel, chunk) if part == 0 else "ready",
            now=now,
        )
        if row.state == "placed" and shown.get(row.id) == chunk:
            await unit.outbox.sent(row.id, now=now)
        else:
            rows.append(row)
    return rows


async def _end(unit: Unit, run: Run, outcome: Outcome) -> End:
    match outcome.state:
        case "done":
            return await ends.done(unit, run.id, run.delivery, run.pen.now)
        case "cancelled":
            return await ends.stopped(unit, run.id, run.pen.now)
        case _:
            error = None if outcome.error is None else log.clean(outcome.error)
            return await ends.failed(unit, run.id, kind=outcome.error_kind, error=error, pen=run.pen)


async def keep(
    unit: Unit,
    started: Started,
    outcome: Outcome,
    render: Callable[[int, str], list[Chunk]],
    now: int,
    origin: str | None,
    text: str,
) -> list[OutboxRow]:
    """Park a turn: it runs again when the operator has mended what is wrong, or at the next start.

    *origin* of the line *text* that says so; None to say nothing.
    """
    turn = started.turn
    await check(unit, turn)
    if outcome.request is not None and outcome.request.settled is not None:
        await unit.ledger.settle(outcome.request.uid, outcome.request.settled)
    await unit.turns.park(turn.id)
    await unit.places.release(turn.conversation, turn.fence)
    if origin is None:
        return []
    return await notice(unit, started.conversation.account, turn.conversation, origin, text, render, now)


async def move_back(
    unit: Unit,
    started: Started,
    outcome: Outcome,
    previous: int,
    render: Callable[[int, str], list[Chunk]],
    now: int,
) -> list[OutboxRow]:
    """Take a turn back: its messages wait again, for the previous session, which is current from now on."""
    turn = started.turn
    await check(unit, turn)
    if outcome.request is not None and outcome.request.settled is not None:
        await unit.ledger.settle(outcome.request.uid, outcome.request.settled)
    await unit.inbox.put_back(turn.id, session=previous)
    await unit.turns.finish(turn.id, "cancelled", now=now, error_kind="moved")
    await unit.sessions.close(turn.session, reason="moved", now=now)
    await unit.sessions.reopen(previous, now=now)
    await unit.places.point(turn.conversation, previous)
    rows: list[OutboxRow] = []
    placed = await unit.outbox.of_origin(f"turn:{turn.id}")
    moved = say("turn.moved", started.lang)
    for row, chunk in (
        zip(placed, [*render(placed[0].account, moved), *[OVER] * len(placed)], strict=False)
        if placed
        else ()
    ):
        await unit.outbox.repay(row.id, chunk)
        rows.append(replace(row, payload=chunk))
    return rows
