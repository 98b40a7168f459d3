"""From events to inbox rows: find place and person, pass the gate, set the lane; one commit for a whole page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from gateway import access, floods
from gateway.access import LOCAL
from gateway.during import Busy, During
from gateway.lanes import DONE, LONGEST_TEXT, Path, askable, command_of, path_of
from gateway.media.showing import entered
from gateway.notices import enter
from gateway.pairing import knock
from gateway.storable import cleaned
from gateway.texts import say
from gateway.types.inbound import Inbound, Kind, Lane, Receipt
from gateway.types.json import Json
from gateway.types.outbound import Chunk, OutboxRow
from gateway.types.people import Identity, Role, Sender
from gateway.types.places import Account, Conversation, Place

if TYPE_CHECKING:
    from storage import Unit


DEAD = Path(lane=Lane.DEAD, state="dead")
FLOODS: dict[floods.Flood, str] = {"too fast": "limit.fast", "too many waiting": "limit.waiting"}
REFUSED = Path(lane=Lane.NOTE, state="refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What the gate goes by at this moment. *away_before*: people's messages sent earlier are held, not answered."""

    policy: access.Policy
    mode: Callable[[str], Literal["now", "between"] | None]
    render: Callable[[int, str], list[Chunk]]  # (account, text)
    now: int
    away_before: int
    busy: Callable[[int], Busy | None]  # the turn that is running in a conversation
    during: During = "queue"
    overheard: int = 0  # messages that were not meant for us, kept in each group; 0: none
    limits: floods.Limits = field(default_factory=floods.Limits)
    each_member: bool = False  # a session of their own for each member of a group
    language: str = ""  # of whoever's is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a page came to."""

    receipts: list[Receipt]
    notices: list[OutboxRow]
    strangers: list[Identity]
    moved: list[tuple[int, int | None]]  # (conversation, the one it took in) of chats with a new id


async def accept(unit: Unit, account: Account, events: Sequence[Inbound], door: Door) -> Taken:
    """Every event of the page becomes a row, or was one already."""
    taken = Taken(receipts=[], notices=[], strangers=[], moved=[])
    cursors = dict(event.cursor for event in events if event.cursor is not None)
    for scope, value in cursors.items():
        await unit.people.set_cursor(account.id, scope, value)
    for event in events:
        try:
            receipt = await _one(unit, account, cleaned(event), door, taken)
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            # One event that no table can hold must not keep its whole page from being accepted, for ever.
            receipt = await _put_aside(unit, account, event, door, f"{type(error).__name__}: {error}")
        taken.receipts.append(receipt)
    return taken


async def _put_aside(unit: Unit, account: Account, event: Inbound, door: Door, error: str) -> Receipt:
    raw = event.raw if isinstance(event.raw, str) else repr(event.raw)
    broken = cleaned(Inbound(event_id=str(event.event_id), kind=Kind.UNKNOWN, raw=raw, error=error))
    return await _put(unit, account, broken, door, DEAD, error=broken.error)


async def _one(unit: Unit, account: Account, event: Inbound, door: Door, taken: Taken) -> Receipt:
    if event.place is None or event.error:
        if event.sender is not None and not await _met(unit, account, event.sender):
            event = replace(event, raw="")
        return await _put(unit, account, event, door, DEAD, error=event.error or "no place")
    if event.kind is Kind.MIGRATION:
        taken.moved.extend(await unit.places.migrate(account.id, event.place.chat_id, event.text))
        await _keep_rights(unit, account, event.place, event.text, door)
        return await _put(unit, account, event, door, DONE)
    scheduled = event.kind is Kind.JOB and account.channel in LOCAL
    # Somebody from elsewhere who speaks through the API: with the rights that they have there.
    borrowed = event.identity is not None and account.channel == "main" and not scheduled
    if scheduled and event.conversation is not None:
        place = await unit.places.get(event.conversation)
    else:
        place = await unit.places.at(account, _scoped(event, door))
    if event.hint:
        await unit.places.hint(place.id, event.hint)
    identity = None
    if event.identity is not None and (scheduled or borrowed):
        identity = await unit.people.identity_by_id(event.identity)
    elif event.sender is not None and not event.sender.impersonal:
        identity = await unit.people.seen(
            account.channel, event.sender.user_id, event.sender.name, event.sender.lang
        )
    if event.kind is Kind.MEMBERSHIP:
        away = event.text != "member"
        await unit.places.block_chat(account.id, event.place.chat_id, door.now if away else None)
        return await _put(unit, account, event, door, DONE, place, identity)
    await unit.places.heard(place.id)
    verdict = access.may(
        kind=event.kind,
        channel=account.channel,
        key=account.key,
        place=event.place,
        chat=await _chat(unit, account, event.place),
        sender=event.sender,
        state=identity.state if identity else "new",
        role=_role(identity, door.policy) if borrowed else identity.role if identity else None,
        addressed=event.addressed,
        policy=door.policy,
    )
    if not verdict.allowed:
        if verdict.overheard:
            kept = await _overhear(unit, account, event, identity, door, verdict.reason)
            if kept is not None:
                return kept
        receipt = await _put(unit, account, event, door, REFUSED, place, identity, error=verdict.reason)
        if verdict.tell and identity is not None and receipt.inbox_id is not None:
            told = await knock(unit, account, place, identity, event, receipt.inbox_id, door)
            taken.notices.extend(told)
            taken.strangers.extend([identity] if told else [])
        return receipt
    if identity is not None and not scheduled:
        usual = verdict.role if account.channel in LOCAL else "user"
        identity = await unit.people.met(identity, role=usual or "user", now=door.now)
        identity = replace(
            identity, role=verdict.role
        )  # what the configuration says of somebody is not stored
        if account.channel not in LOCAL:
            flood = await _flood(unit, event, place, identity, door)
            if flood is not None:
                return await _refuse_flood(unit, account, event, place, identity, door, taken, flood)
    path = await path_of(unit, account, event, place, identity, door)
    return await _put(unit, account, event, door, path, place, identity)


def _role(identity: Identity | None, policy: access.Policy) -> Role:
    return access.standing(identity, policy) if identity is not None else "user"


async def _met(unit: Unit, account: Account, sender: Sender) -> bool:
    """Whether that person was ever let in: of strangers nothing is kept, not even what cannot be read."""
    found = await unit.people.identity(account.channel, sender.user_id)
    return found is not None and found.person is not None


async def _chat(unit: Unit, account: Account, place: Place) -> access.State:
    """What is stored of a group: it may have been let in by hand."""
    if place.kind not in ("group", "thread"):
        return "new"
    return await unit.people.chat(account.channel, place.chat_id, place.server)


async def _keep_rights(unit: Unit, account: Account, old: Place, new: str, door: Door) -> None:
    """A group with a new id is the same group: what lets it in, or keeps it out, goes on."""
    state = await unit.people.chat(account.channel, old.chat_id)
    if state == "new" and access.open_to(old, account.key or account.channel, door.policy):
        state = "allowed"
    if state != "new":
        group = await unit.people.seen(account.channel, new)
        if group.state == "new":
            await unit.people.set_state(group, state)


async def _flood(
    unit: Unit, event: Inbound, place: Conversation, identity: Identity, door: Door
) -> floods.Flood | None:
    if floods.backlog(event.sent, door.now):
        return None
    at_once = event.kind is Kind.COMMAND and door.mode(command_of(event.text)[0]) == "now"
    urgent = floods.is_urgent(event.kind, now_command=at_once)
    found = floods.Sent(
        recent=await unit.inbox.recent(
            identity.id,
            since=door.now - floods.WINDOW,
            sent=door.now - floods.BACKLOG,
            most=door.limits.messages_per_minute,
            urgent=urgent,
        ),
        waiting=0 if urgent else await unit.inbox.crowd(place.id, most=door.limits.most_waiting),
    )
    return floods.flood(event.kind, urgent=urgent, sent=found, limits=door.limits)


async def _refuse_flood(
    unit: Unit,
    account: Account,
    event: Inbound,
    place: Conversation,
    identity: Identity,
    door: Door,
    taken: Taken,
    flood: floods.Flood,
) -> Receipt:
    """Nothing of it is kept, and of all that comes too fast only the first is answered with a line."""
    told = await unit.inbox.flooded(identity.id, since=door.now - floods.WINDOW)
    receipt = await _put(unit, account, event, door, REFUSED, place, identity, error=f"flood: {flood}")
    if receipt.inbox_id is not None and not told and event.kind not in (Kind.EDIT, Kind.REACTION):
        text = say(FLOODS[flood], identity.lang or door.language, count=door.limits.most_waiting)
        origin = f"flood:{receipt.inbox_id}"
        taken.notices.extend(
            await enter(unit, door, account=account.id, conversation=place.id, origin=origin, text=text)
        )
    return receipt


def _scoped(event: Inbound, door: Door) -> Place:
    assert event.place is not None
    if door.each_member and event.place.kind == "group" and event.sender is not None:
        return replace(event.place, user_id=event.sender.user_id)
    return event.place


async def _put(
    unit: Unit,
    account: Account,
    event: Inbound,
    door: Door,
    path: Path,
    place: Conversation | None = None,
    identity: Identity | None = None,
    *,
    error: str | None = None,
) -> Receipt:
    id = await unit.inbox.add(
        event,
        account=account.id,
        lane=path.lane,
        state=path.state,
        received=door.now,
        not_before=path.not_before,
        body=_body(event, path.facts) if path.state in ("waiting", "held", "overheard") else {"v": 1},
        conversation=place.id if place else None,
        identity=identity.id if identity else None,
        session=path.session,
        error=error,
    )
    if id is not None and event.enclosed and path.state in ("waiting", "held"):
        # Of what is refused nothing is kept: without rows, its files are swept.
        await unit.inbox.collected(id, await entered(unit, event.enclosed, inbox=id, now=door.now))
    return Receipt(
        event_id=event.event_id,
        inbox_id=id,
        state="duplicate" if id is None else path.state,
        lane=path.lane,
        conversation=place.id if place else None,
        during=None if id is None else path.during,
    )


def _body(event: Inbound, facts: Json) -> Json:
    """What the path needs of an event; the platform's own JSON is kept beside it until it is done."""
    text = event.text
    return {"v": 1, "text": text[:LONGEST_TEXT] + "…" if len(text) > LONGEST_TEXT else text, **facts}


async def _overhear(
    unit: Unit, account: Account, event: Inbound, identity: Identity | None, door: Door, reason: str
) -> Receipt | None:
    """Keep what was not meant for us as context for the next question in that group; None: it is not kept."""
    assert event.place is not None and event.sender is not None
    chat = await unit.places.at(account, replace(event.place, user_id=""))
    if not door.overheard or chat.settings.get("context") == 0 or not askable(event.text):
        return None
    facts: Json = {"from": event.sender.name or event.sender.user_id}
    path = Path(lane=Lane.NOTE, state="overheard", facts=facts)
    receipt = await _put(unit, account, event, door, path, chat, identity, error=reason)
    await unit.inbox.forget_overheard(chat.id, keep=door.overheard)
    return receipt
