"""How much waits, over all conversations; each read from an index of what is open."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx

INBOX = """
SELECT state, count(*), min(received) FROM inbox WHERE state IN ('waiting', 'held', 'taken') GROUP BY state"""
OUTBOX = """
SELECT state, count(*), min(created) FROM outbox
 WHERE state IN ('ready', 'placing', 'placed', 'sending', 'unknown') GROUP BY state
 UNION ALL SELECT 'dead', count(*), min(created) FROM outbox WHERE state = 'dead'"""


@dataclass(frozen=True, slots=True)
class Depth:
    """*count* rows in a *state*; *oldest* in microseconds UTC, None: there are none."""

    state: str
    count: int
    oldest: int | None


class Depths:
    """Rows of inbox and outbox that are not done."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def inbox(self) -> list[Depth]:
        """waiting: for its turn; held: for a decision; taken: being answered."""
        return [Depth(row[0], row[1], row[2]) for row in await self._tx.all(INBOX)]

    async def outbox(self) -> list[Depth]:
        """What is not sent; dead: given up."""
        return [Depth(row[0], row[1], row[2]) for row in await self._tx.all(OUTBOX)]
