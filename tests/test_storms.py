"""429 in the middle of an answer, for a long time: silence there, the whole text afterwards, and nobody else waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.app import start
from gateway.settings import Settings
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.llm import KEY, FakeLLM, Pace
from tests.fakes.telegram import FakeTelegram
from tests.fast import fast

ANN, BOB = 7001, 7002
SPEED = 25.0  # two and a half minutes of silence pass in six seconds
ANSWER = "\n\n".join(f"Paragraph {n}. " + "word " * 40 for n in range(6)).strip()


@dataclass
class Stage:
    """A platform with two private chats, and the calls that say something there."""

    server: Any
    chats: dict[int, int]  # person -> chat
    says: Callable[[int, str], Any]
    texts: Callable[[int], list[str | None]]
    edit: str  # the route by which an answer grows
    spoken: tuple[str, ...]

    def calls(self, person: int) -> list[Any]:
        """What was sent to a chat: messages, edits and typing."""
        chat = self.chats[person]
        return [call for call in self.server.calls if call.method in self.spoken and self._chat(call) == chat]

    def _chat(self, call: Any) -> int | None:
        return int(getattr(call, "channel_id", None) or getattr(call, "chat_id", None) or 0)


def settings(folder: Path, llm: FakeLLM, channels: dict[str, Any]) -> Settings:
    return Settings.model_validate({
        "gateway": {"data_dir": folder},
        "channels": channels,
        "providers": {"anthropic": {"api_key": KEY, "base_url": llm.url}},
        "agent": {"model": "anthropic:claude-sonnet-5", "retries": 0},
    })  # fmt: skip


@asynccontextmanager
async def stage(platform: str, folder: Path) -> AsyncIterator[tuple[Stage, FakeLLM]]:
    loop = asyncio.get_running_loop()
    born, began = loop.time(), time.time_ns() // 1000

    def now() -> int:
        return began + int((loop.time() - born) * 1_000_000)

    async with FakeLLM(pace=Pace(between=0.5, chunk=60)) as llm:
        if platform == "telegram":
            async with FakeTelegram() as tg:
                channels = {
                    "telegram": {"token": tg.token, "api_url": tg.url, "allow": [ANN, BOB], "poll_seconds": 0}
                }
                on = Stage(
                    tg,
                    {ANN: ANN, BOB: BOB},
                    lambda person, text: tg.user_says(person, text, user_id=person),
                    lambda person: list(tg.texts(person)),
                    "editMessageText",
                    ("sendMessage", "editMessageText", "sendChatAction"),
                )
                app = await start(settings(folder, llm, channels), environ={}, clock=now)
                await app.core.catalogue.warm()  # importing the SDK takes a minute of this loop
                try:
                    yield on, llm
                finally:
                    await app.stop()
        else:
            async with FakeDiscord(heartbeat_interval=1.0) as dc:
                chats = {person: dc.dm(dc.add_user(f"u{person}", id=person)) for person in (ANN, BOB)}
                channels = {"discord": {"token": TOKEN, "api_url": dc.api_url, "allow": [ANN, BOB]}}
                on = Stage(
                    dc,
                    chats,
                    lambda person, text: dc.user_says(chats[person], text, user_id=person),
                    lambda person: list(dc.texts(chats[person])),
                    "edit_message",
                    ("create_message", "edit_message", "trigger_typing"),
                )
                app = await start(settings(folder, llm, channels), environ={}, clock=now)
                await app.core.catalogue.warm()  # importing the SDK takes a minute of this loop
                try:
                    await dc.until(lambda: dc.gateway.counts["identifies"], timeout=20)
                    yield on, llm
                finally:
                    await app.stop()


def answered(texts: list[str | None]) -> bool:
    """Whether the bot's messages there are the whole answer, once."""
    return "\n\n".join(text or "" for text in texts).split() == ANSWER.split()


@pytest.mark.parametrize("retry_after", [35, 149])
@pytest.mark.parametrize("platform", ["telegram", "discord"])
def test_a_long_429_in_mid_stream_is_obeyed_and_the_text_arrives_once(
    platform: str, retry_after: int, tmp_path: Path
) -> None:
    async def storm() -> None:
        loop = asyncio.get_running_loop()
        async with stage(platform, tmp_path) as (on, llm):
            llm.say(ANSWER)
            on.server.flood(on.edit, on.chats[ANN], times=1, retry_after=retry_after)
            on.says(ANN, "tell me everything")
            await on.server.until(lambda: any(call.status == 429 for call in on.calls(ANN)), timeout=30)
            refused = loop.time()
            # Meanwhile somebody else asks, and is answered within the silence.
            llm.say("At once.")
            on.says(BOB, "and me?")
            await on.server.until(lambda: "At once." in on.texts(BOB), timeout=30)
            assert loop.time() < refused + retry_after - 1
            await on.server.until(lambda: answered(on.texts(ANN)), timeout=30)
            flood = next(call for call in on.calls(ANN) if call.status == 429)
            since = [
                (call.method, (call.at - flood.at) * SPEED) for call in on.calls(ANN)
            ]  # the fakes' time is the wall's
            assert [call for call in since if 0 < call[1] < retry_after - 1] == []
            assert len([call for call in on.calls(ANN) if call.status == 429]) == 1

    fast(storm(), speed=SPEED)


@pytest.mark.parametrize("platform", ["telegram", "discord"])
def test_a_storm_in_every_chat_ends_with_every_answer_once(platform: str, tmp_path: Path) -> None:
    """The bot as a whole is refused, again and again, on whatever it tries."""

    async def storm() -> None:
        async with stage(platform, tmp_path) as (on, llm):
            llm.say(ANSWER)
            llm.say(ANSWER)
            for method in on.spoken:
                on.server.flood(method, None, times=3, retry_after=40)
            on.says(ANN, "one")
            on.says(BOB, "two")
            for person in (ANN, BOB):
                await on.server.until(lambda person=person: answered(on.texts(person)), timeout=60)

    fast(storm(), speed=SPEED)
