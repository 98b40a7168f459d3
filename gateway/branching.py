"""Units of work over a session's turns: taking them back, asking them again, copying them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import rewinding, transcript, units
from gateway.errors import Refused
from gateway.session_views import Rewound
from gateway.sessions import new_code, title_of
from gateway.types.inbound import Inbound, Kind, Lane
from gateway.types.people import Identity
from gateway.types.places import Conversation
from gateway.types.sessions import Session

if TYPE_CHECKING:
    from storage import Unit

FORK = " (fork)"
TITLE = 60  # characters


async def rewound(unit: Unit, session: Session, n: int | None, now: int) -> Rewound:
    """Turns with an index below *n* stay; None: all but the last. Raises Refused for an index out of range."""
    entries = await unit.transcript.all(session.id)
    found = rewinding.turns(entries)
    if n is None and not found:
        raise Refused(key="rewind.nothing")
    n = len(found) - 1 if n is None else n
    seq = _boundary(found, n)
    if seq is not None:
        await unit.transcript.add(session.id, "mark", transcript.mark("rewind", seq=seq), now=now)
        await marked(unit, session, now)
    gone = found[n:]
    return Rewound(
        session=await units.shown(unit, session),
        turns=len(gone),
        left=n,
        tools=rewinding.used_tools(gone),
    )


async def marked(unit: Unit, session: Session, now: int) -> None:
    """What stands in it is another than before, at a person's wish: the pause is measured from now."""
    await unit.sessions.count(session.id, now=now, person=now)
    await recounted(unit, session.id)


async def recounted(unit: Unit, session: int) -> None:
    """What was taken back is none of its messages."""
    entries = await unit.transcript.all(session)
    await unit.sessions.set_messages(session, rewinding.messages(entries))


async def again(
    unit: Unit, session: Session, place: Conversation, who: Identity | None, origin: str, now: int
) -> tuple[int, ...]:
    """Take the last turn back; what was asked in it waits in *place* to be asked again, by *who*.

    Gives the inbox rows. Raises Refused when no turn stands.
    """
    found = rewinding.turns(await unit.transcript.all(session.id))
    asked = rewinding.asked(found[-1]) if found else []
    if not asked:
        raise Refused(key="rewind.nothing")
    if session.paused:
        raise Refused(key="session.paused")
    if session.archived is not None:
        raise Refused(key="session.archived", code=session.code)
    await rewound(unit, session, None, now)
    rows: list[int] = []
    for number, body in enumerate(asked):
        event = Inbound(event_id=event_of(origin, number), kind=Kind.MESSAGE)
        row = await unit.inbox.add(
            event,
            account=place.account,
            lane=Lane.TURN,
            state="waiting",
            received=now,
            body=body,
            conversation=place.id,
            identity=who.id if who else None,
            session=session.id,
        )
        if row is None:
            raise Refused(key="rewind.nothing")
        rows.append(row)
    return tuple(rows)


def event_of(origin: str, number: int) -> str:
    """What a message is called that is asked again; *origin* is what wanted it, as the row of a command."""
    return f"retry:{origin}:{number}"


async def forked(unit: Unit, session: Session, n: int | None, name: str | None, now: int) -> Session:
    """A copy of the turns with an index below *n* (None: of all). Raises Refused for an index out of range."""
    entries = await unit.transcript.all(session.id)
    found = rewinding.turns(entries)
    seq = _boundary(found, len(found) if n is None else n)
    end = session.next_seq if seq is None else seq
    title = (
        title_of(name)
        if name
        else f"{title_of(session.title, TITLE - len(FORK))}{FORK}"
        if session.title
        else None
    )
    made = await _made(unit, session, "fork", title, now, fork_seq=end)
    for tag in await unit.tags.of(session.id):
        await unit.tags.add(made.id, tag)
    seqs = [each.seq for each in rewinding.standing(entries) if each.seq < end]
    await unit.transcript.copy(session.id, made.id, seqs, next_seq=end)
    await unit.compactions.copy(session.id, made.id)
    again = await unit.sessions.get(made.id)
    assert again is not None
    return again


async def child(unit: Unit, parent: Session, title: str | None, now: int) -> Session:
    """Raises Refused where the parent is closed: nothing would close it any more."""
    if parent.state != "open":
        raise Refused(key="session.no_parent")
    return await _made(unit, parent, "child", title_of(title) if title else None, now)


async def _made(
    unit: Unit, session: Session, origin: str, title: str | None, now: int, *, fork_seq: int | None = None
) -> Session:
    made = await unit.sessions.add(
        code=new_code(),
        conversation=session.conversation,
        owner=session.owner,
        now=now,
        origin=origin,
        parent=session.id,
        fork_seq=fork_seq,
        title=title,
        model=session.model,
    )
    await unit.sessions.set_settings(made.id, session.settings)
    await unit.sessions.set_system_prompt(made.id, session.system_prompt)
    return made


def _boundary(found: list[rewinding.Turn], n: int) -> int | None:
    """The first entry of turn *n*; None behind the last one. Raises Refused for an index out of range."""
    if not 0 <= n <= len(found):
        raise Refused(key="rewind.range", turn=n, last=len(found))
    return None if n == len(found) else found[n][0].seq
