"""Forks that get a place of their own, with the whole gateway on the platforms' fakes."""

from __future__ import annotations

from pathlib import Path

from gateway.settings import Settings
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.llm import KEY, FakeLLM
from tests.fakes.telegram import FakeTelegram
from tests.test_gateway import gateway

ANN = 7001
ROOM = -1001007
ME = "@parley_test_bot"


def settings(folder: Path, llm: FakeLLM, **channels: object) -> Settings:
    return Settings.model_validate({
        "gateway": {"data_dir": folder / "data"},
        "channels": channels,
        "providers": {"anthropic": {"api_key": KEY, "base_url": llm.url}},
        "agent": {"model": "anthropic:claude-sonnet-5", "retries": 0},
    })  # fmt: skip


async def test_on_telegram_a_fork_in_a_forum_gets_a_topic(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm:
        tg.add_chat(ROOM, "supergroup", title="Forum", is_forum=True)
        bot = {"token": tg.token, "api_url": tg.url, "owners": [ANN], "allow": [ROOM], "poll_seconds": 1}
        async with gateway(settings(tmp_path, llm, telegram=bot)):
            tg.user_says(ROOM, f"{ME} one", user_id=ANN)
            await tg.until(lambda: any("You said" in (text or "") for text in tg.texts(ROOM)), timeout=10)
            tg.user_says(ROOM, f"/fork{ME} Aside", user_id=ANN)
            await tg.until(
                lambda: any("Aside goes on" in (text or "") for text in tg.texts(ROOM)), timeout=10
            )
            (topic,) = tg.world.chats[ROOM].threads
            opened = next(each for each in tg.messages(ROOM) if "Aside goes on" in (each.text or ""))
            assert opened.thread_id == topic
            tg.user_says(ROOM, f"{ME} two", user_id=ANN, thread_id=topic)
            await tg.until(lambda: len(llm.requests) == 2, timeout=10)
            assert "one" in str(llm.requests[-1].body)


async def test_on_telegram_a_fork_in_a_group_without_topics_goes_on_there(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm:
        tg.add_chat(ROOM, "supergroup", title="Group")
        bot = {"token": tg.token, "api_url": tg.url, "owners": [ANN], "allow": [ROOM], "poll_seconds": 1}
        async with gateway(settings(tmp_path, llm, telegram=bot)):
            tg.user_says(ROOM, f"{ME} one", user_id=ANN)
            await tg.until(lambda: any("You said" in (text or "") for text in tg.texts(ROOM)), timeout=10)
            tg.user_says(ROOM, f"/fork{ME} Aside", user_id=ANN)
            await tg.until(
                lambda: any("This chat goes on" in (text or "") for text in tg.texts(ROOM)), timeout=10
            )


async def test_on_discord_a_fork_in_a_server_gets_a_thread(tmp_path: Path) -> None:
    async with FakeDiscord() as dc, FakeLLM() as llm:
        dc.add_user("ann", id=ANN)
        guild = dc.add_guild(members=[ANN])
        hall = dc.add_channel(guild, "hall")
        bot = {"token": TOKEN, "api_url": dc.api_url, "owners": [ANN], "allow": [guild], "always": [hall]}
        async with gateway(settings(tmp_path, llm, discord=bot)):
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            dc.user_says(hall, "one", user_id=ANN)
            await dc.until(lambda: any("You said" in (text or "") for text in dc.texts(hall)), timeout=10)
            dc.user_says(hall, "/fork Aside", user_id=ANN)
            await dc.until(
                lambda: any("thread of its own" in (text or "") for text in dc.texts(hall)), timeout=10
            )
            (thread,) = [each for each in dc.world.channels.values() if each.is_thread]
            assert thread.name == "Aside"
            await dc.until(
                lambda: any("Aside goes on" in (text or "") for text in dc.texts(thread.id)), timeout=10
            )
            dc.user_says(thread.id, "two", user_id=ANN)
            await dc.until(lambda: len(llm.requests) == 2, timeout=10)
            assert "one" in str(llm.requests[-1].body)
