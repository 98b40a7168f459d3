"""/v1/chat/completions with the stock client, over real sockets: which session a history gets, and what it costs."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from gateway.budgets import Rules
from gateway.errors import ModelError
from gateway.models.catalogue import DEMO
from gateway.price import Rates
from gateway.settings import Settings
from gateway.texts import say
from gateway.web.completion_body import Asking
from gateway.web.completion_request import Unfit, read
from tests.fakes.model import Script, ScriptedModel
from tests.test_web import TOKEN, Web, free_port, listening, settings

USER, ASSISTANT = "user", "assistant"


@asynccontextmanager
async def client(web: Web, **more: Any) -> AsyncIterator[AsyncOpenAI]:
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        AsyncOpenAI(
            base_url=f"{web.tcp}/v1", api_key=more.pop("key", TOKEN), http_client=http, max_retries=0, **more
        ) as found,
    ):
        yield found


@asynccontextmanager
async def talking(config: Settings) -> AsyncIterator[tuple[Web, ScriptedModel, AsyncOpenAI]]:
    async with listening(config) as web, client(web) as ai:
        yield web, web.scripted(), ai


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return settings(tmp_path, web={"port": free_port(), "token": TOKEN})


def said(*texts: str, system: str = "") -> Any:
    """By turns the person's and the model's, the person first."""
    roles = (USER, ASSISTANT)
    found = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *found] if system else found


async def ask(ai: AsyncOpenAI, *texts: str, system: str = "", **more: Any) -> tuple[str, str]:
    """(the answer, the code of its session)."""
    answer = await ai.chat.completions.with_raw_response.create(
        model=more.pop("model", "parley"), messages=said(*texts, system=system), **more
    )
    return answer.parse().choices[0].message.content or "", answer.headers["x-parley-session"]


async def transcript(web: Web, code: str) -> list[tuple[str, str]]:
    return [(each.role, each.text) for each in await web.app.manager.get_messages(code)]


def last_words(model: ScriptedModel) -> list[str]:
    """Everything in the newest prompt, in order."""
    found: list[str] = []
    for message in model.asked[-1].messages:
        found += getattr(message, "texts", None) or [part.text for part in message.parts]  # type: ignore[union-attr]
    return found


# -- which session --------------------------------------------------------------------------------------------


async def test_a_conversation_is_one_session_and_its_answers_cost_what_the_ledger_says(
    config: Settings,
) -> None:
    async with talking(config) as (web, model, ai):
        answer = await ai.chat.completions.create(model="parley", messages=said("one"))
        assert answer.choices[0].message.content == "You said: one"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        _, code = await ask(ai, "one", "You said: one", "two")
        text, again = await ask(ai, "one", "You said: one", "two", "You said: two\n", "three")
        assert (text, again) == ("You said: three", code)
        assert await web.app.manager.session_count() == 1
        assert last_words(model) == ["one", "You said: one", "two", "You said: two", "three"]
        session = await web.app.manager.get_session(code)
        assert session is not None and session.title == "one" and session.message_count == 3
        spent = await web.app.manager.session_usage(code)
        assert answer.usage.prompt_tokens == 10 and spent.tokens.input == 30
        assert answer.usage.total_tokens == 10 + answer.usage.completion_tokens


async def test_what_differs_forks_and_the_first_one_stays_as_it_was(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        await ask(ai, "one")
        _, code = await ask(ai, "one", "You said: one", "two")
        before = await transcript(web, code)
        _, other = await ask(ai, "one", "You said: one", "two, no, three")
        assert other != code
        assert last_words(model) == ["one", "You said: one", "two, no, three"]
        fork = await web.app.manager.get_session(other)
        assert fork is not None and fork.origin == "fork"
        assert await transcript(web, code) == before
        # Each of them goes on by itself.
        for last, expected in (("You said: two", code), ("You said: two, no, three", other)):
            said_before = "two" if expected == code else "two, no, three"
            assert (await ask(ai, "one", "You said: one", said_before, last, "on"))[1] == expected


async def test_a_history_from_elsewhere_begins_a_session_with_all_of_it(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        _, code = await ask(ai, "what is your name?", "Ada", "and mine?", system="Be brief.")
        assert await transcript(web, code) == [
            (USER, "what is your name?"),
            (ASSISTANT, "Ada"),
            ("note", (await transcript(web, code))[2][1]),
            (USER, "and mine?"),
            (ASSISTANT, "You said: and mine?"),
        ]
        assert any("Be brief." in words for words in last_words(model))
        # What the program tells the model is said once, and again when it has changed.
        answered = ("what is your name?", "Ada", "and mine?", "You said: and mine?")
        assert (await ask(ai, *answered, "so?", system="Be brief."))[1] == code
        assert sum(role == "note" for role, _ in await transcript(web, code)) == 1
        assert (await ask(ai, *answered, "so?", "You said: so?", "?", system="Be long."))[1] == code
        assert sum(role == "note" for role, _ in await transcript(web, code)) == 2


async def test_with_the_header_only_the_last_message_is_taken(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        code = await web.app.manager.create_session("main", "main")
        header = {"x-parley-session": code}
        text, found = await ask(ai, "never", "said", "hello", extra_headers=header)
        assert (text, found) == ("You said: hello", code)
        assert last_words(model) == ["hello"]
        await web.say("by the terminal")
        assert (await ask(ai, "and now", extra_headers=header))[1] == code
        assert last_words(model)[::2] == ["hello", "by the terminal", "and now"]
        with pytest.raises(openai.NotFoundError) as failed:
            await ask(ai, "hello", extra_headers={"x-parley-session": "NOSUCHONE1"})
        assert failed.value.param == "X-Parley-Session"


async def test_two_at_once_in_one_session_are_answered_one_after_the_other(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        code = await web.app.manager.create_session("main", "main")
        header = {"x-parley-session": code}
        model.queue += [Script(text="first", pause=0.02), Script(text="second", pause=0.02)]
        one, two = await asyncio.gather(
            ask(ai, "a", extra_headers=header), ask(ai, "b", extra_headers=header)
        )
        assert {one[0], two[0]} == {"first", "second"} and model.most_running == 1
        said_by = [text for role, text in await transcript(web, code)]
        assert said_by in (["a", "first", "b", "second"], ["b", "first", "a", "second"])


async def test_two_at_once_with_one_history_are_two_sessions(config: Settings) -> None:
    async with talking(config) as (_web, model, ai):
        await ask(ai, "one")
        gate = asyncio.Event()
        model.queue += [Script(text="A", gate=gate), Script(text="B", gate=gate)]
        both = [asyncio.create_task(ask(ai, "one", "You said: one", "same")) for _ in range(2)]
        async with asyncio.timeout(20):
            while model.running < 2:
                await asyncio.sleep(0)
        gate.set()
        (text, code), (other_text, other) = await asyncio.gather(*both)
        assert {text, other_text} == {"A", "B"} and code != other


async def test_what_was_archived_or_paused_is_not_gone_on_with(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        manager = web.app.manager
        _, code = await ask(ai, "one")
        await manager.pause_session(code)
        with pytest.raises(openai.ConflictError) as paused:
            await ask(ai, "one", "You said: one", "two")
        assert say("session.paused") in paused.value.message
        await manager.resume_session(code)
        await manager.archive(code)
        _, other = await ask(ai, "one", "You said: one", "two")
        assert other != code and last_words(model) == ["one", "You said: one", "two"]
        with pytest.raises(openai.ConflictError):
            await ask(ai, "two", extra_headers={"x-parley-session": code})


async def test_what_was_deleted_or_taken_back_is_not_what_the_program_knows(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        manager = web.app.manager
        _, code = await ask(ai, "one")
        await ask(ai, "one", "You said: one", "two")
        await manager.undo(code)
        _, other = await ask(ai, "one", "You said: one", "two", "You said: two", "three")
        assert other != code
        assert last_words(model) == ["one", "You said: one", "two", "You said: two", "three"]
        for each in (code, other):
            await manager.delete(each)
        _, new = await ask(ai, "one", "You said: one", "two")
        assert new not in (code, other) and await transcript(web, new) == [
            (USER, "one"),
            (ASSISTANT, "You said: one"),
            (USER, "two"),
            (ASSISTANT, "You said: two"),
        ]
        with closing(sqlite3.connect(web.app.settings.database)) as db:
            assert db.execute("SELECT count(*) FROM asked").fetchone() == (1,)


# -- streams --------------------------------------------------------------------------------------------------


async def test_a_stream_has_the_answer_its_end_and_its_usage_when_wanted(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        said_by_it = "one two\n\n* three\n* four \u00e4\U0001f600"
        model.queue.append(Script(text=said_by_it, pause=0.05))
        options: Any = {"include_usage": True}
        stream = await ai.chat.completions.create(
            model="parley", messages=said("count"), stream=True, stream_options=options
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)
        assert text == said_by_it
        assert sum(bool(each.choices and each.choices[0].delta.content) for each in chunks) > 1
        assert chunks[0].choices[0].delta.role == ASSISTANT
        assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == "stop"
        assert chunks[-1].choices == [] and chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens > 4
        assert all(each.usage is None for each in chunks[:-1])
        assert (await ask(ai, "count", text, "on"))[0] == "You said: on"
        assert await web.app.manager.session_count() == 1
        without = await ai.chat.completions.create(model="parley", messages=said("x"), stream=True)
        assert [each.usage for each in [chunk async for chunk in without]].count(None) >= 3


async def test_the_lines_of_a_stream_are_as_documented(config: Settings) -> None:
    async with talking(config) as (web, _, _ai), web.remote(authorization=f"Bearer {TOKEN}") as http:
        body = {"model": "parley", "messages": said("hi"), "stream": True}
        answer = await http.post("/v1/chat/completions", json=body)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.startswith("data: {") and answer.text.endswith("data: [DONE]\n\n")


async def test_an_answer_that_fails_on_the_way_is_an_error_of_the_stream(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        broken = ModelError("no", kind="refused")
        model.queue.append(Script(text="so far and", error=broken, error_after=2, pause=0.05))
        stream = await ai.chat.completions.create(model="parley", messages=said("hi"), stream=True)
        text = ""
        with pytest.raises(openai.APIError) as failed:
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
        assert text == "so far"
        assert say("failed.refused") in failed.value.message
        # The program has kept what it saw, and goes on from there.
        assert (await ask(ai, "hi", "so far", "go on"))[0] == "You said: go on"
        assert await web.app.manager.session_count() == 1


# -- refusals -------------------------------------------------------------------------------------------------


async def test_a_wrong_key_comes_to_nothing(config: Settings) -> None:
    async with talking(config) as (web, model, _), client(web, key="wrong") as wrong:
        with pytest.raises(openai.AuthenticationError):
            await ask(wrong, "hi")
        with pytest.raises(openai.AuthenticationError):
            await wrong.models.list()
        assert model.asked == []
        assert await web.app.manager.session_count() == 0


async def test_each_key_has_its_own_persons_sessions_and_bill(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        keys, codes = {}, {}
        for number in ("12345", "67890"):
            await web.app.roster.allow(f"telegram:{number}", "user")
            keys[number] = (await web.app.keys.add("operate", who=f"telegram:{number}")).secret
        for number, key in keys.items():
            async with client(web, key=key) as theirs:
                _, codes[number] = await ask(theirs, "hi")
                assert (await ask(theirs, "hi", "You said: hi", "on"))[1] == codes[number]
        assert len(set(codes.values())) == 2
        async with client(web, key=keys["67890"]) as theirs:
            with pytest.raises(openai.NotFoundError):
                await ask(theirs, "hi", extra_headers={"x-parley-session": codes["12345"]})
        bill = await web.app.manager.cost_overview(None, by=("user",))
        assert sorted((each.name, each.usage.turns) for each in bill.by_user) == [
            ("telegram:12345 (telegram:12345)", 2),
            ("telegram:67890 (telegram:67890)", 2),
        ]
        # Whoever has the machine knows every session by its code, and none of theirs by its history.
        assert (await ask(ai, "hi"))[1] not in codes.values()
        looking = (await web.app.keys.add("read", who="telegram:12345")).secret
        asked = len(model.asked)
        async with client(web, key=looking) as theirs:
            with pytest.raises(openai.PermissionDeniedError) as refused:
                await ask(theirs, "hi")
            assert "scope" in refused.value.message
            assert "parley" in [each.id async for each in theirs.models.list()]
        await web.app.roster.block("telegram:12345")
        async with client(web, key=keys["12345"]) as theirs:
            with pytest.raises(openai.AuthenticationError):
                await ask(theirs, "hi")
        assert len(model.asked) == asked


async def test_the_description_of_the_api_has_both(config: Settings) -> None:
    async with talking(config) as (web, _model, _ai):
        told = (await web.local.get("/v1/openapi.json")).json()
        asked = told["paths"]["/v1/chat/completions"]["post"]
        assert {"200", "400", "402", "409", "502", "503"} <= asked["responses"].keys()
        assert "text/event-stream" in asked["responses"]["200"]["content"]
        assert {each["name"] for each in asked["parameters"]} == {"X-Parley-Session", "Idempotency-Key"}
        assert "/v1/models" in told["paths"]


@pytest.mark.parametrize("stream", [False, True])
async def test_over_budget_is_402_with_the_words_and_asked_again_in_the_same_session(
    tmp_path: Path, stream: bool
) -> None:
    tables: Any = {"web": {"port": free_port(), "token": TOKEN}, "budgets": {"session": "0.000001"}}
    async with talking(settings(tmp_path, **tables)) as (web, _, ai):
        web.app.core.pricing.overrides = {"fake/*": Rates(uncached=Decimal(3), output=Decimal(15))}
        model = ScriptedModel(ref=DEMO)
        web.app.core.catalogue._models[DEMO] = model  # type: ignore[assignment]
        for _ in range(2):
            with pytest.raises(openai.APIStatusError) as failed:
                await ai.chat.completions.create(model="parley", messages=said("hi"), stream=stream)
            assert failed.value.status_code == 402
            assert (failed.value.type, failed.value.code) == ("insufficient_quota", "budget")
            assert say("budget.session_total") in failed.value.message
            assert failed.value.response.headers["x-should-retry"] == "false"
        assert model.asked == []
        web.app.core.dispatcher.habits = replace(web.app.core.dispatcher.habits, budgets=Rules())
        assert (await ask(ai, "hi"))[0] == "You said: hi"
        assert await web.app.manager.session_count() == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_halted_is_503_and_is_not_asked_behind_the_callers_back(
    config: Settings, stream: bool
) -> None:
    async with talking(config) as (web, model, ai):
        await web.app.manager.halt(by="cli")
        for _ in range(2):
            with pytest.raises(openai.InternalServerError) as failed:
                await ai.chat.completions.create(model="parley", messages=said("hi"), stream=stream)
            assert failed.value.status_code == 503 and failed.value.code == "unavailable"
            assert say("halt.kept") in failed.value.message
        await settled(web)
        await web.app.manager.unhalt(by="cli")
        assert (await ask(ai, "hi"))[0] == "You said: hi"
        assert len(model.asked) == 1
        assert await web.app.manager.session_count() == 1


async def test_with_a_key_what_was_halted_is_kept_and_the_answer_is_fetched_by_it(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        key = {"idempotency-key": "k1"}
        await web.app.manager.halt(by="cli")
        with pytest.raises(openai.InternalServerError):
            await ask(ai, "hi", extra_headers=key)
        await web.app.manager.unhalt(by="cli")
        assert (await ask(ai, "hi", extra_headers=key))[0] == "You said: hi"
        assert (await ask(ai, "hi", extra_headers=key))[0] == "You said: hi"
        assert len(model.asked) == 1
        with pytest.raises(openai.ConflictError) as failed:
            await ask(ai, "something else", extra_headers=key)
        assert say("completion.key_used") in failed.value.message


async def test_a_provider_that_refuses_is_502_and_says_so(config: Settings) -> None:
    async with talking(config) as (_, model, ai):
        model.queue.append(Script(error=ModelError("key sk-secret", kind="refused")))
        with pytest.raises(openai.InternalServerError) as failed:
            await ask(ai, "hi")
        assert (failed.value.status_code, failed.value.code) == (502, "model")
        assert say("failed.refused") in failed.value.message and "sk-secret" not in failed.value.message


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
RECORDING = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({"model": "gpt-nine"}, 404, "model", "model_not_found"),
        ({"messages": said("hi", "hello")}, 400, "messages[1].role", "invalid_value"),
        ({"messages": [{"role": "system", "content": "x"}]}, 400, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, 400, "messages[0].content", "missing_required_parameter"),
        (
            {"messages": [{"role": "user", "content": [RECORDING]}]},
            400,
            "messages[0].content[0]",
            "unsupported_content_type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "messages[0].content[0].image_url",
            "missing_required_parameter",
        ),
        (
            {"messages": [{"role": "developer", "content": [PICTURE]}, *said("x")]},
            400,
            "messages[0].content[0].image_url",
            "unsupported_content_type",
        ),
        (
            {"messages": [{"role": "tool", "content": "x"}, *said("x")]},
            400,
            "messages[0]",
            "unsupported_value",
        ),
        ({"messages": said(" ")}, 400, "messages", "invalid_value"),
        ({"messages": said("x" * 300_000)}, 400, "messages", "context_length_exceeded"),
        ({"messages": said(*["x"] * 4001)}, 400, "messages", "context_length_exceeded"),
        ({"tools": [TOOL]}, 400, "tools", "unsupported_parameter"),
        ({"tool_choice": "required"}, 400, "tool_choice", "unsupported_parameter"),
        ({"n": 2}, 400, "n", "unsupported_value"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format", "unsupported_value"),
        ({"logprobs": True}, 400, "logprobs", "unsupported_parameter"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_field(
    body: dict[str, Any], status: int, param: str, code: str
) -> None:
    whole = Asking.model_validate({"model": "parley", "messages": said("hi"), **body})
    with pytest.raises(Unfit) as refused:
        read(whole, ["demo:demo"])
    assert (refused.value.status, refused.value.param, refused.value.code) == (status, param, code)
    assert str(refused.value)


async def test_a_refusal_has_openais_form_and_nothing_is_asked(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        with pytest.raises(openai.BadRequestError) as refused:
            await ask(ai, "hi", n=2)
        assert (refused.value.param, refused.value.code) == ("n", "unsupported_value")
        assert refused.value.type == "invalid_request_error"
        assert model.asked == [] and await web.app.manager.session_count() == 0


async def test_every_refusal_has_openais_form(config: Settings) -> None:
    """Also of what never comes to a handler: no key, another web page, a body that is none or is too large."""
    path, body = "/v1/chat/completions", {"model": "parley", "messages": said("hi")}
    async with talking(config) as (web, model, _), web.remote(authorization=f"Bearer {TOKEN}") as http:

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield b" " * 1_000_000

        json_type = {"content-type": "application/json"}
        for status, param, sent in (
            (400, "body", {"content": b"{", "headers": json_type}),
            (400, "body", {"content": b"[]", "headers": json_type}),
            (400, "body", {"content": b"[" * 100_000, "headers": json_type}),
            (400, "messages", {"json": {**body, "messages": []}}),
            (400, "messages[0].role", {"json": {**body, "messages": [{"role": "robot", "content": "x"}]}}),
            (400, "stream", {"json": {**body, "stream": "yes"}}),
            (400, "model", {"json": {"messages": said("hi")}}),
            (400, "messages[0].content", {"json": {**body, "messages": [{"role": "user", "content": 5}]}}),
            (
                400,
                "messages[0].content[1].image_url",
                {
                    "json": {
                        **body,
                        "messages": [
                            {"role": "user", "content": [{"type": "text"}, {**PICTURE, "image_url": "x"}]}
                        ],
                    }
                },
            ),
            (413, None, {"content": endless(), "headers": json_type}),
            (413, None, {"content": b" " * 40_000_000, "headers": json_type}),
            (401, None, {"json": body, "headers": {"authorization": "Bearer wrong"}}),
            (403, None, {"json": body, "headers": {"origin": "http://elsewhere.example"}}),
            (421, None, {"json": body, "headers": {"host": "elsewhere.example"}}),
        ):
            answer = await http.post(path, **sent)  # type: ignore[arg-type]
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (status, param), answer.text
            assert error["message"] and error["type"] and "code" in error
        assert (await http.get(path)).json()["error"][
            "message"
        ] == f"GET is not taken at {path}; it has POST."
        assert model.asked == [] and await web.app.manager.session_count() == 0


async def test_what_changes_nothing_here_is_taken_and_named(config: Settings) -> None:
    async with talking(config) as (_, _model, ai):
        answer = await ai.chat.completions.with_raw_response.create(
            model="parley",
            messages=said("hi"),
            temperature=0.7,
            max_tokens=5,
            tools=[],
            user="ada",
            n=1,
            extra_body={"keep_alive": "5m"},
        )
        assert answer.parse().choices[0].message.content == "You said: hi"
        assert answer.headers["x-parley-ignored"] == "keep_alive, max_tokens, temperature, user"


async def test_the_models_are_the_agent_and_those_people_may_choose(config: Settings) -> None:
    async with talking(config) as (web, _, ai):
        names = [each.id async for each in ai.models.list()]
        assert names == ["parley", *web.app.core.catalogue.allowed]
        assert (await ai.models.retrieve("parley")).id == "parley"
        with pytest.raises(openai.NotFoundError):
            await ai.models.retrieve("gpt-nine")
        _, code = await ask(ai, "hi", model=DEMO)
        session = await web.app.manager.get_session(code)
        assert session is not None and session.model == DEMO
        assert (await ask(ai, "hi", "You said: hi", "on"))[1] == code
        session = await web.app.manager.get_session(code)
        assert session is not None and session.model is None


async def test_parts_of_text_are_one_text_and_a_command_is_only_words(config: Settings) -> None:
    async with talking(config) as (web, _model, ai):
        parts: Any = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        messages: Any = [{"role": "user", "content": parts}]
        answer = await ai.chat.completions.create(model="parley", messages=messages)
        assert answer.choices[0].message.content == "You said: a\n\nb"
        assert (await ask(ai, "/new"))[0] == "You said: /new"
        assert await web.app.manager.session_count() == 2


# -- who goes away ------------------------------------------------------------------------------------------------


async def settled(web: Web) -> None:
    """Until nothing runs and nobody waits."""
    async with asyncio.timeout(20):
        while web.app.core.dispatcher.turns_running or await web.app.core.store.read(
            lambda unit: unit.inbox.total_waiting()
        ):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
async def test_who_goes_away_stops_the_answer_and_goes_on_from_what_they_saw(
    config: Settings, stream: bool
) -> None:
    async with talking(config) as (web, model, ai):
        gate = asyncio.Event()
        model.queue.append(Script(text="one two", gate=gate))
        leaving = asyncio.create_task(
            ai.chat.completions.create(model="parley", messages=said("hi"), stream=stream)
        )
        async with asyncio.timeout(20):
            while not model.running:
                await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await settled(web)
        assert not gate.is_set()
        (session,) = await web.app.manager.list_sessions()
        assert (await web.app.manager.session_usage(session.id)).turns <= 1
        assert (await ask(ai, "hi"))[1] == session.id


async def test_who_goes_away_while_waiting_in_line_is_not_asked_for_any_more(config: Settings) -> None:
    async with talking(config) as (web, model, ai):
        code = await web.app.manager.create_session("main", "main")
        header, gate = {"x-parley-session": code}, asyncio.Event()
        model.queue.append(Script(text="first", gate=gate))
        first = asyncio.create_task(ask(ai, "a", extra_headers=header))
        second = asyncio.create_task(ask(ai, "b", extra_headers=header))
        async with asyncio.timeout(20):
            while await web.app.core.store.read(lambda unit: unit.inbox.total_waiting()) < 1:
                await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        async with asyncio.timeout(20):
            while await web.app.core.store.read(lambda unit: unit.inbox.total_waiting()):
                await asyncio.sleep(0.01)
        gate.set()
        # Which of the two was first is the network's doing.
        with suppress(openai.APIConnectionError):
            await first
        await settled(web)
        assert len(model.asked) == 1


async def test_with_a_key_the_answer_is_made_and_fetched_later(config: Settings) -> None:
    async with talking(config) as (_web, model, ai):
        gate, key = asyncio.Event(), {"idempotency-key": "k"}
        model.queue.append(Script(text="patience", gate=gate))
        leaving = asyncio.create_task(ask(ai, "hi", extra_headers=key))
        async with asyncio.timeout(20):
            while not model.running:
                await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        again = asyncio.create_task(ask(ai, "hi", extra_headers=key))
        gate.set()
        assert (await again)[0] == "patience"
        assert len(model.asked) == 1


async def test_a_client_that_repeats_itself_is_answered_once(config: Settings) -> None:
    async with talking(config) as (_, model, ai):
        first = await ask(ai, "hi")
        again = {"x-stainless-retry-count": "1"}
        assert await ask(ai, "hi", extra_headers=again) == first
        assert len(model.asked) == 1


# -- kill -9 ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(config: Path, kill_at: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    environ = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PARLEY_", "ANTHROPIC", "OPENAI"))
    }
    found = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.cli", "run", "--no-prompt", "--config", str(config)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**environ, **({"_PARLEY_KILL_AT": kill_at} if kill_at else {})},
        cwd=Path(__file__).parent.parent,
    )
    try:
        yield found
    finally:
        with suppress(ProcessLookupError):
            found.kill()
        await found.wait()


async def until_up(ai: AsyncOpenAI) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(openai.APIConnectionError):
                await ai.models.list()
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("point", "keyed"),
    [
        ("session:after:1", True),
        ("session:after:1", False),
        ("finish:before:1", False),
        ("finish:after:1", True),
    ],
)
async def test_a_killed_process_leaves_one_session_and_one_answer(
    tmp_path: Path, point: str, keyed: bool
) -> None:
    """Asked again after the start, it is the same question; without a key, that of an answer nobody heard is new."""
    port = free_port()
    config = tmp_path / "parley.toml"
    config.write_text(f'[gateway]\ndata_dir = "{tmp_path}/data"\n[web]\nport = {port}\ntoken = "{TOKEN}"\n')
    config.chmod(0o600)
    header = {"idempotency-key": "k"} if keyed else {"x-stainless-retry-count": "1"}
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        AsyncOpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key=TOKEN, http_client=http, max_retries=0
        ) as ai,
    ):
        async with process(config, point) as first:
            await until_up(ai)
            with pytest.raises(openai.APIConnectionError):
                await ask(ai, "hello there", extra_headers=header)
            assert await first.wait() == -9
        async with process(config):
            await until_up(ai)
            text, code = await ask(ai, "hello there", extra_headers=header)
            assert "demo" in text
            assert (await ask(ai, "hello there", text, "and on"))[1] == code
    with closing(sqlite3.connect(tmp_path / "data" / "parley.db")) as db:
        assert db.execute("SELECT count(*) FROM session").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM entry WHERE kind = 'user'").fetchone() == (2,)
        assert db.execute("SELECT state, count(*) FROM turn GROUP BY 1").fetchall() == [("done", 2)]
