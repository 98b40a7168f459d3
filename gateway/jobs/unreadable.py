"""A schedule that nobody can follow, refused in the language of whoever wrote it."""

from __future__ import annotations

from gateway.errors import Refused
from gateway.schedule import ScheduleError
from gateway.texts import say


class Unreadable(Refused):
    """Of a schedule or its zone."""

    def __init__(self, error: ScheduleError) -> None:
        super().__init__(key="job.schedule", problem=str(error))
        self._error = error

    def told(self, lang: str) -> str:
        return say("job.schedule", lang, problem=self._error.told(lang))
