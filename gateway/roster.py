"""Who may talk to the gateway, and as what: listing, letting in, blocking, roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.protocols import Clock
from gateway.types import Identity, Role

if TYPE_CHECKING:
    from storage import Store, Unit

ROLES: tuple[Role, ...] = ("owner", "admin", "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An identity as callers see it. *address* is channel:id; *state* new means: has written, was not let in."""

    address: str
    name: str
    state: str
    role: str | None


class Roster:
    """People by their address, as telegram:12345. Changes hold from the next message on, without a restart."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list(self) -> list[Member]:
        found = await self._store.read(lambda unit: unit.people.identities())
        return [_member(identity) for identity in found]

    async def allow(self, address: str, role: Role = "user") -> Member:
        """Let somebody in, also before they have ever written. Raises Refused for anything but channel:number."""
        channel, user_id = parse(address)
        now = self._clock()

        async def work(unit: Unit) -> Identity:
            identity = await unit.people.seen(channel, user_id)
            return await unit.people.let_in(identity, role=role, now=now)

        return _member(await self._store.commit(Point.PEOPLE, work))

    async def block(self, address: str) -> Member:
        """Nobody who is blocked is answered, whatever the allow list says."""
        channel, user_id = parse(address)

        async def work(unit: Unit) -> Identity:
            identity = await unit.people.seen(channel, user_id)
            await unit.people.set_state(identity, "blocked")
            again = await unit.people.identity_by_id(identity.id)
            assert again is not None
            return again

        return _member(await self._store.commit(Point.PEOPLE, work))

    async def set_role(self, address: str, role: str) -> Member:
        """Raises NotFound for somebody who was never let in, Refused for a role there is not."""
        channel, user_id = parse(address)
        wanted = next((known for known in ROLES if known == role), None)
        if wanted is None:
            raise Refused(f"There is no role {role!r}; use owner, admin or user.")

        async def work(unit: Unit) -> Identity:
            identity = await unit.people.identity(channel, user_id)
            if identity is None or identity.person is None:
                raise NotFound(f"{address} was never let in; first: parley people allow {address}")
            await unit.people.set_role(identity.person, wanted)
            again = await unit.people.identity_by_id(identity.id)
            assert again is not None
            return again

        return _member(await self._store.commit(Point.PEOPLE, work))

    async def owners(self) -> tuple[str, ...]:
        """Addresses of the owners on real channels: who is told of trouble when nobody else is named."""
        found = await self._store.read(lambda unit: unit.people.with_role("owner"))
        return tuple(f"{channel}:{user_id}" for channel, user_id in found if channel != "main")


def parse(address: str) -> tuple[str, str]:
    """('telegram', '12345'). Names change hands, so only numbers are taken."""
    channel, _, user_id = address.strip().partition(":")
    if not channel or not user_id.isdecimal():
        raise Refused(
            f"{address!r} is not an address; write channel:number, such as telegram:12345 (not an @name)."
        )
    return channel, user_id


def _member(identity: Identity) -> Member:
    return Member(
        address=f"{identity.channel}:{identity.user_id}",
        name=identity.name,
        state=identity.state,
        role=identity.role,
    )
