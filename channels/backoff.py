"""How long to wait before trying once more."""

from __future__ import annotations

import random


class Backoff:
    """Pauses in seconds, each twice as long as the one before up to *most*, less up to a fifth by chance."""

    def __init__(self, first: float, most: float) -> None:
        self._first, self._most = first, most
        self._next = first

    def next(self) -> float:
        pause, self._next = self._next, min(2 * self._next, self._most)
        return pause * random.uniform(0.8, 1.0)

    def reset(self) -> None:
        self._next = self._first
