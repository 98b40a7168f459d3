"""What the doctor says of Telegram bots, what `parley run` lists, and what is posted by hand."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.addressee import Addressee, parse
from gateway.cli import app
from gateway.cli.bot_telegram import delivered, polled, privacy, reached
from gateway.cli.probe import TELEGRAM, Answer, Probe
from gateway.cli.run import report
from gateway.config_bots import TelegramAccount
from gateway.errors import Refused
from gateway.settings import Settings
from tests.fakes.telegram import TOKEN, FakeTelegram


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("PARLEY_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PARLEY_GATEWAY__DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def parley(*words: str, typed: str = "", code: int = 0) -> Result:
    """In a thread: the server it asks lives in this loop."""
    result = await asyncio.to_thread(CliRunner().invoke, app, words, input=typed)
    assert result.exit_code == code, (result.output, result.exception)
    return result


async def told(*words: str, code: int = 0) -> Any:
    return json.loads((await parley(*words, "--json", code=code)).stdout)


# -- doctor ---------------------------------------------------------------------------------------------------


def account(**more: Any) -> TelegramAccount:
    return TelegramAccount.model_validate({"token": TOKEN, **more})


@pytest.mark.parametrize(
    "more, hears_all, states",
    [
        ({}, False, []),
        ({"allow": [7]}, False, []),
        ({"allow": [-100]}, None, []),
        ({"allow": [-100]}, True, ["ok"]),
        ({"allow": [-100]}, False, ["warning"]),
        ({"allow": [-100], "group_context": 0}, False, ["ok"]),
        ({"always": [-100], "group_context": 0}, False, ["warning"]),
    ],
)
def test_privacy_mode_is_told_where_groups_are_configured(
    more: dict[str, Any], hears_all: bool | None, states: list[str]
) -> None:
    assert [row.state for row in privacy("telegram", account(**more), hears_all)] == states


def test_a_webhook_of_somebody_else_is_told_before_it_is_taken_away() -> None:
    assert list(polled("telegram", {"url": ""})) == []
    (row,) = polled("telegram", {"url": "https://other.example/secret-path"})
    assert row.state == "warning" and "other.example" in row.text and "secret-path" not in row.text


@pytest.mark.parametrize(
    "url, api_url, info, state",
    [
        ("http://bot.example/t", TELEGRAM, {}, "bad"),
        ("http://bot.example/t", "http://127.0.0.1:8081", {}, None),
        ("https://bot.example/t", TELEGRAM, {"url": ""}, None),
        ("https://bot.example/t", TELEGRAM, {"url": "https://other.example"}, "warning"),
        ("https://bot.example/t", TELEGRAM, {"url": "https://bot.example/t"}, None),
        (
            "https://bot.example/t",
            TELEGRAM,
            {"url": "https://bot.example/t", "last_error_message": "Connection refused"},
            "warning",
        ),
    ],
)
def test_a_webhook_is_looked_at_as_telegram_sees_it(
    url: str, api_url: str, info: dict[str, Any], state: str | None
) -> None:
    rows = list(delivered("telegram", account(webhook_url=url, api_url=api_url), info))
    assert [row.state for row in rows] == ([state] if state else [])


@pytest.mark.parametrize("status, state", [(405, "ok"), (200, "ok"), (502, "warning"), (504, "warning")])
def test_a_proxy_without_a_gateway_behind_it_is_told_apart(status: int, state: str) -> None:
    answer = Answer(status=status, body=None, skew=None)
    assert reached("telegram", "https://bot.example/t", answer).state == state


def test_a_webhook_that_nobody_answers_at_is_told() -> None:
    away = Probe(state="unreachable", text="bot.example cannot be reached (TimeoutError)")
    assert reached("telegram", "https://bot.example/t", away).state == "warning"


async def test_the_doctor_looks_at_each_telegram_bot(home: Path) -> None:
    async with FakeTelegram() as server:
        (home / "parley.toml").write_text(
            f'[channels.telegram]\ntoken = "{TOKEN}"\napi_url = "{server.url}"\nowners = [1]\nallow = [-5]\n'
            '[channels.telegram.accounts.second]\ntoken = "999:wrong"\n'
        )
        rows = await told("doctor", code=1)
    texts = [row["text"] for row in rows if row["name"] == "telegram"]
    assert texts[0].startswith("the token works") and "privacy mode is on" in texts[1]
    (second,) = [row for row in rows if row["name"] == "telegram.second"]
    assert second["state"] == "bad" and "[channels.telegram.accounts.second] token" in second["remedy"]


# -- what is on -----------------------------------------------------------------------------------------------


def test_the_opening_table_lists_every_bot_and_whether_it_is_on(home: Path) -> None:
    settings = Settings.model_validate(
        {
            "channels": {
                "telegram": {"token": TOKEN, "owners": [1], "accounts": {"second": {"token": "2:x"}, "third": {}}},
                "discord": {"accounts": {"work": {"token": "abc", "access": "open"}}},
            }
        }
    )  # fmt: skip
    lines = [line.split() for line in report(settings, log_file="stderr").splitlines()]
    states = {line[0]: line[1] for line in lines if len(line) > 1}
    assert states["telegram"] == states["telegram.second"] == states["discord.work"] == "on"
    assert states["telegram.third"] == states["discord"] == "off"
    assert settings.channels.known() == {
        "telegram": True,
        "telegram.second": True,
        "telegram.third": False,
        "discord": False,
        "discord.work": True,
    }
    said = report(settings, log_file="stderr")
    assert "[channels.telegram.accounts.third] token" in said and "open to everybody" in said


# -- targets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, found",
    [
        ("telegram:12345", Addressee("telegram", "12345")),
        ("telegram:-100123/7", Addressee("telegram", "-100123", "7")),
        ("telegram.second:123", Addressee("telegram.second", "123")),
        ("discord:99/100", Addressee("discord", "99", "100")),
        ("main", Addressee("main", "main")),
        ("main:desk", Addressee("main", "desk")),
    ],
)
def test_a_target_names_bot_chat_and_thread(text: str, found: Addressee) -> None:
    assert parse(text) == found


@pytest.mark.parametrize(
    "text", ["", "telegram", "telegram:", ":1", "telegram:1/", "telegram:1/2/3", "a b:1"]
)
def test_what_is_no_target_is_refused_with_examples(text: str) -> None:
    with pytest.raises(Refused, match="telegram:12345"):
        parse(text)


# -- posting and stopping -------------------------------------------------------------------------------------


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[None]:
    """`parley run` as a service would start it."""
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "run"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(20):
            while not (home / "data" / "parley.sock").exists():
                assert process.poll() is None, (home / "log").read_text()
                await asyncio.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


async def test_a_message_is_posted_once_per_id_through_the_running_gateway(home: Path) -> None:
    async with FakeTelegram() as server:
        server.add_chat(12345)
        server.add_chat(-100200, "supergroup", is_forum=True)
        server.add_thread(-100200, 7)
        (home / "parley.toml").write_text(
            f'[channels.telegram]\ntoken = "{TOKEN}"\napi_url = "{server.url}"\n'
        )
        async with running(home):
            await server.until(lambda: server.calls_of("getUpdates"), 20)
            result = await parley("send", "telegram:12345", "-", "--id", "a", typed="the **backup** is done")
            assert result.stdout == "Sent to telegram:12345.\n"
            again = await told("send", "telegram:12345", "the **backup** is done", "--id", "a")
            assert again == {"id": "a", "messages": 1, "state": "sent", "error": None}
            assert server.texts(12345) == ["the backup is done"]
            other = await parley("send", "telegram:-100200/7", "x", "--id", "a", code=1)
            assert "another place" in other.stderr
            await parley("send", "telegram:-100200/7", "in the topic")
            assert [(each.text, each.thread_id) for each in server.messages(-100200)] == [("in the topic", 7)]
            long = await told("send", "telegram:12345", "word " * 1500)
            assert long["messages"] == 2 and long["state"] == "sent"
            server.block(12345)
            refused = await parley("send", "telegram:12345", "hello?", code=1)
            assert "did not take it" in refused.stderr and "blocked" in refused.stderr
            off = await parley("send", "discord:1", "x", code=1)
            assert "switched off" in off.stderr
            none = await parley("send", "telegram.x:1", "x", code=1)
            assert "no bot 'telegram.x'" in none.stderr


async def test_without_a_gateway_nothing_is_posted_and_it_is_said_what_to_do(home: Path) -> None:
    (home / "parley.toml").write_text(f'[channels.telegram]\ntoken = "{TOKEN}"\n')
    said = await parley("send", "telegram:12345", "x", code=1)
    assert "nothing was sent" in said.stderr and "parley run" in said.stderr


async def test_what_is_posted_to_main_is_a_note_in_its_session_once_per_id(home: Path) -> None:
    for _ in range(2):
        assert (await told("send", "main:desk", "look here", "--id", "a"))["state"] == "sent"
    (session,) = await told("sessions", "list")
    assert (session["key"], session["is_read"]) == ("desk", False)
    shown = await told("sessions", "show", session["id"])
    assert [(each["role"], each["text"]) for each in shown["messages"]] == [("note", "look here")]


async def test_the_emergency_stop_holds_over_restarts_until_it_is_ended(home: Path) -> None:
    assert "next one starts halted" in (await parley("halt", "--why", "the bill")).stdout
    kept = await parley("chat", "-m", "hello", code=1)
    assert "halted" in kept.stderr
    rows = {row["name"]: row for row in await told("doctor")}
    assert "cli: the bill" in rows["halted"]["text"] and rows["halted"]["remedy"] == "parley unhalt"
    async with running(home):
        assert "halted already" in (await parley("halt", code=1)).stderr
        assert (await parley("unhalt")).stdout == "Going on; what was kept is answered.\n"
        assert "hello again" in (await parley("chat", "-m", "hello again")).stdout
        assert (await told("halt"))["halted"] == "cli"
    await parley("unhalt")
    assert "halted" not in {row["name"] for row in await told("doctor")}
    await parley("unhalt", code=1)
