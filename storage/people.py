"""Accounts, persons and identities: who speaks, and through which bot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from gateway.types.people import Identity, Role
from gateway.types.places import Account
from storage.database import Row, Tx, scalar

ACCOUNT_PUT = """
INSERT INTO account (channel, platform_id, name) VALUES (:channel, :platform_id, :name)
ON CONFLICT (channel, platform_id) DO UPDATE SET name = excluded.name RETURNING id"""
ACCOUNT_GET = "SELECT id, channel, platform_id, name FROM account WHERE id = :id"
ACCOUNT_ALL = "SELECT id, channel, platform_id, name FROM account ORDER BY id"

CURSOR_PUT = """
INSERT INTO cursor (account, scope, value) VALUES (:account, :scope, :value)
ON CONFLICT (account, scope) DO UPDATE SET value = excluded.value"""

IDENTITY = """
SELECT i.id, i.person, i.channel, i.user_id, i.name, i.state, p.role, coalesce(nullif(p.lang, ''), i.lang),
       coalesce(p.zone, '')
  FROM identity i LEFT JOIN person p ON p.id = i.person"""
IDENTITY_SEEN = """
INSERT INTO identity (channel, user_id, name, lang) VALUES (:channel, :user_id, :name, :lang)
ON CONFLICT (channel, user_id) DO UPDATE
   SET name = CASE WHEN excluded.name <> '' THEN excluded.name ELSE identity.name END,
       lang = CASE WHEN excluded.lang <> '' THEN excluded.lang ELSE identity.lang END"""
IDENTITY_STATE = "UPDATE identity SET state = :state, person = coalesce(person, :person) WHERE id = :id"
IDENTITY_PERSON = "UPDATE identity SET person = :person WHERE id = :id"
JOIN = """
UPDATE identity SET person_before = CASE WHEN state_before IS NULL THEN person ELSE person_before END,
       state_before = coalesce(state_before, state), person = :person, state = :state WHERE id = :id"""
BEFORE = "SELECT person_before, state_before FROM identity WHERE id = :id"
PART = """
UPDATE identity SET person = :person, state = :state, person_before = NULL, state_before = NULL WHERE id = :id"""
SESSIONS = """
UPDATE session SET owner = :new
 WHERE owner = :old AND (:everything OR id IN (SELECT session FROM turn WHERE identity = :identity))"""
PERSON_ADD = "INSERT INTO person (role, name, created) VALUES (:role, :name, :now) RETURNING id"
PERSON_LANG = "UPDATE person SET lang = :lang WHERE id = :id"
PERSON_ZONE = "UPDATE person SET zone = :zone WHERE id = :id"
PERSON_ROLE = "UPDATE person SET role = :role WHERE id = :id"
ROLES = """
SELECT i.channel, i.user_id FROM identity i JOIN person p ON p.id = i.person
 WHERE p.role = :role AND i.state = 'allowed' ORDER BY i.id"""


def _identity(row: Row) -> Identity:
    return Identity(
        id=row[0],
        person=row[1],
        channel=row[2],
        user_id=row[3],
        name=row[4],
        state=row[5],
        role=row[6],
        lang=row[7],
        zone=row[8],
    )


def _account(row: Row) -> Account:
    return Account(id=row[0], channel=row[1], platform_id=row[2], name=row[3])


class People:
    """Rows of account, person and identity."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def account(self, channel: str, platform_id: str, name: str = "") -> Account:
        """The account's row, made at first sight."""
        row = await self._tx.one(ACCOUNT_PUT, channel=channel, platform_id=platform_id, name=name)
        return Account(id=scalar(row), channel=channel, platform_id=platform_id, name=name)

    async def account_by_id(self, id: int) -> Account | None:
        row = await self._tx.one(ACCOUNT_GET, id=id)
        return None if row is None else _account(row)

    async def accounts(self) -> list[Account]:
        return [_account(row) for row in await self._tx.all(ACCOUNT_ALL)]

    async def seen(self, channel: str, user_id: str, name: str = "", lang: str = "") -> Identity:
        """The identity's row, made at first sight (state 'new'), its display name refreshed."""
        found = await self.identity(channel, user_id)
        # The language a person chose hides what the platform says of it; then the update costs nothing much.
        if found is not None and name in ("", found.name) and lang in ("", found.lang):
            return found
        await self._tx.run(IDENTITY_SEEN, channel=channel, user_id=user_id, name=name, lang=lang)
        found = await self.identity(channel, user_id)
        assert found is not None
        return found

    async def identity(self, channel: str, user_id: str) -> Identity | None:
        where = f"{IDENTITY} WHERE i.channel = :channel AND i.user_id = :user_id"
        row = await self._tx.one(where, channel=channel, user_id=user_id)
        return None if row is None else _identity(row)

    async def identity_by_id(self, id: int) -> Identity | None:
        row = await self._tx.one(f"{IDENTITY} WHERE i.id = :id", id=id)
        return None if row is None else _identity(row)

    async def writers(self, conversation: int, chat_id: str, channel: str) -> list[Identity]:
        """Who has written in a direct chat, or whose number it has."""
        rows = await self._tx.all(
            f"{IDENTITY} WHERE i.id IN (SELECT x.identity FROM inbox x WHERE x.conversation = :conversation) "
            "OR (i.channel = :channel AND i.user_id = :chat_id)",
            conversation=conversation,
            chat_id=chat_id,
            channel=channel,
        )
        return [_identity(row) for row in rows]

    async def identities(self) -> list[Identity]:
        return [_identity(row) for row in await self._tx.all(f"{IDENTITY} ORDER BY i.channel, i.id")]

    async def chat(self, channel: str, *ids: str) -> Literal["new", "allowed", "blocked"]:
        """The stored state of a group that was let in by hand, by its own id or its server's; a block wins."""
        states = [found.state for id in ids if id and (found := await self.identity(channel, id)) is not None]
        return min(states, key=STRICTEST.index, default="new")

    async def met(self, identity: Identity, *, role: Role, now: int) -> Identity:
        """A person from now on, of that role if it had none; what lets them in is not stored."""
        if identity.person is not None:
            return identity
        person = scalar(await self._tx.one(PERSON_ADD, role=role, name=identity.name or None, now=now))
        await self._tx.run(IDENTITY_PERSON, person=person, id=identity.id)
        return replace(identity, person=person, role=role)

    async def let_in(self, identity: Identity, *, role: Role, now: int) -> Identity:
        """State 'allowed', with a person of that role; an existing person keeps a higher role."""
        person = identity.person
        if person is None:
            person = scalar(await self._tx.one(PERSON_ADD, role=role, name=identity.name or None, now=now))
        elif identity.role is None or RANK[role] > RANK[identity.role]:
            await self._tx.run(PERSON_ROLE, role=role, id=person)
        await self._tx.run(IDENTITY_STATE, state="allowed", person=person, id=identity.id)
        again = await self.identity_by_id(identity.id)
        assert again is not None
        return again

    async def join(self, identity: Identity, person: int, *, let_in: bool) -> None:
        """Make an identity another person's: facts point at identities, so the ledger follows by this alone.

        What it was is remembered, the first time, for `part`. *let_in*: it may come in from now on.
        """
        state = "allowed" if let_in else identity.state
        await self._tx.run(JOIN, person=person, state=state, id=identity.id)
        if identity.person is not None:
            await self._inherit(identity, identity.person, person)

    async def part(self, identity: Identity, *, now: int) -> bool:
        """Undo `join`; False when the identity was not joined. Whoever was blocked since stays it."""
        row = await self._tx.one(BEFORE, id=identity.id)
        if row is None or row[1] is None or identity.person is None:
            return False
        person, state = row
        if person is None:
            person = scalar(await self._tx.one(PERSON_ADD, role="user", name=identity.name or None, now=now))
        state = identity.state if identity.state == "blocked" else state
        await self._tx.run(PART, person=person, state=state, id=identity.id)
        await self._inherit(identity, identity.person, person)
        return True

    async def _inherit(self, identity: Identity, old: int, new: int) -> None:
        """What the identity had as *old* is the new person's; all of it when nobody else is *old* any more."""
        left = await self._tx.one("SELECT 1 FROM identity WHERE person = :person", person=old)
        await self._tx.run(SESSIONS, old=old, new=new, identity=identity.id, everything=int(left is None))
        if left is None:
            await self._tx.run("UPDATE job SET owner = :new WHERE owner = :old", old=old, new=new)
            await self._tx.run(
                "UPDATE button SET for_person = :new WHERE for_person = :old", old=old, new=new
            )

    async def of_person(self, person: int) -> list[Identity]:
        """Every identity of somebody."""
        rows = await self._tx.all(f"{IDENTITY} WHERE i.person = :person ORDER BY i.id", person=person)
        return [_identity(row) for row in rows]

    async def set_state(self, identity: Identity, state: str) -> None:
        await self._tx.run(IDENTITY_STATE, state=state, person=identity.person, id=identity.id)

    async def set_lang(self, person: int, lang: str) -> None:
        """The language that person chose, as a BCP 47 tag; '': what their platform says counts again."""
        await self._tx.run(PERSON_LANG, lang=lang, id=person)

    async def set_zone(self, person: int, zone: str) -> None:
        """The IANA time zone that person chose; '': the gateway's counts again."""
        await self._tx.run(PERSON_ZONE, zone=zone or None, id=person)

    async def set_role(self, person: int, role: Role) -> None:
        await self._tx.run(PERSON_ROLE, role=role, id=person)

    async def with_role(self, role: Role) -> list[tuple[str, str]]:
        """(channel, user id) of everyone with that role."""
        return [(row[0], row[1]) for row in await self._tx.all(ROLES, role=role)]

    async def cursors(self, account: int) -> dict[str, str]:
        """Up to where an account's events are taken, by scope."""
        rows = await self._tx.all("SELECT scope, value FROM cursor WHERE account = :account", account=account)
        return {row[0]: row[1] for row in rows}

    async def set_cursor(self, account: int, scope: str, value: str) -> None:
        await self._tx.run(CURSOR_PUT, account=account, scope=scope, value=value)


RANK: dict[Any, int] = {"user": 0, "admin": 1, "owner": 2}
STRICTEST = ("blocked", "allowed", "new")
