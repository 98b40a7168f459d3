"""A copy of the database beside the running gateway, checked before it gets its name."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, runtime_checkable

from gateway.errors import Refused, StoreError


@runtime_checkable
class Copied(Protocol):
    """A database that can write a consistent copy of itself while it is in use."""

    async def backup(self, target: Path) -> None: ...


async def backup(database: object, path: Path) -> int:
    """Copy to *path*, which must be absolute and not exist yet; gives its size in bytes.

    Raises Refused for a path that will not do, StoreError when the copy failed or is not sound.
    """
    if not isinstance(database, Copied):
        raise Refused("This database is backed up by its own tools.")
    if not path.is_absolute():
        raise Refused(f"{path} is not an absolute path.")
    _claim(path)
    try:
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as beside:
            part = Path(beside, path.name)
            await database.backup(part)
            return await asyncio.to_thread(_finish, part, path)
    except BaseException as error:  # cancelled, too: the name is free again
        _give_up(path)
        if isinstance(error, OSError | sqlite3.Error):
            raise StoreError(f"the backup failed: {error}") from error
        raise


def _claim(path: Path) -> None:
    """Take the name before the copy is made, so that nobody's file is ever written over."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise Refused(f"{path} cannot be made: {error.strerror}.") from None


def _give_up(path: Path) -> None:
    path.unlink(missing_ok=True)


def _finish(part: Path, path: Path) -> int:
    """Check the copy, give it its name, and its size in bytes to the caller."""
    size = _check(part)
    os.replace(part, path)
    return size


def _check(path: Path) -> int:
    """Bytes of a copy that is sound and on the disk. Raises StoreError."""
    # Immutable: it is nobody's yet, and looking at it must leave no files beside it.
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()
    if found != [("ok",)]:
        raise StoreError(f"the copy is damaged: {found[0][0]}")
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
        return os.fstat(handle).st_size
    finally:
        os.close(handle)
