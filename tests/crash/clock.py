"""A clock that a test sets while the gateway runs: the real one, and a file that says how far it is ahead of it."""

from __future__ import annotations

import os
import time
from pathlib import Path


class FileClock:
    """Reads the file each time it is asked: whoever moves it is another process. No file: the real time."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: tuple[tuple[int, int], int] = ((0, 0), 0)  # which file it was, and what it said

    def __call__(self) -> int:
        """Microseconds UTC."""
        return _real() + self.ahead

    @property
    def ahead(self) -> int:
        """Of the real time, in microseconds."""
        try:
            found = os.stat(self.file)
        except FileNotFoundError:
            return 0
        which = (found.st_ino, found.st_mtime_ns)
        if which != self._known[0]:
            self._known = (which, int(self.file.read_text()))
        return self._known[1]

    def set(self, now: int) -> None:
        """It is *now* (microseconds UTC) from now on, and goes on from there at the usual speed."""
        self.move(now - self())

    def move(self, by: int) -> None:
        """Forward by so many microseconds; back when it is less than 0."""
        new = self.file.with_suffix(".new")
        new.write_text(str(self.ahead + by))
        os.replace(new, self.file)  # a reader sees the old one or the new one, whole


def _real() -> int:
    return time.time_ns() // 1000
