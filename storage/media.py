"""The media table: which files the media folder holds, and what they are."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx

ADD = """
INSERT INTO media (inbox, sha256, path, type, bytes, name, created)
VALUES (:inbox, :sha256, :path, :type, :bytes, :name, :now) RETURNING id"""
GET = "SELECT id, path, type, bytes, name FROM media WHERE id = :id AND deleted IS NULL"
PATHS = "SELECT path FROM media WHERE deleted IS NULL"
OLD = "SELECT id, path FROM media WHERE deleted IS NULL AND created < :before ORDER BY id LIMIT :count"
DELETED = "UPDATE media SET deleted = :now WHERE id = :id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """A file in the media folder; *path* is relative to it, *type* its media type."""

    id: int
    path: str
    type: str
    bytes: int
    name: str


class Media:
    """Rows of media."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(
        self,
        *,
        path: str,
        type: str,
        bytes: int,
        sha256: str,
        now: int,
        name: str = "",
        inbox: int | None = None,
    ) -> int:
        row = await self._tx.one(
            ADD, inbox=inbox, sha256=sha256, path=path, type=type, bytes=bytes, name=name, now=now
        )
        assert row is not None
        return int(row[0])

    async def get(self, id: int) -> Medium | None:
        """None: there never was one, or it has been deleted."""
        row = await self._tx.one(GET, id=id)
        return None if row is None else Medium(id=row[0], path=row[1], type=row[2], bytes=row[3], name=row[4])

    async def paths(self) -> set[str]:
        """Of every file that must be there."""
        return {str(row[0]) for row in await self._tx.all(PATHS)}

    async def old(self, *, before: int, count: int) -> list[tuple[int, str]]:
        """(id, path) of files from before then (microseconds UTC), the oldest first, at most *count*."""
        return [(row[0], row[1]) for row in await self._tx.all(OLD, before=before, count=count)]

    async def deleted(self, id: int, *, now: int) -> None:
        """Its file is about to go; what was said of it stays."""
        await self._tx.run(DELETED, id=id, now=now)
