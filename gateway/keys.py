"""Keys of the HTTP API: making them, revoking them, and knowing whose one is."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway import key_secret
from gateway.access import Policy, enough, lets_in, standing
from gateway.errors import NotFound, Refused, StoreError
from gateway.failpoints import Point
from gateway.protocols.clock import Clock
from gateway.roster import NOBODY, OPERATOR, Actor, parse
from gateway.types.measures import MINUTE
from gateway.types.people import Identity, Role

if TYPE_CHECKING:
    from storage import Store, Unit
    from storage.keys import StoredKey

Scope = Literal["read", "operate", "admin"]
"""How far a key goes: looks; does what a person in a chat may do; changes the gateway."""

HERE = ("main", "local")  # channel and id of whoever has the machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as callers see it, without its secret; *prefix* is what it is called by. *who* as telegram:12345.

    Times in microseconds UTC: *expires* None: never; *revoked* None: it was not; *used* None: never yet.
    """

    prefix: str
    name: str
    who: str
    scope: Scope
    state: Literal["valid", "expired", "revoked"]
    created: int
    expires: int | None
    revoked: int | None
    used: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """*secret* is shown this once and kept by nobody."""

    key: Key
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose a key is, and what they are now; *local*: whoever has the machine."""

    prefix: str
    scope: Scope
    role: Role
    identity: Identity
    local: bool


class Keys:
    """*policy* is what the configuration says at this moment: a key goes no further than whose it is."""

    def __init__(self, *, store: Store, clock: Clock, policy: Callable[[], Policy] = lambda: NOBODY) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy

    async def add(
        self,
        scope: Scope,
        *,
        who: str = "",
        name: str = "",
        expires: int | None = None,
        by: Actor = OPERATOR,
    ) -> NewKey:
        """*who* as telegram:12345, '': whoever has the machine. *expires* in microseconds UTC, None: never.

        Raises NotFound for somebody who is not let in, Refused for a time that is over and for a key of somebody
        who may do more than *by*.
        """
        now = self._clock()
        if expires is not None and expires <= now:
            raise Refused("That time is over already; the key would never hold.")
        channel, user_id = parse(who) if who and who != ":".join(HERE) else HERE
        prefix, secret = key_secret.made()

        async def work(unit: Unit) -> StoredKey:
            identity = await self._holder(unit, channel, user_id, now)
            self._may_change(by, identity)
            await unit.keys.add(
                prefix=prefix,
                hash=key_secret.hashed(secret),
                name=name.strip(),
                identity=identity.id,
                scope=scope,
                now=now,
                expires=expires,
            )
            action = f"key {prefix} for {channel}:{user_id}"
            await unit.audit.add(at=now, actor=by.name, action=action, outcome=scope)
            return await _named(unit, prefix)

        return NewKey(key=_shown(await self._store.commit(Point.PEOPLE, work), now), secret=secret)

    async def list(self) -> Sequence[Key]:
        """All that were ever made, oldest first."""
        now = self._clock()
        return [_shown(each, now) for each in await self._store.read(lambda unit: unit.keys.all())]

    async def revoke(self, prefix: str, *, by: Actor = OPERATOR) -> Key:
        """No request with it is let in from now on. Raises NotFound."""
        now = self._clock()

        async def work(unit: Unit) -> StoredKey:
            found = await _named(unit, prefix)
            identity = await unit.people.identity_by_id(found.identity)
            assert identity is not None
            self._may_change(by, identity)
            if found.revoked is None:
                await unit.keys.revoke(found.id, now=now)
                action = f"key {found.prefix} of {found.address}"
                await unit.audit.add(at=now, actor=by.name, action=action, outcome="revoked")
            return await _named(unit, found.prefix)

        return _shown(await self._store.commit(Point.PEOPLE, work), now)

    async def any(self) -> bool:
        """Whether a key was ever made: from then on nobody comes in by TCP without one."""
        return await self._store.read(lambda unit: unit.keys.any())

    async def holder(self, secret: str) -> Holder:
        """Raises Refused with the reason, which only somebody with the whole secret is told."""
        prefix = key_secret.prefix_of(secret) if secret.startswith(f"{key_secret.MARK}_") else ""
        now = self._clock()

        async def work(unit: Unit) -> tuple[StoredKey, Identity | None] | None:
            found = await unit.keys.named(prefix)
            return None if found is None else (found, await unit.people.identity_by_id(found.identity))

        row = await self._store.read(work) if prefix else None
        stored = row[0].hash if row is not None else key_secret.NEVER
        right = hmac.compare_digest(key_secret.hashed(secret), stored)
        if row is None or not right:
            raise Refused("This key is not known here; see: parley keys list")
        key, identity = row
        state = _state(key, now)
        if state != "valid":
            raise Refused(f"The key {key.prefix} is {state}; make another: parley keys add")
        if identity is None or not lets_in(identity, self._policy()):
            raise Refused(f"The key {key.prefix} belongs to {key.address}, who is not let in any more.")
        await self._note(key, now)
        return Holder(
            prefix=key.prefix,
            scope=key.scope,
            role=standing(identity, self._policy()),
            identity=identity,
            local=(identity.channel, identity.user_id) == HERE,
        )

    async def _holder(self, unit: Unit, channel: str, user_id: str, now: int) -> Identity:
        if (channel, user_id) == HERE:
            local = await unit.people.seen(channel, user_id, user_id)
            return await unit.people.met(local, role="owner", now=now)
        found = await unit.people.identity(channel, user_id)
        policy = self._policy()
        if found is None and policy.names(channel, user_id):
            found = await unit.people.seen(channel, user_id)
        if found is None or user_id.startswith("-") or not lets_in(found, policy):
            address = f"{channel}:{user_id}"
            raise NotFound(f"{address} is nobody who is let in; first: parley people allow {address}")
        return await unit.people.met(found, role="user", now=now)

    async def _note(self, key: StoredKey, now: int) -> None:
        """That it was used, to the minute: not every look at something is to cost a write."""
        if key.used is None or now - key.used >= MINUTE:
            with suppress(StoreError):  # a full disk is no reason to turn somebody away
                await self._store.commit(Point.PEOPLE, lambda unit: unit.keys.used(key.id, now=now))

    def _may_change(self, by: Actor, identity: Identity) -> None:
        if not enough(by.role, standing(identity, self._policy())):
            raise Refused(key="people.above")


async def _named(unit: Unit, prefix: str) -> StoredKey:
    name = key_secret.prefix_of(prefix)
    found = await unit.keys.named(name)
    if found is None:
        raise NotFound(f"There is no key {name[:40]!r}; see: parley keys list")
    return found


def _state(key: StoredKey, now: int) -> Literal["valid", "expired", "revoked"]:
    if key.revoked is not None:
        return "revoked"
    return "expired" if key.expires is not None and now >= key.expires else "valid"


def _shown(key: StoredKey, now: int) -> Key:
    return Key(
        prefix=key.prefix,
        name=key.name,
        who=key.address,
        scope=key.scope,
        state=_state(key, now),
        created=key.created,
        expires=key.expires,
        revoked=key.revoked,
        used=key.used,
    )
