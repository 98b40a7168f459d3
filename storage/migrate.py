"""Apply the numbered migrations; refuse a schema from the future; never recreate or delete anything."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from gateway.applied import ASK, listed
from gateway.applied import applied as have
from gateway.errors import SchemaTooNew
from gateway.failpoints import Point
from storage.meta import PUT

if TYPE_CHECKING:
    from storage.database import Database, Tx, Work

# clustered: a table that is kept in the order of its key.
DIALECT = {
    "sqlite": {
        "id": "INTEGER PRIMARY KEY",
        "int": "INTEGER",
        "strict": "STRICT",
        "clustered": "STRICT, WITHOUT ROWID",
    },
}


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) in order."""
    folder = files("storage") / "migrations"
    found = [(entry.name, entry) for entry in folder.iterdir() if re.match(r"\d{4}_\w+\.sql$", entry.name)]
    return [(int(name[:4]), entry.read_text("utf-8")) for name, entry in sorted(found, key=lambda f: f[0])]


async def version(tx: Tx) -> int:
    """The schema's version; 0 for an empty database."""
    row = await tx.one("SELECT name FROM sqlite_master WHERE name = 'meta'")
    if row is None:
        return 0
    row = await tx.one("SELECT value FROM meta WHERE key = 'schema'")
    return int(row[0]) if row else 0


async def applied(tx: Tx) -> frozenset[int]:
    """Numbers of the migrations that the database has."""
    if await version(tx) == 0:
        return frozenset()
    row = await tx.one(ASK)
    assert row is not None
    return have(row, [number for number, _ in migrations()])


async def pending(database: Database) -> list[int]:
    """Numbers of the migrations that are still to be applied, also of one that came after a later one.

    Raises SchemaTooNew.
    """
    done, known = await database.read(applied), [number for number, _ in migrations()]
    if unknown := done.difference(known):
        raise SchemaTooNew(
            f"the database has schema {max(unknown)}, which this version of Parley does not know (it has up to "
            f"{max(known)}). Install the newer version again, or restore a backup made before the upgrade."
        )
    return [number for number in known if number not in done]


async def migrate(database: Database) -> list[int]:
    """Apply what is pending, each migration in one transaction; gives the numbers applied."""
    todo = await pending(database)
    done = set(await database.read(applied))
    dialect = DIALECT[database.engine]
    for number, sql in migrations():
        if number in todo:
            done.add(number)
            await database.commit(Point.META, _step(sql.format(**dialect), frozenset(done)))
    return todo


def _step(sql: str, done: frozenset[int]) -> Work[None]:
    async def work(tx: Tx) -> None:
        await tx.script(sql)
        for key, value in (("schema", str(max(done))), ("migrations", listed(done))):
            await tx.run(PUT, key=key, value=value)

    return work
