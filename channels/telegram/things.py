"""What a message can have that is neither text nor a file, in a line for the model, in no language of its own."""

from __future__ import annotations

from channels.telegram.fields import a_name, a_text, is_number
from gateway.types.json import Json

MOST = 1000  # characters of one value
# Bot API, Message: what a person can send that is no text. All else without text is a notice of the chat.
CONTENT = frozenset({
    "animation", "audio", "checklist", "contact", "dice", "document", "game", "giveaway", "invoice", "live_photo",
    "location", "paid_media", "photo", "poll", "rich_message", "sticker", "story", "venue", "video", "video_note",
    "voice",
})  # fmt: skip
FILES = frozenset({"animation", "audio", "document", "live_photo", "photo", "video", "video_note", "voice"})


def name_of(message: Json) -> str:
    """What stands for a message without words: [photo]; '' when there is nothing to tell."""
    found = sorted(CONTENT.intersection(message))
    return f"[{found[0].replace('_', ' ')}]" if found else ""


def thing_in(message: Json) -> str:
    """The line for what is in a message besides text and files; '' when there is nothing."""
    for name in ("venue", "location", "contact", "poll", "sticker", "dice", "game", "checklist"):
        value = message.get(name)
        if isinstance(value, dict):
            told = _TOLD[name](value).strip()
            return f"[{name} {told}]" if told else f"[{name}]"
    return name_of(dict.fromkeys(CONTENT.intersection(message) - FILES))


def _location(value: Json) -> str:
    places = [value.get(name) for name in ("latitude", "longitude")]
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in places):
        return ""
    return ", ".join(f"{each:.5f}" for each in places)


def _venue(value: Json) -> str:
    spot = value.get("location")
    where = _location(spot) if isinstance(spot, dict) else ""
    return ", ".join(filter(None, (_said(value, "title"), _said(value, "address"), where)))


def _contact(value: Json) -> str:
    number = _said(value, "phone_number")
    return ", ".join(filter(None, (" ".join(a_name(value).split())[:MOST], number)))


def _poll(value: Json) -> str:
    return f'"{_said(value, "question")}" {_listed(value.get("options"))}'


def _checklist(value: Json) -> str:
    return f'"{_said(value, "title")}" {_listed(value.get("tasks"))}'


def _listed(value: object) -> str:
    texts = [
        _said(each, "text") for each in (value if isinstance(value, list) else ()) if isinstance(each, dict)
    ]
    return " / ".join(filter(None, texts))


def _dice(value: Json) -> str:
    number = value.get("value")
    return f"{_said(value, 'emoji')} {number if is_number(number) else ''}"


def _said(value: Json, name: str) -> str:
    """One line: what a person has written must not look like another message."""
    return " ".join(a_text(value, name).split())[:MOST]


_TOLD = {
    "venue": _venue,
    "location": _location,
    "contact": _contact,
    "poll": _poll,
    "sticker": lambda value: _said(value, "emoji"),
    "dice": _dice,
    "game": lambda value: _said(value, "title"),
    "checklist": _checklist,
}
