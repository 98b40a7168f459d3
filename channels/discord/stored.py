"""That a message says what it was meant to say, as the server has it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from gateway.types.json import Json
from gateway.types.outbound import Chunk

log = logging.getLogger(__name__)


async def as_meant(found: Json, chunk: Chunk, edit: Callable[[], Awaitable[Json]]) -> None:
    """One repairing *edit* where the text differs; told in the log if it still does. Raises what *edit* raises."""
    if altered(found, chunk) and altered(await edit(), chunk):
        told = {"channel": "discord", "chat": found.get("channel_id"), "message": found.get("id")}
        log.warning("delivery.altered", extra={"fields": told})


def altered(found: Json, chunk: Chunk) -> bool:
    """Whether the server says another text; it takes blanks from both ends of one."""
    text = found.get("content")
    return isinstance(text, str) and text.strip() != chunk.text.strip()
