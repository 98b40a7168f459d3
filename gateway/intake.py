"""From events to inbox rows: find place and person, pass the gate, set the lane; one commit for a whole page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from gateway import access
from gateway.during import Busy, During
from gateway.lanes import DONE, LONGEST_TEXT, Path, askable, path_of
from gateway.texts import say
from gateway.types import (
    HOUR,
    Account,
    Chunk,
    Conversation,
    Identity,
    Inbound,
    Json,
    Kind,
    Lane,
    OutboxRow,
    Place,
    Receipt,
)

if TYPE_CHECKING:
    from storage import Unit

DEAD = Path(lane=Lane.DEAD, state="dead")
REFUSED = Path(lane=Lane.NOTE, state="refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What the gate goes by at this moment. *away_before*: people's messages sent earlier are held, not answered."""

    policy: access.Policy
    mode: Callable[[str], Literal["now", "between"] | None]
    render: Callable[[int, str], list[Chunk]]  # (account, text)
    nonce: Callable[[str, int], str]
    now: int
    away_before: int
    busy: Callable[[int], Busy | None]  # the turn that is running in a conversation
    during: During = "queue"
    overheard: int = 0  # messages that were not meant for us, kept in each group; 0: none
    each_member: bool = False  # a session of their own for each member of a group
    language: str = ""  # of whoever's is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a page came to."""

    receipts: list[Receipt]
    notices: list[OutboxRow]
    strangers: list[Identity]


async def accept(unit: Unit, account: Account, events: Sequence[Inbound], door: Door) -> Taken:
    """Every event of the page becomes a row, or was one already."""
    taken = Taken(receipts=[], notices=[], strangers=[])
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
        return await _put(unit, account, event, door, DEAD, error=event.error or "no place")
    place = await unit.places.at(account, _scoped(event, door))
    if event.hint:
        await unit.places.hint(place.id, event.hint)
    identity = None
    if event.sender is not None and not event.sender.impersonal:
        identity = await unit.people.seen(
            account.channel, event.sender.user_id, event.sender.name, event.sender.lang
        )
    if event.kind is Kind.MEMBERSHIP:
        await unit.places.block(place.id, door.now if event.text == "blocked" else None)
        return await _put(unit, account, event, door, DONE, place, identity)
    verdict = access.may(
        kind=event.kind,
        channel=account.channel,
        place=event.place,
        sender=event.sender,
        state=identity.state if identity else "new",
        role=identity.role if identity else None,
        addressed=event.addressed,
        policy=door.policy,
    )
    if not verdict.allowed:
        if verdict.tell and identity is not None:
            await _tell_stranger(unit, account, place, identity, door, taken)
        if verdict.overheard:
            kept = await _overhear(unit, account, event, identity, door, verdict.reason)
            if kept is not None:
                return kept
        return await _put(unit, account, event, door, REFUSED, place, identity, error=verdict.reason)
    if identity is not None and (identity.state == "new" or identity.role != verdict.role):
        identity = await unit.people.let_in(identity, role=verdict.role or "user", now=door.now)
    path = await path_of(unit, account, event, place, identity, door)
    return await _put(unit, account, event, door, path, place, identity)


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


async def _tell_stranger(
    unit: Unit, account: Account, place: Conversation, identity: Identity, door: Door, taken: Taken
) -> None:
    """One line an hour: the unique origin sees to that."""
    origin = f"stranger:{identity.id}:{door.now // HOUR}"
    told = say(
        "message.stranger",
        identity.lang or door.language,
        user_id=identity.user_id,
        channel=account.channel,
    )
    chunks = door.render(account.id, told)
    for part, chunk in enumerate(chunks):
        row = await unit.outbox.add(
            origin=origin,
            part=part,
            account=account.id,
            conversation=place.id,
            session=None,
            kind="notice",
            payload_=chunk,
            nonce=door.nonce(origin, part),
            now=door.now,
        )
        if row is not None:
            taken.notices.append(row)
            taken.strangers.append(identity)


def cleaned(event: Inbound) -> Inbound:
    """Storable: no NUL, no half of a surrogate pair, in any text that came from outside."""
    place, sender = event.place, event.sender
    if place is not None:
        place = replace(
            place,
            chat_id=_clean(place.chat_id),
            thread_id=_clean(place.thread_id),
            user_id=_clean(place.user_id),
        )
    if sender is not None:
        sender = replace(
            sender,
            user_id=_clean(sender.user_id)[:200],
            name=_clean(sender.name)[:200],
            lang=_clean(sender.lang)[:20],
        )
    return replace(
        event,
        event_id=_clean(event.event_id),
        place=place,
        sender=sender,
        sent=None if event.sent is None else int(event.sent),
        text=_clean(event.text),
        message_id=_clean(event.message_id),
        reply_to=_clean(event.reply_to),
        album=_clean(event.album),
        hint=_clean(event.hint),
        quotes=tuple(
            replace(quote, text=_clean(quote.text), author=_clean(quote.author)[:200])
            for quote in event.quotes
        ),
        button=_clean(event.button),
        press_id=_clean(event.press_id),
        raw=_clean(event.raw),
        error=_clean(event.error)[:500],
    )


def _clean(text: str) -> str:
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
