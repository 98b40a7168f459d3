"""What a message can have that is neither text nor a file, in lines for the model, in no language of their own."""

from __future__ import annotations

from channels.fields import a_text
from gateway.types.json import Json

MOST = 1000  # characters of one value


def things_in(message: Json) -> str:
    """Stickers and polls; '' when there are none. API reference, Sticker Item Object and Poll Object."""
    lines = [
        f"[sticker {_said(each, 'name')}]".replace(" ]", "]")
        for each in _listed(message.get("sticker_items"))
    ]
    poll = message.get("poll")
    if isinstance(poll, dict):
        answers = " / ".join(
            filter(None, (_media(each, "poll_media") for each in _listed(poll.get("answers"))))
        )
        lines.append(f'[poll "{_media(poll, "question")}" {answers}]')
    return "\n".join(lines)


def _listed(value: object) -> list[Json]:
    return [each for each in (value if isinstance(value, list) else ()) if isinstance(each, dict)]


def _media(holder: Json, name: str) -> str:
    value = holder.get(name)
    return _said(value, "text") if isinstance(value, dict) else ""


def _said(value: Json, name: str) -> str:
    """One line: what a person has written must not look like another message."""
    return " ".join(a_text(value, name).split())[:MOST]
