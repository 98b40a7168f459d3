"""The digest as people get it on the platforms: the whole gateway, a provider that sends a bill, text and picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.settings import Settings
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.llm import KEY, FakeLLM
from tests.fakes.telegram import FakeTelegram
from tests.test_gateway import gateway, rows

ANN = 7002
ASKED = "Is 2*3 < 7_000 & [so on]?"


def settings(folder: Path, llm: FakeLLM, **channels: dict[str, Any]) -> Settings:
    price = {"claude-sonnet-5": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write_5m": 3.75}}
    return Settings.model_validate({
        "gateway": {"data_dir": folder / "data"},
        "channels": channels,
        "providers": {"anthropic": {"api_key": KEY, "base_url": llm.url, "price": price}},
        "agent": {"model": "anthropic:claude-sonnet-5", "retries": 0},
    })  # fmt: skip


async def test_on_telegram_it_comes_with_its_picture_and_a_reply_to_that_goes_on_with_it(
    tmp_path: Path,
) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm:
        bot = {"token": tg.token, "api_url": tg.url, "allow": [ANN], "poll_seconds": 1}
        async with gateway(settings(tmp_path, llm, telegram=bot)) as app:
            tg.user_says(ANN, ASKED)
            await tg.until(lambda: tg.texts(ANN), timeout=10)
            tg.user_says(ANN, "/digest now")
            await tg.until(lambda: tg.calls_of("sendPhoto", ANN), timeout=15)
            text = next(each for each in tg.messages(ANN) if "and today so far" in (each.text or ""))
            assert "“Is 2*3 < 7_000 & [so on]?”" in (text.text or "")  # nothing of it is formatting
            first = (text.text or "").splitlines()[0]
            assert "1 conversation" in first and "$" in first
            assert {each["type"] for each in text.entities} >= {"bold"}
            tg.user_says(ANN, "And what of it?", reply_to=tg.messages(ANN)[-1].id)
            await tg.until(lambda: "And what of it?" in str(tg.texts(ANN)[-1]), timeout=10)
            ((session,),) = await rows(app, "SELECT session FROM job_run")
            assert await rows(app, "SELECT session FROM turn ORDER BY id DESC LIMIT 1") == [(session,)]
            assert "and today so far" in str(llm.requests[-1].body["messages"])


async def test_on_discord_it_comes_into_a_channel_of_a_server_and_into_ones_own(tmp_path: Path) -> None:
    async with FakeDiscord() as dc, FakeLLM() as llm:
        dc.add_user("ann", id=ANN)
        guild = dc.add_guild(members=[ANN])
        hall = dc.add_channel(guild, "hall")
        own = dc.dm(ANN)
        bot = {"token": TOKEN, "api_url": dc.api_url, "owners": [ANN], "allow": [guild], "always": [hall]}
        async with gateway(settings(tmp_path, llm, discord=bot)) as app:
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            for place, said in ((own, "Something private"), (hall, "Something for all")):
                dc.user_says(place, said, user_id=ANN)
                await dc.until(lambda place=place, said=said: said in str(dc.texts(place)), timeout=10)
                dc.user_says(place, "/digest now", user_id=ANN)
                await dc.until(
                    lambda place=place: any(each.attachments for each in dc.messages(place)), timeout=15
                )
            assert "Something private" not in "".join(str(each) for each in dc.texts(hall))
            assert "“Something private”" in "".join(str(each) for each in dc.texts(own))
            assert await rows(app, "SELECT state, delivery FROM job_run") == [("done", "sent")] * 2
