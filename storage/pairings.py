"""The pairing table: codes that were given out (only their hashes), and wrong ones that were tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage.database import Row, Tx, scalar

PairingKind = Literal["pair", "link", "guess"]
PairingState = Literal["open", "used", "refused", "expired", "locked"]

COLUMNS = """
SELECT p.id, p.kind, p.identity, p.account, p.code_hash, p.tries, p.state, p.created, p.expires,
       i.channel, i.user_id, i.name
  FROM pairing p JOIN identity i ON i.id = p.identity"""
ADD = """
INSERT INTO pairing (kind, identity, account, code_hash, created, expires)
VALUES (:kind, :identity, :account, :code_hash, :now, :expires) RETURNING id"""
OPEN = f"{COLUMNS} WHERE p.kind = :kind AND p.state = 'open' AND p.expires > :now ORDER BY p.id"
LATEST = f"{COLUMNS} WHERE p.identity = :identity AND p.kind = :kind ORDER BY p.id DESC LIMIT 1"
MISSED = """
UPDATE pairing SET tries = tries + 1, state = CASE WHEN tries + 1 >= :most THEN 'locked' ELSE state END
 WHERE id = :id AND state = 'open' RETURNING state"""
SETTLE = "UPDATE pairing SET state = :state WHERE id = :id AND state = 'open'"
EXPIRE = """
UPDATE pairing SET state = 'expired' WHERE identity = :identity AND kind = :kind AND state = 'open'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """A code somebody has (pair, link), or the wrong ones somebody tried (guess). *address* is channel:user id."""

    id: int
    kind: PairingKind
    identity: int
    account: int
    code_hash: str
    tries: int
    state: PairingState
    created: int
    expires: int
    channel: str
    user_id: str
    name: str

    @property
    def address(self) -> str:
        return f"{self.channel}:{self.user_id}"


class Pairings:
    """Rows of pairing."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(
        self,
        kind: PairingKind,
        *,
        identity: int,
        account: int,
        now: int,
        expires: int,
        code_hash: str = "",
    ) -> int:
        """In place of an open one of the same kind and identity; gives its id."""
        await self._tx.run(EXPIRE, identity=identity, kind=kind)
        row = await self._tx.one(
            ADD,
            kind=kind,
            identity=identity,
            account=account,
            code_hash=code_hash,
            now=now,
            expires=expires,
        )
        return int(scalar(row))

    async def get(self, id: int) -> Pairing | None:
        row = await self._tx.one(f"{COLUMNS} WHERE p.id = :id", id=id)
        return None if row is None else _pairing(row)

    async def open(self, kind: PairingKind, *, now: int) -> list[Pairing]:
        """Those that still hold, oldest first."""
        return [_pairing(row) for row in await self._tx.all(OPEN, kind=kind, now=now)]

    async def latest(self, identity: int, kind: PairingKind) -> Pairing | None:
        row = await self._tx.one(LATEST, identity=identity, kind=kind)
        return None if row is None else _pairing(row)

    async def missed(self, id: int, *, most: int) -> bool:
        """Count one wrong try; True when that was the last one and it is locked now."""
        row = await self._tx.one(MISSED, id=id, most=most)
        return row is not None and row[0] == "locked"

    async def settle(self, id: int, state: PairingState) -> bool:
        """False when it was not open any more."""
        return await self._tx.run(SETTLE, id=id, state=state) == 1


def _pairing(row: Row) -> Pairing:
    return Pairing(
        id=row[0],
        kind=row[1],
        identity=row[2],
        account=row[3],
        code_hash=row[4],
        tries=row[5],
        state=row[6],
        created=row[7],
        expires=row[8],
        channel=row[9],
        user_id=row[10],
        name=row[11],
    )
