"""A backup as a file: parley.db, media/ and the settings without their secrets, in one .tar.gz."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import tarfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from gateway.errors import Refused, StoreError
from gateway.types.json import Json

DATABASE, MEDIA, SETTINGS = "parley.db", "media", "settings.json"
BESIDE = ("", "-wal", "-shm")  # a SQLite database is up to three files; renamed alike they stay one


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is in a database. *sessions* and *schema* are 0 for one without any."""

    schema: int
    sessions: int


def pack(
    target: Path, *, database: Path, media: Path, settings: Json, stopped: threading.Event | None = None
) -> None:
    """Write *target*, whole or not at all, for this user only. Raises StoreError, also when *stopped* meanwhile."""

    def goes_on(each: tarfile.TarInfo) -> tarfile.TarInfo:
        if stopped is not None and stopped.is_set():
            raise StoreError(f"{target.name} was stopped")
        return each

    part = target.with_name(f".{target.name}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
                tar.add(database, DATABASE, filter=goes_on)
                if media.is_dir():
                    tar.add(media, MEDIA, filter=goes_on)
                content = json.dumps(settings, indent=2, ensure_ascii=False).encode()
                about = tarfile.TarInfo(SETTINGS)
                about.size, about.mode = len(content), 0o600
                tar.addfile(about, BytesIO(content))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except StoreError:
        part.unlink(missing_ok=True)
        raise
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error


def unpack(source: Path, folder: Path, *, files: bool = True) -> None:
    """Put the database, and media if any, into *folder*; *source* may be a bare database too. Raises Refused.

    *files* False: the database alone.
    """
    try:
        if not tarfile.is_tarfile(source):
            shutil.copyfile(source, folder / DATABASE)
            return
        _read_through(source)
        with tarfile.open(source) as tar:
            parts = (DATABASE, MEDIA) if files else (DATABASE,)
            for each in tar.getmembers():
                if each.name.split("/")[0] in parts:
                    _put(tar, each, folder)
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise Refused(f"{source} cannot be read: {error}") from None
    if not (folder / DATABASE).is_file():
        raise Refused(f"{source} is no backup of Parley: there is no {DATABASE} in it")


def _put(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """A file or a folder, for us only. Raises Refused for links, devices, and what would lie outside.

    By hand: Python has `filter="data"` for it from 3.11.4 on, and Debian 12 comes with 3.11.2.
    """
    target = folder / member.name
    if ".." in target.parts or not (member.isreg() or member.isdir()):
        raise Refused(f"{member.name!r} does not belong into a backup of Parley; nothing of it is used")
    if member.isdir():
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = tar.extractfile(member)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        if content is not None:
            shutil.copyfileobj(content, file, 1 << 20)


def _read_through(source: Path) -> None:
    """To the checksum at the end, which a reader of single files never comes to; in a database not every byte shows
    that it has changed. Raises OSError, EOFError and zlib.error for what is damaged."""
    with source.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed:
        with gzip.open(source) as content:
            while content.read(1 << 20):
                pass


def verify(path: Path) -> Found:
    """Raises Refused for what is damaged, or not a database of Parley."""
    from gateway.backup.schema import version

    try:
        with closing(sqlite3.connect(path)) as connection:
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                raise Refused(f"{path.name} is damaged: {said}")
            schema = version(connection)
            if not schema:
                raise Refused(f"{path.name} is a database, but not one of Parley")
            (sessions,) = connection.execute("SELECT count(*) FROM session").fetchone()
            return Found(schema=schema, sessions=sessions)
    except sqlite3.Error as error:
        raise Refused(f"{path.name}: {error}") from None


def put_in_place(folder: Path, *, database: Path, media: Path, stamp: str) -> list[Path]:
    """Swap what *folder* has for what is there; gives where the old things are now. Nothing is deleted."""
    kept = list(_aside(database, stamp))
    os.replace(folder / DATABASE, database)
    database.chmod(0o600)
    if (folder / MEDIA).is_dir():
        if media.exists():
            old = media.with_name(f"{media.name}.before-restore-{stamp}")
            media.rename(old)
            kept.append(old)
        (folder / MEDIA).rename(media)
    return kept


def _aside(database: Path, stamp: str) -> Iterator[Path]:
    for ending in BESIDE:
        file = Path(f"{database}{ending}")
        if file.exists():
            old = Path(f"{database}.before-restore-{stamp}{ending}")
            file.rename(old)
            if not ending:
                yield old
