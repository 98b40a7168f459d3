"""Files with the whole gateway: from a platform's own form to the provider's wire, the disk and the bill."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from gateway.app import App, start
from gateway.settings import Settings
from tests import files
from tests.fakes.discord import TOKEN, FakeDiscord
from tests.fakes.hearing import Said
from tests.fakes.llm import KEY, FakeLLM, Pace
from tests.fakes.telegram import FakeTelegram

ANN = 1001


@asynccontextmanager
async def gateway(folder: Path, llm: FakeLLM, **channels: Any) -> AsyncIterator[App]:
    settings = Settings.model_validate({
        "gateway": {"data_dir": folder},
        "agent": {"model": "openai:gpt-5-mini", "retries": 0, "max_output_tokens": 50_000},
        "providers": {"openai": {"api_key": KEY, "base_url": f"{llm.url}/v1"}},
        "transcription": {"provider": "openai"},
        "channels": channels,
    })  # fmt: skip
    app = await start(settings, environ={})
    try:
        yield app
    finally:
        await app.stop()


def telegram(tg: FakeTelegram, **more: object) -> dict[str, object]:
    return {"token": tg.token, "api_url": tg.url, "owners": [ANN], **more}


async def rows(app: App, sql: str) -> list[tuple[object, ...]]:
    return await app.core.store.read(lambda unit: unit.tx.all(sql))


def asked(llm: FakeLLM) -> list[dict[str, Any]]:
    """The parts of the newest question, as they were on the wire."""
    content = llm.requests[-1].body["messages"][-1]["content"]
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def texts(llm: FakeLLM) -> str:
    return "\n".join(part["text"] for part in asked(llm) if part["type"] == "text")


def pictures(llm: FakeLLM) -> list[bytes]:
    urls = [part["image_url"]["url"] for part in asked(llm) if part["type"] == "image_url"]
    return [base64.b64decode(url.partition("base64,")[2]) for url in urls]


def files_of(tg: FakeTelegram) -> list[tuple[str, str]]:
    """Names and texts of the documents that the bot has sent to Ann."""
    found = [each.extra["document"]["file_id"] for each in tg.messages(ANN) if "document" in each.extra]
    return [(tg.world.files[id][0], tg.world.files[id][1].decode()) for id in found]


async def test_a_photo_on_telegram(tmp_path: Path) -> None:
    photo = files.picture(640, 480, format="JPEG")
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(tmp_path, llm, telegram=telegram(tg)):
        llm.say("A red one.")
        tg.user_sends_photo(ANN, photo, "Which colour?")
        await tg.until(lambda: tg.texts(ANN) == ["A red one."], timeout=15)
        assert pictures(llm) == [photo] and texts(llm).endswith("Which colour?")
        llm.say("Still red.")
        tg.user_says(ANN, "And now?")
        await tg.until(lambda: tg.texts(ANN)[-1] == "Still red.", timeout=10)


async def test_an_album_on_telegram_is_one_question(tmp_path: Path) -> None:
    contents = [files.picture(colour=colour) for colour in ("red", "green", "blue")]
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(tmp_path, llm, telegram=telegram(tg)):
        llm.say("Three.")
        tg.user_sends_album(ANN, contents, "How many?")
        await tg.until(lambda: tg.texts(ANN) == ["Three."], timeout=15)
        assert len(llm.requests) == 1 and pictures(llm) == contents


async def test_a_voice_message_is_heard_and_billed(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(tmp_path, llm, telegram=telegram(tg)) as app:
        llm.ears.queue.append(Said(text="What time is it?"))
        llm.say("Noon.")
        tg.user_sends_voice(ANN, files.recording(1.0), seconds=3)
        await tg.until(lambda: tg.texts(ANN) == ["Noon."], timeout=15)
        assert "What time is it?" in texts(llm)
        found = await rows(app, "SELECT purpose, identity IS NULL, units FROM usage ORDER BY id")
        assert [row[0] for row in found] == ["transcription", "chat"] and found[0][1] == 0
        (kept,) = await rows(app, "SELECT count(*) FROM media")
        assert kept == (0,)  # what was said is kept, the recording is not


async def test_a_document_is_read(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(tmp_path, llm, telegram=telegram(tg)):
        llm.say("Got it.")
        tg.user_sends_document(ANN, files.pdf("The answer is 42."), "answer.pdf", "application/pdf")
        await tg.until(lambda: tg.texts(ANN) == ["Got it."], timeout=15)
        assert "The answer is 42." in texts(llm) and "answer.pdf" in texts(llm)


async def test_what_is_no_file_is_told_in_words(tmp_path: Path) -> None:
    shared: list[tuple[dict[str, Any], str]] = [
        ({"sticker": {"file_id": "s", "file_unique_id": "s", "type": "regular", "width": 1, "height": 1,
                      "is_animated": False, "is_video": False, "emoji": "😀"}}, "😀"),
        ({"location": {"latitude": 52.52, "longitude": 13.405}}, "52.52"),
        ({"contact": {"phone_number": "+4930123456", "first_name": "Ann"}}, "+4930123456"),
        ({"dice": {"emoji": "🎲", "value": 4}}, "🎲 4"),
    ]  # fmt: skip
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(tmp_path, llm, telegram=telegram(tg)):
        for number, (facts, expected) in enumerate(shared):
            llm.say(f"Answer {number}.")
            tg.user_says(ANN, None, **facts)
            await tg.until(lambda n=number: f"Answer {n}." in tg.texts(ANN), timeout=15)
            assert expected in texts(llm)


async def test_a_picture_and_a_text_file_on_discord(tmp_path: Path) -> None:
    photo = files.picture(640, 480)
    async with FakeDiscord() as dc, FakeLLM() as llm:
        dc.add_user("ann", id=ANN)
        chat = dc.dm(ANN)
        discord = {"token": TOKEN, "api_url": dc.api_url, "allow": [ANN]}
        async with gateway(tmp_path, llm, discord=discord) as app:
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            llm.say("Red, and a list.")
            dc.user_says(
                chat, "What are these?", user_id=ANN, attachments=[("a.png", photo), ("list.txt", "one\ntwo")]
            )
            await dc.until(lambda: dc.texts(chat) == ["Red, and a list."], timeout=15)
            assert pictures(llm) == [photo] and "one\ntwo" in texts(llm)
            assert await rows(app, "SELECT count(*) FROM media") == [(1,)]
            llm.say("Nothing to read.")
            dc.user_says(chat, "", user_id=ANN, attachments=[("b.bin", b"\x00\x01\x02")])
            await dc.until(lambda: dc.texts(chat)[-1] == "Nothing to read.", timeout=15)
            assert "b.bin" in texts(llm)


LONG = "\n\n".join(f"Paragraph {number}. " + "Some words of it. " * 30 for number in range(60))
CODE = (
    "Here is it:\n\n```python\n"
    + "\n".join(f"print('line {number:04}')" for number in range(600))
    + "\n```\n\nThat was it."
)


async def test_a_very_long_answer_is_its_beginning_and_a_file(tmp_path: Path) -> None:
    async with (
        FakeTelegram() as tg,
        FakeLLM(pace=Pace(between=0.02, chunk=400)) as llm,
        gateway(tmp_path, llm, telegram=telegram(tg)) as app,
    ):
        llm.say(LONG)
        tg.user_says(ANN, "Everything, please")
        await tg.until(lambda: files_of(tg), timeout=40)
        await tg.until(lambda: not app.core.dispatcher.turns_running, timeout=10)
        first, sent = [each for each in tg.messages(ANN) if not each.deleted]
        assert (first.text or "").startswith("Paragraph 0.") and len(first.text or "") <= 4096
        assert files_of(tg) == [("answer.md", LONG.strip())] and not (sent.text or "")
        (body,) = await rows(app, "SELECT body FROM entry WHERE kind = 'assistant'")
        assert json.loads(str(body[0]))["parts"][0]["text"].strip() == LONG.strip()


async def test_long_code_is_a_file_of_its_kind(tmp_path: Path) -> None:
    async with FakeDiscord() as dc, FakeLLM(pace=Pace(between=0.01, chunk=400)) as llm:
        dc.add_user("ann", id=ANN)
        chat = dc.dm(ANN)
        async with gateway(
            tmp_path, llm, discord={"token": TOKEN, "api_url": dc.api_url, "allow": [ANN]}
        ) as app:
            await dc.until(lambda: dc.gateway.counts["identifies"], timeout=10)
            llm.say(CODE)
            dc.user_says(chat, "Code, please", user_id=ANN)
            await dc.until(lambda: any(each.attachments for each in dc.messages(chat)), timeout=40)
            await dc.until(lambda: not app.core.dispatcher.turns_running, timeout=10)
            *texts, sent = [each for each in dc.messages(chat) if not each.deleted]
            assert "code.py" in "".join(each.content for each in texts) and "print" not in "".join(
                each.content for each in texts
            )
            (file,) = sent.attachments
            assert file["filename"] == "code.py"
            async with aiohttp.ClientSession() as web, web.get(dc.world.cdn.signed(file)["url"]) as answer:
                assert (await answer.text()).strip() == CODE.split("```")[1].removeprefix("python\n").strip()
