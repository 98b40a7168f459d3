"""Named places where the process may be killed in tests: around every commit and every call to the outside."""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class Point(StrEnum):
    """One name for each commit and each external call on the path of a message."""

    # commits
    ACCEPT = "accept"
    BEGIN = "begin"
    REQUEST = "request"
    SETTLE = "settle"
    RESULTS = "results"
    STEER = "steer"
    TOOLS_STARTED = "tools-started"
    FINISH = "finish"
    CONTROL = "control"
    PLACING = "placing"
    PLACED = "placed"
    SENT = "sent"
    PUT_OFF = "put-off"
    NOTICE = "notice"
    RECOVER = "recover"
    SWEEP = "sweep"
    PEOPLE = "people"
    SESSION = "session"
    JOB = "job"
    JOB_DUE = "job-due"
    COMPACT = "compact"
    META = "meta"
    MEDIA = "media"
    # calls to the outside
    POLL = "poll"
    SEND = "send"
    EDIT = "edit"
    MODEL = "model"
    TOOL = "tool"


# "name:side:count", as "settle:after:3": the third time that place is passed, the process kills itself.
# The name does not begin with PARLEY_, because it is not a setting.
ENVIRONMENT = "_PARLEY_KILL_AT"

_armed: tuple[str, str] | None = None
_left = 0
if os.environ.get(ENVIRONMENT):
    _name, _side, _count = os.environ[ENVIRONMENT].split(":")
    _armed, _left = (Point(_name).value, _side), int(_count)


def passing(point: Point, side: str) -> None:
    """Called with side 'before' and 'after' around each commit and call."""
    global _left
    if _armed is None or _armed != (point.value, side):
        return
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
