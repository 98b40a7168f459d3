"""A turn that was interrupted goes on, or is put aside when it has taken the process down too often."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.begin.asking import job_of, overheard
from gateway.begin.gate import acting
from gateway.begin.rules import Rules, language
from gateway.begin.steps import Ask, Poisoned
from gateway.jobs import ends
from gateway.jobs.ends import Pen
from gateway.notices import nonce
from gateway.outgoing import OVER
from gateway.progress import Started
from gateway.texts import say
from gateway.types.places import Conversation
from gateway.types.turns import Turn

if TYPE_CHECKING:
    from storage import Unit


MOST_CRASHES = 3  # attempts at one turn before it is put aside


async def resume(unit: Unit, place: Conversation, turn: Turn, fence: int, rules: Rules) -> Ask | Poisoned:
    """A turn that was interrupted: what it had finished stands, what it had open is charged as an estimate."""
    for row in await unit.ledger.open_rows(turn=turn.id):
        await unit.ledger.settle(*rules.recover(row))
    crashed = turn.state == "running" and not rules.judged(turn.id)
    attempt = await unit.turns.again(turn.id, fence, crashed=crashed)
    turn = replace(turn, attempt=attempt, fence=fence, state="running")
    identity = await unit.people.identity_by_id(turn.identity) if turn.identity else None
    identity = acting(place, identity, rules)
    if attempt > MOST_CRASHES:
        return await _poison(unit, place, turn, rules, say("turn.poison", language(identity, rules)))
    session = await unit.sessions.get(turn.session)
    assert session is not None
    rows = tuple(await unit.inbox.of_turn(turn.id))
    return Ask(
        started=Started(
            turn=turn,
            session=session,
            conversation=replace(place, fence=fence),
            identity=identity,
            rows=rows,
            overheard=await overheard(unit, place, rows[0].id, rules) if rows else (),
            entries=tuple(await unit.transcript.live(session.id)),
            last_step=await unit.turns.last_step(turn.id),
            job=await job_of(unit, turn.job_run),
            lang=language(identity, rules),
            zone=identity.zone if identity else "",
        ),
        parts=tuple(await unit.outbox.of_origin(f"turn:{turn.id}")),
    )


async def _poison(unit: Unit, place: Conversation, turn: Turn, rules: Rules, text: str) -> Poisoned:
    await unit.turns.finish(turn.id, "dead", now=rules.now, error_kind="poison", error="crashed too often")
    await unit.inbox.settle_turn(turn.id, "dead")
    end = None
    if turn.job_run is not None:
        pen = Pen(render=rules.render, now=rules.now, language=rules.language)
        end = await ends.failed(unit, turn.job_run, kind="poison", error=None, pen=pen)
    await unit.places.release(place.id, turn.fence)
    rows = []
    chunks = rules.render(place.account, text) if end is None else []
    chunks += [OVER] * (await unit.outbox.begun(f"turn:{turn.id}") - len(chunks))
    for part, chunk in enumerate(chunks):
        rows.append(
            await unit.outbox.put(
                origin=f"turn:{turn.id}",
                part=part,
                account=place.account,
                conversation=place.id,
                session=turn.session,
                kind="notice",
                payload_=chunk,
                nonce=nonce(f"turn:{turn.id}", part),
                state="ready",
                now=rules.now,
            )
        )
    return Poisoned(turn=turn, notices=tuple(rows), text=text, end=end)
