"""What most tests need: a real store on disk, the path over it, a clock that can be moved."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

# python-telegram-bot warns of a coming change of type otherwise; warnings are errors here.
os.environ.setdefault("PTB_TIMEDELTA", "1")

from storage import Store, open_store


class Clock:
    """Now, in microseconds, plus whatever a test adds."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        import time

        return time.time_ns() // 1000 + self.ahead

    def forward(self, *, minutes: float = 0, seconds: float = 0) -> None:
        self.ahead += int((minutes * 60 + seconds) * 1_000_000)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Whatever a test does to the process's logging ends with it."""
    root, ours = logging.getLogger(), logging.getLogger("parley")
    before = root.level, list(root.handlers), ours.level
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    ours.setLevel(before[2])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "parley.db")
    yield opened
    await opened.close()
