"""Discord with the whole gateway: who is told of trouble, where jobs and announcements go, whose message it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.app import App, start
from gateway.settings import Settings
from gateway.texts import say
from tests.fakes.discord import TOKEN, FakeDiscord

OWNER, ANN, EVE = 7001, 7002, 666


@asynccontextmanager
async def gateway(dc: FakeDiscord, folder: Path, **more: Any) -> AsyncIterator[App]:
    discord = {"token": TOKEN, "api_url": dc.api_url, "owners": [OWNER], "allow": [ANN]}
    settings = Settings.model_validate({
        "gateway": {"data_dir": folder},
        "channels": {"discord": discord | more.pop("discord", {})},
        **more,
    })  # fmt: skip
    app = await start(settings, environ={})
    try:
        await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
        yield app
    finally:
        await app.stop()


def people(dc: FakeDiscord) -> None:
    for number, name in ((OWNER, "olga"), (ANN, "ann"), (EVE, "eve")):
        dc.add_user(name, id=number)


async def rows(app: App, sql: str) -> list[tuple[object, ...]]:
    return await app.core.store.read(lambda unit: unit.tx.all(sql))


async def test_an_owner_who_never_wrote_is_told_of_trouble(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        people(dc)
        async with gateway(dc, tmp_path) as app:
            app.alerts.tell("disk", "only 3 MB are free")
            private = dc.dm(OWNER)
            await dc.until(lambda: dc.texts(private) == ["⚠ only 3 MB are free"], timeout=10)
            async with asyncio.timeout(5):
                while (await rows(app, "SELECT state FROM outbox")) != [("sent",)]:
                    await asyncio.sleep(0.01)


async def test_an_owner_who_never_wrote_is_asked_to_let_somebody_in(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        people(dc)
        strangers, private = dc.dm(EVE), dc.dm(OWNER)
        async with gateway(dc, tmp_path, discord={"access": "pairing"}) as app:
            while not any(scope.startswith("private:") for scope in await app.platforms.cursors(1)):
                await asyncio.sleep(0.02)
            dc.user_says(strangers, "let me in", user_id=EVE)
            await dc.until(lambda: dc.messages(private), timeout=10)
            (asked,) = dc.messages(private)
            button = asked.components[0]["components"][0]
            dc.user_presses(asked.id, button["custom_id"], user_id=OWNER)
            await dc.until(lambda: any("let in" in (text or "") for text in dc.texts(strangers)), timeout=10)


async def test_a_jobs_channel_is_a_group_though_nobody_has_spoken_there(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        people(dc)
        hall = dc.add_channel(dc.add_guild(members=[OWNER, ANN]), "hall")
        job = {
            "name": "news",
            "schedule": "0 9 1 1 *",
            "prompt": "What is new?",
            "deliver_to": [f"discord:{hall}"],
        }
        async with gateway(dc, tmp_path, jobs=[job]) as app:
            await app.manager.jobs.run_now("news")
            await dc.until(lambda: dc.texts(hall), timeout=10)
            assert await rows(
                app, f"SELECT kind, server <> '' FROM conversation WHERE chat_id = '{hall}'"
            ) == [("group", 1)]


async def test_an_announcement_reaches_who_is_let_in_by_the_configuration_and_nobody_else(
    tmp_path: Path,
) -> None:
    async with FakeDiscord() as dc:
        people(dc)
        chats = {who: dc.dm(who) for who in (OWNER, ANN, EVE)}
        async with gateway(dc, tmp_path):
            for who, chat in chats.items():
                dc.user_says(chat, "hello", user_id=who)
            for who in (OWNER, ANN, EVE):
                await dc.until(lambda who=who: dc.texts(chats[who]), timeout=10)
            dc.user_says(chats[OWNER], "/announce We move at noon.", user_id=OWNER)
            await dc.until(lambda: dc.messages(chats[OWNER])[-1].components, timeout=10)
            asked = dc.messages(chats[OWNER])[-1]
            assert "2" in (asked.content or "")
            for _ in range(2):  # a second press says nothing twice
                dc.user_presses(asked.id, asked.components[0]["components"][0]["custom_id"], user_id=OWNER)
            await dc.until(lambda: "We move at noon." in dc.texts(chats[ANN]), timeout=10)
            await dc.until(lambda: "We move at noon." in dc.texts(chats[OWNER]), timeout=10)
            await asyncio.sleep(0.3)
            said = {who: dc.texts(chat).count("We move at noon.") for who, chat in chats.items()}
            assert said == {OWNER: 1, ANN: 1, EVE: 0}


async def test_the_emergency_stop_is_in_the_trail(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        people(dc)
        async with gateway(dc, tmp_path) as app:
            await app.manager.halt(by="discord:7001", why="too dear")
            await app.manager.unhalt(by="cli")
            found = await rows(app, "SELECT actor, action FROM audit ORDER BY id")
            assert found == [("discord:7001", "halt"), ("cli", "unhalt")]


async def test_a_message_in_a_language_is_answered_in_it(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        people(dc)
        private = dc.dm(ANN)
        async with gateway(dc, tmp_path, gateway={"data_dir": tmp_path, "language": "de"}):
            dc.user_says(private, "/unheard", user_id=ANN)
            await dc.until(lambda: dc.texts(private), timeout=10)
            assert "/help" in (dc.texts(private)[0] or "") and say("turn.stopped", "de") == "Angehalten."
