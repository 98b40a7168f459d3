"""Sessions to operate on: said without a model, or talked in with one that waits until it is let on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.manager import Generated, SessionManager
from tests.fakes.model import Script, ScriptedModel
from tests.path import Path


async def said(manager: SessionManager, *texts: str, channel: str = "main", key: str = "k") -> str:
    """A session with a question and an answer for each text; no turn was run, nothing is on the bill."""
    id = await manager.create_session(channel, key)
    for text in texts:
        await manager.save_message(id, "user", text)
        await manager.save_message(id, "assistant", f"On {text}: yes.")
    return id


async def talked(manager: SessionManager, *texts: str, key: str = "k") -> str:
    """A session in which turns were run, and billed."""
    id = await manager.create_session("main", key)
    for text in texts:
        await manager.generate(id, text)
    return id


async def texts(manager: SessionManager, id: str) -> list[str]:
    return [message.text for message in await manager.get_messages(id)]


@dataclass
class Running:
    """A turn that has asked its model and waits for the answer; *go* lets it come."""

    go: asyncio.Event
    answer: asyncio.Task[Generated]


@asynccontextmanager
async def running(
    manager: SessionManager, model: ScriptedModel, id: str, prompt: str = "Think."
) -> AsyncIterator[Running]:
    go = asyncio.Event()
    model.queue.append(Script(text="I have thought.", gate=go))
    asked = len(model.asked)
    answer = asyncio.create_task(manager.generate(id, prompt, timeout=30))
    while len(model.asked) == asked:
        await asyncio.sleep(0.001)
    try:
        yield Running(go, answer)
    finally:
        go.set()
        await asyncio.wait([answer])


async def snapshot(path: Path, ids: Iterable[int]) -> list[tuple[object, ...]]:
    """The entries of these sessions as they lie on disk."""
    listed = ", ".join(str(id) for id in ids)
    return await path.rows(
        f"SELECT session, seq, turn, kind, body, created FROM entry WHERE session IN ({listed}) ORDER BY 1, 2"
    )
