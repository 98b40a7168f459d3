"""The session that rows belong to, and the line with the way back when it is a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import transcript
from gateway.begin.rules import Rules, language
from gateway.notices import put, under
from gateway.sessions import Continue, New, carried_over, new_code, reset_notice, resolve
from gateway.texts import say
from gateway.types.inbound import Waiting
from gateway.types.outbound import Button, OutboxRow
from gateway.types.people import Identity
from gateway.types.places import Conversation
from gateway.types.sessions import Session

if TYPE_CHECKING:
    from storage import Unit


def goes_on(session: Session) -> bool:
    return session.archived is None and session.deleted is None


async def session_of(
    unit: Unit, place: Conversation, identity: Identity | None, rows: list[Waiting], rules: Rules
) -> tuple[Session, list[OutboxRow]]:
    """The session these rows belong to, and what the person is to be told about it."""
    head = rows[0]
    if head.session is not None:
        named = await unit.sessions.get(head.session)
        if named is not None and goes_on(named):
            if named.state == "closed":
                await unit.sessions.reopen(named.id, now=rules.now)
            return named, []
    if head.body.get("fresh"):
        return (
            await unit.sessions.add(
                code=new_code(),
                conversation=place.id,
                owner=identity.person if identity else None,  # whose job it is, they may open it
                now=rules.now,
                origin="job" if head.trigger else "new",
                triggered_by=head.trigger,
                title=head.trigger,
            ),
            [],
        )
    current = await unit.sessions.get(place.current_session) if place.current_session else None
    match resolve(current, received=head.received, gap_minutes=rules.gap_minutes(place)):
        case Continue():
            assert current is not None
            return current, []
        case New(closed, _):
            if closed is not None:
                await unit.sessions.close(closed, reason="idle", now=rules.now)
            return await _new(unit, place, identity, head, rules)


async def _new(
    unit: Unit, place: Conversation, identity: Identity | None, head: Waiting, rules: Rules
) -> tuple[Session, list[OutboxRow]]:
    session = await unit.sessions.add(
        code=new_code(),
        conversation=place.id,
        owner=identity.person if identity else None,
        now=rules.now,
        triggered_by=head.trigger,
    )
    await unit.places.point(place.id, session.id)
    if rules.gap_minutes(place) == 0:
        return session, []  # every message begins one: nobody needs to be told
    previous = await unit.sessions.previous(place.id, but=session.id)
    if previous is None or previous.close_reason != "idle" or head.trigger is not None:
        return session, []
    if not await unit.sessions.told(previous.id, now=rules.now):
        return session, []
    if rules.carry_over:
        await _carry_over(unit, session, previous, rules.now)
    return session, await _tell_reset(unit, place, session, previous, head, rules, language(identity, rules))


async def _carry_over(unit: Unit, session: Session, previous: Session, now: int) -> None:
    last = await unit.transcript.last(previous.id, 6)
    asked = next((str(e.body.get("text", "")) for e in reversed(last) if e.kind == "user"), "")
    answered = next((transcript.visible(e.body) for e in reversed(last) if e.kind == "assistant"), "")
    text = carried_over(previous.title, asked, answered)
    await unit.transcript.add(session.id, "note", transcript.note(text), now=now)


async def _tell_reset(
    unit: Unit,
    place: Conversation,
    session: Session,
    previous: Session,
    head: Waiting,
    rules: Rules,
    lang: str,
) -> list[OutboxRow]:
    """One line with the way back."""
    since = previous.last_person or previous.created
    text = reset_notice(lang, idle_minutes=(head.received - since) // 60_000_000, title=previous.title)
    chunks = rules.render(place.account, text)
    if not chunks:
        return []
    token = rules.token()
    rows = await put(
        unit,
        account=place.account,
        conversation=place.id,
        origin=f"reset:{session.id}",
        chunks=under(chunks, [Button(label=say("button.previous", lang), token=token)]),
        now=rules.now,
        session=session.id,
    )
    await unit.outbox.button(
        token,
        action="continue-previous",
        args={"v": 1, "previous": previous.id, "new": session.id},
        conversation=place.id,
    )
    return rows
