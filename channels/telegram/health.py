"""How taking in updates is going, told when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.errors import DiskFull, StoreError

log = logging.getLogger(__name__)


class Health:
    """The latest state, '' before the first; *report* is told of every change with the state and a reason."""

    def __init__(self, report: Callable[[str, str | None], None]) -> None:
        self._report = report
        self.state = ""

    def tell(self, state: str, text: str | None) -> None:
        """One of ok, conflict, auth, down and disk."""
        if state == self.state:
            return
        self.state = state
        log.log(
            logging.INFO if state == "ok" else logging.WARNING, f"telegram.{state}", extra={"reason": text}
        )
        self._report(state, text)

    def not_stored(self, error: StoreError) -> None:
        self.tell("disk" if isinstance(error, DiskFull) else "down", f"not stored: {error}")
