"""What the tests of compaction share."""

from __future__ import annotations

import asyncio

from gateway.manager import SessionManager
from gateway.message_size import bytes_of
from gateway.protocols.prompt import Prompt
from gateway.protocols.tool import ToolContext, ToolSpec
from gateway.types.json import Json
from tests.path import Path


def sized(prompt: Prompt) -> int:
    """Input tokens as a tokenizer would count them, about."""
    return (len(prompt.stable.encode()) + bytes_of(prompt.messages)) // 4


async def idle(p: Path) -> None:
    """Until nobody is at work: also what is done after an answer has been delivered."""
    async with asyncio.timeout(10):
        while p.core.dispatcher.under_way or await p.value(
            "SELECT count(*) FROM inbox WHERE state = 'waiting'"
        ):
            await asyncio.sleep(0.005)


async def manager_of(p: Path) -> tuple[SessionManager, str]:
    """The public surface over the same parts, and the code of the first session."""
    return SessionManager(p.core), str(await p.value("SELECT code FROM session ORDER BY id LIMIT 1"))


class Big:
    """A tool that gives a lot."""

    def __init__(self, size: int) -> None:
        self.spec = ToolSpec(name="big", description="A lot.", parameters={"type": "object"})
        self._size = size

    async def call(self, args: Json, context: ToolContext) -> str:
        return "x" * self._size
