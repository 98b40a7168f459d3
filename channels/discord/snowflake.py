"""Discord's ids: numbers that begin with the time they were made. API reference, Snowflakes."""

from __future__ import annotations

from datetime import datetime

from gateway.types.json import Json
from gateway.types.measures import DAY, SECOND

EPOCH = 1_420_070_400_000  # milliseconds since 1970: the first second of 2015


def is_id(value: object) -> bool:
    """Whether it can be an id; 64 bits at most."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20


def made_at(id: str) -> int:
    """When an id was made, in microseconds UTC."""
    return ((int(id) >> 22) + EPOCH) * 1000


def first_at(moment: int) -> str:
    """The lowest id that can have been made at *moment* (microseconds UTC)."""
    return str(max(0, moment // 1000 - EPOCH) << 22)


def tells_time(id: str) -> bool:
    """Whether an id is one of Discord's: servers that stand in for it may count from one."""
    return made_at(id) > EPOCH * 1000 + DAY


def said_at(message: Json) -> int:
    """When a message was sent, in microseconds UTC: by its own word, else by its id."""
    try:
        return int(datetime.fromisoformat(str(message.get("timestamp"))).timestamp() * SECOND)
    except ValueError:
        return made_at(str(message["id"]))
