"""One bot as its own process on fresh fake servers, and what can be measured of it from outside.

Every time is the fake Telegram server's own: when the person wrote and when the call came that made the last
message complete. The driver's own pace is in none of them.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.fakes.llm import KEY, Echo
from tests.fakes.telegram import TOKEN

OUT = Path(__file__).parent / "out"
MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-haiku-4-5"}
LONG = Echo(words=200, repeat=False)  # about 1,200 characters: one message
SHORT = Echo(chars=60, repeat=False)
TICK = os.sysconf("SC_CLK_TCK")
FILE_NAME = "{name}-{run}.log"


class Server:
    """A fake server in a process of its own, and the way to its controls."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        self.url = json.loads(line)["url"] if line.startswith("{") else line
        self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, json.dumps(body))

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        with self._connection.getresponse() as answer:
            content = json.loads(answer.read())
            if answer.status != 200:
                raise RuntimeError(f"{path}: {content}")
            return content

    def stop(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait(10)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared."""

    name: str
    vendor: str
    more: tuple[str, ...] = ()

    def command(self, telegram: str, llm: str, data: Path) -> list[str]:
        module = "bench.gateway" if self.name == "parley" else "bench.bare"
        own = ["--data", str(data)] if self.name == "parley" else []
        return [
            sys.executable, "-m", module, "--telegram", telegram, "--token", TOKEN, "--llm", llm, "--key", KEY,
            "--model", MODELS[self.vendor], "--vendor", self.vendor, *own, *self.more,
        ]  # fmt: skip


@dataclass(slots=True)
class Numbers:
    """What one life of a bot gave; seconds, megabytes, answers a second."""

    first_poll: float = 0.0
    first_answer: float = 0.0
    rss_idle: float = 0.0
    rss_after: float = 0.0
    rss_peak: float = 0.0
    long: list[float] = field(default_factory=list)
    short: list[float] = field(default_factory=list)
    throughput: float = 0.0
    cpu_per_answer: float = 0.0
    at_once: float = 0.0


class Life:
    """A bot from its start to its end. The first message waits for it when it comes up."""

    def __init__(self, side: Side, *, run: str, data: Path) -> None:
        self.side, self._data = side, data
        self.telegram = Server("tests.fakes.telegram")
        self.llm = Server("tests.fakes.llm", "--mode", "plain", "--forget-bodies")
        self._seen = 0
        self._finals: dict[int, list[float]] = {}
        self._polls: list[float] = []
        self._expected = ""
        self._log = (OUT / FILE_NAME.format(name=side.name, run=run)).open("w")
        self._process: subprocess.Popen[bytes] | None = None
        self.born = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self.telegram.stop()
        self.llm.stop()
        self._log.close()

    # -- driving ----------------------------------------------------------------------------------------------

    def answers(self, echo: Echo, before: float = 0.0) -> None:
        """From now on the model says this, after *before* seconds."""
        names = {"words": echo.words, "chars": echo.chars}
        self.llm.post("/control/script", {"echo": names, "pace": {"before": before}})
        self._expected = echo.text("")

    def start(self) -> None:
        self.born = time.monotonic()
        self._process = subprocess.Popen(
            self.side.command(self.telegram.url, self.llm.url, self._data),
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def say(self, *chats: int) -> None:
        self.telegram.post(
            "/control/say", [{"chat_id": chat, "text": "Tell me something."} for chat in chats]
        )

    def look(self) -> list[int]:
        """The chats whose answer has become complete since the last look."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.side.name} has ended: see {self._log.name}")
        found = []
        for call in self.telegram.get(f"/control/calls?since={self._seen}"):
            self._seen += 1
            if call["method"] == "getUpdates":
                self._polls.append(call["at"])
            elif call["params"].get("text") == self._expected:
                chat = int(call["params"]["chat_id"])
                self._finals.setdefault(chat, []).append(call["at"])
                found.append(chat)
        return found

    def wait_for(self, chats: set[int], *, every: float, within: float = 60.0) -> None:
        until = time.monotonic() + within
        while chats:
            chats.difference_update(self.look())
            if time.monotonic() > until:
                raise TimeoutError(f"{self.side.name}: no answer in {sorted(chats)}; see {self._log.name}")
            time.sleep(every)

    def times(self, chats: range) -> list[tuple[float, float]]:
        """(said, complete) of every message of those chats, on the server's clock."""
        state = self.telegram.get("/control/state")["chats"]
        found: list[tuple[float, float]] = []
        for chat in chats:
            said = sorted(each["at"] for each in state[str(chat)]["said"])
            found += zip(said, sorted(self._finals[chat]), strict=True)
        return sorted(found)

    # -- what is measured ----------------------------------------------------------------------------------------

    def first(self, numbers: Numbers) -> None:
        """From the start of the process, with one message waiting for it."""
        self.answers(LONG)
        self.say(1)
        self.start()
        self.wait_for({1}, every=0.05)
        numbers.first_poll = self._polls[0] - self.born
        numbers.first_answer = self._finals[1][0] - self.born

    def latency(self, echo: Echo, chats: range, count: int, *, pace: float) -> list[float]:
        """One message every *pace* seconds, each from the chat that was quiet for longest."""
        self.answers(echo)
        for number in range(count):
            self.say(chats[number % len(chats)])
            time.sleep(pace)
        until = time.monotonic() + 30
        while self.look() or sum(len(self._finals.get(chat, ())) for chat in chats) < count:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.side.name}: answers are missing; see {self._log.name}")
            time.sleep(0.1)
        return [end - said for said, end in self.times(chats)]

    def throughput(self, chats: range, each: int) -> tuple[float, float]:
        """Answers a second, and CPU seconds of the bot an answer, when every chat writes on being answered."""
        self.answers(LONG)
        left = dict.fromkeys(chats, each)
        cpu = self.cpu()
        self.say(*chats)
        while left:
            again = []
            for chat in self.look():
                left[chat] -= 1
                if left[chat]:
                    again.append(chat)
                else:
                    del left[chat]
            if again:
                self.say(*again)
            else:
                time.sleep(0.005)
        used = self.cpu() - cpu
        times = self.times(chats)
        count = len(times)
        return count / (max(end for _, end in times) - times[0][0]), used / count

    def at_once(self, chats: range, before: float) -> float:
        """Seconds until the last of them has the answer of a model that thinks for *before* seconds."""
        self.answers(LONG, before)
        self.say(*chats)
        time.sleep(before)
        self.wait_for(set(chats), every=0.05)
        times = self.times(chats)
        return max(end for _, end in times) - min(said for said, _ in times)

    def memory(self) -> tuple[float, float]:
        """Resident megabytes, now and at most."""
        assert self._process is not None
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        now, most = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, most

    def cpu(self) -> float:
        """CPU seconds used so far, by all threads."""
        assert self._process is not None
        after_name = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICK


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured in one life."""

    long: int = 150
    short: int = 60
    each: int = 8
    chats: int = 50
    pace: float = 0.1
    rest: float = 3.0  # seconds until memory is read


def whole_life(side: Side, *, run: str, data: Path, size: Size) -> Numbers:
    """Everything, in one process: start, rest, one message at a time, fifty chats, fifty with a slow model."""
    numbers = Numbers()
    with Life(side, run=run, data=data) as life:
        life.first(numbers)
        time.sleep(size.rest)
        numbers.rss_idle, _ = life.memory()
        numbers.long = life.latency(LONG, range(2, 22), size.long, pace=size.pace)
        numbers.short = life.latency(SHORT, range(22, 32), size.short, pace=size.pace)
        numbers.rss_after, numbers.rss_peak = life.memory()
        numbers.throughput, numbers.cpu_per_answer = life.throughput(range(101, 101 + size.chats), size.each)
        numbers.at_once = life.at_once(range(201, 201 + size.chats), 2.0)
        numbers.rss_peak = max(numbers.rss_peak, life.memory()[1])
    return numbers


def only_start(side: Side, *, run: str, data: Path) -> Numbers:
    numbers = Numbers()
    with Life(side, run=run, data=data) as life:
        life.first(numbers)
    return numbers
