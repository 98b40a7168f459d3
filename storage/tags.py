"""The tag table: words that people put on sessions, in the order in which they did."""

from __future__ import annotations

from collections.abc import Iterable

from storage.database import Tx

OF = "SELECT tag FROM tag WHERE session = :session ORDER BY pos"
# Of many at once: a list of sessions is shown with their tags.
OF_ALL = (
    "SELECT session, tag FROM tag WHERE session IN (SELECT value FROM json_each(:ids)) ORDER BY session, pos"
)
ADD = """
INSERT INTO tag (session, tag, pos)
SELECT :session, :tag, coalesce(max(pos), 0) + 1 FROM tag WHERE session = :session
ON CONFLICT (session, tag) DO NOTHING"""
REMOVE = "DELETE FROM tag WHERE session = :session AND tag = :tag"
CLEAR = "DELETE FROM tag WHERE session = :session"


class Tags:
    """Rows of tag."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def of(self, session: int) -> tuple[str, ...]:
        return tuple(row[0] for row in await self._tx.all(OF, session=session))

    async def of_all(self, sessions: Iterable[int]) -> dict[int, tuple[str, ...]]:
        """By session; those without tags are left out."""
        found: dict[int, tuple[str, ...]] = {}
        for session, tag in await self._tx.all(OF_ALL, ids=str(list(sessions))):
            found[session] = (*found.get(session, ()), tag)
        return found

    async def add(self, session: int, tag: str) -> bool:
        """False when it has that tag already."""
        return await self._tx.run(ADD, session=session, tag=tag) == 1

    async def remove(self, session: int, tag: str) -> bool:
        """False when it had no such tag."""
        return await self._tx.run(REMOVE, session=session, tag=tag) == 1

    async def clear(self, session: int) -> None:
        await self._tx.run(CLEAR, session=session)
