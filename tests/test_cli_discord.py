"""A Discord bot from its token to a configuration that works, and what the doctor says of it."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import discord
import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.cli.portal import NEEDED, Application, Person, application
from gateway.settings import load
from tests.fakes.discord import TOKEN, FakeDiscord

APP = Application(id="55", message_content=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("PARLEY_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PARLEY_GATEWAY__DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
async def server() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(privileged=()) as fake:
        yield fake


async def parley(*words: str, typed: str = "", code: int = 0) -> Result:
    """In a thread: the server it asks lives in this loop."""
    result = await asyncio.to_thread(CliRunner().invoke, app, words, input=typed)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def written(home: Path) -> dict[str, Any]:
    return tomllib.loads((home / "parley.toml").read_text())["channels"]["discord"]


# -- links ----------------------------------------------------------------------------------------------------


def test_the_invite_asks_for_what_is_needed_and_no_more() -> None:
    wanted = discord.Permissions(
        view_channel=True,
        send_messages=True,
        send_messages_in_threads=True,
        create_public_threads=True,
        read_message_history=True,
        add_reactions=True,
        attach_files=True,
        embed_links=True,
    )
    query = parse_qs(urlsplit(APP.invite).query)
    assert wanted.value == NEEDED
    assert query == {
        "client_id": ["55"], "scope": ["bot applications.commands"], "permissions": [str(wanted.value)]
    }  # fmt: skip


def test_the_link_for_people_installs_to_their_account() -> None:
    query = parse_qs(urlsplit(APP.install).query)
    assert query == {"client_id": ["55"], "scope": ["applications.commands"], "integration_type": ["1"]}


def test_of_a_team_its_members_are_people_and_its_owner_comes_first() -> None:
    found = application(
        {
            "id": "9",
            "owner": {"id": "77", "username": "team77"},
            "team": {
                "owner_user_id": "2",
                "members": [
                    {"membership_state": 2, "user": {"id": "1", "username": "ann", "global_name": "Ann"}},
                    {"membership_state": 2, "user": {"id": "2", "username": "bob"}},
                    {"membership_state": 1, "user": {"id": "3", "username": "only invited"}},
                ],
            },
        }
    )
    assert found is not None and found.people == (Person("2", "bob"), Person("1", "Ann"))


@pytest.mark.parametrize("flags, on", [(0, False), (1 << 18, True), (1 << 19, True), (1 << 15, False)])
def test_the_intent_is_on_by_either_of_its_flags(flags: int, on: bool) -> None:
    found = application({"id": "9", "flags": flags})
    assert found is not None and found.message_content is on


@pytest.mark.parametrize("told", [None, [], {}, {"id": ""}, "x"])
def test_what_is_no_application_gives_no_links(told: object) -> None:
    assert application(told) is None


# -- init -----------------------------------------------------------------------------------------------------


async def test_a_bot_gets_from_its_token_to_an_owner_and_its_links(home: Path, server: FakeDiscord) -> None:
    result = await parley("init", "--discord-url", server.url, typed=f"7\n\n{TOKEN}\ny\n")
    assert written(home) == {"token": TOKEN, "api_url": server.api_url, "owners": [1]}
    assert "owner (id 1). Is that you" in result.stdout
    assert f"client_id={server.application_id}&scope=bot" in result.stdout
    assert "integration_type=1" in result.stdout and "Message Content Intent is off" in result.stdout
    assert load(home / "parley.toml", environ={}).channels.discord.active


async def test_a_wrong_token_is_asked_for_again_and_a_pasted_header_is_understood(
    home: Path, server: FakeDiscord
) -> None:
    result = await parley(
        "init", "--discord-url", server.url, typed=f"7\n\nnot a token\nwrong\nBot {TOKEN}\nn\n"
    )
    assert "it is one long word" in result.stdout and "the token was refused" in result.stdout
    assert written(home)["token"] == TOKEN and written(home)["owners"] == []


async def test_a_script_makes_nobody_owner_unless_told(home: Path, server: FakeDiscord) -> None:
    words = ("init", "--yes", "--discord-url", server.url, "--discord-token", TOKEN)
    result = await parley(*words)
    assert written(home)["owners"] == [] and "--discord-owner 1" in result.stdout
    await parley(*words, "--discord-owner", "42", "-c", "other.toml")
    assert load(home / "other.toml", environ={}).channels.discord.owners == ("42",)


async def test_a_wrong_token_in_a_script_writes_nothing(home: Path, server: FakeDiscord) -> None:
    await parley("init", "--yes", "--discord-url", server.url, "--discord-token", "wrong", code=1)
    assert not (home / "parley.toml").exists()


async def test_an_address_that_is_none_is_refused_before_anything_is_asked(home: Path) -> None:
    result = await parley("init", "--discord-url", "discord", code=1)
    assert "--discord-url" in result.stderr and "1." not in result.stdout


# -- doctor ---------------------------------------------------------------------------------------------------


async def doctor(home: Path, server: FakeDiscord, table: str = "", code: int = 0) -> list[dict[str, str]]:
    """What it says of the bot, beside that its token works."""
    (home / "parley.toml").write_text(
        f'[channels.discord]\ntoken = "{TOKEN}"\napi_url = "{server.url}"\nowners = [1]\n{table}'
    )
    rows = json.loads((await parley("doctor", "--json", code=code)).stdout)
    mine = [row for row in rows if row["name"] == "discord"]
    assert mine[0]["text"].startswith("the token works")
    return mine[1:]


async def test_a_bot_without_a_server_is_shown_the_way_into_one(home: Path, server: FakeDiscord) -> None:
    intent, place, gateway = await doctor(home, server)
    assert intent["state"] == "ok" and "reads direct messages, mentions" in intent["text"]
    assert place["state"] == "warning" and f"client_id={server.application_id}" in place["remedy"]
    assert gateway == {
        "name": "discord", "state": "ok", "text": f"its gateway 127.0.0.1:{server.port} answers", "remedy": ""
    }  # fmt: skip


async def test_a_bot_in_a_server_that_may_read_everything_is_well(home: Path, server: FakeDiscord) -> None:
    server.world.privileged.add("message_content")
    server.add_guild(server.add_user())
    rows = await doctor(home, server, "always = [7]\n")
    assert {row["state"] for row in rows} == {"ok"}
    assert "is on" in rows[0]["text"] and rows[1]["text"] == "it is in 1 server"


async def test_an_intent_that_is_demanded_but_off_says_where_the_switch_is(
    home: Path, server: FakeDiscord
) -> None:
    rows = await doctor(home, server, 'message_content = "on"\n', code=1)
    assert rows[0]["state"] == "bad" and f"/{server.application_id}/bot" in rows[0]["remedy"]


@pytest.mark.parametrize("table", ["always = [7]\n", 'always = [7]\nmessage_content = "off"\n'])
async def test_always_without_the_intent_is_told_to_be_in_vain(
    home: Path, server: FakeDiscord, table: str
) -> None:
    rows = await doctor(home, server, table)
    assert rows[0]["state"] == "warning" and "always has no effect" in rows[0]["text"]


async def test_a_gateway_that_is_away_is_named_by_its_setting(home: Path, server: FakeDiscord) -> None:
    rows = await doctor(home, server, 'gateway_url = "ws://127.0.0.1:1"\n', code=1)
    assert rows[-1]["state"] == "bad" and "gateway_url" in rows[-1]["remedy"]


async def test_a_gateway_that_says_something_else_is_no_gateway(home: Path, server: FakeDiscord) -> None:
    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"op": 1}')
        await socket.close()
        return socket

    other = web.Application()
    other.router.add_get("/", talk)
    runner = web.AppRunner(other)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        port = runner.addresses[0][1]
        rows = await doctor(home, server, f'gateway_url = "ws://127.0.0.1:{port}"\n')
    finally:
        await runner.cleanup()
    assert rows[-1]["state"] == "warning" and "something else than hello" in rows[-1]["text"]


async def test_an_open_door_and_a_bot_without_owner_are_told_for_each_bot(
    home: Path, server: FakeDiscord
) -> None:
    (home / "parley.toml").write_text(
        f'[channels.discord]\ntoken = "{TOKEN}"\napi_url = "{server.url}"\naccess = "open"\nowners = [1]\n'
        f'[channels.discord.accounts.second]\ntoken = "wrong"\naccess = "closed"\nowners = []\n'
    )
    rows = json.loads((await parley("doctor", "--json", code=1)).stdout)
    first = [row for row in rows if row["name"] == "discord"]
    second = [row for row in rows if row["name"] == "discord.second"]
    assert 'access = "open"' in first[-1]["text"] and "[channels.discord]" in first[-1]["remedy"]
    assert [row["text"] for row in second] == ["the token was refused", "nobody is owner"]
    assert "[channels.discord.accounts.second] token" in second[0]["remedy"]
    await parley("people", "allow", "discord:5", "--role", "owner")
    rows = json.loads((await parley("doctor", "--json", code=1)).stdout)
    assert "nobody is owner" not in [row["text"] for row in rows]
