"""Fetches the pictures that programs send, and keeps them as those of any message are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from gateway import log
from gateway.completions.shown import Shown
from gateway.errors import FetchError, Refused
from gateway.fetcher import Fetcher
from gateway.media.collecting import Bounds
from gateway.media.folder import Coming, Folder
from gateway.media.kinds import HEAD, type_of
from gateway.media.reading import Reader
from gateway.media.showing import shown
from gateway.texts import say
from gateway.types.inbound import Enclosed

Why = Literal["too_big", "too_many", "too_much", "too_many_pixels", "unreadable", "gone", "outside", "data"]


class Unshown(Refused):
    """A picture that cannot be shown; *where* it is in the request. The text says what to do."""

    def __init__(self, text: str, *, where: str, why: str) -> None:
        super().__init__(text)
        self.where = where
        self.why = why


class Pictures:
    """*fetcher* gets those that are only named, by its rules; None: none is."""

    def __init__(self, *, folder: Folder, bounds: Callable[[], Bounds], fetcher: Fetcher | None) -> None:
        self._folder = folder
        self._bounds = bounds
        self._fetcher = fetcher
        self._reader = Reader()

    async def take(self, asked: Shown) -> Enclosed | Unshown:
        """The file, in the folder and without a row; or why there is none. Raises StoreError."""
        coming = self._folder.begin()
        try:
            why = await self._come(asked, coming)
            if why is not None:
                return self.refusal(asked, why)
            await asyncio.to_thread(coming.close)
            if not (await asyncio.to_thread(_type_of, coming)).startswith("image/"):
                return self.refusal(asked, "unreadable")
            found = await shown(self._reader, self._folder, coming)
        finally:
            coming.drop()
        if isinstance(found, str):
            return self.refusal(asked, found)
        type, kept = found
        return Enclosed(path=kept.path, type=type, bytes=kept.bytes, sha256=kept.sha256)

    def refusal(self, asked: Shown, why: str) -> Unshown:
        bounds = self._bounds()
        facts = {"megabytes": bounds.most_bytes // 1_000_000, "count": bounds.most_files}
        key = f"completion_picture.{why}" if why in ("outside", "data", "gone") else f"media.{why}"
        return Unshown(say(key, name=asked.where or "picture", **facts), where=asked.where, why=why)

    def admit(self, pictures: Iterable[Shown]) -> None:
        """Raises Unshown where there are more than a message may have."""
        for number, each in enumerate(pictures):
            if number >= self._bounds().most_files:
                raise self.refusal(each, "too_many")

    async def drop(self, taken: Mapping[Shown, Enclosed | Unshown]) -> None:
        """Files that no row speaks of."""
        for each in taken.values():
            if isinstance(each, Enclosed):
                await asyncio.to_thread(self._folder.remove, each.path)

    async def _come(self, asked: Shown, coming: Coming) -> Why | None:
        """None: it is here."""
        most = self._bounds().most_bytes
        if asked.enclosed:
            data = await asyncio.to_thread(asked.data)
            if data is None:
                return "data"
            if len(data) > most:
                return "too_big"
            await asyncio.to_thread(coming.put, data)
            return None
        if self._fetcher is None:
            return "outside"
        try:
            await self._fetcher.fetch(asked.url, coming.put, most=most)
        except FetchError as error:
            log.warning("completion.picture", kind=error.kind, error=str(error))
            return "too_big" if error.kind == "too_big" else "gone"
        return None


def _type_of(coming: Coming) -> str:
    with coming.path.open("rb") as file:
        return type_of(file.read(HEAD))
