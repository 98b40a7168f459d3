"""Jobs on the platforms, with the whole gateway: made, delivered, answered, and whom a delivery calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.app import App
from gateway.settings import Settings
from gateway.texts import say
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.telegram import FakeTelegram
from tests.jobs import until
from tests.test_gateway import gateway, rows

OWNER, ANN, EVE = 7001, 7002, 7003
RUN_IT = say("job_button.run")


def settings(folder: Path, jobs: list[dict[str, Any]] | None = None, **channels: dict[str, Any]) -> Settings:
    return Settings.model_validate({
        "gateway": {"data_dir": folder / "data"},
        "channels": channels,
        "jobs": jobs or [],
    })  # fmt: skip


def telegram(tg: FakeTelegram) -> dict[str, Any]:
    return {"token": tg.token, "api_url": tg.url, "owners": [OWNER], "allow": [ANN], "poll_seconds": 1}


def discord(dc: FakeDiscord, *allow: int) -> dict[str, Any]:
    for number, name in ((OWNER, "olga"), (ANN, "ann"), (EVE, "eve")):
        dc.add_user(name, id=number)
    return {"token": TOKEN, "api_url": dc.api_url, "owners": [OWNER], "allow": [ANN, *allow]}


async def unread(app: App) -> list[object]:
    """Of the sessions that jobs have opened."""
    found = await rows(app, "SELECT unread FROM session WHERE triggered_by IS NOT NULL ORDER BY id")
    return [row[0] for row in found]


async def answered(app: App, turns: int) -> bool:
    return await rows(app, "SELECT count(*) FROM turn WHERE state = 'done'") == [(turns,)]


async def settled(app: App) -> bool:
    """Whether all that is to be sent was."""
    return not await rows(app, "SELECT 1 FROM outbox WHERE state <> 'sent'")


async def test_on_telegram_a_job_is_made_tried_out_delivered_and_answered(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, gateway(settings(tmp_path, telegram=telegram(tg))) as app:
        tg.user_says(ANN, '/job add news "0 8 * * 1-5" Europe/Berlin What is new?')
        await tg.until(lambda: tg.messages(ANN) and tg.messages(ANN)[-1].reply_markup, timeout=10)
        made = tg.messages(ANN)[-1]
        assert (made.text or "").startswith("The job news runs every weekday at 08:00, Europe/Berlin.")
        assert made.reply_markup is not None
        ((button,),) = made.reply_markup["inline_keyboard"]
        assert button["text"] == RUN_IT
        tg.user_presses(ANN, made.id, button["callback_data"])
        await tg.until(lambda: any("What is new?" in (text or "") for text in tg.texts(ANN)), timeout=10)
        delivered = next(each for each in tg.messages(ANN) if "What is new?" in (each.text or ""))
        # Kept as unread until somebody answers it, or opens it.
        assert await unread(app) == [1]
        tg.user_says(ANN, "Tell me more.", reply_to=delivered.id)
        await until(lambda: answered(app, 2))
        assert await unread(app) == [0]
        turns = await rows(app, "SELECT session, trigger FROM turn ORDER BY id")
        assert [trigger for _, trigger in turns] == ["news", None] and turns[0][0] == turns[1][0]


async def test_a_jobs_session_is_unread_until_it_is_opened(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, gateway(settings(tmp_path, telegram=telegram(tg))) as app:
        tg.user_says(ANN, "/job add news every 90m What is new?")
        await tg.until(lambda: tg.texts(ANN), timeout=10)
        tg.user_says(ANN, "/job run news")
        await tg.until(lambda: any("What is new?" in (text or "") for text in tg.texts(ANN)), timeout=10)
        assert await unread(app) == [1]
        (run,) = await app.manager.jobs.history("news")
        assert run.session is not None
        tg.user_says(ANN, f"/resume {run.session}")
        await tg.until(lambda: any("Back in" in (text or "") for text in tg.texts(ANN)), timeout=10)
        assert await unread(app) == [0]


async def test_on_discord_who_answers_a_delivery_goes_on_with_that_runs_session(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        private = dc.dm(OWNER)
        job = {"name": "news", "schedule": "@yearly", "prompt": "News?", "deliver_to": [f"discord:{OWNER}"]}
        async with gateway(settings(tmp_path, [job], discord=discord(dc))) as app:
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            for _ in range(2):
                count = len(dc.messages(private))
                await app.manager.jobs.run_now("news")
                await dc.until(lambda count=count: len(dc.messages(private)) > count, timeout=10)
                await until(lambda: settled(app))
            first = dc.messages(private)[0]
            dc.user_says(private, "Go on.", user_id=OWNER, reply_to=first.id)
            await until(lambda: answered(app, 3))
            turns = await rows(app, "SELECT session, trigger FROM turn ORDER BY id")
            assert [trigger for _, trigger in turns] == ["news", "news", None]
            assert turns[2][0] == turns[0][0] != turns[1][0]


async def test_on_discord_a_delivery_calls_the_one_role_that_its_job_names(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        told = discord(dc)
        guild = dc.add_guild(members=[OWNER, ANN, EVE])
        hall = dc.add_channel(guild, "hall")
        watch = dc.add_role(guild, "watch", members=[ANN], mentionable=True)
        other = dc.add_role(guild, "other", members=[EVE], mentionable=True)
        job = {
            "name": "news",
            "schedule": "@yearly",
            "prompt": f"Say <@&{other}> and @everyone.",
            "deliver_to": [f"discord:{hall}"],
            "mention": str(watch),
        }
        async with gateway(settings(tmp_path, [job], discord=told)) as app:
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            await app.manager.jobs.run_now("news")
            await dc.until(lambda: dc.messages(hall), timeout=10)
            await until(lambda: settled(app))
            first, *more = dc.messages(hall)
            assert first.content.startswith(f"<@&{watch}>")
            # What the answer itself says calls nobody.
            assert first.pings.roles == {watch} or list(first.pings.roles) == [watch]
            assert dc.pings == 1 and not any(each.pings.count for each in more)


async def test_only_an_admin_has_a_role_called(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        told, private = discord(dc), dc.dm(ANN)
        async with gateway(settings(tmp_path, discord=told)):
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            dc.user_says(private, "/job add mention=5 every 90m Hello?", user_id=ANN)
            await dc.until(lambda: say("job.admins") in dc.texts(private), timeout=10)


async def test_on_discord_the_yes_makes_it_and_the_buttons_go(tmp_path: Path) -> None:
    async with FakeDiscord() as dc:
        told, private = discord(dc), dc.dm(ANN)
        async with gateway(settings(tmp_path, discord=told)) as app:
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            dc.user_says(private, "Remind me every weekday at 8:00 to stretch", user_id=ANN)
            await dc.until(lambda: any(each.components for each in dc.messages(private)), timeout=10)
            asked = next(each for each in dc.messages(private) if each.components)
            assert "every weekday at 08:00, UTC" in asked.content
            dc.user_presses(asked.id, asked.components[0]["components"][0]["custom_id"], user_id=ANN)
            await dc.until(lambda: any("said yes." in (text or "") for text in dc.texts(private)), timeout=10)
            await dc.until(lambda: not any(each.components for each in dc.messages(private)), timeout=10)
            assert [job.spec.prompt for job in await app.manager.jobs.list()] == ["Reminder: stretch"]


async def test_the_demo_is_asked_to_remind_and_the_yes_makes_it(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, gateway(settings(tmp_path, telegram=telegram(tg))) as app:
        tg.user_says(ANN, "Remind me tomorrow at nine to call Mum")
        await tg.until(lambda: any(each.reply_markup for each in tg.messages(ANN)), timeout=10)
        asked = next(each for each in tg.messages(ANN) if each.reply_markup)
        assert "once, on" in (asked.text or "") and "Reminder: call Mum" in (asked.text or "")
        assert asked.reply_markup is not None
        yes = next(
            each for row in asked.reply_markup["inline_keyboard"] for each in row if each["text"] == "Yes"
        )
        tg.user_presses(ANN, asked.id, yes["callback_data"])
        await tg.until(
            lambda: any("The job job-1 runs once" in (text or "") for text in tg.texts(ANN)), timeout=10
        )
        await tg.until(lambda: not any(each.reply_markup for each in tg.messages(ANN)), timeout=10)
        (job,) = await app.manager.jobs.list()
        assert job.spec.prompt == "Reminder: call Mum" and job.spec.schedule.endswith(" 09:00")
