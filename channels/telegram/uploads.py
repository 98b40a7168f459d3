"""Files as they are sent: by which method, and under which name."""

from __future__ import annotations

from dataclasses import dataclass

from channels.filenames import cleaned
from gateway.types.outbound import File

PHOTOS = frozenset({"image/jpeg", "image/png", "image/webp"})
MOST_PHOTO = 10_000_000  # bytes; Bot API, sendPhoto: 10 MB
MOST = 50_000_000  # bytes; Bot API, Sending files: 50 MB
# Parts of descriptions of refusals of a photo whose file is no worse for it; the server documents none.
NO_PHOTO = (
    "photo_invalid_dimensions",
    "image_process_failed",
    "photo_save_file_invalid",
    "photo_ext_invalid",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A part of a multipart body. *field* is the parameter that it is the value of."""

    field: str
    name: str
    type: str
    content: bytes

    @property
    def method(self) -> str:
        return "sendPhoto" if self.field == "photo" else "sendDocument"

    def as_document(self) -> Upload:
        return Upload(field="document", name=self.name, type=self.type, content=self.content)


def upload(file: File, content: bytes) -> Upload:
    """A picture that can be a photo is one, all else is a document."""
    photo = file.type in PHOTOS and len(content) <= MOST_PHOTO
    return Upload(
        field="photo" if photo else "document", name=cleaned(file.name), type=file.type, content=content
    )
