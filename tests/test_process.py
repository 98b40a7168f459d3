"""The gateway as a process: signals, its socket, a configuration that changes under it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.fakes.llm import KEY, FakeLLM, Pace
from tests.fakes.telegram import FakeTelegram

ANN = 1001


def configure(tmp_path: Path, tg: FakeTelegram, llm: FakeLLM, *, allow: str = "", more: str = "") -> Path:
    file = tmp_path / "parley.toml"
    file.write_text(
        f"""
[gateway]
data_dir = "{tmp_path}/data"
drain_seconds = 1
[agent]
model = "anthropic:claude-sonnet-5"
[providers.anthropic]
api_key = "{KEY}"
base_url = "{llm.url}"
[channels.telegram]
token = "{tg.token}"
api_url = "{tg.url}"
owners = [{ANN}]
allow = [{allow}]
poll_seconds = 1
{more}
"""
    )
    file.chmod(0o600)
    return file


@asynccontextmanager
async def parley(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.cli", "run", "--no-prompt", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PARLEY_", "ANTHROPIC", "OPENAI"))
        },
        cwd=Path(__file__).parent.parent,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def ask(tmp_path: Path, method: str, path: str) -> tuple[int, object]:
    connector = aiohttp.UnixConnector(str(tmp_path / "data" / "parley.sock"))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.request(method, f"http://localhost{path}") as answer,
    ):
        return answer.status, json.loads(await answer.text())


async def ready(tmp_path: Path) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError, aiohttp.ClientError):
                if (await ask(tmp_path, "GET", "/readyz"))[0] == 200:
                    return
            await asyncio.sleep(0.1)


async def test_sigterm_drains_and_the_next_start_finishes_what_was_parked(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM(pace=Pace(before=60)) as llm:
        config = configure(tmp_path, tg, llm)
        async with parley(config) as process:
            tg.user_says(ANN, "hello")
            await llm.arrived(1, within=20)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
        llm.pace = Pace()
        llm.say("Here I am again.")
        async with parley(config):
            await tg.until(lambda: "Here I am again." in tg.texts(ANN), timeout=20)
        assert tg.texts(ANN) == ["Here I am again."]


async def test_a_changed_configuration_is_taken_over_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm:
        config = configure(tmp_path, tg, llm)
        async with parley(config) as process:
            await ready(tmp_path)
            configure(tmp_path, tg, llm, allow="55", more="tokn = 1")
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(1)
            status, body = await ask(tmp_path, "POST", "/v1/reload")
            assert status == 422 and "tokn" in str(body)
            tg.user_says(55, "hello", user_id=55)
            await tg.until(lambda: any("55" in text for text in tg.texts(55)), timeout=10)
            assert llm.requests == []
            configure(tmp_path, tg, llm, allow="55")
            status, body = await ask(tmp_path, "POST", "/v1/reload")
            assert status == 200 and "channels.telegram.allow" in str(body)
            llm.say("Welcome.")
            tg.user_says(55, "hello", user_id=55)
            await tg.until(lambda: "Welcome." in tg.texts(55), timeout=10)


async def test_a_second_gateway_on_the_same_data_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm:
        config = configure(tmp_path, tg, llm)
        async with parley(config) as first:
            await ready(tmp_path)
            async with parley(config) as second:
                _, err = await asyncio.wait_for(second.communicate(), 30)
                assert second.returncode == 3 and str(first.pid) in err.decode()


async def test_no_secret_and_no_message_is_in_what_the_process_prints(tmp_path: Path) -> None:
    async with FakeTelegram() as tg, FakeLLM() as llm:
        config = configure(tmp_path, tg, llm)
        async with parley(config) as process:
            llm.fail(529)
            tg.user_says(ANN, "my very private words")
            await tg.until(lambda: bool(tg.texts(ANN)), timeout=20)
            process.send_signal(signal.SIGTERM)
            out, err = await asyncio.wait_for(process.communicate(), 20)
            printed = (out + err).decode()
            assert "turn.finished" in printed
            assert KEY not in printed and tg.token not in printed and "private words" not in printed
