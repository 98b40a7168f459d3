"""A whole backup: the database copied beside those who use it, packed with everything else, and opened again."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from gateway.backup import archive, rotation
from gateway.backup.copying import backup
from gateway.errors import Refused, StoreError
from gateway.ownership import folder_at, hand_over_all
from gateway.types.json import Json

UNFINISHED = ".parley-backup-"  # folders that the next backup removes if this process dies in one
SPARE = 200 * 1024 * 1024  # bytes of disk that a backup leaves free
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was opened again and found sound. *removed*: older ones that had to go."""

    path: Path
    bytes: int
    sessions: int
    removed: tuple[str, ...] = ()


async def make(
    database: object, *, file: Path, media: Path, settings: Json, folder: Path, name: str, keep: int
) -> Made:
    """Write *folder*/*name*, whole or not at all; then remove the oldest ones named in its way beyond *keep*.

    *database* is the open one, *file* where it is; *settings* come without their secrets. The folder is made. Raises
    StoreError when there is no room, or what was written is not sound; then nothing older is removed.
    """
    stopped = threading.Event()
    try:
        await asyncio.to_thread(_ready, folder, file, media)
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder) as beside:
            copy = Path(beside, archive.DATABASE)
            await backup(database, copy)
            return await asyncio.to_thread(
                _finish, copy, Path(beside, name), media, settings, folder / name, keep, stopped
            )
    except (OSError, Refused) as error:
        raise StoreError(str(error)) from error
    finally:
        stopped.set()  # a thread is not cancelled: it ends at its next file


def _ready(folder: Path, file: Path, media: Path) -> None:
    """Raises StoreError when there is no room for a copy, what it is packed to, and what that is opened to."""
    folder_at(folder)
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    files = sum(each.stat().st_size for each in media.rglob("*") if each.is_file())
    needed, free = 3 * file.stat().st_size + files, shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise StoreError(
            f"a backup needs {needed // MEGABYTE} MB in {folder}, only {free // MEGABYTE} MB are free there"
        )


def _finish(
    copy: Path, packed: Path, media: Path, settings: Json, target: Path, keep: int, stopped: threading.Event
) -> Made:
    """Pack the copy, open what was packed and look at it; only then it has its name, and older ones go."""
    archive.pack(packed, database=copy, media=media, settings=settings, stopped=stopped)
    copy.unlink()
    archive.unpack(packed, copy.parent, files=False)
    found = archive.verify(copy)
    size = packed.stat().st_size
    hand_over_all(packed, target.parent)
    os.replace(packed, target)
    _synced(target.parent)
    removed = rotation.too_many((each.name for each in target.parent.iterdir()), target.name, keep)
    for old in removed:
        Path(target.parent, old).unlink(missing_ok=True)
    return Made(path=target, bytes=size, sessions=found.sessions, removed=tuple(removed))


def _synced(folder: Path) -> None:
    """So that the name is on the disk before an older one goes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
