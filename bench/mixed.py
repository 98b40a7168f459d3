"""`python -m bench.mixed`: fifty chats on each platform, alone and both at once; what the other one costs.

Each person writes again as soon as they are answered. Times are Parley's own, from its database: the first
message taken in to the last answer confirmed by the platform.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fakes.discord import TOKEN as DISCORD
from tests.fakes.llm import KEY
from tests.fakes.telegram import TOKEN as TELEGRAM

ROOT = Path(__file__).parents[1]
CHATS, EACH, GOAL = 50, 6, 1.3
TEXT = "m00001 short"
FIRST = 9001  # user ids from here on


class Server:
    """A fake in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        self.told: dict[str, Any] = json.loads(line) if line.startswith("{") else {"url": line}

    def post(self, what: str, body: object) -> Any:
        request = urllib.request.Request(
            f"{self.told['url']}/control/{what}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def get(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.told['url']}/control/{what}") as answer:
            return json.loads(answer.read())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def run(platforms: Sequence[str], folder: Path) -> tuple[float, float]:
    """Seconds for all answers, and megabytes of memory at the end."""
    model = Server("tests.crash.model", "--before", "0.05", "--between", "0.005")
    servers = {name: Server(f"tests.fakes.{name}", "--token", {"telegram": TELEGRAM, "discord": DISCORD}[name])
               for name in platforms}  # fmt: skip
    people = [FIRST + number for number in range(CHATS)]
    chats = {name: dict.fromkeys(people, 0) for name in platforms}
    for name in platforms:
        for who in people:
            if name == "discord":
                servers[name].post("user", {"username": f"u{who}", "id": who})
                chats[name][who] = servers[name].post("dm", {"user_id": who})["result"]
            else:
                chats[name][who] = who
    tables = {
        "telegram": lambda told: f'token = "{TELEGRAM}"\napi_url = "{told["url"]}"',
        "discord": lambda told: f'token = "{DISCORD}"\napi_url = "{told["api_url"]}"',
    }
    file = folder / "parley.toml"
    file.write_text(
        f'[gateway]\ndata_dir = "{folder}"\nlog_level = "warning"\n[agent]\nmodel = "openai:gpt-5-mini"\n'
        f'[providers.openai]\napi_key = "{KEY}"\nbase_url = "{model.told["url"]}/v1"\n'
        + "".join(
            f"[channels.{name}]\n{tables[name](servers[name].told)}\nallow = {people}\n" for name in platforms
        )
    )
    file.chmod(0o600)
    with (folder / "log").open("w") as log:
        gateway = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "run", "-c", str(file)], cwd=ROOT, stdout=log, stderr=log
        )
        try:
            return drive(platforms, servers, chats, folder / "parley.db", gateway)
        finally:
            gateway.terminate()
            gateway.wait()
            for each in (model, *servers.values()):
                each.stop()


def drive(
    platforms: Sequence[str],
    servers: dict[str, Server],
    chats: dict[str, dict[int, int]],
    database: Path,
    gateway: subprocess.Popen[bytes],
) -> tuple[float, float]:
    def say(name: str, who: int) -> None:
        place = {"chat_id": chats[name][who]} if name == "telegram" else {"channel_id": chats[name][who]}
        servers[name].post("say", {**place, "text": TEXT, "user_id": who})

    answered = 0
    while "discord" in servers and not servers["discord"].get("state")["gateway"]["counts"].get("identifies"):
        time.sleep(0.05)  # what is said before the first start is nobody's
    for name in platforms:  # one each, so that everything is imported
        say(name, FIRST)
    sent = wait(database, gateway, len(platforms))
    began = now(database)
    rounds = {(name, who): EACH for name in platforms for who in chats[name]}
    done = dict.fromkeys(rounds, 0)
    for name, who in rounds:
        say(name, who)
    total = len(rounds) * EACH
    while answered < total:
        for (channel, chat), count in counted(database).items():
            who = next(who for who, place in chats[channel].items() if str(place) == chat)
            count -= who == FIRST  # the first of all
            while done[channel, who] < count:
                done[channel, who] += 1
                answered += 1
                if done[channel, who] < EACH:
                    say(channel, who)
        time.sleep(0.01)
    last = max(sent, now(database))
    memory = int(Path(f"/proc/{gateway.pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
    return (last - began) / 1e6, memory


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def counted(database: Path) -> dict[tuple[str, str], int]:
    """Answers that have arrived whole, by (platform, chat)."""
    rows = query(
        database,
        "SELECT a.channel, c.chat_id, count(*) FROM outbox o JOIN conversation c ON c.id = o.conversation"
        " JOIN account a ON a.id = c.account WHERE o.kind = 'answer' AND o.state = 'sent' GROUP BY 1, 2",
    )
    return {(row[0], row[1]): row[2] for row in rows}


def now(database: Path) -> int:
    """When the last answer arrived, microseconds."""
    return int(query(database, "SELECT coalesce(max(sent), 0) FROM outbox WHERE kind = 'answer'")[0][0])


def wait(database: Path, gateway: subprocess.Popen[bytes], count: int) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and gateway.poll() is None:
        try:
            if sum(counted(database).values()) >= count:
                return now(database)
        except sqlite3.Error:
            pass  # it is not there yet
        time.sleep(0.05)
    raise RuntimeError("the gateway does not answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {"telegram": [], "discord": [], "both": []}
    for _ in range(chosen.rounds):
        for name in found:
            folder = Path(tempfile.mkdtemp(prefix="parley-mixed-"))
            found[name].append(run(["telegram", "discord"] if name == "both" else [name], folder))
            shutil.rmtree(folder, ignore_errors=True)
    seconds = {name: statistics.median(each[0] for each in runs) for name, runs in found.items()}
    memory = {name: statistics.median(each[1] for each in runs) for name, runs in found.items()}
    alone = seconds["telegram"] + seconds["discord"]
    print(f"{CHATS} chats on each platform, {EACH} answers in each, {chosen.rounds} rounds, medians")
    for name in found:
        print(f"  {name:10}{seconds[name]:8.2f} s {memory[name]:8.0f} MB")
    ratio = seconds["both"] / alone
    print(
        f"  both over the sum of either alone: {ratio:.2f}x (goal <= {GOAL}x) {'met' if ratio <= GOAL else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
