"""The folder into which sessions are written when they are closed."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gateway.types.measures import SECOND
from gateway.types.sessions import Session


def name_of(session: Session) -> str:
    """Of its file: the day on which it began (UTC), so that a folder is in order, and its code."""
    return f"{datetime.fromtimestamp(session.created / SECOND, UTC):%Y-%m-%d}-{session.code}.md"


class Shelf:
    """Files that only this user can read. What is written is whole, or not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, text: str) -> None:
        """Write it anew. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        begun = self._folder / f".{name}.part"
        with os.fdopen(
            os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        begun.replace(self._folder / name)

    def remove(self, name: str) -> bool:
        """False when it was not there. Raises OSError."""
        with suppress(FileNotFoundError):
            (self._folder / name).unlink()
            return True
        return False
