"""A picture as models take it, kept in the media folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gateway.media.folder import Coming, Folder, Kept
from gateway.media.kinds import SUFFIXES
from gateway.media.reading import Reader
from gateway.types.inbound import Enclosed
from gateway.types.json import Json

if TYPE_CHECKING:
    from storage import Unit


async def shown(reader: Reader, folder: Folder, coming: Coming) -> tuple[str, Kept] | str:
    """(media type, file); or why it cannot be shown, a key of `telling.UNUSED`. Raises StoreError.

    What came is the caller's to remove.
    """
    target = coming.path.with_name(coming.path.name + "-as-shown")
    try:
        found = await reader.image(coming.path, target)
        if "error" in found:
            return str(found["error"])
        type = str(found["type"])
        whole = target if target.exists() else coming.path
        return type, await asyncio.to_thread(folder.keep, whole, SUFFIXES.get(type, ""))
    finally:
        target.unlink(missing_ok=True)


async def entered(unit: Unit, files: Iterable[Enclosed], *, now: int, inbox: int | None = None) -> list[Json]:
    """Their rows; and each as its message keeps it (`transcript.user`). *inbox*: the message they came with."""
    found: list[Json] = []
    for each in files:
        media = await unit.media.add(
            inbox=inbox, sha256=each.sha256, path=each.path, type=each.type, bytes=each.bytes, now=now
        )
        found.append({"kind": "image", "type": each.type, "media": media})
    return found
