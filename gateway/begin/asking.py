"""Rows become a turn, or are turned away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import transcript
from gateway.begin.rules import Rules, language
from gateway.begin.session import goes_on, session_of
from gateway.begin.steps import Ask, TurnedAway
from gateway.jobs.spec import spec_of
from gateway.lanes import AGAIN
from gateway.notices import put
from gateway.progress import Job, Started
from gateway.sessions import title_of
from gateway.texts import say
from gateway.types.inbound import Kind, Waiting
from gateway.types.json import Json
from gateway.types.people import Identity
from gateway.types.places import Conversation
from gateway.types.sessions import Session
from gateway.types.turns import Turn

if TYPE_CHECKING:
    from storage import Unit


async def ask(
    unit: Unit, place: Conversation, identity: Identity | None, rows: list[Waiting], fence: int, rules: Rules
) -> Ask | TurnedAway:
    """One turn of all these *rows*, unless the session they are for is gone, paused or cut off elsewhere."""
    head = rows[0]
    if await _gone(unit, head):
        return await _turned_away(unit, place, identity, rows, fence, rules, "session.gone")
    session, notices = await session_of(unit, place, identity, rows, rules)
    if session.paused:
        return await _turned_away(unit, place, identity, rows, fence, rules, "session.paused")
    if head.kind is Kind.API and await _cut_off(unit, session, place, rules):
        return await _turned_away(unit, place, identity, rows, fence, rules, "session.busy_elsewhere")
    if session.unread and head.trigger is None:  # whoever answers has read it
        await unit.sessions.set_unread(session.id, False)
    turn = await unit.turns.add(
        session=session.id,
        conversation=place.id,
        identity=identity.id if identity else None,
        trigger=head.trigger,
        job_run=head.job_run,
        fence=fence,
        model=session.model,
        now=rules.now,
        over=[str(kind) for kind in head.body.get("over", ())],
    )
    again = head.body.get(AGAIN)
    for row in rows:
        if again is None:
            await unit.transcript.add(session.id, "user", transcript.said(row), now=rules.now, turn=turn.id)
        await unit.inbox.take(row.id, turn.id)
    if isinstance(again, int):
        await _said_again(unit, session, again, turn, rules.now)
    person = None if head.trigger is not None else rows[-1].received
    said = len(rows) if again is None else 0
    await unit.sessions.count(session.id, now=rules.now, messages=said, turns=1, person=person)
    title = title_of(head.text)
    if session.title is None and title:
        await unit.sessions.set_title_if_empty(session.id, title)
    if head.job_run is not None:
        await unit.jobs.run_state(
            head.job_run, "running", session=session.id, turn=turn.id, started=rules.now
        )
    return Ask(
        started=Started(
            turn=turn,
            session=session,
            conversation=replace(place, fence=fence),
            identity=identity,
            rows=tuple(rows),
            entries=tuple(await unit.transcript.live(session.id)),
            job=await job_of(unit, head.job_run),
            overheard=await overheard(unit, place, head.id, rules),
            lang=language(identity, rules),
            zone=identity.zone if identity else "",
        ),
        notices=tuple(notices),
    )


async def _said_again(unit: Unit, session: Session, before: int, turn: Turn, now: int) -> None:
    """What the turn *before* was asked is asked again: where it ends the transcript, with all that it had come to."""
    live = await unit.transcript.live(session.id)
    if live and live[-1].turn == before:
        await unit.transcript.hand_on(session.id, before, turn.id)
        return
    asked = await unit.turns.get(before)
    for entry in await unit.transcript.all(asked.session) if asked is not None else ():
        if entry.turn == before and entry.kind == "user":
            await unit.transcript.add(session.id, "user", entry.body, now=now, turn=turn.id)


async def job_of(unit: Unit, run: int | None) -> Job | None:
    found = await unit.jobs.of_run(run) if run is not None else None
    return None if found is None else Job(spec=spec_of(found), made_in=found.conversation)


async def _gone(unit: Unit, head: Waiting) -> bool:
    """Whether a caller has named a session that goes on no more; who answers an old message goes on where he is."""
    if head.session is None or head.kind is not Kind.API:
        return False
    named = await unit.sessions.get(head.session)
    return named is None or not goes_on(named)


async def _cut_off(unit: Unit, session: Session, here: Conversation, rules: Rules) -> bool:
    """Whether a turn of that session waits in a place that is not served: nobody knows when it goes on."""
    latest = await unit.turns.latest(session.id)
    if latest is None or latest.state not in ("running", "parked") or latest.conversation == here.id:
        return False
    there = await unit.places.get(latest.conversation)
    return not rules.served(there.account, there.channel)


async def _turned_away(
    unit: Unit,
    place: Conversation,
    identity: Identity | None,
    rows: list[Waiting],
    fence: int,
    rules: Rules,
    key: str,
) -> TurnedAway:
    """A person is told so; a job's run is skipped, and says why in its list of runs."""
    text = say(key, language(identity, rules))
    for row in rows:
        await unit.inbox.settle(row.id, "refused", error=key)
        if row.job_run is not None:
            await unit.jobs.run_state(row.job_run, "skipped", reason=say(key), ended=rules.now)
    notices = await put(
        unit,
        account=place.account,
        conversation=place.id,
        origin=f"refused:{rows[0].id}",
        chunks=[] if rows[0].trigger is not None else rules.render(place.account, text),
        now=rules.now,
    )
    return TurnedAway(rows=tuple(rows), fence=fence, notices=tuple(notices), text=text)


async def overheard(unit: Unit, place: Conversation, before: int, rules: Rules) -> tuple[Json, ...]:
    """What was said in a group before the first message of a turn, without being meant for us."""
    count = rules.overheard(place)
    if not place.shared or not count:
        return ()
    chat = place.id
    if place.user_id:
        whole = await unit.places.whole(place)
        if whole is None:
            return ()
        chat = whole.id
    return tuple(await unit.inbox.overheard(chat, before=before, count=count))
