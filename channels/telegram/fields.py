"""Reading updates that may be anything."""

from __future__ import annotations

from typing import TypeGuard

from channels.fields import Unreadable, a_text, an_object, encoded, storable
from gateway.types.json import Json

__all__ = [
    "MOST", "Unreadable", "a_name", "a_number", "a_text", "an_object", "encoded", "is_number", "number_of", "storable",
]  # fmt: skip

MOST = 2**53  # no id of the platform has more than 52 bits; Bot API, Chat.id


def number_of(update: object) -> int | None:
    """The update_id, if there is a sound one."""
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if is_number(number) and number >= 0 else None


def a_number(record: Json, name: str) -> int:
    """An id or a time. Raises Unreadable."""
    value = record.get(name)
    if not is_number(value):
        raise Unreadable(f"{name} is missing or no number")
    return value


def a_name(record: Json) -> str:
    """What a user, a bot or a chat is called, '' when it does not say. Bot API, User and Chat."""
    whole = f"{a_text(record, 'first_name')} {a_text(record, 'last_name')}".strip()
    return whole or a_text(record, "title") or a_text(record, "username")


def is_number(value: object) -> TypeGuard[int]:
    """Whether it can be an id or a time of the platform; true and false are not numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and -MOST < value < MOST
