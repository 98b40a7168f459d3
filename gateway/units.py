"""Units of work of the public surface: what one method of SessionManager does inside one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gateway import appeals, transcript
from gateway.errors import NotFound, Refused
from gateway.reports import usage_summary
from gateway.sessions import (
    ALPHABET,
    CODE_LENGTH,
    Continue,
    New,
    SessionDecision,
    new_code,
    resolve,
    title_of,
)
from gateway.texts import say
from gateway.texts.direction import isolated
from gateway.types.people import OPERATOR, Identity, Viewer
from gateway.types.places import Account, Conversation, Place
from gateway.types.sessions import CloseReason, Session
from gateway.types.turns import Turn
from gateway.views import Generated, SessionMeta, meta_of

if TYPE_CHECKING:
    from storage import Unit
    from storage.appeals import Appeal

MOST_COUNTED = 1000  # waiting messages; more are shown as so many
SHORTEST = 2  # characters of a code
MOST_NAMED = 5  # sessions that are named when a code could be that of several


def code_of(id: str) -> str:
    return str(id).strip().upper()


def is_code(code: str) -> bool:
    """Whether it is one that `new_code` could have made."""
    return len(code) == CODE_LENGTH and set(code) <= set(ALPHABET)


async def by_code(unit: Unit, id: str) -> Session:
    return await session_named(unit, id)


async def shown(unit: Unit, session: Session) -> SessionMeta:
    """As it stands in this transaction."""
    now = await unit.sessions.get(session.id)
    assert now is not None
    place = await unit.places.get(now.conversation)
    return meta_of(now, place, await unit.tags.of(now.id))


async def session_named(unit: Unit, id: str, viewer: Viewer = OPERATOR) -> Session:
    """Raises NotFound, in the same words for one that is not for the viewer's eyes."""
    found = await unit.listing.by_code(code_of(id), viewer)
    if found is None:
        raise NotFound(key="session.unknown", code=title_of(str(id), 2 * CODE_LENGTH))
    return found


async def at_rest(unit: Unit, id: str, viewer: Viewer = OPERATOR) -> Session:
    """Raises Refused while a turn is running in it."""
    session = await session_named(unit, id, viewer)
    if await is_busy(unit, session.id):
        raise Refused(key="session.busy")
    return session


async def is_busy(unit: Unit, session: int) -> bool:
    """Whether a turn runs in it, or waits to go on."""
    latest = await unit.turns.latest(session)
    return latest is not None and latest.state in ("running", "parked")


async def theirs(unit: Unit, id: str, who: Identity | None) -> Session:
    """A session of somebody's own; any one for None. Raises NotFound."""
    return await session_named(unit, id, OPERATOR if who is None else Viewer(person=who.person or 0))


async def local_place(unit: Unit, key: str, user_id: str = "") -> tuple[Account, Conversation]:
    account = await unit.people.account("main", "local", "local")
    return account, await unit.places.at(account, Place(chat_id=key, user_id=user_id, kind="client"))


async def place_of(unit: Unit, channel: str, key: str, user_id: str) -> Conversation:
    known = [account for account in await unit.people.accounts() if account.channel == channel]
    account = known[-1] if known else await unit.people.account(channel, "local", "")
    kind: Literal["client", "direct"] = "client" if channel == "main" else "direct"
    return await unit.places.at(account, Place(chat_id=key, user_id=user_id, kind=kind))


async def resolved(
    unit: Unit, place: Conversation, gap_minutes: int | None, now: int
) -> SessionDecision[str]:
    current = await unit.sessions.get(place.current_session) if place.current_session else None
    match resolve(current, received=now, gap_minutes=gap_minutes):
        case Continue(_):
            assert current is not None
            return Continue(current.code)
        case New(None, reason):
            return New(None, reason)
        case New(closed, reason):
            assert current is not None and closed is not None
            await unit.sessions.close(closed, reason="idle", now=now)
            return New(current.code, reason)


async def created(
    unit: Unit, place: Conversation, now: int, *, user_id: str = "", triggered_by: str | None = None
) -> Session:
    who: Identity | None = await unit.people.seen(place.channel, user_id) if user_id else None
    if place.current_session is not None:
        await unit.sessions.close(place.current_session, reason="api", now=now)
    session = await unit.sessions.add(
        code=new_code(),
        conversation=place.id,
        now=now,
        owner=who.person if who else None,
        triggered_by=triggered_by,
        origin="job" if triggered_by else "new",
    )
    await unit.places.point(place.id, session.id)
    return session


async def answer_to(unit: Unit, account: int, event_id: str) -> Generated | None:
    """The stored answer to an event; None while there is none yet.

    Of a question that a budget had refused and that was let pass, the answer that it has then.
    """
    row = await unit.inbox.by_event(account, event_id)
    if row is None or row[0] in ("waiting", "taken", "held"):
        return None
    turn = await unit.turns.get(row[1]) if row[1] else None
    refused = await unit.appeals.get(turn.id) if turn is not None else None
    if turn is not None and refused is not None and refused.decision is not None:
        return await answer_to(unit, account, appeals.event_of(turn.id))
    if turn is None:
        return Generated(text="", session_id="", state=row[0], error=None, usage=usage_summary([0] * 12))
    return await answer_of(unit, turn, refused)


async def answer_of(unit: Unit, turn: Turn, refused: Appeal | None = None) -> Generated:
    """The stored answer of a turn; *refused*: what a budget had against it."""
    session = await unit.sessions.get(turn.session)
    entries = [
        e for e in await unit.transcript.all(turn.session) if e.turn == turn.id and e.kind == "assistant"
    ]
    return Generated(
        text="\n\n".join(filter(None, (transcript.visible(e.body) for e in entries))),
        session_id=session.code if session else "",
        state=turn.state,
        error=turn.error,
        usage=usage_summary(await unit.ledger.of_turn(turn.id)),
        over=appeals.shortfall_of(refused) if refused is not None else None,
    )


async def meant(unit: Unit, typed: str, viewer: Viewer) -> Session:
    """The session whose code begins so, of those that the viewer may see.

    Raises NotFound, with one text whether there is one elsewhere or not; Refused for several, and for too little.
    """
    prefix = code_of(typed)
    if len(prefix) < SHORTEST:
        raise Refused(key="session.short", least=SHORTEST)
    if not set(prefix) <= set(ALPHABET):
        raise NotFound(key="session.not_here")
    found = await unit.listing.by_prefix(prefix, viewer, count=MOST_NAMED + 1)
    if not found:
        raise NotFound(key="session.not_here")
    if len(found) > 1 and found[0].code != prefix:
        named = ", ".join(f"`{each.code}`" for each in found[:MOST_NAMED])
        raise Refused(key="session.several", codes=named + (", …" if found[MOST_NAMED:] else ""))
    return found[0]


async def chosen_for(
    unit: Unit,
    conversation: int,
    named: int | None,
    gap_minutes: int | None,
    identity: Identity | None,
    now: int,
) -> Session:
    """The session that a choice of model is made for: the open one, or a new one that the next message goes to.

    *named*: that one instead. A choice is a person's doing: the pause is measured from now.
    """
    place = await unit.places.get(conversation)
    current = await current_of(unit, conversation, named)
    if current is None or (
        named is None and isinstance(resolve(current, received=now, gap_minutes=gap_minutes), New)
    ):
        if current is not None:
            await unit.sessions.close(current.id, reason="idle", now=now)
        owner = identity.person if identity else None
        current = await unit.sessions.add(code=new_code(), conversation=conversation, now=now, owner=owner)
        await unit.places.point(place.id, current.id)
    await unit.sessions.count(current.id, now=now, person=now)
    return current


def taken_away(session: Session | SessionMeta, lang: str = "") -> str:
    """For the place that lost its current session."""
    code = session.code if isinstance(session, Session) else session.id
    title = title_of(session.title or "")
    name = say("quote.title", lang, text=isolated(title)) if title else say("session.this", lang)
    return say("session.lost", lang, title=name, code=code)


async def current_of(unit: Unit, conversation: int, named: int | None) -> Session | None:
    id = named if named is not None else (await unit.places.get(conversation)).current_session
    return None if id is None else await unit.sessions.get(id)


async def is_kept(unit: Unit, conversation: int) -> bool:
    unfinished = await unit.turns.unfinished(conversation)
    return unfinished is not None and unfinished.state == "parked"


async def leave(unit: Unit, conversation: int, now: int) -> SessionMeta | None:
    """No current session from now on, and no notice either: whoever asked for a new one knows it is new."""
    place = await unit.places.get(conversation)
    current = await unit.sessions.get(place.current_session) if place.current_session else None
    closed = current is not None and await unit.sessions.close(current.id, reason="command", now=now)
    await unit.places.point(conversation, None)
    previous = await unit.sessions.previous(conversation, but=0)
    if previous is not None:
        await unit.sessions.told(previous.id, now=now)
    if current is None or not closed:
        return None
    return meta_of(current, await unit.places.get(current.conversation))


async def point_at(unit: Unit, conversation: int, session: Session, reason: CloseReason, now: int) -> bool:
    """Close what is current and open *session*; False when it is current and open.

    Raises Refused while it answers elsewhere, and when it is archived.
    """
    if session.archived is not None:
        raise Refused(key="session.archived", code=session.code)
    current = (await unit.places.get(conversation)).current_session
    if current == session.id and session.state == "open":
        return False
    latest = await unit.turns.latest(session.id)
    if latest is not None and latest.state in ("running", "parked") and latest.conversation != conversation:
        raise Refused(key="session.busy")
    if current is not None and current != session.id:
        await unit.sessions.close(current, reason=reason, now=now)
    await unit.sessions.reopen(session.id, now=now)
    # Going back is a person's doing: without it the next message would find the old pause and close it again.
    await unit.sessions.count(session.id, now=now, person=now)
    return True


async def has_answered(unit: Unit, session: int) -> bool:
    row = await unit.tx.one("SELECT 1 FROM turn WHERE session = :session AND state = 'done'", session=session)
    return row is not None


async def give_back(unit: Unit, conversation: int, new: int, previous: int, now: int) -> bool:
    """Let the messages of a kept turn of *new* wait for *previous*; False when there is none."""
    unfinished = await unit.turns.unfinished(conversation)
    if unfinished is None or unfinished.state != "parked" or unfinished.session != new:
        return False
    await unit.inbox.put_back(unfinished.id, session=previous)
    return await unit.turns.finish(unfinished.id, "cancelled", now=now, error_kind="moved")


async def drop_waiting(unit: Unit, conversation: int, now: int) -> tuple[int, ...]:
    """Who waits for their answers must hear that none will come."""
    rows = await unit.inbox.head(conversation, now=now, count=MOST_COUNTED)
    await unit.inbox.drop_waiting(conversation)
    return tuple(row.id for row in rows)
