"""The small surface that every engine offers: a transaction to run SQL in, and a database to get one from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from gateway.failpoints import Point

T = TypeVar("T")
Row = tuple[Any, ...]


class Tx(Protocol):
    """SQL inside one transaction. Parameters are named (:name); times and money are integers.

    A unit of work awaits nothing but these methods: SQLite runs it whole in the writer's thread.
    """

    async def run(self, sql: str, **params: Any) -> int:
        """Execute; gives the number of rows changed."""
        ...

    async def one(self, sql: str, **params: Any) -> Row | None:
        """The first row, or None."""
        ...

    async def all(self, sql: str, **params: Any) -> list[Row]:
        """Every row."""
        ...

    async def script(self, sql: str) -> None:
        """Several statements without parameters (migrations only)."""
        ...


Work = Callable[[Tx], Awaitable[T]]


class Database(Protocol):
    """An engine. *commit* raises StoreError when nothing was stored."""

    engine: str

    async def commit(self, point: Point, work: Work[T]) -> T:
        """Run *work* in a transaction of its own and return when it is safely on disk."""
        ...

    async def read(self, work: Work[T]) -> T:
        """Run *work* against one consistent picture; it must not write."""
        ...

    async def close(self) -> None: ...


def scalar(row: Row | None) -> Any:
    """The first column of a row that must be there."""
    if row is None:
        raise LookupError("the statement gave no row")
    return row[0]
