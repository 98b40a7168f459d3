"""The files of a message, as Discord describes them; what is not as described is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from channels.discord.snowflake import is_id
from channels.discord.words import answered, snapshots
from channels.fields import a_text
from gateway.types.inbound import Attachment, MediaKind
from gateway.types.json import Json

MOST_NAME = 400  # characters of a name; what is beyond is no name
MOST = 10  # files of one message; Create Message
VOICE = 1 << 13  # IS_VOICE_MESSAGE; Message Flags
_KINDS: dict[str, MediaKind] = {"image": "image", "audio": "audio", "video": "video"}  # by media type


@dataclass(frozen=True, slots=True)
class Ref:
    """What a file is fetched by: its address, which expires, and the message that tells a new one."""

    channel: str
    message: str
    attachment: str
    url: str

    def __str__(self) -> str:
        return json.dumps([self.channel, self.message, self.attachment, self.url], separators=(",", ":"))

    @staticmethod
    def read(text: str) -> Ref | None:
        """What `str` has written; None for anything else."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, list) or len(found) != 4 or not all(isinstance(each, str) for each in found):
            return None
        return Ref(*found) if all(map(is_id, found[:3])) else None


def files(message: Json) -> tuple[Attachment, ...]:
    """The files of a message itself, and of those that it passes on."""
    return tuple(_files(message, message))[:MOST]


def asked_about(message: Json) -> tuple[Attachment, ...]:
    """The files of the message that this one answers."""
    target = answered(message)
    return () if target is None else files(target)


def address_of(message: Json, attachment: str) -> str | None:
    """Where a file of a message can be fetched now; None if it is there no longer."""
    for each in _attachments(message):
        if each.get("id") == attachment:
            return a_text(each, "url") or None
    return None


def _files(message: Json, holder: Json) -> Iterator[Attachment]:
    channel, id = holder.get("channel_id"), holder.get("id")
    if not is_id(channel) or not is_id(id):
        return
    flags = message.get("flags")
    spoken = isinstance(flags, int) and bool(flags & VOICE)
    for each in _attachments(message):
        number, url = each.get("id"), a_text(each, "url")
        if is_id(number) and url:
            type = a_text(each, "content_type")
            kind = _KINDS.get(type.partition("/")[0], "file")
            yield Attachment(
                kind="voice" if spoken and kind == "audio" else kind,
                ref=str(Ref(str(channel), str(id), str(number), url)),
                name=a_text(each, "filename")[:MOST_NAME],
                type=type,
                size=_count(each.get("size")),
                seconds=_count(each.get("duration_secs")),
            )


def _attachments(message: Json) -> Iterator[Json]:
    for source in (message, *snapshots(message)):
        listed = source.get("attachments")
        yield from (each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict))


def _count(value: object) -> int | None:
    """Bytes or seconds, which come as a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return round(value)
