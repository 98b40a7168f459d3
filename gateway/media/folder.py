"""The media folder: files under names of our choosing, each whole or not there."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import NotFound, StoreError

COMING = "coming"  # the folder of what is not whole yet
SETTLED = 3600.0  # seconds after which a file that nothing speaks of is left over, not on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file that is on disk; *path* is relative to the media folder."""

    path: str
    bytes: int
    sha256: str


class Coming:
    """A file while it arrives. Nobody knows of it until it is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")

    def put(self, piece: bytes) -> None:
        """Raises StoreError when there is no space."""
        try:
            self._file.write(piece)
        except OSError as error:
            raise StoreError(f"a file could not be stored: {error.strerror}") from error
        self.bytes += len(piece)

    def close(self) -> None:
        """On the disk itself. Raises StoreError."""
        try:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
        except (OSError, ValueError) as error:
            raise StoreError(f"a file could not be stored: {error}") from error

    def drop(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


class Folder:
    """Made when it is first needed. A file's name says nothing of what is in it and comes from nobody but us."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self) -> Coming:
        """A new file. Raises StoreError."""
        try:
            (self.root / COMING).mkdir(parents=True, exist_ok=True, mode=0o700)
            return Coming(self.root / COMING / secrets.token_hex(16))
        except OSError as error:
            raise StoreError(f"the media folder cannot be written: {error}") from error

    def keep(self, path: Path, suffix: str) -> Kept:
        """Give a whole file its place; blocking. *suffix* as '.jpg', ours too. Raises StoreError."""
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            name = secrets.token_hex(16)
            place = self.root / name[:2] / f"{name}{suffix}"
            place.parent.mkdir(exist_ok=True, mode=0o700)
            size = path.stat().st_size
            path.rename(place)
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreError(f"a file could not be stored: {error}") from error
        return Kept(path=f"{name[:2]}/{name}{suffix}", bytes=size, sha256=digest)

    def write(self, data: bytes, suffix: str) -> Kept:
        """Keep *data*; blocking. Raises StoreError."""
        coming = self.begin()
        try:
            coming.put(data)
            coming.close()
            return self.keep(coming.path, suffix)
        finally:
            coming.path.unlink(missing_ok=True)

    def read(self, path: str) -> bytes:
        """What is in a file of ours; blocking. Raises NotFound, also for a path that leads elsewhere."""
        place = self.root / path
        try:
            if not place.resolve().is_relative_to(self.root.resolve()):
                raise NotFound(f"there is no file {path}")
            with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise NotFound(f"there is no file {path}")
                return file.read()
        except (OSError, ValueError) as error:
            raise NotFound(f"there is no file {path}") from error

    def remove(self, path: str) -> None:
        """One that is gone already is no error."""
        (self.root / path).unlink(missing_ok=True)

    def sweep(self, known: Set[str], *, settled: float = SETTLED) -> int:
        """Remove what nothing speaks of and is older than *settled* seconds; blocking. Gives how many.

        *known*: the paths that must stay. Left over is what a crash cut off between file and row.
        """
        removed = 0
        for place in self.root.glob("*/*") if self.root.is_dir() else ():
            try:
                if place.is_dir() or place.relative_to(self.root).as_posix() in known:
                    continue
                if time.time() - place.lstat().st_mtime >= settled:
                    place.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed
