"""Files as they are sent."""

from __future__ import annotations

from dataclasses import dataclass

from channels.filenames import cleaned
from gateway.types.json import Json
from gateway.types.outbound import File


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A part of a multipart body; API reference, Uploading Files."""

    name: str
    type: str
    content: bytes

    @property
    def listed(self) -> Json:
        """What the body says of it."""
        return {"attachments": [{"id": 0, "filename": self.name}]}


def upload(file: File | None, content: bytes | None) -> Upload | None:
    """None for a message without a file."""
    if file is None:
        return None
    return Upload(name=cleaned(file.name), type=file.type, content=content or b"")
