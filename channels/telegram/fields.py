"""Reading JSON that may be anything, and making of it what can be stored."""

from __future__ import annotations

import json
from typing import TypeGuard

from gateway.types import Json

MOST = 2**53  # no id of the platform has more than 52 bits; Bot API, Chat.id


class Unreadable(ValueError):
    """The update is not what the Bot API describes; the text says where."""


def encoded(value: object) -> str:
    """JSON that can be stored as UTF-8.

    Raises RecursionError or ValueError for nesting or numbers beyond what can be written.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if text.isascii() or storable(text) == text:
        return text
    return json.dumps(value, separators=(",", ":"))  # half a surrogate pair somewhere: escaped


def storable(text: str) -> str:
    """The text with U+FFFD for what no database takes: halves of surrogate pairs, and NUL."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def number_of(update: object) -> int | None:
    """The update_id, if there is a sound one."""
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if is_number(number) and number >= 0 else None


def an_object(value: object, name: str) -> Json:
    """*value* itself. Raises Unreadable, which calls it *name*."""
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is missing or no object")
    return value


def a_number(record: Json, name: str) -> int:
    """An id or a time. Raises Unreadable."""
    value = record.get(name)
    if not is_number(value):
        raise Unreadable(f"{name} is missing or no number")
    return value


def a_text(record: Json, name: str) -> str:
    """Text that can be stored, '' when there is none."""
    value = record.get(name)
    return storable(value) if isinstance(value, str) else ""


def a_name(record: Json) -> str:
    """What a user, a bot or a chat is called, '' when it does not say. Bot API, User and Chat."""
    whole = f"{a_text(record, 'first_name')} {a_text(record, 'last_name')}".strip()
    return whole or a_text(record, "title") or a_text(record, "username")


def is_number(value: object) -> TypeGuard[int]:
    """Whether it can be an id or a time of the platform; true and false are not numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and -MOST < value < MOST
