"""The gateway as the crash tests run it: the product's own `run` with settings from the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway import log
from gateway.app import App
from gateway.core import system_clock
from gateway.errors import Refused, StoreError
from gateway.process import run
from gateway.protocols.tool import Tool, ToolContext, ToolSpec
from gateway.settings import Settings
from gateway.types.json import Json
from tests.crash.clock import FileClock
from tests.crash.model import TOOL
from tests.fakes.llm import KEY, OPENAI_MODELS

JOB = "hourly"


class Note:
    """A tool whose effect can be counted: one line in a file each time it runs."""

    def __init__(self, file: Path, seconds: float) -> None:
        self._file, self._seconds = file, seconds
        self.spec = ToolSpec(
            name=TOOL,
            description="Writes a word down.",
            parameters={"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
        )

    async def call(self, args: Json, context: ToolContext) -> str:
        handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{args['word']}\n".encode())
        os.close(handle)
        await asyncio.sleep(self._seconds)
        return f"noted {args['word']}"


def settings(chosen: argparse.Namespace) -> Settings:
    """As below, with the tables of --also over them."""
    found = tables(chosen)
    for table, entries in json.loads(chosen.also or "{}").items():
        found[table] = {**found.get(table, {}), **entries}
    return Settings.model_validate(found)


def tables(chosen: argparse.Namespace) -> Json:
    base_url = chosen.model_url + ("/v1" if chosen.provider == "openai" else "")
    model = OPENAI_MODELS[0] if chosen.provider == "openai" else "claude-sonnet-5"
    job = {"name": JOB, "schedule": "0 * * * *", "prompt": "job00000 short", "deliver_to": [chosen.job_to]}
    return {
        "gateway": {"data_dir": chosen.data, "drain_seconds": 5},
        "agent": {"model": f"{chosen.provider}:{model}", "system_prompt": "Answer."},
        "providers": {
            chosen.provider: {
                "kind": chosen.provider,
                "api_key": KEY,
                "base_url": base_url,
                "price": {model: {"input": 3, "output": 15, "cache_read": 1, "cache_write_5m": 4}},
            }
        },
        "channels": {chosen.platform: json.loads(chosen.settings)},
        "jobs": [*([job] if chosen.job_to else []), *(json.loads(chosen.jobs) if chosen.jobs else [])],
    }


def prodded(name: str) -> Callable[[App], Awaitable[None]]:
    """What otherwise happens once in a while only, three times a second: `sweep`, `alive`, `job` or `tick`."""

    async def prod(app: App) -> None:
        while True:
            await asyncio.sleep(0.3)
            try:
                if name == "sweep":
                    await app.core.dispatcher.sweep()
                elif name == "alive":
                    await app.core.dispatcher.recovery.alive()
                elif name == "tick":
                    app.cron.wake()  # so that nobody waits a minute until a clock that was set is noticed
                elif name == "job" and not await app.cron.history(JOB):
                    await app.manager.jobs.run_now(JOB)
            except (Refused, StoreError) as error:
                log.warning("prod", name=name, error=str(error))

    return prod


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.gateway", fromfile_prefix_chars="@")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--platform", required=True)
    parser.add_argument("--settings", required=True, help="JSON, as in [channels.PLATFORM]")
    parser.add_argument("--provider", choices=("openai", "anthropic"), default="openai")
    parser.add_argument("--model-url", required=True)
    parser.add_argument("--notes", type=Path, required=True, help="the file the tool writes to")
    parser.add_argument("--tool-seconds", type=float, default=0.03)
    parser.add_argument("--job-to", default="", help="address for a job's answers; none: no job")
    parser.add_argument("--jobs", default="", help="JSON, as in [[jobs]]: more jobs")
    parser.add_argument(
        "--clock", type=Path, help="a file that says how far the clock is ahead (microseconds)"
    )
    parser.add_argument("--also", default="", help="JSON: tables of settings, which go before these")
    parser.add_argument("--prod", default="", help="sweep, alive, job or tick")
    chosen = parser.parse_args()
    log.set_up(level="info", stream=sys.stderr)
    tools: dict[str, Tool] = {TOOL: Note(chosen.notes, chosen.tool_seconds)}
    attached = prodded(chosen.prod) if chosen.prod else None
    clock = FileClock(chosen.clock) if chosen.clock else system_clock
    asyncio.run(run(settings(chosen), environ={}, clock=clock, tools=tools, attached=attached))


if __name__ == "__main__":
    main()
