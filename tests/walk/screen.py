"""What people see, and the platform between them and the gateway; both outlive every crash."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from gateway.errors import DeliveryError
from gateway.types.inbound import Inbound
from gateway.types.outbound import Chunk
from gateway.types.places import Address
from tests.fakes.channel import FakeChannel

T = TypeVar("T")
REPLY_DELAY = 0.05  # seconds from a call's effect to its answer: time for a crash in between


@dataclass
class Screen:
    """The platform's own state. *arrived* is what people sent and the gateway has not confirmed yet."""

    messages: dict[str, dict[str, str]] = field(default_factory=dict)  # chat -> message id -> text now
    history: dict[str, list[str]] = field(default_factory=dict)  # message id -> every text it had
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)  # message id -> label -> token
    nonces: dict[str, str] = field(default_factory=dict)
    arrived: list[Inbound] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    faults: list[tuple[str, DeliveryError]] = field(default_factory=list)  # (method, what it gets)
    lost: Counter[str] = field(default_factory=Counter)  # chat -> answers to a send that never arrived
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))


class WalkChannel(FakeChannel):
    """One life's connection to a Screen. A dead one has no effect any more."""

    def __init__(self, screen: Screen, placing: Literal["exact", "opening", "placeholder"]) -> None:
        super().__init__(placing=placing)
        self.screen = screen
        self.messages, self.buttons = screen.messages, screen.buttons
        self._ids = screen.ids

    def die(self) -> None:
        self.hold.clear()

    async def send(
        self,
        address: Address,
        chunk: Chunk,
        *,
        nonce: str,
        tried: int | None = None,
        content: bytes | None = None,
    ) -> str:
        known = self.screen.nonces.get(nonce) if self.limits.placing == "exact" else None
        if known is not None:
            await self._call("send", address, chunk)
            return known
        fault = self._fault("send")
        if fault is not None and fault.kind != "lost":
            raise fault
        message_id = await super().send(address, chunk, nonce=nonce, tried=tried)
        self.screen.nonces[nonce] = message_id
        self.screen.history[message_id] = [chunk.text]
        if fault is not None:
            self.screen.lost[address.chat_id] += 1
        await asyncio.sleep(REPLY_DELAY)
        if fault is not None:
            raise fault
        return message_id

    async def edit(self, address: Address, message_id: str, chunk: Chunk) -> None:
        fault = self._fault("edit")
        if fault is not None and fault.kind != "lost":
            raise fault
        await super().edit(address, message_id, chunk)
        self.screen.history[message_id].append(chunk.text)
        await asyncio.sleep(REPLY_DELAY)
        if fault is not None:
            raise fault

    def _fault(self, method: str) -> DeliveryError | None:
        for number, (struck, error) in enumerate(self.screen.faults):
            if struck == method:
                del self.screen.faults[number]
                return error
        return None
