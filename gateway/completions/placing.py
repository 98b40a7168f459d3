"""Units of work: a question with its whole history finds its session, or begins one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway import rewinding, transcript, units
from gateway.completions import lineage
from gateway.completions.lineage import Continue, Decision, Held, Open, Repeat
from gateway.completions.pictures import Unshown
from gateway.completions.question import Question
from gateway.completions.shown import Shown
from gateway.errors import Refused
from gateway.media.gallery import MOST_PICTURES
from gateway.media.showing import entered
from gateway.sessions import new_code, title_of
from gateway.types.inbound import Enclosed
from gateway.types.json import Json
from gateway.types.people import Identity
from gateway.types.places import Account, Conversation, Place
from gateway.types.sessions import Session
from gateway.types.turns import Entry

if TYPE_CHECKING:
    from storage import Unit
    from storage.asked import Found

MOST = 20  # questions with the same history that are looked at, the newest first
INSTRUCTIONS = "instructions"  # in a session's settings: digest of what its program told the model last
TOLD = (
    "The program that this person writes with gives you these instructions; they count as the person's own:\n"
)
CHAT = "chat:"  # and the session's code: the place of a conversation that a program keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a question is to be asked. *repeated*: it was asked before, as *event*."""

    account: Account
    place: Conversation
    session: Session
    event: str
    text: str
    pictures: tuple[Enclosed, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Wanting:
    """These pictures are needed first; nothing was written."""

    pictures: tuple[Shown, ...]


Taken = Mapping[Shown, Enclosed | Unshown]
"""What became of the pictures that were wanted; each has a file of its own, for each may be deleted by itself."""


async def place(
    unit: Unit,
    question: Question,
    asking: Identity,
    who: Identity | None,
    *,
    event: str,
    watched: frozenset[str],
    taken: Taken,
    now: int,
) -> Placed | Wanting:
    """*asking*: whose bill it is, and whose sessions. *who*: the same, None for whoever has the machine.

    Raises Unshown where a picture of the question cannot be shown; NotFound for a session that does not exist; Refused
    while it answers elsewhere, and for a key that was used for another question.
    """
    account = await unit.people.account("main", "local", "local")
    owner = asking.person
    assert owner is not None
    mine = f"{who.channel}:{who.user_id}" if who is not None else ""
    text = question.past.question
    known = await unit.asked.get(event) if question.key is not None else None
    digest = _digest(question)
    if known is not None:
        if known[0] != digest:
            raise Refused(key="completion.key_used")
        return await _again(unit, account, event, question, mine, taken)
    start: Decision = lineage.new(question.past)
    if question.session is None:
        start = await decide(unit, question, account, owner, watched)
    if isinstance(start, Repeat):
        return await _again(unit, account, start.event, question, mine, taken)
    skip = start.skip if isinstance(start, Continue) else 0
    shown = question.past.pictures(skip)
    before = _newest(start) if isinstance(start, Open) and question.session is None else ()
    if missing := _missing((*before, *shown), taken):
        return Wanting(missing)
    pictures = _enclosed(shown, taken)
    if question.session is not None:
        session = await units.theirs(unit, question.session, who)
        where = await _at(unit, account, session, mine)
    else:
        match start:
            case Continue(id, skip):
                text = lineage.joined(question.past.texts[skip:])
                session = await _get(unit, id)
            case Open():
                session = await _open(unit, account, start, owner, mine, taken, now)
        await _instruct(unit, session, question.instructions, now)
        where = await _at(unit, account, session, mine)
    if question.session is None or question.model is not None:
        await unit.sessions.set_model(session.id, question.model)
    await unit.asked.add(event=event, session=session.id, digest=digest)
    return Placed(account=account, place=where, session=session, event=event, text=text, pictures=pictures)


def _digest(question: Question) -> str:
    past = question.past
    if question.session is not None:
        # Its history was not looked at: it must never be found by it either.
        return f"{question.session}:{lineage.digest(past.question, past.pictures())}"
    return lineage.chain(past)


def _newest(start: Open) -> tuple[Shown, ...]:
    """Those of a given history that a model would be shown."""
    return tuple(each for one in start.given for each in one.pictures)[-MOST_PICTURES:]


def _missing(pictures: Iterable[Shown], taken: Taken) -> tuple[Shown, ...]:
    return tuple(dict.fromkeys(each for each in pictures if each not in taken))


def _enclosed(pictures: Iterable[Shown], taken: Taken) -> tuple[Enclosed, ...]:
    """Raises Unshown: of what is asked now, nothing is left out."""
    found: list[Enclosed] = []
    for each in pictures:
        match taken[each]:
            case Unshown() as why:
                raise why
            case Enclosed() as file:
                found.append(file)
    return tuple(found)


async def decide(
    unit: Unit, question: Question, account: Account, owner: int, watched: frozenset[str]
) -> Decision:
    """Which of *owner*'s sessions the history belongs to."""
    looks = list(lineage.looks(question.past))
    known = await unit.asked.known([look.digest for look in looks])
    for look in looks:
        if look.digest not in known:
            continue
        found = await unit.asked.find(look.digest, account=account.id, owner=owner, count=MOST)
        held = [await _held(unit, account.id, each, watched) for each in found]
        decision = lineage.judge(question.past, look, held, again=question.again, watched=watched)
        if decision is not None:
            return decision
    return lineage.new(question.past)


async def _held(unit: Unit, account: int, found: Found, watched: frozenset[str]) -> Held:
    state: Literal["waiting", "done", "broken"] = "broken"
    if found.turn_state == "done":
        state = "done"
    elif found.turn_state in ("running", "parked") or (
        found.turn is None
        # Placed, and about to be entered.
        and (found.inbox in ("waiting", "taken", "held") or (found.inbox is None and found.event in watched))
    ):
        state = "waiting"
    said, upto = "", found.seq
    if found.turn is not None:
        entries = await unit.transcript.of_turn(found.session, found.turn)
        said = "\n\n".join(
            filter(None, (transcript.visible(e.body) for e in entries if e.kind == "assistant"))
        )
        upto = entries[-1].seq + 1 if entries else found.seq
    later = await unit.asked.later(
        found.session, upto, turn=found.turn, event=found.event, account=account, coming=watched
    )
    return Held(
        event=found.event,
        session=found.session,
        state=state,
        said=said,
        told=found.told,
        # One that was archived is read, and not continued.
        last=not later and (await _get(unit, found.session)).archived is None,
        upto=upto,
    )


async def _again(
    unit: Unit, account: Account, event: str, question: Question, mine: str, taken: Taken
) -> Placed | Wanting:
    known = await unit.asked.get(event)
    assert known is not None
    repeated = await unit.inbox.id_of(account.id, event) is not None
    shown = () if repeated else question.past.pictures()
    if missing := _missing(shown, taken):
        return Wanting(missing)
    session = await units.session_named(unit, known[1])
    where = await _at(unit, account, session, mine)
    return Placed(
        account=account,
        place=where,
        session=session,
        event=event,
        text=question.past.question,
        pictures=_enclosed(shown, taken),
        repeated=repeated,
    )


async def _at(unit: Unit, account: Account, session: Session, mine: str) -> Conversation:
    """Where a session is asked from here: in its own place, or beside it where that is a chat on a platform.

    Raises Refused for one that is paused or archived, and while it answers elsewhere.
    """
    if session.paused:
        raise Refused(key="session.paused")
    if session.archived is not None:
        raise Refused(key="session.archived", code=session.code)
    own = await unit.places.get(session.conversation)
    if own.account == account.id:
        return own
    beside = await unit.places.at(
        account, Place(chat_id=f"{CHAT}{session.code}", user_id=mine, kind="client")
    )
    latest = await unit.turns.latest(session.id)
    if latest is not None and latest.state in ("running", "parked") and latest.conversation != beside.id:
        raise Refused(key="session.busy")
    return beside


async def _open(
    unit: Unit, account: Account, start: Open, owner: int, mine: str, taken: Taken, now: int
) -> Session:
    code = new_code()
    where = await unit.places.at(account, Place(chat_id=f"{CHAT}{code}", user_id=mine, kind="client"))
    parent = await _get(unit, start.parent) if start.parent is not None else None
    session = await unit.sessions.add(
        code=code,
        conversation=where.id,
        owner=owner,
        now=now,
        origin="new" if parent is None else "fork",
        parent=start.parent,
        fork_seq=None if parent is None else start.upto,
        title=None if parent is None else parent.title,
    )
    await unit.places.point(where.id, session.id)
    if parent is not None:
        entries = [each for each in await unit.transcript.all(parent.id) if each.seq < start.upto]
        seqs = [each.seq for each in rewinding.standing(entries)]
        await unit.transcript.copy(parent.id, session.id, seqs, next_seq=start.upto)
        await unit.sessions.set_system_prompt(session.id, parent.system_prompt)
    files = [await _files(unit, each.pictures, taken, now) for each in start.given]
    given = _given(start, files, start.upto, now)
    await unit.transcript.put(session.id, given, next_seq=start.upto + len(given))
    first = next((title for each in start.given if (title := title_of(each.asked))), "")
    if first:
        await unit.sessions.set_title_if_empty(session.id, first)
    return await _get(unit, session.id)


async def _files(unit: Unit, pictures: Iterable[Shown], taken: Taken, now: int) -> list[Json]:
    """Of something said before; what cannot be shown any more is told to the model as that."""
    found: list[Json] = []
    for each in pictures:
        match taken.get(each):
            case Enclosed() as file:
                found += await entered(unit, [file], now=now)
            case Unshown(why=why):
                found.append({"kind": "image", "error": why})
            case None:
                found.append({"kind": "image", "error": "too_many"})
    return found


def _given(start: Open, files: Sequence[Sequence[Json]], seq: int, now: int) -> list[Entry]:
    """What the program says was said, as entries from *seq* on."""
    found: list[Entry] = []

    def add(kind: Literal["user", "assistant"], turn: int, body: Json) -> None:
        found.append(Entry(seq=seq + len(found), turn=turn, kind=kind, body=body, created=now))

    for turn, each in enumerate(start.given):
        if each.asked or files[turn]:
            add("user", turn, transcript.user(each.asked, files=files[turn]))
        if each.answered:
            add("assistant", turn, transcript.assistant((transcript.Text(each.answered),)))
    return found


async def _instruct(unit: Unit, session: Session, text: str, now: int) -> None:
    """What the program tells the model, in the transcript; again only when it has changed."""
    marked = lineage.digest(text) if text.strip() else None
    if session.settings.get(INSTRUCTIONS) == marked:
        return
    settings: Json = {key: value for key, value in session.settings.items() if key != INSTRUCTIONS}
    await unit.sessions.set_settings(
        session.id, settings if marked is None else {**settings, INSTRUCTIONS: marked}
    )
    if marked is not None:
        await unit.transcript.add(session.id, "note", transcript.note(TOLD + text), now=now)


async def _get(unit: Unit, id: int) -> Session:
    session = await unit.sessions.get(id)
    assert session is not None
    return session


async def withdraw(unit: Unit, account: int, event: str, now: int) -> bool:
    """Whoever asked has gone: a question that has not begun, or is kept, is not asked any more. False: it runs."""
    state, turn = await unit.inbox.by_event(account, event) or ("", None)
    id = await unit.inbox.id_of(account, event)
    if state == "waiting" and id is not None:
        await unit.inbox.forget(id, error="withdrawn")
        return True
    found = await unit.turns.get(turn) if turn is not None else None
    if found is not None and found.state == "parked":
        await unit.inbox.settle_turn(found.id, "done")
        return await unit.turns.finish(found.id, "cancelled", now=now, error_kind="withdrawn")
    return found is None or found.state != "running"
