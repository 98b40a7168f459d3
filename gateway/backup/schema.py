"""The database's schema, looked at without opening the store."""

from __future__ import annotations

import re
import sqlite3
from importlib.util import find_spec
from pathlib import Path

from gateway.applied import ASK, applied


def version(connection: sqlite3.Connection) -> int:
    """0 for an empty database. Raises sqlite3.Error for what is none."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return 0
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    return int(row[0]) if row else 0


def migrations() -> dict[int, str]:
    """Number and name of every migration that this Parley has."""
    spec = find_spec("storage")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "migrations"
    names = sorted(path.stem for path in folder.glob("*.sql") if re.match(r"\d{4}_", path.name))
    return {int(name[:4]): name[5:].replace("_", " ") for name in names}


def pending(connection: sqlite3.Connection) -> dict[int, str]:
    """Number and name of those that the database lacks. Raises sqlite3.Error."""
    known = migrations()
    if not version(connection):
        return known
    done = applied(connection.execute(ASK).fetchone(), known)
    return {number: name for number, name in known.items() if number not in done}


def latest() -> int:
    return max(migrations())
