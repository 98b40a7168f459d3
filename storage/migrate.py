"""Apply the numbered migrations; refuse a schema from the future; never recreate or delete anything."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from gateway.errors import SchemaTooNew
from gateway.failpoints import Point

if TYPE_CHECKING:
    from storage.database import Database, Tx

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


async def pending(database: Database) -> list[int]:
    """Numbers of the migrations that are still to be applied. Raises SchemaTooNew."""
    at = await database.read(version)
    known = [number for number, _ in migrations()]
    if at > max(known):
        raise SchemaTooNew(
            f"the database has schema {at}, this version of Parley knows {max(known)}. "
            "Install the newer version again, or restore a backup made before the upgrade."
        )
    return [number for number in known if number > at]


async def migrate(database: Database) -> list[int]:
    """Apply what is pending, each migration in one transaction; gives the numbers applied."""
    todo = await pending(database)
    dialect = DIALECT[database.engine]
    for number, sql in migrations():
        if number in todo:
            await database.commit(Point.META, _step(number, sql.format(**dialect)))
    return todo


def _step(number: int, sql: str):  # type: ignore[no-untyped-def]
    async def work(tx: Tx) -> None:
        await tx.script(sql)
        await tx.run(
            "INSERT INTO meta (key, value) VALUES ('schema', :v) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            v=str(number),
        )

    return work
