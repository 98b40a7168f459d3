"""What leaves one bot: messages, their files and drafts; and the files that are brought in."""

from __future__ import annotations

import logging
from collections.abc import Callable

from channels.telegram import rich
from channels.telegram.api import Api, Sent
from channels.telegram.keyboard import keyboard
from channels.telegram.refusal import ApiError
from channels.telegram.uploads import MOST, NO_PHOTO, upload
from gateway.errors import DeliveryError
from gateway.types.json import Json
from gateway.types.outbound import Chunk, File
from gateway.types.places import Address

log = logging.getLogger(__name__)


class Outbound:
    """Sends, edits and fetches. All calls raise DeliveryError."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._rich = True  # until the server says that it knows no rich messages

    async def send(self, address: Address, chunk: Chunk, content: bytes | None) -> str:
        """A message, with its file if it has one; its id. A caption has at most 1,024 UTF-16 units."""
        if chunk.file is not None:
            return await self._send_file(address, chunk, chunk.file, content or b"")
        markdown = chunk.extra.get("rich")
        if markdown and self._rich:
            try:
                where = (address.chat_id, _thread(address))
                return (await self._api.send_rich(*where, markdown, _keyboard(chunk))).id
            except ApiError as error:
                self._plainly(error)
        sent = await self._api.send(address.chat_id, _thread(address), chunk.text, _options(chunk))
        if _altered(sent, chunk):
            await self._repair(address, sent.id, chunk)
        return sent.id

    async def edit(self, address: Address, message_id: str, chunk: Chunk) -> None:
        markdown = chunk.extra.get("rich")
        if markdown and self._rich:
            try:
                return await self._api.edit_rich(address.chat_id, int(message_id), markdown, _keyboard(chunk))
            except ApiError as error:
                self._plainly(error)
        found = await self._api.edit(address.chat_id, int(message_id), chunk.text, _options(chunk))
        if _altered(found, chunk):
            await self._repair(address, message_id, chunk)
        return None

    def _plainly(self, error: ApiError) -> None:
        """Go on with entities where only the rich form was refused; raises what would stand in their way as well."""
        if any(part in str(error).lower() for part in rich.NOT_KNOWN):
            self._rich = False
            log.warning("telegram.no_rich_messages", extra={"fields": {"reason": str(error)}})
        elif error.kind not in ("format", "rejected"):
            raise error

    async def draft(self, address: Address, draft_id: int, chunk: Chunk) -> None:
        options: Json = {"entities": entities} if (entities := chunk.extra.get("entities")) else {}
        await self._api.draft(address.chat_id, _thread(address), draft_id, chunk.text, options)

    async def fetch(self, ref: str, put: Callable[[bytes], None], most: int) -> None:
        path, size = await self._api.file_path(ref)
        if size is not None and size > most:
            raise DeliveryError(f"a file of {size} bytes, more than {most}", kind="too_big")
        # Not the path itself: that of a server's own disk has the bot's token in it.
        if not path:
            raise DeliveryError("the server does not say where the file is", kind="missing")
        if path.startswith("/") or ":" in path.partition("/")[0]:
            raise DeliveryError(
                "the server keeps its files on its own disk (telegram-bot-api --local): run it without --local",
                kind="missing",
            )
        if ".." in path.split("/") or "\\" in path or not path.isprintable():
            raise DeliveryError("the server gives a path that leads elsewhere", kind="missing")
        await self._api.download(path, put, most=most)

    async def _send_file(self, address: Address, chunk: Chunk, file: File, content: bytes) -> str:
        if len(content) > MOST:
            raise DeliveryError(f"a file of {len(content)} bytes: at most {MOST}", kind="too_big")
        part = upload(file, content)
        where, options = (address.chat_id, _thread(address)), _captioned(chunk)
        try:
            return (await self._api.send_file(*where, part, options)).id
        except ApiError as error:
            # Refused, and so not sent: as a document it may be of any shape.
            if error.status != 400 or not any(each in str(error).lower() for each in NO_PHOTO):
                raise
        return (await self._api.send_file(*where, part.as_document(), options)).id

    async def _repair(self, address: Address, message_id: str, chunk: Chunk) -> None:
        """The server has made another text of it. Tried once: that it was sent is not put at risk."""
        try:
            found = await self._api.edit(address.chat_id, int(message_id), chunk.text, _options(chunk))
        except ApiError:
            found = None
        if found is None or _altered(found, chunk):
            fields = {"channel": "telegram", "chat": address.chat_id, "message": message_id}
            log.warning("delivery.altered", extra={"fields": fields})


def _altered(sent: Sent | None, chunk: Chunk) -> bool:
    """Whether the server has another text. It takes blanks from both ends of a text."""
    return sent is not None and sent.text is not None and sent.text.strip() != chunk.text.strip()


def _thread(address: Address) -> int | None:
    return int(address.thread_id) if address.thread_id else None


def _options(chunk: Chunk) -> Json:
    """Parameters that sendMessage and editMessageText have in common. Bot API."""
    options: Json = {"link_preview_options": {"is_disabled": True}}
    if entities := chunk.extra.get("entities"):
        options["entities"] = entities
    return options | _keyboard(chunk)


def _captioned(chunk: Chunk) -> Json:
    """Parameters that sendDocument and sendPhoto have in common. Bot API."""
    options: Json = {"caption": chunk.text} if chunk.text else {}
    if entities := chunk.extra.get("entities"):
        options["caption_entities"] = entities
    return options | _keyboard(chunk)


def _keyboard(chunk: Chunk) -> Json:
    return {"reply_markup": keyboard(chunk.buttons)} if chunk.buttons else {}
