"""The step before a turn: files that came with its messages are fetched and stored, and who sent them is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.delivery import Delivery
from gateway.errors import LeaseLost, StoreError
from gateway.failpoints import Point
from gateway.media.collecting import Bounds, Collected, Collector, attachments
from gateway.media.folder import Folder
from gateway.notices import notice
from gateway.protocols.clock import Clock
from gateway.texts import say
from gateway.types.inbound import Waiting
from gateway.types.json import Json
from gateway.types.outbound import OutboxRow
from gateway.types.places import Conversation

if TYPE_CHECKING:
    from storage import Store, Unit

MOST_ATTEMPTS = 3  # at the files of one message; whatever they do to us, they do it no more often


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosures:
    """Fetches what came with messages."""

    store: Store
    delivery: Delivery
    collector: Collector
    folder: Folder
    bounds: Callable[[], Bounds]
    clock: Clock

    async def collect(
        self, rows: Sequence[Waiting], place: Conversation, fence: int, lang: str
    ) -> list[OutboxRow]:
        """To the end, for each of these rows. Gives what is to be sent about it.

        Raises LeaseLost when the conversation is somebody else's meanwhile, and StoreError: the rows are as before.
        """
        line = self.delivery.line(place.account)
        notices: list[OutboxRow] = []
        for row in rows:
            asked = attachments(row.body)
            if line is None or row.attempts >= MOST_ATTEMPTS:
                found = [
                    Collected(body={"kind": each.kind, "name": each.name, "error": "unreadable"})
                    for each in asked
                ]
            else:
                found = await self.collector.collect(row, asked, line.channel)
            try:
                notices += await self.store.commit(Point.MEDIA, self._stored, row, place, fence, found, lang)
            except StoreError:
                # Not when we are cancelled: then the commit may still be made, and what no row speaks of is swept.
                for each in found:
                    if each.kept is not None:
                        self.folder.remove(each.kept.path)
                raise
        return notices

    async def _stored(
        self, unit: Unit, row: Waiting, place: Conversation, fence: int, found: list[Collected], lang: str
    ) -> list[OutboxRow]:
        """A row for each file, the message with its files, and a line for what could not be used; one commit."""
        if not await unit.places.holds(place.id, fence):
            raise LeaseLost(f"conversation {place.id} is somebody else's now")
        now = self.clock()
        files: list[Json] = []
        for each in found:
            body = each.body
            if each.kept is not None:
                body = body | {
                    "media": await unit.media.add(
                        inbox=row.id,
                        sha256=each.kept.sha256,
                        path=each.kept.path,
                        type=each.type,
                        bytes=each.kept.bytes,
                        name=str(body.get("name", "")),
                        now=now,
                    )
                }
            files.append(body)
        await unit.inbox.collected(row.id, files)
        if not row.text.strip() and not any(_useful(file) for file in files):
            await unit.inbox.settle(row.id, "done")  # nothing is left to ask
        text = "\n".join(
            dict.fromkeys(_told(file, self.bounds(), lang) for file in files if file.get("error"))
        )
        if not text:
            return []
        origin = f"files:{row.id}"
        return await notice(unit, place.account, place.id, origin, text, self.delivery.render, now)


def _useful(file: Json) -> bool:
    return "error" not in file


def _told(file: Json, bounds: Bounds, lang: str) -> str:
    """One line for the person about a file that could not be used."""
    name = str(file.get("name") or "") or say(f"media_kind.{file.get('kind', 'file')}", lang)
    return say(
        f"media.{file['error']}",
        lang,
        name=name,
        megabytes=bounds.most_bytes // 1_000_000,
        count=bounds.most_files,
    )
