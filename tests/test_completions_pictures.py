"""Pictures in /v1/chat/completions: shown to the model that is asked, kept with their session, or refused."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from gateway.completions.shown import Shown
from gateway.protocols.messages import UserMessage
from gateway.settings import Settings
from tests import files
from tests.fakes.model import ScriptedModel
from tests.fakes.site import Site, on
from tests.test_completions import config, last_words, process, talking, until_up
from tests.test_web import TOKEN, Web, free_port

__all__ = ["config"]
RED = files.picture(colour="red")
BLUE = files.picture(colour="blue")


def inline(data: bytes, type: str = "image/png") -> str:
    return f"data:{type};base64,{base64.b64encode(data).decode()}"


def asks(text: str, *urls: str) -> dict[str, Any]:
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [*([{"type": "text", "text": text}] if text else []), *pictures]}


def answers(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


async def ask(ai: AsyncOpenAI, *messages: Any, **more: Any) -> tuple[str, str]:
    """(the answer, the code of its session)."""
    answer = await ai.chat.completions.with_raw_response.create(
        model="parley", messages=list(messages), **more
    )
    return answer.parse().choices[0].message.content or "", answer.headers["x-parley-session"]


def shown(model: ScriptedModel) -> list[bytes]:
    """The pictures of the newest prompt, in order."""
    return [
        each.data for one in model.asked[-1].messages if isinstance(one, UserMessage) for each in one.pictures
    ]


def kept(web: Web) -> list[Path]:
    return sorted(each for each in (web.app.settings.gateway.data_dir / "media").rglob("*") if each.is_file())


async def test_a_picture_reaches_the_model_and_stays_in_its_session(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        first = asks("What is this?", inline(RED))
        text, code = await ask(ai, first)
        assert text == "You said: [image: image/png]\nWhat is this?" and shown(model) == [RED]
        (file,) = kept(web)
        assert file.read_bytes() == RED
        # The program sends it again with what follows: it is known, and not kept twice.
        assert (await ask(ai, first, answers(text), asks("And now?")))[1] == code
        assert shown(model) == [RED] and kept(web) == [file]
        await web.app.manager.delete(code)
        assert kept(web) == []


async def test_the_same_words_with_another_picture_are_another_conversation(config: Settings) -> None:
    async with talking(config) as (_, model, ai):
        text, code = await ask(ai, asks("What is this?", inline(RED)))
        _, other = await ask(ai, asks("What is this?", inline(BLUE)), answers(text), asks("Sure?"))
        assert other != code and shown(model) == [BLUE]
        assert (await ask(ai, asks("What is this?"), answers(text), asks("Sure?")))[1] not in (code, other)
        assert shown(model) == []


async def test_a_history_from_elsewhere_comes_with_its_pictures(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        history = [
            asks("one", inline(RED), inline(BLUE)),
            answers("two colours"),
            asks("", inline(b"broken")),
            answers("?"),
        ]
        await ask(ai, *history, asks("which?"))
        assert shown(model) == [RED, BLUE] and len(kept(web)) == 2
        # What cannot be shown any more keeps nobody from going on.
        assert any("could not be read" in words for words in last_words(model))


async def test_a_picture_alone_is_a_question(config: Settings) -> None:
    async with talking(config) as (_, model, ai):
        await ask(ai, asks("", inline(RED)))
        assert shown(model) == [RED]


async def test_a_model_that_does_not_see_is_told_of_it_and_so_is_who_asks(config: Settings) -> None:
    async with talking(config) as (_, model, ai):
        model.seeing = False
        text, _ = await ask(ai, asks("What is this?", inline(RED)))
        assert shown(model) in ([], [b""]) and "[image: image/png]" in last_words(model)[-1]
        assert text.startswith("You said: ") and "demo:demo cannot see pictures" in text


async def test_a_repeat_with_a_key_keeps_and_asks_once(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        for _ in range(2):
            header = {"Idempotency-Key": "k1"}
            text, _ = await ask(ai, asks("What is this?", inline(RED)), extra_headers=header)
            assert text.startswith("You said: ")
        assert len(model.asked) == 1 and len(kept(web)) == 1
        with pytest.raises(openai.ConflictError):
            await ask(ai, asks("What is this?", inline(BLUE)), extra_headers={"Idempotency-Key": "k1"})


async def test_of_a_picture_that_is_sent_twice_each_place_has_its_own(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        history = [asks("one", inline(RED)), answers("red")]
        _, code = await ask(ai, *history, asks("and this?", inline(RED)))
        assert shown(model) == [RED, RED] and len(kept(web)) == 2
        fork = (await web.app.manager.fork(code, 1)).id
        await web.app.manager.delete(code)
        assert len(kept(web)) == 1
        assert (await ask(ai, *history, asks("or that?"), extra_headers={"x-parley-session": fork}))[
            1
        ] == fork
        assert shown(model) == [RED]


async def test_in_a_named_session_the_last_picture_is_taken(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        code = await web.app.manager.create_session("main", "main")
        before = (asks("never", inline(BLUE)), answers("said"))
        await ask(ai, *before, asks("this?", inline(RED)), extra_headers={"x-parley-session": code})
        assert shown(model) == [RED] and len(kept(web)) == 1


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (inline(b"no picture"), "invalid_image"),
        (inline(RED[:60]), "invalid_image"),
        (inline(files.bomb()), "image_too_large"),
        ("data:image/png;base64,***", "invalid_base64_image"),
        ("data:image/png,%89PNG", "invalid_base64_image"),
        ("http://127.0.0.1:1/a.png", "failed_to_download_image"),
        ("http://[::ffff:7f00:1]/a.png", "failed_to_download_image"),
        ("http://169.254.169.254/latest/meta-data", "failed_to_download_image"),
        ("file:///etc/passwd", "failed_to_download_image"),
        ("a.png", "failed_to_download_image"),
    ],
)
async def test_what_is_no_picture_is_refused_with_the_field_and_nothing_is_kept(
    config: Settings, url: str, code: str
) -> None:
    async with talking(config) as (web, model, ai):
        with pytest.raises(openai.BadRequestError) as refused:
            await ask(ai, asks("What is this?", inline(BLUE), url))
        assert (refused.value.code, refused.value.param) == (code, "messages[0].content[2].image_url")
        assert "messages[0].content[2].image_url" in refused.value.message
        assert model.asked == [] and kept(web) == [] and await web.app.manager.session_count() == 0


async def test_too_many_and_too_large_ones_are_refused_by_what_is_configured(config: Settings) -> None:
    small = config.model_copy(
        update={"media": config.media.model_copy(update={"max_megabytes": 1, "max_files": 2})}
    )
    async with talking(small) as (web, model, ai):
        for message, code, where in (
            (asks("x", *[inline(RED)] * 3), "invalid_image", "messages[0].content[3].image_url"),
            (
                asks("x", inline(RED + bytes(1_000_000))),
                "image_too_large",
                "messages[0].content[1].image_url",
            ),
        ):
            with pytest.raises(openai.BadRequestError) as refused:
                await ask(ai, message)
            assert (refused.value.code, refused.value.param) == (code, where)
        assert model.asked == [] and kept(web) == []
        assert (await ask(ai, asks("x", inline(RED), inline(BLUE))))[0] and shown(model) == [RED, BLUE]


async def test_pictures_of_several_megabytes_come_through(config: Settings) -> None:
    large = files.noise(1200, 1200)
    assert len(large) > 2_000_000
    async with talking(config) as (_, model, ai):
        await ask(ai, asks("What is this?", inline(large)))
        assert len(shown(model)) == 1


async def test_a_picture_at_an_address_is_fetched_by_the_guarded_fetcher(
    config: Settings, tmp_path: Path
) -> None:
    async with Site() as site, talking(config) as (web, model, ai):
        site.answers = {"/red.png": {"body": RED}, "/page": {"body": b"<html>"}, "/gone": {"status": 404}}
        fetcher = on(site)
        web.app.manager.completions._pictures._fetcher = fetcher
        try:
            await ask(ai, asks("What is this?", site.url("/red.png")))
            assert shown(model) == [RED]
            for path, code in (("/page", "invalid_image"), ("/gone", "failed_to_download_image")):
                with pytest.raises(openai.BadRequestError) as refused:
                    await ask(ai, asks("What is this?", site.url(path)))
                assert refused.value.code == code
        finally:
            await fetcher.close()


async def test_with_web_fetch_off_no_address_is_fetched_and_the_way_out_is_told(config: Settings) -> None:
    closed = config.model_copy(update={"tools": config.tools.model_copy(update={"web_fetch": False})})
    async with talking(closed) as (_, model, ai):
        with pytest.raises(openai.BadRequestError) as refused:
            await ask(ai, asks("What is this?", "https://example.com/a.png"))
        assert refused.value.code == "invalid_image_url"
        assert "data:image/png;base64" in refused.value.message and "web_fetch" in refused.value.message
        await ask(ai, asks("What is this?", inline(RED)))
        assert shown(model) == [RED]


@pytest.mark.parametrize("point", ["session:after:1", "session:after:2", "finish:before:1"])
async def test_a_killed_process_leaves_one_question_with_its_picture(tmp_path: Path, point: str) -> None:
    """Killed when it is known which pictures are wanted, when the question is placed, before its answer is on disk."""
    port = free_port()
    config = tmp_path / "parley.toml"
    config.write_text(f'[gateway]\ndata_dir = "{tmp_path}/data"\n[web]\nport = {port}\ntoken = "{TOKEN}"\n')
    config.chmod(0o600)
    header, question = {"idempotency-key": "k"}, asks("hello there", inline(RED))
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key=TOKEN, http_client=http, max_retries=0
        ) as ai,
    ):
        async with process(config, point) as first:
            await until_up(ai)
            with pytest.raises(openai.APIConnectionError):
                await ask(ai, question, extra_headers=header)
            assert await first.wait() == -9
        async with process(config):
            await until_up(ai)
            assert "demo" in (await ask(ai, question, extra_headers=header))[0]
    with closing(sqlite3.connect(tmp_path / "data" / "parley.db")) as db:
        assert db.execute("SELECT count(*) FROM session").fetchone() == (1,)
        shown = "SELECT count(*) FROM entry e, json_each(e.body, '$.files') JOIN media m ON m.id = value ->> 'media'"
        assert db.execute(shown).fetchone() == (1,)
        (path,) = db.execute("SELECT path FROM media").fetchone()
    assert (tmp_path / "data" / "media" / path).read_bytes() == RED


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,aGk=",
        "DATA:image/svg+xml;charset=utf-8;BASE64,aGk=",
        "data:;base64,aGk=",
        "data:image/png;base64,aG\nk=",
    ],
)
def test_what_a_data_address_holds(url: str) -> None:
    assert Shown(url).data() == b"hi" and Shown(url).enclosed
