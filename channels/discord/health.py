"""How an account is doing: its link to the gateway and the store behind it, told when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.errors import DiskFull, StoreError

log = logging.getLogger(__name__)


class Health:
    """*report* is told ok, down, disk or auth, and why. What cannot be stored is worse than what is not connected."""

    def __init__(self, report: Callable[[str, str | None], None]) -> None:
        self._report = report
        self._link: tuple[str, str | None] = ("", None)
        self._store: tuple[str, str | None] = ("ok", None)
        self._told: tuple[str, str | None] = ("", None)

    def link(self, state: str, text: str | None = None) -> None:
        self._link = (state, text)
        self._tell()

    def stored(self) -> None:
        self._store = ("ok", None)
        self._tell()

    def not_stored(self, error: StoreError) -> None:
        self._store = ("disk" if isinstance(error, DiskFull) else "down", f"not stored: {error}")
        self._tell()

    def _tell(self) -> None:
        now = self._store if self._store[0] != "ok" else self._link
        if not now[0] or now == self._told:
            return
        self._told = now
        log.log(
            logging.INFO if now[0] == "ok" else logging.WARNING,
            f"discord.{now[0]}",
            extra={"reason": now[1]},
        )
        self._report(*now)
