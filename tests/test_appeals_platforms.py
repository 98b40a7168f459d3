"""Allow once and Raise on the platforms, with the whole gateway and a provider that sends a bill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.settings import Settings
from gateway.texts import say
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.llm import KEY, FakeLLM
from tests.fakes.telegram import FakeTelegram
from tests.test_gateway import gateway, rows

OWNER, ANN = 7001, 7002
ALLOW = say("button.budget-allow")


def settings(folder: Path, llm: FakeLLM, **channels: dict[str, Any]) -> Settings:
    """Nothing fits into what a chat may spend in a day."""
    price = {"claude-sonnet-5": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write_5m": 3.75}}
    return Settings.model_validate({
        "gateway": {"data_dir": folder / "data"},
        "channels": channels,
        "providers": {"anthropic": {"api_key": KEY, "base_url": llm.url, "price": price}},
        "agent": {"model": "anthropic:claude-sonnet-5", "retries": 0},
        "budgets": {"chat_day": "0.0001"},
    })  # fmt: skip


async def test_on_telegram_an_owner_allows_once_what_somebody_asked(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm:
        bot = {"token": tg.token, "api_url": tg.url, "owners": [OWNER], "allow": [ANN], "poll_seconds": 1}
        async with gateway(settings(tmp_path, llm, telegram=bot)) as app:
            tg.user_says(OWNER, "/help")
            await tg.until(lambda: tg.texts(OWNER), timeout=10)
            tg.user_says(ANN, "why?")
            await tg.until(lambda: tg.messages(OWNER)[-1].reply_markup, timeout=10)
            asked = tg.messages(OWNER)[-1]
            assert f"telegram:{ANN}" in (asked.text or "")
            assert asked.reply_markup is not None
            keys = [button for row in asked.reply_markup["inline_keyboard"] for button in row]
            labels = [button["text"] for button in keys]
            assert labels[0] == ALLOW and labels[1].startswith("Raise to $")
            tg.user_presses(OWNER, asked.id, keys[0]["callback_data"])
            await tg.until(lambda: tg.texts(ANN)[-1] == "You said: why?", timeout=10)
            await tg.until(lambda: "has allowed it once." in (tg.texts(OWNER)[-1] or ""), timeout=10)
            assert not tg.messages(OWNER)[-1].reply_markup
            ((worst, cost),) = await rows(app, "SELECT reserved, cost FROM usage")
            assert worst > cost > 0  # type: ignore[operator]


async def test_on_discord_an_owner_raises_the_budget_of_a_channel_under_the_refusal(tmp_path: Path) -> None:
    async with FakeDiscord() as dc, FakeLLM() as llm:
        for number, name in ((OWNER, "olga"), (ANN, "ann")):
            dc.add_user(name, id=number)
        guild = dc.add_guild(members=[OWNER, ANN])
        hall = dc.add_channel(guild, "hall")
        bot = {
            "token": TOKEN,
            "api_url": dc.api_url,
            "owners": [OWNER],
            "allow": [ANN, guild],
            "always": [hall],
        }
        async with gateway(settings(tmp_path, llm, discord=bot)) as app:
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            dc.user_says(hall, "why?", user_id=ANN)
            await dc.until(lambda: any(each.components for each in dc.messages(hall)), timeout=10)
            refused = next(each for each in dc.messages(hall) if each.components)
            _, more = refused.components[0]["components"]
            dc.user_presses(refused.id, more["custom_id"], user_id=ANN)  # may not
            await dc.until(lambda: say("budget.admins") in dc.texts(hall), timeout=10)
            dc.user_presses(refused.id, more["custom_id"], user_id=OWNER)
            await dc.until(lambda: "why?" in (dc.texts(hall)[-1] or ""), timeout=15)
            await dc.until(lambda: "Olga has raised the budget to" in (refused.content or ""), timeout=10)
            assert not refused.components
            ((scope, id, cap),) = await rows(app, "SELECT scope, scope_id, cap FROM budget")
            assert (scope, id) == ("chat", f"discord:{hall}") and cap > 100_000  # type: ignore[operator]
            assert await rows(app, "SELECT count(*) FROM appeal WHERE decision = 'raise'") == [(1,)]
