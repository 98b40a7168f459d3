"""The whole gateway: a stock bot's traffic on one side, a provider's wire on the other, SQLite on disk between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.app import App, default_model, start
from gateway.settings import Settings
from gateway.texts import say
from gateway.types.json import Json
from tests.conftest import Clock
from tests.fakes.llm import KEY, FakeLLM, Pace
from tests.fakes.telegram import FakeTelegram

ANN = 1001


def settings(tmp_path: Path, tg: FakeTelegram, llm: FakeLLM | None, **telegram: object) -> Settings:
    facts: Json = {
        "gateway": {"data_dir": tmp_path / "data"},
        "channels": {
            "telegram": {"token": tg.token, "api_url": tg.url, "owners": [ANN], "poll_seconds": 1, **telegram}
        },
    }
    if llm is not None:
        facts["providers"] = {"anthropic": {"api_key": KEY, "base_url": llm.url}}
        facts["agent"] = {"model": "anthropic:claude-sonnet-5", "retries": 0}
    return Settings.model_validate(facts)


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[App]:
    app = await start(settings, environ={})
    try:
        yield app
    finally:
        await app.stop()


async def rows(app: App, sql: str) -> list[tuple[object, ...]]:
    return await app.core.store.read(lambda unit: unit.tx.all(sql))


async def test_a_person_on_telegram_is_answered_by_the_demo_without_any_key(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, gateway(settings(tmp_path, tg, None)):
        tg.user_says(ANN, "hello there")
        await tg.until(lambda: any("hello there" in text for text in tg.texts(ANN)), timeout=10)


async def test_a_real_provider_answers_and_the_bill_is_its_own_count(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(settings(tmp_path, tg, llm)) as app:
        llm.say("**Bold** and `code`.")
        update = tg.user_says(ANN, "hello")
        await tg.until(lambda: tg.texts(ANN) == ["Bold and code."], timeout=10)
        (message,) = tg.messages(ANN)
        assert {entity["type"] for entity in message.entities} == {"bold", "code"}
        await tg.until(lambda: tg.confirmed == update, timeout=5)
        ((state, tokens_in, out, cost),) = await rows(app, "SELECT state, tok_in, tok_out, cost FROM usage")
        assert (state, tokens_in, out) == ("known", llm.sent[0].input_tokens, llm.sent[0].output_tokens)
        # A server of one's own has no list price: unpriced, never 0.
        assert cost is None


async def test_a_long_streamed_answer_grows_by_edits_and_ends_exact_in_parts(tmp_path: Path) -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 60 for n in range(20)).strip()
    async with (
        FakeTelegram() as tg,
        FakeLLM(pace=Pace(between=0.01, chunk=60)) as llm,
        gateway(settings(tmp_path, tg, llm)),
    ):
        llm.say(text)
        tg.user_says(ANN, "tell me everything")
        await tg.until(lambda: "\n\n".join(tg.texts(ANN)).split() == text.split(), timeout=30)
        assert len(tg.texts(ANN)) == 2
        assert tg.counts["editMessageText"] >= 2
        assert tg.typing(ANN)
        # Whatever can be repeated by a lost answer is an opening, never a whole text.
        assert all(len(message.history[0]) <= 80 for message in tg.messages(ANN))


async def test_commands_answer_at_once_while_a_turn_runs_and_stop_stops_it(tmp_path: Path) -> None:
    async with (
        FakeTelegram() as tg,
        FakeLLM(pace=Pace(between=0.05, chunk=10)) as llm,
        gateway(settings(tmp_path, tg, llm)) as app,
    ):
        llm.say("word " * 500)
        tg.user_says(ANN, "go on and on")
        await tg.until(lambda: bool(tg.texts(ANN)), timeout=10)
        tg.user_says(ANN, "/whoami")
        await tg.until(lambda: any(str(ANN) in text for text in tg.texts(ANN)), timeout=5)
        tg.user_says(ANN, "/stop")
        await tg.until(lambda: any(say("turn.stopped") in text for text in tg.texts(ANN)), timeout=5)
        await tg.until(lambda: not app.core.dispatcher.turns_running, timeout=5)
        assert await rows(app, "SELECT state FROM usage") == [("estimated",)]


async def test_a_stranger_is_let_in_without_a_restart(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(settings(tmp_path, tg, llm)) as app:
        tg.user_says(555, "hi", user_id=555)
        await tg.until(lambda: any("555" in text for text in tg.texts(555)), timeout=10)
        assert llm.requests == []
        await app.roster.allow("telegram:555")
        llm.say("Welcome.")
        tg.user_says(555, "hi again", user_id=555)
        await tg.until(lambda: "Welcome." in tg.texts(555), timeout=10)


async def test_a_provider_that_refuses_the_key_keeps_messages_and_the_owner_is_told_once(
    tmp_path: Path,
) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(settings(tmp_path, tg, llm)) as app:
        llm.fail(401)
        tg.user_says(ANN, "hello")
        await tg.until(lambda: say("turn.kept") in tg.texts(ANN), timeout=10)
        await tg.until(lambda: any("refuses" in text for text in tg.texts(ANN)), timeout=10)
        assert app.ready is not None
        assert not any(KEY in text for text in tg.texts(ANN))


async def test_the_terminal_offers_every_command(tmp_path: Path) -> None:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from gateway.cli.run import _commands
    from gateway.cli.slash import Slash

    async with FakeTelegram() as tg, gateway(settings(tmp_path, tg, None)) as app:
        slash = Slash(_commands(app))
    offered = [each.text for each in slash.get_completions(Document("/u"), CompleteEvent())]
    assert "/usage" in offered and "/unhalt" in offered and "/stop" not in offered
    every = [each.text for each in slash.get_completions(Document("/"), CompleteEvent())]
    assert {"/help", "/new", "/budget", "/quit"} < set(every)


async def test_two_topics_of_a_chat_are_two_conversations(tmp_path: Path) -> None:
    group = -100500
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(settings(tmp_path, tg, llm)) as app:
        tg.add_chat(group, chat_type="supergroup", is_forum=True, threads=[7, 8])
        for thread in (7, 8):
            llm.say(f"in {thread}")
            mention = {"type": "mention", "offset": 0, "length": len("@parley_test_bot")}
            tg.user_says(
                group,
                "@parley_test_bot hello",
                user_id=ANN,
                thread_id=thread,
                chat_type="supergroup",
                entities=[mention],
            )
            await tg.until(lambda t=thread: f"in {t}" in tg.texts(group), timeout=10)
        assert [m.thread_id for m in tg.messages(group)] == [7, 8]
        assert await rows(app, "SELECT count(*) FROM session") == [(2,)]


async def test_the_token_of_a_bot_that_was_revoked_stops_only_that_channel(tmp_path: Path) -> None:
    async with FakeTelegram() as tg:
        wrong = settings(tmp_path, tg, None, token="123456:WRONG-TOKEN-WRONG-TOKEN-WRONG-TOKE")
        async with gateway(wrong) as app:
            await tg.until(lambda: app.platforms.channels[0].state == "auth", timeout=10)
            assert app.ready is not None and "WRONG" not in app.ready
            events = [event async for event in app.manager.say("still here?")]
            assert "still here?" in events[-1].text


async def test_what_was_not_answered_when_the_gateway_ended_is_answered_by_the_next_one(
    tmp_path: Path,
) -> None:
    async with FakeTelegram() as tg, FakeLLM(pace=Pace(before=30)) as llm:
        slow = settings(tmp_path, tg, llm)
        fast = slow.model_copy(update={"gateway": slow.gateway.model_copy(update={"drain_seconds": 0.2})})
        async with gateway(fast):
            tg.user_says(ANN, "hello")
            await llm.arrived(1, within=10)
        llm.pace = Pace()
        llm.say("Here I am again.")
        async with gateway(fast) as app:
            await tg.until(lambda: "Here I am again." in tg.texts(ANN), timeout=10)
            assert [state for (state,) in await rows(app, "SELECT state FROM usage ORDER BY id")] == [
                "estimated",
                "known",
            ]


async def test_a_job_opens_a_session_of_its_own_and_its_answer_is_delivered(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm:
        tg.add_chat(ANN)
        plain = settings(tmp_path, tg, llm)
        job = {
            "name": "news",
            "schedule": "0 9 * * *",
            "prompt": "the news please",
            "deliver_to": f"telegram:{ANN}",
        }
        with_job = Settings.model_validate({**plain.model_dump(), "jobs": [job]})
        async with gateway(with_job) as app:
            await tg.until(lambda: app.platforms.channels[0].state == "ok", timeout=10)
            llm.say("Nothing happened.")
            await app.manager.jobs.run_now("news")
            await tg.until(lambda: "Nothing happened." in tg.texts(ANN), timeout=10)
            assert await rows(app, "SELECT triggered_by, origin FROM session") == [("news", "job")]
            assert await rows(app, "SELECT DISTINCT trigger FROM usage") == [("news",)]
            await asyncio.sleep(0)


def test_a_key_is_all_it_takes_to_be_answered_by_a_real_model() -> None:
    key = {"api_key": "k"}
    own = {**key, "base_url": "http://127.0.0.1:9"}
    assert default_model(Settings()) == "demo:demo"
    assert default_model(Settings.model_validate({"providers": {"anthropic": key}})).startswith("anthropic:")
    assert default_model(Settings.model_validate({"providers": {"anthropic": own}})).startswith("anthropic:")
    assert default_model(Settings.model_validate({"providers": {"openai": own}})).startswith("openai:")


async def test_a_channel_that_is_down_for_five_minutes_is_told_to_the_owner_and_so_is_its_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr("gateway.housekeeping.TICK", 0.05)
    async with FakeTelegram() as tg:
        tg.add_chat(ANN)
        app = await start(settings(tmp_path, tg, None), environ={}, clock=clock)
        try:
            await tg.until(lambda: app.ready is None, timeout=10)
            tg.fault("getUpdates", "status", times=1000, status=502)
            await tg.until(lambda: app.platforms.channels[0].state == "down", timeout=10)
            await asyncio.sleep(0.2)
            assert tg.texts(ANN) == []
            clock.forward(minutes=5)
            await tg.until(lambda: any("down for five minutes" in text for text in tg.texts(ANN)), timeout=10)
            tg.heal()
            await tg.until(lambda: any("works again" in text for text in tg.texts(ANN)), timeout=40)
            assert len(tg.texts(ANN)) == 2
        finally:
            await app.stop()
