"""Fifty people are answered at once, word by word: the platform's limits are kept, and every text is whole."""

from __future__ import annotations

from pathlib import Path

from gateway.app import start
from gateway.settings import Settings
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.llm import KEY, FakeLLM, Pace
from tests.fakes.telegram import FakeTelegram

PEOPLE = range(2001, 2051)
ANSWER = "\n\n".join(
    f"Paragraph {number} of what there is to say. " + "word " * 30 for number in range(5)
).strip()
PACE = Pace(between=0.05, chunk=10)  # about five seconds for one answer


def settings(folder: Path, llm: FakeLLM, **channels: object) -> Settings:
    return Settings.model_validate({
        "gateway": {"data_dir": folder},
        "agent": {"model": "openai:gpt-5-mini"},
        "providers": {"openai": {"api_key": KEY, "base_url": f"{llm.url}/v1"}},
        "channels": channels,
    })  # fmt: skip


async def test_fifty_chats_on_telegram(tmp_path: Path) -> None:
    async with FakeTelegram(limits="documented") as tg, FakeLLM(pace=PACE) as llm:
        llm.script = lambda ask: ANSWER
        telegram = {"token": tg.token, "api_url": tg.url, "allow": list(PEOPLE)}
        app = await start(settings(tmp_path, llm, telegram=telegram), environ={})
        try:
            for who in PEOPLE:
                tg.user_says(who, "Tell me", user_id=who)
            await tg.until(
                lambda: all("\n".join(map(str, tg.texts(who))).split() == ANSWER.split() for who in PEOPLE),
                timeout=60,
            )
            assert tg.world.floods.refused == 0
            assert tg.counts["editMessageText"] > len(PEOPLE)  # it was to be seen growing
            assert all(len(tg.messages(who)) == 1 for who in PEOPLE)
        finally:
            await app.stop()


async def test_fifty_chats_on_discord(tmp_path: Path) -> None:
    async with FakeDiscord(limits="documented") as dc, FakeLLM(pace=PACE) as llm:
        llm.script = lambda ask: ANSWER
        discord = {"token": TOKEN, "api_url": dc.api_url, "allow": list(PEOPLE)}
        for who in PEOPLE:
            dc.add_user(f"u{who}", id=who)
        chats = {who: dc.dm(who) for who in PEOPLE}
        app = await start(settings(tmp_path, llm, discord=discord), environ={})
        try:
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            for who, chat in chats.items():
                dc.user_says(chat, "Tell me", user_id=who)
            await dc.until(
                lambda: all("\n".join(dc.texts(chat)).split() == ANSWER.split() for chat in chats.values()),
                timeout=60,
            )
            assert dc.limits.refused == 0
            assert dc.counts["edit_message"] > len(PEOPLE)
        finally:
            await app.stop()
