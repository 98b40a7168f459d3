"""The api_key table: who may come in over HTTP, and how far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage.database import Row, Tx, scalar

Scope = Literal["read", "operate", "admin"]

COLUMNS = """
SELECT k.id, k.prefix, k.hash, k.name, k.identity, k.scope, k.created, k.expires, k.revoked, k.used,
       i.channel, i.user_id
  FROM api_key k JOIN identity i ON i.id = k.identity"""
ADD = """
INSERT INTO api_key (prefix, hash, name, identity, scope, created, expires)
VALUES (:prefix, :hash, :name, :identity, :scope, :now, :expires) RETURNING id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """*address* is channel:user id; times in microseconds UTC. *expires* None: it holds until it is revoked."""

    id: int
    prefix: str
    hash: str
    name: str
    identity: int
    scope: Scope
    created: int
    expires: int | None
    revoked: int | None
    used: int | None
    address: str


class Keys:
    """Rows of api_key; none is ever removed."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(
        self, *, prefix: str, hash: str, name: str, identity: int, scope: Scope, now: int, expires: int | None
    ) -> int:
        row = await self._tx.one(
            ADD,
            prefix=prefix,
            hash=hash,
            name=name,
            identity=identity,
            scope=scope,
            now=now,
            expires=expires,
        )
        return int(scalar(row))

    async def named(self, prefix: str) -> StoredKey | None:
        row = await self._tx.one(f"{COLUMNS} WHERE k.prefix = :prefix", prefix=prefix)
        return None if row is None else _key(row)

    async def all(self) -> list[StoredKey]:
        """Revoked and expired ones as well, oldest first."""
        return [_key(row) for row in await self._tx.all(f"{COLUMNS} ORDER BY k.id")]

    async def any(self) -> bool:
        """Whether one was ever made."""
        return await self._tx.one("SELECT 1 FROM api_key LIMIT 1") is not None

    async def revoke(self, id: int, *, now: int) -> None:
        """The first time counts."""
        await self._tx.run(
            "UPDATE api_key SET revoked = coalesce(revoked, :now) WHERE id = :id", now=now, id=id
        )

    async def used(self, id: int, *, now: int) -> None:
        await self._tx.run("UPDATE api_key SET used = :now WHERE id = :id", now=now, id=id)


def _key(row: Row) -> StoredKey:
    return StoredKey(
        id=row[0],
        prefix=row[1],
        hash=row[2],
        name=row[3],
        identity=row[4],
        scope=row[5],
        created=row[6],
        expires=row[7],
        revoked=row[8],
        used=row[9],
        address=f"{row[10]}:{row[11]}",
    )
