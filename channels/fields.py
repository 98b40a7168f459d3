"""Reading JSON that may be anything, and making of it what can be stored."""

from __future__ import annotations

import json

from gateway.types.json import Json


class Unreadable(ValueError):
    """An event is not what the platform's documentation describes; the text says where."""


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


def an_object(value: object, name: str) -> Json:
    """*value* itself. Raises Unreadable, which calls it *name*."""
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is missing or no object")
    return value


def a_text(record: Json, name: str) -> str:
    """Text that can be stored, '' when there is none."""
    value = record.get(name)
    return storable(value) if isinstance(value, str) else ""
