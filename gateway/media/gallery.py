"""What the media folder holds, by its number: pictures for a prompt, files to send, files that a model made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.errors import NotFound
from gateway.failpoints import Point
from gateway.media.folder import Folder, Kept
from gateway.media.kinds import SUFFIXES
from gateway.protocols.answer import Made
from gateway.protocols.messages import Message, UserMessage
from gateway.types.outbound import File

if TYPE_CHECKING:
    from storage import Store, Unit

# Of a prompt; older ones are named and not shown. Anthropic takes 20 at full size and 32 MB in all ("Vision", limits).
MOST_PICTURES = 10
MOST_BYTES = 16_000_000


class Gallery:
    """Reads in threads; a picture that is gone is left out."""

    def __init__(self, store: Store, folder: Folder) -> None:
        self._store = store
        self._folder = folder

    async def pictures(self, messages: Sequence[Message]) -> dict[int, bytes]:
        """What is in the newest pictures of a prompt, by their number."""
        asked = [each.media for one in messages if isinstance(one, UserMessage) for each in one.pictures]
        found: dict[int, bytes] = {}
        size = 0
        for media in list(dict.fromkeys(reversed(asked)))[:MOST_PICTURES]:
            try:
                data = await self._read(media)
            except NotFound:
                continue
            size += len(data)
            if size > MOST_BYTES:
                break
            found[media] = data
        return found

    async def content(self, file: File) -> bytes:
        """What is to be sent. Raises NotFound."""
        return file.text.encode() if file.media is None else await self._read(file.media)

    async def keep(self, made: Made) -> Kept:
        """A file that a model has made; its row in `media` is the caller's to write. Raises StoreError."""
        return await asyncio.to_thread(self._folder.write, made.data, SUFFIXES.get(made.type, ""))

    async def place(self, file: File) -> str:
        """Where it lies, for who reads on the same machine; '' when it is there no longer."""
        row = await self._store.read(lambda unit: unit.media.get(file.media or 0))
        return "" if row is None else str(self._folder.root / row.path)

    async def enter(self, made: Made, *, name: str, now: int) -> File:
        """A file of our own making, on disk and with its row, to be sent. Raises StoreError."""
        kept = await self.keep(made)

        async def work(unit: Unit) -> int:
            return await unit.media.add(
                path=kept.path, type=made.type, bytes=kept.bytes, sha256=kept.sha256, name=name, now=now
            )

        return File(name=name, type=made.type, media=await self._store.commit(Point.MEDIA, work))

    async def _read(self, media: int) -> bytes:
        row = await self._store.read(lambda unit: unit.media.get(media))
        if row is None:
            raise NotFound(f"there is no file {media}")
        return await asyncio.to_thread(self._folder.read, row.path)

    async def remove(self, paths: Sequence[str]) -> None:
        """Files whose rows are gone already; one that cannot be removed now is swept later."""
        for path in paths:
            await asyncio.to_thread(self._folder.remove, path)

    async def sweep(self, now: int, *, before: int) -> int:
        """Delete what is from *before* then (microseconds UTC), and files that no row speaks of. Gives how many.

        The row goes first: a file without a row is swept the next time.
        """

        async def work(unit: Unit) -> tuple[list[str], set[str]]:
            old = await unit.media.old(before=before, count=10_000)
            for id, _ in old:
                await unit.media.deleted(id, now=now)
            return [path for _, path in old], await unit.media.paths()

        gone, known = await self._store.commit(Point.SWEEP, work)
        for path in gone:
            await asyncio.to_thread(self._folder.remove, path)
        return len(gone) + await asyncio.to_thread(self._folder.sweep, known)
