"""Which path an event takes that has passed the gate, and whether it waits for the rest of what was sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from gateway import bursts, during, transcript
from gateway.access import LOCAL
from gateway.types.inbound import Inbound, Kind, Lane
from gateway.types.json import Json
from gateway.types.people import Identity
from gateway.types.places import Account, Conversation

if TYPE_CHECKING:
    from gateway.intake import Door
    from storage import Unit

LONGEST_TEXT = 256 * 1024  # bytes of one message
AGAIN = "again"  # in the body of a row: the turn whose question is asked once more
ALONE = "alone"  # there, too: a turn of its own

State = Literal["waiting", "held", "done", "refused", "dead", "overheard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Where an event goes. *not_before* in microseconds UTC; *session*: it runs there, whatever the rule says."""

    lane: Lane
    state: State
    during: during.During | None = None
    not_before: int = 0
    session: int | None = None
    facts: Json = field(default_factory=dict)  # what its row keeps besides its text


DONE = Path(lane=Lane.NOTE, state="done")


async def path_of(
    unit: Unit, account: Account, event: Inbound, place: Conversation, identity: Identity | None, door: Door
) -> Path:
    """What becomes of an event that was let in."""
    if not event.addressed:
        return DONE  # a pin, a new title: nobody waits for an answer
    match event.kind:
        case Kind.COMMAND:
            between = door.mode(command_of(event.text)[0]) == "between"
            return Path(
                lane=Lane.TURN if between else Lane.CONTROL,
                state="waiting",
                session=event.session,
                facts=_facts(event),
            )
        case Kind.BUTTON:
            return Path(lane=Lane.CONTROL, state="waiting", facts=_facts(event))
        case Kind.EDIT:
            return await _edit(unit, account, event, place, identity, door)
        case Kind.MESSAGE | Kind.API | Kind.JOB:
            without = (event.files or event.enclosed) and not event.text.strip()
            if not askable(event.text) and not without:
                return Path(lane=Lane.CONTROL, state="waiting", facts=_facts(event))
            return await _prompt(unit, account, event, place, identity, door)
        case _:
            return DONE


async def _edit(
    unit: Unit, account: Account, event: Inbound, place: Conversation, identity: Identity | None, door: Door
) -> Path:
    """Before its turn an edit takes the message's place; later it is a message of its own, if it says anything else."""
    if not askable(event.text):
        return DONE
    if await unit.inbox.replace_text(place.id, event.message_id, event.text):
        if event.files:
            await unit.inbox.replace_files(place.id, event.message_id, [asdict(each) for each in event.files])
        return DONE
    before = await unit.inbox.said(place.id, event.message_id)
    if before is None or before.strip() == event.text.strip() or event.text.startswith("/"):
        return DONE
    path = await _prompt(unit, account, event, place, identity, door)
    return replace(path, facts={**path.facts, "edited": 1})


async def _prompt(
    unit: Unit, account: Account, event: Inbound, place: Conversation, identity: Identity | None, door: Door
) -> Path:
    facts = _facts(event)
    session = event.session
    if session is None and event.reply_to:
        # Whoever answers an earlier message of ours goes on with the session it came from.
        session = await unit.outbox.session_of(place.id, event.reply_to)
        if session is None and place.user_id:
            # What was delivered to the chat was said to each of its members.
            chat = await unit.places.whole(place)
            session = await unit.outbox.session_of(chat.id, event.reply_to) if chat is not None else None
    local = account.channel in LOCAL
    if not local and event.sent is not None and event.sent < door.away_before:
        return Path(lane=Lane.TURN, state="held", session=session, facts=facts)
    busy = door.busy(place.id)
    what = during.becomes(
        during.mode_of(place, door.during),
        busy=None if local else busy,
        identity=identity.id if identity else None,
        admin=identity is not None and identity.role in ("admin", "owner"),
    )
    if what == "reject":
        return Path(lane=Lane.NOTE, state="refused", during=what)
    if what == "steer" and event.files:
        what = "queue"  # they must be fetched first
    if what == "steer" and busy is not None:
        facts["steer"] = busy.turn
    not_before = 0
    if bursts.expects_more(event):
        not_before = door.now + bursts.PAUSE
        await unit.inbox.gather(place.id, now=door.now, until=not_before, most=bursts.LONGEST)
    else:
        await unit.inbox.gathered(place.id, now=door.now)
    return Path(
        lane=Lane.TURN, state="waiting", during=what, not_before=not_before, session=session, facts=facts
    )


def askable(text: str) -> bool:
    """Whether there is something to ask, and not too much of it."""
    return bool(text.strip()) and len(text.encode()) <= LONGEST_TEXT


def _facts(event: Inbound) -> Json:
    facts: Json = {}
    if event.place is not None and event.place.kind in ("group", "thread") and event.sender is not None:
        facts["from"] = event.sender.name or event.sender.user_id
    if event.quotes:
        facts["quotes"] = [transcript.quoted(quote) for quote in event.quotes]
    if event.files:
        facts["attachments"] = [asdict(each) for each in event.files]
    if event.album:
        facts["album"] = event.album
    if event.button:
        facts["button"] = event.button
    if event.press_id:
        facts["press"] = event.press_id
    if event.fresh:
        facts["fresh"] = 1
    if event.alone:
        facts[ALONE] = 1
    return facts


def command_of(text: str) -> tuple[str, str]:
    """('resume', 'abc') of '/resume abc'."""
    name, _, args = text.strip().partition(" ")
    name, _, more = name.partition("\n")
    return name.removeprefix("/").lower(), (more + " " + args).strip()
