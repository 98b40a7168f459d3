"""`python -m bench.jobs`: a thousand jobs, 200 due in the same second, five times; beside a plain APScheduler.

Lateness is from the planned time to the arrival of the run's request at the model, by the model's clock. The plain
one keeps its jobs in memory and asks and sends as soon as APScheduler calls it; it knows no limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.measure import Server
from gateway.types.measures import HOUR, MINUTE, SECOND
from tests.crash.clock import FileClock
from tests.crash.model import MESSAGE
from tests.fakes.llm import KEY, OPENAI_MODELS
from tests.fakes.llm_shape import blocks
from tests.fakes.telegram import TOKEN

BATCHES, DUE = 5, 200
GOAL = 2.0  # seconds
NOON = int(datetime(2030, 6, 1, 12, tzinfo=UTC).timestamp()) * SECOND
APART = 2 * MINUTE
PLAIN_APART = 10.0  # seconds; the plain one goes by the real clock
FIRST = 9001  # user ids from here on
PATIENCE = 60.0  # seconds for a batch


@dataclass(frozen=True, slots=True)
class Found:
    """*late* has seconds for each run that began; *delivered* is from a batch's time to its last message, at worst."""

    late: list[float]
    twice: int
    delivered: float
    start: float

    @property
    def lost(self) -> int:
        return BATCHES * DUE - len(self.late)

    def quantile(self, part: float) -> float:
        return sorted(self.late)[min(len(self.late) - 1, int(len(self.late) * part))]


def word(number: int) -> str:
    return f"job{number:05d}"


class Place:
    """The two servers, and what they have seen."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "calls.jsonl"
        self.telegram = Server("tests.fakes.telegram", "--log", str(self._log))
        self.llm = Server("tests.crash.model", "--before", "0.2", "--between", "0.005")
        for number in range(DUE):
            self.telegram.post("/control/chat", {"chat_id": FIRST + number})

    def stop(self) -> None:
        self.telegram.stop()
        self.llm.stop()

    def asked(self) -> dict[str, list[float]]:
        """When each job's word came to the model, Unix seconds."""
        found: dict[str, list[float]] = {}
        for request in self.llm.get("/control/state?bodies")["requests"]:
            if not (messages := request["body"].get("messages")):
                continue
            text = " ".join(str(part.get("text", "")) for part in blocks(messages[-1]["content"]))
            for each in MESSAGE.findall(text):
                found.setdefault(each.split()[0], []).append(request["at"])
        return found

    def sent(self) -> list[float]:
        """When each message came to the platform."""
        calls = (
            [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []
        )
        return [call["at"] for call in calls if call["method"] == "sendMessage"]

    def until(self, count: int) -> float:
        """When the platform had so many messages; gives up after a while."""
        deadline = time.monotonic() + PATIENCE
        while len(sent := self.sent()) < count and time.monotonic() < deadline:
            time.sleep(0.2)
        return max(sent, default=0.0)


def parley(folder: Path) -> Found:
    place, clock = Place(folder), FileClock(folder / "clock.txt")
    jobs = [
        {
            "name": word(number),
            "schedule": f"{number // DUE * (APART // MINUTE)} 12 * * *",
            "prompt": f"{word(number)} short",
            "deliver_to": [f"telegram:{FIRST + number % DUE}"],
        }
        for number in range(BATCHES * DUE)
    ]
    (folder / "arguments").write_text(f"--jobs\n{json.dumps(jobs)}\n")
    channel = {"token": TOKEN, "api_url": place.telegram.url, "allow": [str(FIRST + n) for n in range(DUE)]}
    clock.set(NOON - HOUR)
    began = time.time()
    with (folder / "gateway.log").open("w") as log:
        gateway = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.crash.gateway", f"@{folder / 'arguments'}"),
                *("--data", str(folder), "--notes", str(folder / "notes"), "--clock", str(clock.file)),
                *("--platform", "telegram", "--settings", json.dumps(channel), "--prod", "tick"),
                *("--model-url", place.llm.url),
            ],
            stdout=log,
            stderr=log,
        )
        try:
            while not place.telegram.get("/control/state")["counts"].get("getUpdates"):
                time.sleep(0.05)
            start = time.time() - began
            time.sleep(2.0)
            planned, delivered = [], 0.0
            for batch in range(BATCHES):
                clock.set(NOON + batch * APART - 2 * SECOND)
                planned.append((NOON + batch * APART - clock.ahead) / SECOND)
                delivered = max(delivered, place.until((batch + 1) * DUE) - planned[-1])
            return found(place, planned, delivered, start)
        finally:
            gateway.terminate()
            gateway.wait()
            place.stop()


def plain(folder: Path) -> Found:
    place = Place(folder)
    began = time.time()
    first = began + 8.0
    scheduler = subprocess.Popen(
        [
            *(sys.executable, "-m", "bench.jobs", "--scheduler", str(first)),
            *("--telegram", place.telegram.url, "--llm", place.llm.url),
        ]
    )
    try:
        planned = [first + batch * PLAIN_APART for batch in range(BATCHES)]
        delivered = 0.0
        for batch, at in enumerate(planned):
            time.sleep(max(0.0, at - time.time()))
            delivered = max(delivered, place.until((batch + 1) * DUE) - at)
        return found(place, planned, delivered, 0.0)
    finally:
        scheduler.terminate()
        scheduler.wait()
        place.stop()


def found(place: Place, planned: list[float], delivered: float, start: float) -> Found:
    asked = place.asked()
    late = [
        asked[name][0] - planned[number // DUE]
        for number in range(BATCHES * DUE)
        if (name := word(number)) in asked
    ]
    return Found(late, sum(len(each) > 1 for each in asked.values()), delivered, start)


def schedule(first: float, telegram: str, llm: str) -> None:
    """The plain one: what one would write in an hour."""
    from apscheduler.schedulers.asyncio import AsyncIOScheduler
    from apscheduler.triggers.date import DateTrigger
    from openai import AsyncOpenAI
    from telegram import Bot
    from telegram.request import HTTPXRequest

    async def main() -> None:
        client = AsyncOpenAI(api_key=KEY, base_url=f"{llm}/v1")
        wire = HTTPXRequest(connection_pool_size=DUE, pool_timeout=PATIENCE)
        bot = Bot(TOKEN, base_url=f"{telegram}/bot", request=wire)
        tool = {"type": "function", "function": {"name": "note", "parameters": {"type": "object"}}}

        async def run(number: int) -> None:
            messages = [{"role": "user", "content": f"{word(number)} short"}]
            stream = await client.chat.completions.create(
                model=OPENAI_MODELS[0], messages=messages, tools=[tool], stream=True
            )
            text = "".join([each.choices[0].delta.content or "" async for each in stream if each.choices])
            await bot.send_message(FIRST + number % DUE, text)

        scheduler = AsyncIOScheduler(timezone=UTC)
        for number in range(BATCHES * DUE):
            at = datetime.fromtimestamp(first, UTC) + timedelta(seconds=number // DUE * PLAIN_APART)
            scheduler.add_job(run, DateTrigger(at, UTC), args=[number])
        scheduler.start()
        await asyncio.Event().wait()

    asyncio.run(main())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.jobs", description=__doc__)
    parser.add_argument("--scheduler", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--telegram", help=argparse.SUPPRESS)
    parser.add_argument("--llm", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.scheduler:
        schedule(chosen.scheduler, chosen.telegram, chosen.llm)
        return 0
    print(f"{BATCHES * DUE} jobs, {DUE} due in the same second, {BATCHES} times\n")
    print("| | lost | twice | lateness p50 | p99 | worst | last message of a batch after |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    good = True
    for name, side in (("plain APScheduler", plain), ("Parley", parley)):
        folder = Path(tempfile.mkdtemp(prefix="bench-jobs-"))
        seen = side(folder)
        shutil.rmtree(folder, ignore_errors=True)
        p50, p99, worst = (seen.quantile(part) for part in (0.5, 0.99, 1.0))
        print(
            f"| {name} | {seen.lost} | {seen.twice} | {p50:.2f} s | {p99:.2f} s | {worst:.2f} s"
            f" | {seen.delivered:.1f} s |",
            flush=True,
        )
        good = name != "Parley" or (not seen.lost and not seen.twice and p99 < GOAL)
    print(f"\nGoal: none lost, none twice, p99 below {GOAL:g} s: {'met' if good else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
