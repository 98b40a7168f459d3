"""A channel that behaves like a platform with editable messages and no idempotency key."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence

from gateway.errors import DeliveryError
from gateway.protocols.channel import Accept
from gateway.types.abilities import Capabilities, Limits
from gateway.types.outbound import Chunk, Reaction
from gateway.types.places import Account, Address, Place

LONGEST = 400


class FakeChannel:
    """Keeps what a person would see. *fail* holds errors for the next calls, by method ('send', 'edit')."""

    name = "telegram"

    def __init__(self, *, placing: str = "opening", stream: bool = True) -> None:
        self.limits = Limits(placing=placing, stream=stream, preview_direct=0.05)
        self.can = Capabilities(edit=True, delete=True, button=True, reaction=True, draft=placing == "draft")
        self.drafts: list[tuple[str, int, str]] = []  # chat, draft id, text
        self.admins: set[str] = set()  # user ids
        self.reactions: dict[str, list[Reaction | None]] = {}  # message id -> every one it was given
        self.messages: dict[str, dict[str, str]] = {}  # chat -> message id -> text now
        self.buttons: dict[str, dict[str, str]] = {}  # message id -> label -> token
        self.calls: list[tuple[str, str, str]] = []  # method, chat, text
        self.attachments: dict[str, bytes] = {}  # ref -> what it holds
        self.sent_files: dict[str, tuple[str, bytes]] = {}  # message id -> name, content
        self.acks: list[tuple[str, str]] = []
        self.fail: dict[str, list[DeliveryError]] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self._ids = itertools.count(1)

    async def start(self) -> tuple[str, str]:
        return "42", "bot"

    async def run(self, account: Account, accept: Accept) -> None:
        await asyncio.Event().wait()

    def render(self, markdown: str, *, growing: bool = False) -> list[Chunk]:
        text = markdown.strip()
        return [Chunk(text=text[at : at + LONGEST]) for at in range(0, len(text), LONGEST)]

    def plain(self, chunk: Chunk) -> Chunk:
        return Chunk(text=chunk.text.replace("*", ""))

    def opening(self, chunk: Chunk) -> Chunk:
        return chunk if len(chunk.text) <= 80 else Chunk(text=chunk.text[:80])

    def answering(self, chunk: Chunk, press_id: str, *, whisper: bool) -> Chunk:
        return chunk

    def calling(self, chunks: Sequence[Chunk], role: str) -> list[Chunk]:
        return list(chunks)

    async def send(
        self,
        address: Address,
        chunk: Chunk,
        *,
        nonce: str,
        tried: int | None = None,
        content: bytes | None = None,
    ) -> str:
        await self._call("send", address, chunk)
        message_id = str(next(self._ids))
        self.messages.setdefault(address.chat_id, {})[message_id] = chunk.text
        if chunk.file is not None:
            assert content is not None
            self.sent_files[message_id] = (chunk.file.name, content)
        self._note(message_id, chunk)
        return message_id

    async def fetch(self, ref: str, put: Callable[[bytes], None], *, most: int) -> None:
        await self._call("fetch", Address(account=0, conversation=0, chat_id=""), Chunk(text=ref))
        if ref not in self.attachments:
            raise DeliveryError(f"no attachment {ref}", kind="missing")
        data = self.attachments[ref]
        for at in range(0, len(data), 65_536):
            if at + 65_536 > most and len(data) > most:
                raise DeliveryError("too big", kind="too_big")
            put(data[at : at + 65_536])

    async def draft(self, address: Address, draft_id: int, chunk: Chunk) -> None:
        await self._call("draft", address, chunk)
        self.drafts.append((address.chat_id, draft_id, chunk.text))

    async def edit(self, address: Address, message_id: str, chunk: Chunk) -> None:
        await self._call("edit", address, chunk)
        if self.messages[address.chat_id][message_id] == chunk.text and not chunk.buttons:
            raise DeliveryError("not modified", kind="unchanged")
        self.messages[address.chat_id][message_id] = chunk.text
        self._note(message_id, chunk)

    async def delete(self, address: Address, message_id: str) -> None:
        await self._call("delete", address, Chunk(text=message_id))
        self.messages.get(address.chat_id, {}).pop(message_id, None)

    async def react(self, address: Address, message_id: str, reaction: Reaction | None) -> None:
        await self._call("react", address, Chunk(text=reaction or ""))
        self.reactions.setdefault(message_id, []).append(reaction)

    async def typing(self, address: Address) -> None:
        await self._call("typing", address, Chunk(text=""))

    async def place(self, id: str) -> Place:
        return Place(chat_id=id, kind="group" if id.startswith("-") else "direct")

    async def open_thread(self, address: Address, title: str) -> Place | None:
        if address.kind == "direct":
            return None
        await self._call("open_thread", address, Chunk(text=title))
        return Place(chat_id=address.chat_id, thread_id=str(next(self._ids)), kind="thread")

    async def direct(self, user_id: str) -> str:
        return user_id

    async def administers(self, address: Address, user_id: str) -> bool:
        return user_id in self.admins

    async def ack(self, press_id: str, text: str = "") -> None:
        self.acks.append((press_id, text))

    async def close(self) -> None:
        return

    def texts(self, chat: str) -> list[str]:
        return list(self.messages.get(chat, {}).values())

    async def until(self, chat: str, *endings: str, within: float = 20.0) -> list[str]:
        """Wait until the chat's messages end with these texts (substrings, in order)."""
        async with asyncio.timeout(within):
            while True:
                texts = self.texts(chat)[-len(endings) :]
                if len(texts) == len(endings) and all(map(contains, texts, endings)):
                    return self.texts(chat)
                await asyncio.sleep(0.005)

    def _note(self, message_id: str, chunk: Chunk) -> None:
        self.buttons[message_id] = {button.label: button.token for button in chunk.buttons}

    async def _call(self, method: str, address: Address, chunk: Chunk) -> None:
        await self.hold.wait()
        self.calls.append((method, address.chat_id, chunk.text))
        waiting: Sequence[DeliveryError] = self.fail.get(method, ())
        if waiting:
            raise self.fail[method].pop(0)


def contains(text: str, ending: str) -> bool:
    return ending in text
