"""The files of a message, as the Bot API describes them; what is not as described is left out."""

from __future__ import annotations

from collections.abc import Iterator

from channels.telegram.fields import a_text, is_number
from channels.telegram.words import answered
from gateway.types.inbound import Attachment, MediaKind
from gateway.types.json import Json

MOST_NAME = 400  # characters of a name; what is beyond is no name
LONGEST_SIDE = 2560  # pixels; of a photo the largest size up to that is taken
# Fields of Message whose value describes one file; Bot API, Message. What stands first goes before what follows:
# an animation comes once more as a document.
_KINDS: dict[str, MediaKind] = {
    "voice": "voice",
    "audio": "audio",
    "video_note": "video",
    "animation": "video",
    "video": "video",
    "document": "file",
}


def files(message: Json) -> tuple[Attachment, ...]:
    """The files that come with a message itself: at most one."""
    return tuple(_files(message))[:1]


def asked_about(message: Json) -> tuple[Attachment, ...]:
    """The files of the message that this one answers, in this chat or in another."""
    target = answered(message) or message.get("external_reply")
    return files(target) if isinstance(target, dict) else ()


def _files(message: Json) -> Iterator[Attachment]:
    for name, kind in _KINDS.items():
        described = message.get(name)
        if isinstance(described, dict) and a_text(described, "file_id"):
            yield _file(described, kind)
    live = message.get("live_photo")
    for sizes in (message.get("photo"), live.get("photo") if isinstance(live, dict) else None):
        if (size := _size(sizes)) is not None:
            yield _file(size, "image", type="image/jpeg")


def _file(described: Json, kind: MediaKind, *, type: str = "") -> Attachment:
    type = a_text(described, "mime_type") or type
    size, seconds = described.get("file_size"), described.get("duration")
    return Attachment(
        kind="image" if kind == "file" and type.startswith("image/") else kind,
        ref=a_text(described, "file_id"),
        name=a_text(described, "file_name")[:MOST_NAME],
        type=type,
        size=size if is_number(size) and size >= 0 else None,
        seconds=seconds if is_number(seconds) and seconds >= 0 else None,
    )


def _size(sizes: object) -> Json | None:
    """Of a photo's sizes the largest that is not too large, else the smallest. Bot API, PhotoSize."""
    found = sorted(
        (
            (_side(each), place)
            for place, each in enumerate(sizes if isinstance(sizes, list) else ())
            if isinstance(each, dict) and a_text(each, "file_id")
        ),
    )
    if not found or not isinstance(sizes, list):
        return None
    within = [each for each in found if each[0] <= LONGEST_SIDE]
    size: Json = sizes[(within[-1] if within else found[0])[1]]
    return size


def _side(size: Json) -> int:
    return max(
        (side for name in ("width", "height") if is_number(side := size.get(name))),
        default=0,
    )
