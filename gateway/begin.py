"""How a conversation goes on: lease it, gate its first waiting row again, and begin one turn; one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway import access, transcript
from gateway.delivery import OVER
from gateway.errors import LeaseLost
from gateway.jobs import ends
from gateway.jobs.ends import End, Pen
from gateway.jobs.spec import CHAT, spec_of
from gateway.lanes import ALONE
from gateway.notices import nonce, put, under
from gateway.progress import Job, Started
from gateway.sessions import Continue, New, carried_over, new_code, reset_notice, resolve, title_of
from gateway.texts import say
from gateway.types import (
    Button,
    Chunk,
    Conversation,
    Identity,
    Json,
    Kind,
    OutboxRow,
    Place,
    Sender,
    Session,
    Turn,
    UsageSettled,
    Waiting,
)

if TYPE_CHECKING:
    from storage import Unit

AGAIN = "again"  # in the body of a row: the turn whose question is asked once more
MOST_ROWS = 20  # messages merged into one turn
MOST_BYTES = 32 * 1024
MOST_CRASHES = 3  # attempts at one turn before it is put aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decides, at this moment."""

    owner: str  # this process
    now: int
    policy: access.Policy
    key: Callable[[int, str], str]  # (account, channel): its name in the configuration
    gap_minutes: Callable[[Conversation], int | None]  # None: explicit
    carry_over: bool
    render: Callable[[int, str], list[Chunk]]
    token: Callable[[], str]
    recover: Callable[[tuple[Any, ...]], tuple[str, UsageSettled]]
    resume_parked: bool
    halted: bool  # the emergency stop holds: commands only
    overheard: Callable[[Conversation], int]  # messages of a group that the model is shown
    served: Callable[[int, str], bool]  # (account, channel): whether an answer could be delivered
    judged: Callable[[int], bool]  # whether the crash that left this turn was counted at the start
    connecting: Callable[[str], bool]  # whether that platform is configured and not connected yet
    language: str = ""  # of whoever's is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Nobody waits here, or somebody else has it. *parked*: a turn waits for the operator.

    *due*: the first row waits for the rest of what is being sent, until then (microseconds UTC).
    *halted*: somebody waits, and nothing may be asked.
    """

    parked: bool = False
    due: int | None = None
    halted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A turn to run; *notices* are to be sent before its answer, *parts* it had placed in an earlier life."""

    started: Started
    notices: tuple[OutboxRow, ...] = ()
    parts: tuple[OutboxRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Files to fetch before the turn of these rows can begin; *conversation* is where they were sent."""

    rows: tuple[Waiting, ...]
    conversation: Conversation
    fence: int
    lang: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that waited for its place in the order."""

    row: Waiting
    conversation: Conversation
    identity: Identity | None
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisoned:
    """A turn that took the process down too often; it is dead now and the person is told."""

    turn: Turn
    notices: tuple[OutboxRow, ...]
    text: str  # what they say
    end: End | None = None  # of the run that it was


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway:
    """Messages for a session that takes none now; *text* is what the person is told."""

    rows: tuple[Waiting, ...]
    fence: int
    notices: tuple[OutboxRow, ...]
    text: str


Begun = Nothing | Ask | Collect | Command | Poisoned | TurnedAway


async def begin(unit: Unit, id: int, fence: int | None, rules: Rules) -> Begun:
    """What to do next in conversation *id*; *fence* if we hold its lease already."""
    if fence is None:
        fence = await unit.places.lease(id, rules.owner)
        if fence is None:
            return Nothing()
    elif not await unit.places.holds(id, fence):
        raise LeaseLost(f"conversation {id} is somebody else's now")
    place = await unit.places.get(id)
    if not rules.served(place.account, place.channel) or await _early(unit, place, rules):
        await unit.places.release(id, fence)
        return Nothing()
    unfinished = await unit.turns.unfinished(id)
    kept = unfinished is not None and unfinished.state == "parked" and not rules.resume_parked
    if kept or rules.halted:
        # Commands go on while nothing can be asked; messages keep their order behind the turn that waits.
        head = await unit.inbox.head(id, now=rules.now, count=1)
        if head and head[0].kind is Kind.COMMAND:
            who = await unit.people.identity_by_id(head[0].identity) if head[0].identity else None
            if await _refusal(unit, head[0], place, who, rules) is None:
                who = _acting(place, who, rules)
                await unit.inbox.take(head[0].id, None)
                return Command(row=head[0], conversation=place, identity=who, fence=fence)
        await unit.places.release(id, fence)
        return Nothing(parked=kept, halted=rules.halted and (unfinished is not None or bool(head)))
    if unfinished is not None:
        return await _again(unit, place, unfinished, fence, rules)
    while True:
        head = await unit.inbox.head(id, now=rules.now, count=MOST_ROWS)
        if not head:
            await unit.places.release(id, fence)
            return Nothing(due=await unit.inbox.due(id, now=rules.now))
        identity = await unit.people.identity_by_id(head[0].identity) if head[0].identity else None
        reason = await _refusal(unit, head[0], place, identity, rules)
        identity = _acting(place, identity, rules)
        if reason is not None:
            await unit.inbox.forget(head[0].id, error=reason)
            if head[0].job_run is not None:
                await unit.jobs.run_state(head[0].job_run, "skipped", reason=reason, ended=rules.now)
        elif head[0].kind is Kind.COMMAND:
            await unit.inbox.take(head[0].id, None)
            return Command(row=head[0], conversation=place, identity=identity, fence=fence)
        else:
            run = _run(head)
            unread = tuple(row for row in run if row.body.get("attachments"))
            if not unread:
                return await _first(unit, place, identity, run, fence, rules)
            for row in unread:
                await unit.inbox.collecting(row.id)
            return Collect(rows=unread, conversation=place, fence=fence, lang=_lang(identity, rules))


async def _early(unit: Unit, place: Conversation, rules: Rules) -> bool:
    """Whether a job's answer could not be sent yet: a platform it goes to is still connecting."""
    if place.channel != "job":
        return False
    job = await unit.jobs.get(place.chat_id)
    platforms = (
        {target.partition(":")[0].partition(".")[0] for target in spec_of(job).deliver_to} if job else set()
    )
    if CHAT in platforms and job is not None and job.conversation is not None:
        platforms.add((await unit.places.get(job.conversation)).channel)
    return any(rules.connecting(platform) for platform in platforms)


async def _refusal(
    unit: Unit, row: Waiting, place: Conversation, identity: Identity | None, rules: Rules
) -> str | None:
    """The gate once more: who was let in when it was sent may be out by now."""
    scheduled = row.kind is Kind.JOB  # it came in by the schedule, wherever it is to run
    if scheduled and identity is not None and not access.lets_in(identity, rules.policy):
        return "the job's maker may not ask any more"
    if place.channel == "main" and identity is not None and not access.lets_in(identity, rules.policy):
        return "not let in any more"
    verdict = access.may(
        kind=row.kind,
        channel="job" if scheduled else place.channel,
        key=rules.key(place.account, place.channel),
        place=Place(
            chat_id=place.chat_id,
            thread_id=place.thread_id,
            user_id=place.user_id,
            kind=place.kind,
            server=place.server,
        ),
        chat=await unit.people.chat(place.channel, place.chat_id, place.server) if place.shared else "new",
        sender=Sender(user_id=identity.user_id, name=identity.name) if identity else None,
        state=identity.state if identity else "new",
        role=identity.role if identity else None,
        addressed=True,
        policy=rules.policy,
    )
    return None if verdict.allowed else verdict.reason


def _acting(place: Conversation, identity: Identity | None, rules: Rules) -> Identity | None:
    """With the role that counts now: the configuration names owners."""
    if identity is None:
        return None
    if place.channel == "main" != identity.channel:
        return replace(identity, role=access.standing(identity, rules.policy))
    role = access.role_of(
        channel=place.channel,
        key=rules.key(place.account, place.channel),
        user_id=identity.user_id,
        role=identity.role,
        policy=rules.policy,
    )
    return replace(identity, role=role)


def _run(head: Sequence[Waiting]) -> list[Waiting]:
    """The longest run from the head that is one person's, for one session, within the limits."""
    first, run, size = head[0], [head[0]], len(head[0].text.encode())
    if first.trigger is not None or first.kind is Kind.JOB:
        return run
    for row in head[1:] if not {AGAIN, ALONE} & first.body.keys() else ():
        size += len(row.text.encode())
        same = (row.identity, row.session, row.kind) == (first.identity, first.session, first.kind)
        if not same or row.trigger is not None or size > MOST_BYTES or {AGAIN, ALONE} & row.body.keys():
            break
        run.append(row)
    return run


async def _first(
    unit: Unit, place: Conversation, identity: Identity | None, rows: list[Waiting], fence: int, rules: Rules
) -> Ask | TurnedAway:
    head = rows[0]
    if await _gone(unit, head):
        return await _turned_away(unit, place, identity, rows, fence, rules, "session.gone")
    session, notices = await _session(unit, place, identity, rows, rules)
    if session.paused:
        return await _turned_away(unit, place, identity, rows, fence, rules, "session.paused")
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
            job=await _job(unit, head.job_run),
            overheard=await _overheard(unit, place, head.id, rules),
            lang=_lang(identity, rules),
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


async def _job(unit: Unit, run: int | None) -> Job | None:
    found = await unit.jobs.of_run(run) if run is not None else None
    return None if found is None else Job(spec=spec_of(found), made_in=found.conversation)


async def _gone(unit: Unit, head: Waiting) -> bool:
    """Whether a caller has named a session that goes on no more; who answers an old message goes on where he is."""
    if head.session is None or head.kind is not Kind.API:
        return False
    named = await unit.sessions.get(head.session)
    return named is None or not _goes_on(named)


def _goes_on(session: Session) -> bool:
    return session.archived is None and session.deleted is None


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
    text = say(key, _lang(identity, rules))
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


async def _overheard(unit: Unit, place: Conversation, before: int, rules: Rules) -> tuple[Json, ...]:
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


async def _session(
    unit: Unit, place: Conversation, identity: Identity | None, rows: list[Waiting], rules: Rules
) -> tuple[Session, list[OutboxRow]]:
    """The session these rows belong to, and what the person is to be told about it."""
    head = rows[0]
    if head.session is not None:
        named = await unit.sessions.get(head.session)
        if named is not None and _goes_on(named):
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
        case Continue(id):
            found = await unit.sessions.get(id)
            assert found is not None
            return found, []
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
    return session, await _tell_reset(unit, place, session, previous, head, rules, _lang(identity, rules))


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


def _lang(identity: Identity | None, rules: Rules) -> str:
    """The language that person is spoken to in; the operator's where nobody asked."""
    return (identity.lang if identity else "") or rules.language


async def _again(unit: Unit, place: Conversation, turn: Turn, fence: int, rules: Rules) -> Ask | Poisoned:
    """A turn that was interrupted: what it had finished stands, what it had open is charged as an estimate."""
    for row in await unit.ledger.open_rows(turn=turn.id):
        await unit.ledger.settle(*rules.recover(row))
    crashed = turn.state == "running" and not rules.judged(turn.id)
    attempt = await unit.turns.again(turn.id, fence, crashed=crashed)
    turn = replace(turn, attempt=attempt, fence=fence, state="running")
    identity = await unit.people.identity_by_id(turn.identity) if turn.identity else None
    identity = _acting(place, identity, rules)
    if attempt > MOST_CRASHES:
        return await _poison(unit, place, turn, rules, say("turn.poison", _lang(identity, rules)))
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
            overheard=await _overheard(unit, place, rows[0].id, rules) if rows else (),
            entries=tuple(await unit.transcript.live(session.id)),
            last_step=await unit.turns.last_step(turn.id),
            job=await _job(unit, turn.job_run),
            lang=_lang(identity, rules),
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
