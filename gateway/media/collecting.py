"""Fetch what came with a message and make of it what a model can use; the message's turn begins after that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway import log
from gateway.errors import RETRYABLE, DeliveryError, ModelError
from gateway.media import reading
from gateway.media.folder import Coming, Folder, Kept
from gateway.media.kinds import HEAD, treatment, type_of
from gateway.media.reading import Reader
from gateway.media.showing import shown
from gateway.protocols.channel import Channel
from gateway.types.inbound import Attachment, Waiting
from gateway.types.json import Json

TRIES = 3
PAUSES = (0.5, 2.0)  # seconds before the second and the third
AT_ONCE = 4  # fetched at the same time
AGAIN = frozenset({"connect", "server", "lost", "flood"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What people may send; swapped whole on reload."""

    most_bytes: int = 20_000_000  # Bot API, getFile: what bots can download at all
    most_files: int = 10  # of one message


class Transcribe(Protocol):
    """Speech to text, on the bill of that message's sender; `on`: whether there is anything that does it."""

    @property
    def on(self) -> bool: ...
    def __call__(
        self, row: Waiting, channel: str, path: Path, attachment: Attachment, type: str
    ) -> Awaitable[str]:
        """Raises ModelError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What became of an attachment. *body* is what its message keeps (see `transcript.files`).

    *kept*: the file that its row in `media` is to be written for, of media type *type*.
    """

    body: Json
    kept: Kept | None = None
    type: str = ""


class Collector:
    """Fetches, reads and keeps; tells nobody."""

    def __init__(
        self,
        *,
        folder: Folder,
        bounds: Callable[[], Bounds],
        transcribe: Transcribe,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._folder = folder
        self._bounds = bounds
        self._transcribe = transcribe
        self._sleep = sleep
        self._reader = Reader()
        self._seats = asyncio.Semaphore(AT_ONCE)

    async def collect(
        self, row: Waiting, attachments: Sequence[Attachment], channel: Channel
    ) -> list[Collected]:
        """One for each attachment, in order. Raises StoreError when nothing can be stored."""
        found: list[Collected] = []
        for number, attachment in enumerate(attachments):
            if number >= self._bounds().most_files:
                found.append(_refused(attachment, "too_many"))
            else:
                found.append(await self._one(row, attachment, channel))
        return found

    async def _one(self, row: Waiting, attachment: Attachment, channel: Channel) -> Collected:
        if attachment.size is not None and attachment.size > self._bounds().most_bytes:
            return _refused(attachment, "too_big")
        try:
            async with self._seats:
                coming = await self._fetched(attachment, channel)
        except DeliveryError as error:
            log.warning("media.fetch", row=row.id, kind=error.kind, error=str(error))
            return _refused(attachment, "too_big" if error.kind == "too_big" else "gone")
        try:
            return await self._read(row, attachment, coming, channel)
        finally:
            coming.path.unlink(missing_ok=True)

    async def _fetched(self, attachment: Attachment, channel: Channel) -> Coming:
        """The file as it is at the platform. Raises DeliveryError."""
        for attempt in range(TRIES):
            coming = self._folder.begin()
            try:
                await channel.fetch(attachment.ref, coming.put, most=self._bounds().most_bytes)
                await asyncio.to_thread(coming.close)
                return coming
            except DeliveryError as error:
                coming.drop()
                if error.kind not in AGAIN or attempt == TRIES - 1:
                    raise
                await self._sleep(min(10.0, error.retry_after or PAUSES[attempt]))
            except BaseException:  # cancelled, too: half a file is nobody's
                coming.drop()
                raise
        raise AssertionError(TRIES)

    async def _read(
        self, row: Waiting, attachment: Attachment, coming: Coming, channel: Channel
    ) -> Collected:
        type = await asyncio.to_thread(_type_of, coming.path)
        match treatment(type, attachment):
            case "image":
                return await self._image(attachment, coming)
            case "pdf":
                found = await self._reader.pdf(coming.path)
                if "error" in found:
                    return _refused(attachment, str(found["error"]))
                return _text(attachment, type, found)
            case "text":
                return _text(attachment, type, await asyncio.to_thread(reading.text_of, coming.path))
            case "audio":
                return await self._heard(row, channel.name, attachment, coming.path, type)
            case _:
                return Collected(body=_described(attachment, type) | {"bytes": coming.bytes})

    async def _image(self, attachment: Attachment, coming: Coming) -> Collected:
        found = await shown(self._reader, self._folder, coming)
        if isinstance(found, str):
            return _refused(attachment, found)
        type, kept = found
        return Collected(body=_described(attachment, type), kept=kept, type=type)

    async def _heard(
        self, row: Waiting, channel: str, attachment: Attachment, path: Path, type: str
    ) -> Collected:
        if not self._transcribe.on:
            return _refused(attachment, "not_heard")
        for attempt in range(TRIES):
            try:
                text = await self._transcribe(row, channel, path, attachment, type)
                break
            except ModelError as error:
                log.warning("media.transcription", row=row.id, kind=error.kind, error=str(error))
                if error.kind not in RETRYABLE or attempt == TRIES - 1:
                    return _refused(attachment, "budget" if error.kind == "budget" else "not_understood")
                await self._sleep(min(10.0, error.retry_after or PAUSES[attempt]))
        return Collected(body=_described(attachment, type) | {"text": text.strip(), "heard": 1})


def attachments(body: Json) -> list[Attachment]:
    """What came with a message and has not been fetched yet; see `described`."""
    found = body.get("attachments")
    return [Attachment(**each) for each in found] if isinstance(found, list) else []


def _type_of(path: Path) -> str:
    with path.open("rb") as file:
        return type_of(file.read(HEAD))


def _described(attachment: Attachment, type: str) -> Json:
    """*type* by its content, where that is known."""
    seconds = attachment.seconds
    return {
        "kind": attachment.kind,
        "type": type if type != "application/octet-stream" else attachment.type or type,
        **({"name": attachment.name} if attachment.name else {}),
        **({"seconds": seconds} if seconds is not None else {}),
    }


def _text(attachment: Attachment, type: str, found: Json) -> Collected:
    facts: Json = {"text": str(found.get("text", ""))}
    if found.get("cut") or found.get("read", 0) < found.get("pages", 0):
        facts["cut"] = 1
    if "pages" in found:
        facts["pages"] = found["pages"]
    return Collected(body=_described(attachment, type) | facts)


def _refused(attachment: Attachment, why: str) -> Collected:
    return Collected(
        body=_described(attachment, attachment.type or "application/octet-stream") | {"error": why}
    )
