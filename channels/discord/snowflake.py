"""Discord's ids: numbers that begin with the time they were made. API reference, Snowflakes."""

from __future__ import annotations

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
