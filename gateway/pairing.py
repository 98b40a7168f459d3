"""Strangers who ask to be let in: what they are told, who is asked about them, and the codes that are tried."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Literal, Protocol

from gateway import linking, tries
from gateway.access import LOCAL, Policy
from gateway.codes import digest, matching, new_code
from gateway.notices import Pen, enter
from gateway.texts import say
from gateway.types.inbound import Inbound, Kind
from gateway.types.measures import DAY, HOUR
from gateway.types.outbound import Button, OutboxRow
from gateway.types.people import Identity
from gateway.types.places import Account, Conversation, Place

if TYPE_CHECKING:
    from storage import Unit
    from storage.pairings import Pairing

PRIVATE = "private:"  # before a person's number: the scope of a cursor that holds their private chat's id
VALID = HOUR  # of a code
MOST_OPEN = 3  # requests of an account
QUIET = DAY  # who was refused may ask again after it


class Desk(Pen, Protocol):
    """What is known where a stranger knocks."""

    @property
    def policy(self) -> Policy: ...
    @property
    def language(self) -> str: ...  # of whoever's is not known


async def knock(
    unit: Unit, account: Account, place: Conversation, who: Identity, event: Inbound, row: int, desk: Desk
) -> list[OutboxRow]:
    """What a stranger in a direct chat is told, and whoever decides about them; *row* is the event's own."""
    words = event.text.split()
    links = event.kind is Kind.COMMAND and len(words) == 2 and words[0].lower() == "/link"
    if links and not await tries.locked(unit, who, desk.now):
        return await _link(unit, account, place, who, words[1], row, desk)
    key = account.key or account.channel
    if desk.policy.mode(key) == "pairing":
        last = await unit.pairings.latest(who.id, "pair")
        if last is not None and desk.now < last.created + (QUIET if last.state == "refused" else VALID):
            return []
        still = [
            each for each in await unit.pairings.open("pair", now=desk.now) if each.account == account.id
        ]
        if len(still) < MOST_OPEN:
            return await _request(unit, account, place, who, desk)
    origin = f"stranger:{who.id}:{desk.now // HOUR}"
    text = say("message.stranger", who.lang or desk.language, user_id=who.user_id, channel=who.channel)
    return await enter(unit, desk, account=account.id, conversation=place.id, origin=origin, text=text)


async def _request(
    unit: Unit, account: Account, place: Conversation, who: Identity, desk: Desk
) -> list[OutboxRow]:
    code = new_code()
    text = say("pairing.code", who.lang or desk.language, code=code)
    # What nobody can be told must not be open: the account is not connected.
    if not desk.render(account.id, text):
        return []
    id = await unit.pairings.add(
        "pair",
        identity=who.id,
        account=account.id,
        code_hash=digest(code),
        now=desk.now,
        expires=desk.now + VALID,
    )
    rows = await enter(unit, desk, account=account.id, conversation=place.id, origin=f"pair:{id}", text=text)
    for channel, user_id in await deciders(unit, desk.policy):
        rows += await _ask(unit, account, channel, user_id, who, id, desk)
    return rows


async def deciders(unit: Unit, policy: Policy) -> list[tuple[str, str]]:
    """(channel, user id) of everybody who may let others in: owners of the configuration, owners, admins."""
    named = [(key.partition(".")[0], id) for key, ids in policy.owners.items() for id in sorted(ids)]
    stored = [*await unit.people.with_role("owner"), *await unit.people.with_role("admin")]
    return [each for each in dict.fromkeys([*named, *stored]) if each[0] not in LOCAL]


async def _ask(
    unit: Unit, account: Account, channel: str, user_id: str, who: Identity, request: int, desk: Desk
) -> list[OutboxRow]:
    """One line with two buttons, to somebody who may decide."""
    place = await private_chat(unit, account, channel, user_id)
    if place is None:
        return []
    decider = await unit.people.identity(channel, user_id)
    lang = (decider.lang if decider is not None else "") or desk.language
    tokens = {key: secrets.token_urlsafe(16) for key in ("pair-allow", "pair-refuse")}
    rows = await enter(
        unit,
        desk,
        account=place.account,
        conversation=place.id,
        origin=f"pair:{request}:{channel}:{user_id}",
        text=say("pairing.asked", lang, name=linking.named(who), address=f"{who.channel}:{who.user_id}"),
        buttons=[Button(label=say(f"button.{key}", lang), token=token) for key, token in tokens.items()],
    )
    for action, token in tokens.items() if rows else ():
        await unit.outbox.button(
            token,
            action=action,
            args={"v": 1, "request": request},
            conversation=place.id,
            for_person=decider.person if decider is not None else None,
            expires=desk.now + VALID,
        )
    return rows


async def private_chat(unit: Unit, account: Account, channel: str, user_id: str) -> Conversation | None:
    """Somebody's direct chat with us; None where there is none and none can be opened by their id alone."""
    known = await unit.places.private(channel, user_id)
    if known is not None:
        return known
    accounts = [each for each in await unit.people.accounts() if each.channel == channel]
    speaker = next((each for each in accounts if each.id == account.id), accounts[-1] if accounts else None)
    if speaker is None:
        return None
    # The id of a private chat is its person's own (Bot API, Chat), or was asked for when we connected.
    opened = await unit.people.cursors(speaker.id)
    return await unit.places.at(speaker, Place(chat_id=opened.get(f"{PRIVATE}{user_id}", user_id)))


async def _link(
    unit: Unit, account: Account, place: Conversation, who: Identity, code: str, row: int, desk: Desk
) -> list[OutboxRow]:
    """A stranger with somebody's code: they are that person here too, and thereby let in."""
    outcome = await linking.redeem(unit, who, code, account=account.id, policy=desk.policy, now=desk.now)
    return await enter(
        unit,
        desk,
        account=account.id,
        conversation=place.id,
        origin=f"link:{row}",
        text=say(outcome.text, who.lang or desk.language, name=outcome.name),
    )


async def redeem(
    unit: Unit, code: str, *, who: Identity | None, account: int, actor: str, now: int
) -> Pairing | None:
    """The request of that code; None for a wrong or late one, and for whoever tried too often."""
    if await tries.locked(unit, who, now):
        return None
    waiting = await unit.pairings.open("pair", now=now)
    found = matching(code, waiting)
    if found is not None:
        return found
    await tries.missed(unit, "pair", who=who, account=account, actor=actor, now=now)
    for each in waiting:
        if await unit.pairings.missed(each.id, most=tries.MOST):
            await unit.audit.add(at=now, actor=actor, action=f"pair {each.address}", outcome="locked")
    return None


async def decide(
    unit: Unit, request: Pairing, what: Literal["used", "refused"], *, actor: str, pen: Pen
) -> list[OutboxRow] | None:
    """Let in or refuse, once; the one let in is told. None when it was decided, late or locked already."""
    who = await unit.people.identity_by_id(request.identity)
    if who is None or who.state == "blocked" or request.expires <= pen.now:
        return None
    if not await unit.pairings.settle(request.id, what):
        return None
    outcome = "let in" if what == "used" else "refused"
    await unit.audit.add(at=pen.now, actor=actor, action=f"pair {request.address}", outcome=outcome)
    if what == "refused":
        return []
    await unit.people.let_in(who, role="user", now=pen.now)
    place = await unit.places.private(who.channel, who.user_id)
    if place is None:
        return []
    text = say("pairing.in", who.lang)
    origin = f"pair:{request.id}:in"
    return await enter(unit, pen, account=place.account, conversation=place.id, origin=origin, text=text)
