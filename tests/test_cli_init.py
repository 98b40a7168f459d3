"""From nothing to a configuration that works, with scripted answers."""

from __future__ import annotations

import asyncio
import os
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.cli.probe import provider
from gateway.settings import load
from tests.fakes.llm import FakeLLM
from tests.fakes.recorded import Recorded
from tests.fakes.telegram import TOKEN, FakeTelegram


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("PARLEY_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def init(*words: str, typed: str = "", code: int = 0) -> Result:
    """In a thread: the servers it asks live in this loop."""
    result = await asyncio.to_thread(CliRunner().invoke, app, ["init", *words], input=typed)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def written(home: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((home / "parley.toml").read_text())


async def test_a_newcomer_gets_from_keys_to_an_owner_without_editing_a_file(home: Path) -> None:
    async with FakeLLM() as llm, FakeTelegram() as telegram:
        telegram.user_says(42, "hello bot", first_name="Ann", username="ann")
        result = await init(
            "--anthropic-url", llm.url, "--telegram-url", telegram.url, typed=f"test-key\n{TOKEN}\n\ny\n"
        )  # fmt: skip
        assert telegram.pending == 1  # the gateway will answer it
        assert telegram.confirmed is None
    found = written(home)
    assert found["agent"]["model"] == "anthropic:claude-sonnet-5"
    assert found["providers"]["anthropic"]["api_key"] == "test-key"
    assert found["channels"]["telegram"]["owners"] == [42]
    assert "Ann @ann (id 42)" in result.stdout and "parley run" in result.stdout
    assert (home / "parley.toml").stat().st_mode & 0o777 == 0o600
    assert load(home / "parley.toml", environ={}).channels.telegram.active


async def test_a_wrong_key_and_a_wrong_token_are_asked_for_again(home: Path) -> None:
    async with FakeLLM() as llm, FakeTelegram() as telegram:
        telegram.user_says(42, "hello")
        result = await init(
            "--openai-key", "wrong", "--openai-url", f"{llm.url}/v1", "--telegram-url", telegram.url,
            typed=f"also wrong\ntest-key\nnonsense\n123:not-this-one\n{TOKEN}\n\ny\n",
        )  # fmt: skip
    assert result.stdout.count("the key was refused") == 2
    assert "it looks like 123456:ABC-DEF" in result.stdout and "the token was refused" in result.stdout
    assert written(home)["providers"]["openai"]["api_key"] == "test-key"
    assert written(home)["agent"]["model"] == "openai:gpt-5-mini"


async def test_a_stranger_who_wrote_first_is_not_made_owner(home: Path) -> None:
    async with FakeTelegram() as telegram:
        telegram.user_says(666, "me first", first_name="Mallory")
        telegram.user_says(42, "hello", first_name="Ann")
        await init("--telegram-url", telegram.url, "--telegram-token", TOKEN, typed="7\n\nn\ny\n")
    assert written(home)["channels"]["telegram"]["owners"] == [42]


async def test_a_group_or_another_bot_is_never_offered_as_owner(home: Path) -> None:
    async with FakeTelegram() as telegram:
        telegram.user_says(-5, "in a group", user_id=7, chat_type="group")
        telegram.user_says(42, "hello", first_name="Ann")
        result = await init("--telegram-url", telegram.url, "--telegram-token", TOKEN, typed="7\n\ny\n")
    assert "id 7" not in result.stdout
    assert written(home)["channels"]["telegram"]["owners"] == [42]


async def test_without_any_key_the_demo_is_set_up(home: Path) -> None:
    result = await init(typed="7\n\n\n")
    settings = load(home / "parley.toml", environ={})
    assert not settings.providers and not settings.channels.telegram.active
    assert "parley run" in result.stdout


async def test_a_server_of_ones_own_is_asked_for_its_models(home: Path) -> None:
    async with FakeLLM(api_key=None) as llm:
        await init(typed=f"6\n{llm.url}/v1\nmine\ngpt-4.1\n\n\n")
    found = written(home)
    assert found["agent"]["model"] == "local:gpt-4.1"
    assert found["providers"]["local"] == {
        "kind": "openai",
        "base_url": f"{llm.url}/v1",
        "api_key": "mine",
    }


async def test_an_ollama_needs_its_address_and_a_model(home: Path) -> None:
    async with Recorded("ollama_models") as server:
        result = await init(typed=f"5\n{server.url}/v1\nqwen3:8b\n\n\n")
    assert server.differences == [] and "It has: llama3.2:latest, qwen3:8b" in result.stdout
    found = written(home)
    assert found["agent"]["model"] == "ollama:qwen3:8b"
    assert found["providers"]["ollama"] == {"base_url": f"{server.url}/v1"}
    load(home / "parley.toml", environ={})


async def test_a_server_that_wants_a_key_after_all_is_given_one(home: Path) -> None:
    async with FakeLLM() as llm:
        await init("--ollama-url", f"{llm.url}/v1", "--model", "m", typed="test-key\n\n\n")
    assert written(home)["providers"]["ollama"] == {"base_url": f"{llm.url}/v1", "api_key": "test-key"}


@pytest.mark.parametrize(
    ("name", "said", "models"),
    [
        ("gemini_models", "the key works (2 models)", ("gemini-3.5-flash", "gemini-2.5-pro")),
        ("gemini_models_refused", "the key was refused", ()),
    ],
)
async def test_a_key_of_googles_is_tried(name: str, said: str, models: tuple[str, ...]) -> None:
    async with Recorded(name) as server:
        found = await provider("google", "test-key", server.url)
    assert server.differences == [] and found.text == said
    assert found.models == models


async def test_a_key_of_openrouters_is_tried_where_one_is_needed() -> None:
    async with Recorded("openrouter_models", "openrouter_key_refused") as server:
        found = await provider("openrouter", "test-key", f"{server.url}/api/v1")
    assert server.differences == [] and found.state == "refused"


async def test_a_key_in_the_environment_is_used_and_not_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    async with FakeLLM() as llm:
        await init("--anthropic-url", llm.url, typed="\n\n")
    assert "test-key" not in (home / "parley.toml").read_text()
    assert written(home)["agent"]["model"] == "anthropic:claude-sonnet-5"
    load(home / "parley.toml", environ={"ANTHROPIC_API_KEY": "test-key"})


async def test_a_script_needs_no_answers(home: Path) -> None:
    async with FakeLLM() as llm, FakeTelegram() as telegram:
        await init(
            "--yes", "--anthropic-url", llm.url, "--anthropic-key", "test-key", "--telegram-url", telegram.url,
            "--telegram-token", TOKEN, "--owner", "42", "--data-dir", str(home / "data"),
            "-c", str(home / "etc" / "p.toml"),
        )  # fmt: skip
    settings = load(home / "etc" / "p.toml", environ={})
    assert settings.channels.telegram.owners == ("42",)
    assert settings.gateway.data_dir == home / "data"


async def test_a_wrong_key_in_a_script_writes_nothing(home: Path) -> None:
    async with FakeLLM() as llm:
        result = await init("--yes", "--anthropic-url", llm.url, "--anthropic-key", "wrong", code=1)
    assert "the key given is wrong" in result.stderr
    assert not (home / "parley.toml").exists()


async def test_a_server_that_is_away_can_be_taken_all_the_same(home: Path) -> None:
    result = await init("--openai-url", "http://127.0.0.1:1/v1", "--model", "m", typed="y\n\n\n")
    assert "cannot be reached" in result.stdout
    assert written(home)["agent"]["model"] == "local:m"


async def test_a_configuration_is_never_written_over_unasked(home: Path) -> None:
    (home / "parley.toml").write_text("# mine\n")
    await init("--yes", code=1)
    await init(typed="n\n", code=1)
    assert (home / "parley.toml").read_text() == "# mine\n"
    await init(typed="y\n7\n\n\n")
    (kept,) = home.glob("parley.toml.*")
    assert kept.read_text() == "# mine\n"
    assert written(home).keys() == {"agent", "channels"}


async def test_another_program_with_the_same_token_is_named(home: Path) -> None:
    async with FakeTelegram() as telegram:
        from tests.fakes.telegram import Fault

        telegram.faults.append(Fault("getUpdates", "error", status=409, description="Conflict"))
        result = await init("--telegram-url", telegram.url, "--telegram-token", TOKEN, typed="7\n\n")
    assert "Another program polls" in result.stdout
    assert written(home)["channels"]["telegram"]["owners"] == []
