"""Who may talk to the gateway, and as what: listing, letting in, blocking, roles, requests, links."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway import linking, pairing
from gateway.access import LOCAL, Policy, enough
from gateway.delivery import Delivery
from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.protocols.clock import Clock
from gateway.types.outbound import Chunk, OutboxRow
from gateway.types.people import Identity, Role
from gateway.types.places import Conversation

if TYPE_CHECKING:
    from storage import Store, Unit
    from storage.pairings import Pairing

ROLES: tuple[Role, ...] = ("owner", "admin", "user")
ERASED = "erased:"  # as storage.purging names whom the ledger alone still points to
NOBODY = Policy(allow={}, owners={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An identity as callers see it. *address* is channel:id; *state* new means: has written, was not let in.

    Groups and servers that were let in by hand are among them, without a role.
    """

    address: str
    name: str
    state: str
    role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Somebody who asks to be let in; times in microseconds UTC."""

    id: int
    address: str
    name: str
    asked: int
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who changes something: *name* for the audit trail; *identity* None at the machine itself."""

    name: str = "cli"
    role: Role = "owner"
    identity: Identity | None = None


OPERATOR = Actor()


@dataclass(frozen=True, slots=True)
class _Pen:
    render: Callable[[int, str], list[Chunk]]
    now: int


class Roster:
    """People by their address, as telegram:12345. Changes hold from the next message on, without a restart.

    *policy* is what the configuration says at this moment; *delivery* tells people what became of them.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        delivery: Delivery | None = None,
        policy: Callable[[], Policy] = lambda: NOBODY,
    ) -> None:
        self._store = store
        self._clock = clock
        self._delivery = delivery
        self._policy = policy

    async def list(self) -> Sequence[Member]:
        """Everybody but who was erased: of them only the bill has a number."""
        found = await self._store.read(lambda unit: unit.people.identities())
        return [self._member(each) for each in found if not each.user_id.startswith(ERASED)]

    async def allow(self, address: str, role: Role = "user", *, by: Actor = OPERATOR) -> Member:
        """Let somebody in, also before they have ever written, or a group (telegram:-100123).

        Raises Refused for anything but channel:number, and for a role above *by*'s.
        """
        channel, user_id = parse(address)
        now = self._clock()

        async def work(unit: Unit) -> Identity:
            identity = await unit.people.seen(channel, user_id)
            if role != "user" and user_id.startswith("-"):
                raise Refused("A group has no role.")
            self._may_change(by, identity, to=role)
            if user_id.startswith("-"):
                await unit.people.set_state(identity, "allowed")
            else:
                identity = await unit.people.let_in(identity, role=role, now=now)
            await unit.audit.add(at=now, actor=by.name, action=f"allow {address}", outcome=role)
            return await _again(unit, identity)

        return self._member(await self._store.commit(Point.PEOPLE, work))

    async def block(self, address: str, *, by: Actor = OPERATOR) -> Member:
        """Nobody who is blocked is answered, whatever the allow list says; on every platform they were linked on."""
        channel, user_id = parse(address)
        now = self._clock()

        async def work(unit: Unit) -> Identity:
            identity = await unit.people.seen(channel, user_id)
            everywhere = await unit.people.of_person(identity.person) if identity.person else [identity]
            if by.identity is not None and by.identity.id in {each.id for each in everywhere}:
                raise Refused(key="people.yourself")
            for each in everywhere:
                self._may_change(by, each)
                if by.identity is not None and self._policy().owns(each.channel, each.user_id):
                    raise Refused(key="people.configured", address=linking.address(each))
            for each in everywhere:
                await unit.people.set_state(each, "blocked")
                action = f"block {linking.address(each)}"
                await unit.audit.add(at=now, actor=by.name, action=action, outcome="blocked")
            return await _again(unit, identity)

        return self._member(await self._store.commit(Point.PEOPLE, work))

    async def set_role(self, address: str, role: str, *, by: Actor = OPERATOR) -> Member:
        """Raises NotFound for somebody who was never let in, Refused for a role there is not or may not be given."""
        channel, user_id = parse(address)
        now = self._clock()
        wanted = next((known for known in ROLES if known == role), None)
        if wanted is None:
            raise Refused(f"There is no role {role!r}; use owner, admin or user.")

        async def work(unit: Unit) -> Identity:
            identity = await unit.people.identity(channel, user_id)
            if identity is None or identity.person is None:
                raise NotFound(f"{address} was never let in; first: parley people allow {address}")
            if by.identity is not None and by.identity.person == identity.person:
                raise Refused(key="people.yourself")
            self._may_change(by, identity, to=wanted)
            await unit.people.set_role(identity.person, wanted)
            await unit.audit.add(at=now, actor=by.name, action=f"role {address}", outcome=wanted)
            return await _again(unit, identity)

        return self._member(await self._store.commit(Point.PEOPLE, work))

    async def owners(self) -> tuple[str, ...]:
        """Addresses of the owners on real channels: who is told of trouble when nobody else is named."""
        found = await self._store.read(lambda unit: unit.people.with_role("owner"))
        return tuple(f"{channel}:{user_id}" for channel, user_id in found if channel != "main")

    # -- who asks to be let in --------------------------------------------------------------------------------

    async def requests(self) -> Sequence[Request]:
        """Oldest first; their codes are known to nobody but those who ask."""
        now = self._clock()
        found = await self._store.read(lambda unit: unit.pairings.open("pair", now=now))
        return [_request(each) for each in found]

    async def approve(self, code: str, *, by: Actor = OPERATOR, account: int = 0) -> Request:
        """Let in whoever has that code. Raises Refused, with one text, for a wrong, late, used or locked one."""
        pen = self._pen()

        async def work(unit: Unit) -> tuple[Pairing, list[OutboxRow]] | None:
            found = await pairing.redeem(
                unit, code, who=by.identity, account=account, actor=by.name, now=pen.now
            )
            rows = None
            if found is not None:
                rows = await pairing.decide(unit, found, "used", actor=by.name, pen=pen)
            return None if found is None or rows is None else (found, rows)

        done = await self._store.commit(Point.PEOPLE, work)
        if done is None:
            raise Refused(key="code.wrong")
        self._send(done[1])
        return _request(done[0])

    async def decide(self, id: int, what: Literal["used", "refused"], *, by: Actor = OPERATOR) -> Request:
        """Let in or refuse by the request's own number. Raises Refused when it is open no longer."""
        pen = self._pen()

        async def work(unit: Unit) -> tuple[Pairing, list[OutboxRow]] | None:
            found = await unit.pairings.get(id)
            if found is None or found.kind != "pair":
                return None
            rows = await pairing.decide(unit, found, what, actor=by.name, pen=pen)
            return None if rows is None else (found, rows)

        done = await self._store.commit(Point.PEOPLE, work)
        if done is None:
            raise Refused(key="pairing.decided")
        self._send(done[1])
        return _request(done[0])

    # -- one person on several platforms ----------------------------------------------------------------------

    async def link_code(self, who: Identity, account: int) -> str:
        """For `join`, from the person's identity on another platform, within an hour."""
        now = self._clock()
        return await self._store.commit(
            Point.PEOPLE, lambda unit: linking.give(unit, who, account=account, now=now)
        )

    async def join(self, who: Identity, code: str, account: int) -> linking.Linked:
        """Make *who*, who is let in already, the person that the code came from."""
        now, policy = self._clock(), self._policy()
        return await self._store.commit(
            Point.PEOPLE,
            lambda unit: linking.redeem(unit, who, code, account=account, policy=policy, now=now, known=True),
        )

    async def link(self, address: str, to: str, *, by: Actor = OPERATOR) -> Member:
        """Make one identity the person that another one is, without a code. Raises NotFound for strangers."""
        now = self._clock()

        async def work(unit: Unit) -> Identity:
            who, holder = [await _known(unit, each) for each in (address, to)]
            if holder.person is None:
                raise NotFound(f"{to} was never let in; first: parley people allow {to}")
            if who.person != holder.person:
                await unit.people.join(who, holder.person, let_in=who.state == "new")
                await unit.audit.add(at=now, actor=by.name, action=f"link {address} {to}", outcome="joined")
            return await _again(unit, who)

        return self._member(await self._store.commit(Point.PEOPLE, work))

    async def unlink(self, address: str, *, by: Actor = OPERATOR) -> Member:
        """Make an identity what it was before it was linked. Raises Refused for one that was not."""
        now = self._clock()

        async def work(unit: Unit) -> Identity:
            who = await _known(unit, address)
            if not await linking.undo(unit, who, actor=by.name, now=now):
                raise Refused(key="link.alone")
            return await _again(unit, who)

        return self._member(await self._store.commit(Point.PEOPLE, work))

    async def writer_of(self, place: Conversation, message_id: str) -> str | None:
        """The address of whoever sent a message in that chat; None when it is not known."""
        found = await self._store.read(
            lambda unit: unit.inbox.writer(place.account, place.chat_id, message_id)
        )
        return None if found is None else f"{found[0]}:{found[1]}"

    # -----------------------------------------------------------------------------------------------------------

    def _may_change(self, by: Actor, identity: Identity, *, to: Role = "user") -> None:
        """Admins change users only, and make nothing else of them."""
        owns = self._policy().owns(identity.channel, identity.user_id)
        has: Role = "owner" if owns else identity.role or "user"
        if by.role != "owner" and (to != "user" or enough(has, "admin")):
            raise Refused(key="people.above")

    def _pen(self) -> _Pen:
        render = self._delivery.render if self._delivery is not None else _mute
        return _Pen(render, self._clock())

    def _send(self, rows: Sequence[OutboxRow]) -> None:
        if self._delivery is not None:
            self._delivery.enqueue(rows)

    def _member(self, identity: Identity) -> Member:
        """As the gate sees them: the configuration lets people in as well."""
        policy, state, role = self._policy(), identity.state, identity.role
        if policy.owns(identity.channel, identity.user_id):
            state, role = "allowed", "owner"
        elif state == "new" and policy.names(identity.channel, identity.user_id):
            state = "allowed"
        return Member(
            address=linking.address(identity),
            name=identity.name,
            state=state,
            role=role if state != "new" else None,
        )


def parse(address: str) -> tuple[str, str]:
    """('telegram', '12345'). Names change hands, so only numbers are taken; those of groups may be negative."""
    channel, _, user_id = address.strip().partition(":")
    if not channel or not re.fullmatch(r"-?[0-9]+", user_id, re.ASCII):
        raise Refused(
            f"{address!r} is not an address; write channel:number, such as telegram:12345 (not an @name)."
        )
    return channel, user_id


def addressed(address: str) -> tuple[str, str]:
    """The same of whoever may have written: on our own channel people have names, as main:local."""
    channel, _, user_id = address.strip().partition(":")
    return (channel, user_id) if channel in LOCAL and user_id else parse(address)


async def _again(unit: Unit, identity: Identity) -> Identity:
    found = await unit.people.identity_by_id(identity.id)
    assert found is not None
    return found


async def _known(unit: Unit, address: str) -> Identity:
    found = await unit.people.identity(*parse(address))
    if found is None:
        raise NotFound(f"{address} has never written.")
    return found


def _request(found: Pairing) -> Request:
    return Request(
        id=found.id, address=found.address, name=found.name, asked=found.created, expires=found.expires
    )


def _mute(account: int, text: str) -> list[Chunk]:
    return []
