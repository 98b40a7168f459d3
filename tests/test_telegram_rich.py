"""Rich messages on Telegram: where wanted, never one that fetches, and the usual form where a server has none."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.telegram.channel import Telegram
from channels.telegram.rich import wanted
from gateway.app import start
from gateway.errors import DeliveryError
from gateway.settings import Settings
from gateway.types.outbound import Chunk
from gateway.types.places import Address
from tests.fakes.llm import KEY, FakeLLM, Pace
from tests.fakes.telegram import FakeTelegram

ANN = 1001
TABLE = "Here:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
HERE = Address(account=1, conversation=1, chat_id=str(ANN))


@pytest.fixture
async def tg() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as server:
        server.user_says(ANN, "hello")
        yield server


@pytest.fixture
async def bot(tg: FakeTelegram) -> AsyncIterator[Telegram]:
    made = Telegram(token=tg.token, api_url=tg.url, rich_messages=True, clock=lambda: time.time_ns() // 1000)
    yield made
    await made.close()


def rendered(bot: Telegram, markdown: str) -> Chunk:
    (chunk,) = bot.render(markdown)
    return chunk


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        (TABLE, True),
        ("# Heading\n\ntext", True),
        ("$$\nx^2\n$$", True),
        ("plain **bold** `code`", False),
        ("- a\n- b", False),
        (TABLE + "\n![x](https://evil.example/?secret)", False),
        (TABLE + "\n<img src='https://evil.example/'>", False),
        (TABLE + "\n`<b>` and a < b", True),
        ("```html\n<img src=x>\n```\n\n" + TABLE, True),
        ("```\n| a | b |\n|---|---|\n```", False),
        ("# " + "x" * 40_000, False),
    ],
)
def test_what_is_drawn_by_the_app(markdown: str, expected: bool) -> None:
    assert wanted(markdown) is expected


async def test_an_answer_with_a_table_is_a_rich_message(tg: FakeTelegram, bot: Telegram) -> None:
    await bot.send(HERE, rendered(bot, TABLE), nonce="n")
    (message,) = tg.messages(ANN)
    assert message.extra["rich_message"] == {"markdown": TABLE.strip()}
    await bot.send(HERE, rendered(bot, "**plain**"), nonce="m")
    assert tg.texts(ANN)[-1] == "plain"


async def test_it_takes_the_place_of_what_was_shown(tg: FakeTelegram, bot: Telegram) -> None:
    id = await bot.send(HERE, Chunk(text="Here"), nonce="n")
    await bot.edit(HERE, id, rendered(bot, TABLE))
    (message,) = tg.messages(ANN)
    assert message.extra["rich_message"] == {"markdown": TABLE.strip()} and message.edits == 1
    with pytest.raises(DeliveryError) as raised:
        await bot.edit(HERE, id, rendered(bot, TABLE))
    assert raised.value.kind == "unchanged"


@pytest.mark.parametrize("edited", [False, True])
async def test_a_server_without_them_gets_the_usual_form(
    tg: FakeTelegram, bot: Telegram, edited: bool
) -> None:
    tg.world.unknown.add("sendRichMessage")
    for nonce in ("n", "m"):
        if edited:
            id = await bot.send(HERE, Chunk(text="Here"), nonce=nonce)
            await bot.edit(HERE, id, rendered(bot, TABLE))
        else:
            await bot.send(HERE, rendered(bot, TABLE), nonce=nonce)
    assert all("rich_message" not in each.extra and "1" in (each.text or "") for each in tg.messages(ANN))
    tried = [each for each in tg.calls if "rich_message" in each.params]
    assert len(tried) == 1  # it is asked once


async def test_one_that_is_refused_comes_in_the_usual_form(tg: FakeTelegram, bot: Telegram) -> None:
    tg.fault(
        "sendRichMessage", "error", status=400, description="Bad Request: RICH_VALIDATE_CTOR_NOT_ALLOWED"
    )
    await bot.send(HERE, rendered(bot, TABLE), nonce="n")
    await bot.send(HERE, rendered(bot, TABLE), nonce="m")
    assert ["rich_message" in each.extra for each in tg.messages(ANN)] == [False, True]


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [("lost", {}, "lost"), ("flood", {"retry_after": 3}, "flood"), ("drop", {}, "lost")],
)
async def test_what_would_stop_any_message_is_no_reason_to_send_another(
    tg: FakeTelegram, bot: Telegram, kind: str, more: dict[str, object], expected: str
) -> None:
    tg.fault("sendRichMessage", kind, **more)
    with pytest.raises(DeliveryError) as raised:
        await bot.send(HERE, rendered(bot, TABLE), nonce="n")
    assert raised.value.kind == expected and not tg.calls_of("sendMessage")


async def test_an_answer_grows_as_text_and_ends_rich(tmp_path: Path) -> None:
    answer = "A first sentence that is long enough to be shown before the end comes. " * 4 + "\n\n" + TABLE
    async with FakeTelegram() as tg, FakeLLM(pace=Pace(between=0.05, chunk=20)) as llm:
        settings = Settings.model_validate({
            "gateway": {"data_dir": tmp_path},
            "agent": {"model": "openai:gpt-5-mini"},
            "providers": {"openai": {"api_key": KEY, "base_url": f"{llm.url}/v1"}},
            "channels": {
                "telegram": {"token": tg.token, "api_url": tg.url, "owners": [ANN], "rich_messages": True}
            },
        })  # fmt: skip
        app = await start(settings, environ={})
        try:
            llm.say(answer)
            tg.user_says(ANN, "A table")
            await tg.until(lambda: any("rich_message" in each.extra for each in tg.messages(ANN)), timeout=20)
            (message,) = tg.messages(ANN)
            assert message.extra["rich_message"] == {"markdown": answer.strip()}
            assert "|" not in "".join(map(str, message.history))  # no table was shown raw on the way
        finally:
            await app.stop()
