"""Files on the fake Bot API: what people send, as the Message object describes it, and what a photo may be.

Pixels are read from the bytes themselves (PNG, JPEG, WebP headers), so that real pictures can be sent both ways.
"""

import io
import itertools
from typing import TYPE_CHECKING, Any

from PIL import Image

from tests.fakes.telegram_chat import World, world_file
from tests.fakes.telegram_text import bad_request

SIDES = (90, 320, 800, 1280, 2560)  # of the sizes that the server makes of a photo
MOST_PHOTO = 10 * 1024 * 1024  # bytes; Bot API, sendPhoto
MOST_SIDES = 10_000  # width and height together
MOST_RATIO = 20
_albums = itertools.count(13_000_000_000_000_001)


def described(
    world: World, content: bytes, *, name: str = "", type: str = "", **facts: Any
) -> dict[str, Any]:
    """A file that is kept, as an object with its ids; *name* and *type* only where they are given."""
    file_id = world_file(world, name or "file", content)
    shown: dict[str, Any] = {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": len(content)}
    shown |= {"file_name": name} if name else {}
    return shown | ({"mime_type": type} if type else {}) | facts


def picture(width: int = 64, height: int = 48, kind: str = "PNG") -> bytes:
    """A real picture."""
    held = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(held, kind)
    return held.getvalue()


def sizes_of(world: World, content: bytes) -> list[dict[str, Any]]:
    """The list of PhotoSize of a photo, smallest first; the largest has the bytes that were sent."""
    width, height = _measured(content)
    longest = max(width, height)
    found = []
    for side in SIDES:
        if side < longest:
            share = side / longest
            small = {"width": round(width * share), "height": round(height * share)}
            found.append(described(world, b"a smaller one", name="", **small))
    largest = min(longest, SIDES[-1]) / longest
    whole = {"width": round(width * largest), "height": round(height * largest)}
    return [*found, described(world, content, **whole)]


def check_photo(content: bytes) -> None:
    """Raises Refusal for what sendPhoto does not take."""
    if len(content) > MOST_PHOTO:
        raise bad_request("file is too big")
    try:
        width, height = _measured(content)
    except (OSError, ValueError):
        raise bad_request("IMAGE_PROCESS_FAILED") from None
    if width + height > MOST_SIDES or max(width, height) > MOST_RATIO * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")


def _measured(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as found:
        return found.size


class Sharing:
    """People who send files; each gives the update id. *more*: as for user_says, and fields of the Message."""

    world: World

    if TYPE_CHECKING:  # FakeTelegram has it

        def user_says(self, chat_id: int, text: str | None, *args: Any, **more: Any) -> int | None: ...

    def user_sends_photo(
        self, chat_id: int, content: bytes | None = None, caption: str = "", **more: Any
    ) -> int | None:
        return self._shares(chat_id, "photo", sizes_of(self.world, content or picture()), caption, more)

    def user_sends_document(
        self,
        chat_id: int,
        content: bytes,
        name: str = "notes.txt",
        type: str = "text/plain",
        caption: str = "",
        **more: Any,
    ) -> int | None:
        shown = described(self.world, content, name=name, type=type)
        return self._shares(chat_id, "document", shown, caption, more)

    def user_sends_voice(
        self, chat_id: int, content: bytes = b"OggS", seconds: int = 3, **more: Any
    ) -> int | None:
        shown = described(self.world, content, type="audio/ogg", duration=seconds)
        return self._shares(chat_id, "voice", shown, "", more)

    def user_sends_album(
        self, chat_id: int, contents: list[bytes], caption: str = "", *, at: int = 0, **more: Any
    ) -> list[int | None]:
        """Photos in one album; the part numbered *at* has the caption. Their update ids."""
        album = str(next(_albums))
        return [
            self.user_sends_photo(
                chat_id, content, caption if place == at else "", media_group_id=album, **more
            )
            for place, content in enumerate(contents)
        ]

    def _shares(self, chat_id: int, kind: str, shown: Any, caption: str, more: dict[str, Any]) -> int | None:
        from tests.fakes.telegram import found_entities

        facts = {kind: shown} | ({"caption": caption} if caption else {})
        if caption and (entities := found_entities(caption)):
            facts["caption_entities"] = entities
        return self.user_says(chat_id, None, **(more | facts))
