"""The meta table: single facts about this installation."""

from __future__ import annotations

from storage.database import Tx

GET = "SELECT value FROM meta WHERE key = :key"
PUT = "INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class Meta:
    """installation, boot, alive (last sign of life, microseconds), zone, model; schema (the highest number of a
    migration) and migrations (the numbers of all that were applied)."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def get(self, key: str) -> str | None:
        row = await self._tx.one(GET, key=key)
        return None if row is None else str(row[0])

    async def put(self, key: str, value: str) -> None:
        await self._tx.run(PUT, key=key, value=value)

    async def problem(self) -> str | None:
        """What the engine finds wrong with the file; None when nothing is."""
        row = await self._tx.one("PRAGMA quick_check(1)")
        return None if row is not None and row[0] == "ok" else str(row)
