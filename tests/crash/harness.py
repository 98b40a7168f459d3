"""The stage of the crash tests: two fakes and the gateway as processes, people who write, and a hand with kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gateway.types.measures import SECOND
from tests.crash.clock import FileClock
from tests.crash.model import last_line
from tests.crash.platforms import PLATFORMS, Name, Platform, Shown

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("short", "short", "medium", "long", "long", "tool")
WORD = re.compile(r"\bm\d{5}\b")
BOOT = 30.0  # seconds within which a gateway must poll
SETTLE = 60.0  # seconds within which everything must be answered at the end
REPLY_DELAY = 0.04  # seconds from a call's effect to its answer: time enough for a kill in between
QUIET = 1.2  # seconds without a call that count as the end


class Stuck(Exception):
    """Something did not happen in time; the text says what."""


@dataclass(slots=True)
class Said:
    """A message as a person sent it; *number* is in the name of its event."""

    chat: int
    text: str
    number: int

    @property
    def word(self) -> str:
        return self.text.split()[0]


@dataclass(slots=True)
class Evidence:
    """Everything the judge looks at."""

    platform: Platform
    delivery: str
    database: Path
    said: list[Said] = field(default_factory=list)
    killed_at: list[float] = field(default_factory=list)  # on the monotonic clock, which the fakes share
    shown: dict[int, list[Shown]] = field(default_factory=dict)  # the bot's messages by chat
    errors: list[str] = field(default_factory=list)  # calls that the fake does not understand
    requests: list[dict[str, Any]] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)  # usage of every answer made to its end
    notes: list[str] = field(default_factory=list)  # words the tool wrote down
    shared: set[str] = field(default_factory=set)  # words of the messages that came with a file
    broken: list[str] = field(default_factory=list)  # what was wrong right after a kill
    answered_after: list[float] = field(default_factory=list)  # seconds from a start to the first answer
    polled_after: list[float] = field(default_factory=list)  # seconds from a start to the first poll

    @property
    def kills(self) -> int:
        return len(self.killed_at)


@dataclass(slots=True)
class Life:
    """One process of the gateway, from its start to its kill; *mark*: where the log of calls stood then."""

    process: asyncio.subprocess.Process
    began: float
    mark: int
    pending: bool = False


class Stage:
    """Two fakes that stay and a gateway that comes and goes, in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        platform: Name = "telegram",
        delivery: str = "opening",
        provider: str = "openai",
        chats: int = 8,
        file_every: int = 0,
    ) -> None:
        """*file_every*: so many messages apart people send a file with one, by turns a photo and a text; 0: never."""
        self.folder = folder
        self.data = folder / "data"
        self.clock = FileClock(folder / "clock.txt")  # the gateway's, which a test may set while it runs
        self.platform = PLATFORMS[platform]()
        self.evidence = Evidence(self.platform, delivery, self.data / "parley.db")
        self.chats: list[int] = []
        self.platform_url = self.model_url = ""
        self.settings: dict[str, object] = {}  # the channel's
        self.calls: list[dict[str, Any]] = []  # every call to the platform: at, method, params
        self.life: Life | None = None
        self.module = "tests.crash.gateway"
        self.model: tuple[str, ...] = ("tests.crash.model",)  # and what it is told besides its pace
        self._provider, self._count, self._file_every = provider, chats, file_every
        self._processes: list[asyncio.subprocess.Process] = []
        self._session: aiohttp.ClientSession | None = None
        self._log = folder / "calls.jsonl"
        self._read = 0
        self._kinds: dict[str, str] = {}  # what each word asked for
        self._ends: dict[str, list[str]] = {}  # the last line of an answer under way -> the words it answers
        self._unanswered: set[str] = set()  # words whose whole answer nobody has seen yet
        self._number = 0

    # -- the fakes --------------------------------------------------------------------------------------------

    async def open(self, *, before: float = 0.05, between: float = 0.015) -> None:
        self._session = aiohttp.ClientSession()
        pace = ("--before", str(before), "--between", str(between))
        wire = ("--reply-delay", str(REPLY_DELAY))
        told = json.loads(await self._fake(self.platform.fake, *wire, "--log", str(self._log)))
        self.platform_url = told["url"]
        self.model_url = (await self._fake(*self.model, *pace)).strip()
        self.chats = await self.platform.people(self.control, self._count)
        self.settings = self.platform.settings(told) | {"allow": self.platform.allow(self.chats)}
        if not self.platform.exact:
            self.settings["delivery"] = self.evidence.delivery

    async def _fake(self, module: str, *arguments: str) -> str:
        """Start a fake; gives the first line it prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        self._processes.append(process)
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), BOOT * 2)
        if not line:
            raise Stuck(f"{module} did not start")
        return line.decode()

    async def close(self) -> None:
        if self.life is not None:
            self._processes.append(self.life.process)
        for process in self._processes:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
        await asyncio.gather(*(process.wait() for process in self._processes))
        if self._session is not None:
            await self._session.close()

    async def control(self, what: str, body: Any = None) -> Any:
        """Steer the fake platform; without a body it is a report."""
        assert self._session is not None
        url = f"{self.platform_url}/control/{what}"
        async with self._session.request("GET" if body is None else "POST", url, json=body) as answer:
            told = await answer.json()
        if "error" in told:
            raise ValueError(told["error"])
        return told

    # -- people -----------------------------------------------------------------------------------------------

    async def say(self, chat: int, kind: str, **more: Any) -> Said:
        """A message with a word of its own."""
        self._number += 1
        word = f"m{self._number:05d}"
        if self._file_every and self._number % self._file_every == 0:
            photo = self._number % (2 * self._file_every) == 0
            number = await self.platform.share(self.control, chat, f"{word} {kind}", photo=photo)
            self.evidence.shared.add(word)
            return self._noted(Said(chat, f"{word} {kind}", number))
        return await self.say_text(chat, f"{word} {kind}", **more)

    async def say_text(self, chat: int, text: str, **more: Any) -> Said:
        """Any text; only one that begins with a word of ours is looked for in the answers.

        *more* goes to the fake; *date* is the second it was sent (by the gateway's clock, when that was set).
        """
        if self.clock.ahead and self.platform.name == "telegram":
            more.setdefault("date", self.clock() // SECOND)
        return self._noted(Said(chat, text, await self.platform.say(self.control, chat, text, **more)))

    def _noted(self, said: Said) -> Said:
        if WORD.match(text := said.text):
            self.evidence.said.append(said)
            self._kinds[said.word] = text.split()[-1]
            self._unanswered.add(said.word)
        return said

    # -- the gateway ------------------------------------------------------------------------------------------

    async def start(self, *arguments: str, kill_at: str = "") -> Life:
        """A gateway on the same data; *kill_at* is a fail-point, as in gateway.failpoints."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("_PARLEY")}
        if kill_at:
            environ["_PARLEY_KILL_AT"] = kill_at
        self.look()
        with (self.folder / "gateway.log").open("ab") as log:
            log.write(f"--- start {time.time():.3f} {kill_at}\n".encode())
            log.flush()
            began = time.time()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.module),
                *("--data", str(self.data), "--notes", str(self.folder / "notes.txt")),
                *("--clock", str(self.clock.file)),
                *("--platform", self.platform.name, "--settings", json.dumps(self.settings)),
                *("--model-url", self.model_url, "--provider", self._provider, *arguments),
                cwd=ROOT, env=environ, stdout=log, stderr=log,
            )  # fmt: skip
        self.life = Life(process, began, len(self.calls), bool(self._unanswered))
        return self.life

    async def kill(self) -> None:
        """kill -9, unless it is dead already; then look at what is on disk."""
        assert self.life is not None
        process = self.life.process
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
        await self.buried()

    async def buried(self) -> None:
        """After the end of a gateway: count it, measure it, check the file."""
        assert self.life is not None
        code = await self.life.process.wait()
        if code != -signal.SIGKILL:
            raise Stuck(f"the gateway ended with {code}; see {self.folder / 'gateway.log'}")
        self.evidence.killed_at.append(time.monotonic())
        self._measure()
        self.life = None
        self.evidence.broken += await asyncio.to_thread(
            check_file,
            self.evidence.database,
            self.folder / "copy",
            self.platform.confirmed(self.calls),
            self.evidence,
        )

    async def stop(self) -> None:
        """SIGTERM, as an operator would."""
        assert self.life is not None
        self.life.process.terminate()
        try:
            code = await asyncio.wait_for(self.life.process.wait(), 20.0)
        except TimeoutError:
            raise Stuck("the gateway did not stop on SIGTERM") from None
        if code != 0:
            raise Stuck(f"the gateway stopped with {code}; see {self.folder / 'gateway.log'}")
        self._measure()
        self.life = None

    async def polling(self) -> None:
        """Until the gateway takes messages in."""
        life = self.life
        assert life is not None

        def polled() -> bool:
            return any(self.platform.connected(call["method"]) for call in self.look()[life.mark :])

        await self.until(lambda: polled() or life.process.returncode is not None, BOOT, "no poll")

    async def settled(self, seconds: float = SETTLE, quiet: float = QUIET) -> None:
        """Until everything is answered and nothing has been said for a while."""

        await self.until(lambda: not self.unanswered, seconds, lambda: f"unanswered: {self.unanswered}")
        await self.quiet(quiet, seconds)
        # On a slow machine the last edit may still be on its way; what never ends is told all the same.
        await self.until(lambda: not self._open_chunks(), seconds, "a chunk stays open")

    def _open_chunks(self) -> int:
        with closing(sqlite3.connect(f"{self.evidence.database.as_uri()}?mode=ro", uri=True)) as db:
            return int(
                db.execute("SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'dead')").fetchone()[0]
            )

    async def asked(self, count: int) -> None:
        """Until the model has been asked so often."""
        assert self._session is not None
        deadline = time.monotonic() + BOOT
        while True:
            async with self._session.get(f"{self.model_url}/control/state") as answer:
                if len((await answer.json())["requests"]) >= count:
                    return
            if time.monotonic() > deadline:
                raise Stuck(f"the model was not asked {count} times")
            await asyncio.sleep(0.02)

    async def quiet(self, quiet: float, seconds: float = SETTLE) -> None:
        """Until the bot has connected and then said nothing for *quiet* seconds."""
        await self.polling()

        def done() -> bool:
            last = [call["at"] for call in self.look()[-50:] if call["method"] in self.platform.saved]
            assert self.life is not None
            return time.time() - max([self.life.began, *last]) > quiet

        await self.until(done, seconds, "no end of calls")

    async def until(
        self, condition: Callable[[], bool], seconds: float, what: str | Callable[[], str]
    ) -> None:
        """Raises Stuck after *seconds*."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.life is not None and self.life.process.returncode not in (None, -signal.SIGKILL):
                raise Stuck(f"the gateway ended by itself; see {self.folder / 'gateway.log'}")
            if time.monotonic() > deadline:
                raise Stuck(
                    f"{what if isinstance(what, str) else what()} within {seconds:.0f} s in {self.folder}"
                )
            await asyncio.sleep(0.02)

    # -- what happened ----------------------------------------------------------------------------------------

    def look(self) -> list[dict[str, Any]]:
        """Every call so far."""
        if not self._log.exists():
            return self.calls
        with self._log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                call = json.loads(line)
                self.calls.append(call)
                if call["method"] in self.platform.saved:
                    self._heard(self.platform.text(call["params"]))
        return self.calls

    def _heard(self, text: str) -> None:
        """Which words a text of the bot answers, and whether it is the end of their answer."""
        opening = text.partition("\n")[0]
        if opening.startswith("You said") and (words := WORD.findall(opening)):
            end = last_line(words[0], self._kinds.get(words[-1], "short"))
            if end is None:
                self._unanswered.difference_update(words)
            else:
                self._ends[end] = words
        for end in [end for end in self._ends if end in text]:
            self._unanswered.difference_update(self._ends.pop(end))

    @property
    def spoke(self) -> bool:
        """Whether this life of the gateway has said something."""
        life = self.life
        saved = self.platform.saved
        return life is not None and any(call["method"] in saved for call in self.look()[life.mark :])

    @property
    def unanswered(self) -> list[str]:
        """Words whose whole answer nobody has seen yet."""
        self.look()
        return sorted(self._unanswered)

    def _measure(self) -> None:
        life = self.life
        assert life is not None
        calls = self.look()[life.mark :]
        # A call of the life before may still have been on the wire.
        calls = [call for call in calls if call["at"] > life.began]
        polled = next((call["at"] for call in calls if self.platform.connected(call["method"])), None)
        shown = next((call["at"] for call in calls if call["method"] in self.platform.saved), None)
        if polled is not None:
            self.evidence.polled_after.append(polled - life.began)
        if life.pending and shown is not None:
            self.evidence.answered_after.append(shown - life.began)

    async def collect(self) -> Evidence:
        """The end state, for the judge; the gateway must have stopped."""
        assert self._session is not None
        state = await self.control("state")
        self.evidence.shown, self.evidence.errors = self.platform.shown(state), state["errors"]
        async with self._session.get(f"{self.model_url}/control/state?bodies") as answer:
            told = await answer.json()
        self.evidence.requests, self.evidence.made = told["requests"], told["sent"]
        notes = self.folder / "notes.txt"
        self.evidence.notes = notes.read_text().split() if notes.exists() else []
        return self.evidence


@asynccontextmanager
async def stage(folder: Path, *, kind: type[Stage] = Stage, **facts: Any) -> AsyncIterator[Stage]:
    """A stage whose processes end with it, whatever happens."""
    pace = {name: facts.pop(name) for name in ("before", "between") if name in facts}
    made = kind(folder, **facts)
    try:
        await made.open(**pace)
        yield made
    finally:
        await made.close()


def check_file(database: Path, copy: Path, confirmed_id: int, evidence: Evidence) -> list[str]:
    """Of a copy, so that the gateway recovers its own file: is it whole, and does it hold what was confirmed?"""
    if not database.exists():
        return [] if not confirmed_id else ["no database, yet updates were confirmed"]
    copy.mkdir(exist_ok=True)
    for name in ("parley.db", "parley.db-wal"):
        (copy / name).unlink(missing_ok=True)
        if (database.parent / name).exists():
            shutil.copyfile(database.parent / name, copy / name)
    db = sqlite3.connect(copy / "parley.db")
    try:
        found = [
            f"integrity_check: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"
        ]
        found += [f"foreign_key_check: {row}" for row in db.execute("PRAGMA foreign_key_check")]
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'inbox'").fetchone():
            return found if not confirmed_id else [*found, "no inbox, yet updates were confirmed"]
        stored = {evidence.platform.number(row[0]) for row in db.execute("SELECT event_id FROM inbox")}
    finally:
        db.close()
    lost = [s.text for s in evidence.said if s.number <= confirmed_id and s.number not in stored]
    return found + [f"confirmed to the platform but not on disk: {text}" for text in lost]


# -- the random form ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of it; the same seed gives the same messages and the same moments."""

    kills: int
    messages: int
    seed: int
    platform: Name = "telegram"
    delivery: str = "opening"
    provider: str = "openai"
    chats: int = 8
    file_every: int = 5


async def run(plan: Plan, folder: Path, tell: Callable[[str], None] = lambda text: None) -> Evidence:
    """Kill and start again and again while people write; ends when all is answered. Raises Stuck."""
    rng = random.Random(plan.seed)
    async with stage(
        folder,
        platform=plan.platform,
        delivery=plan.delivery,
        provider=plan.provider,
        chats=plan.chats,
        file_every=plan.file_every,
    ) as on:
        await on.start()
        await on.polling()
        if on.platform.exact:
            await acquainted(on)
        for number in range(plan.kills):
            left, lives = plan.messages - len(on.evidence.said), plan.kills - number
            count = left // lives + (rng.random() < left % lives / lives)
            await live(on, rng, number, count)
            await on.kill()
            await on.start()
            if (number + 1) % 20 == 0:
                tell(f"{number + 1} kills, {len(on.evidence.said)} messages, {len(on.unanswered)} unanswered")
        for _ in range(plan.messages - len(on.evidence.said)):
            await on.say(rng.choice(on.chats), rng.choice(KINDS))
        await on.settled()
        await on.stop()
        return await on.collect()


async def acquainted(on: Stage) -> None:
    """One message in each chat: what is said where nobody has been heard yet is in no history that we would read."""
    for chat in on.chats:
        await on.say(chat, "short")
    await on.settled()


async def live(on: Stage, rng: random.Random, number: int, count: int) -> None:
    """One life: its messages at their moments; returns when it is time to kill.

    Every other life first answers what there is: a turn that dies three times running is put aside, by design,
    and that is another test's matter. Then it is warm, so that a kill soon after a message hits something.
    """
    what = [(rng.choice(on.chats), rng.choice(KINDS)) for _ in range(count)]
    if number % 2:
        await on.polling()
        await on.until(lambda: not on.unanswered, 20.0, lambda: f"unanswered: {on.unanswered}")
        await asyncio.sleep(0.1)  # the last commit of an answer comes after its last call
        await people(on, rng, what, within=0.4, until=rng.uniform(0.0, 0.8))
    elif rng.random() < 0.3:
        await people(on, rng, what, within=0.2, until=rng.uniform(0.0, 1.5))
    else:
        await people(on, rng, what, within=0.2, until=0.2)
        await on.until(lambda: on.spoke or not on.unanswered, 20.0, lambda: f"no answer: {on.unanswered}")
        await asyncio.sleep(rng.uniform(0.0, 0.5))


async def people(
    on: Stage, rng: random.Random, what: Sequence[tuple[int, str]], *, within: float, until: float
) -> None:
    """They write, within so many seconds; comes back after *until* seconds, or when all is said."""
    began = time.monotonic()
    moments = sorted(rng.uniform(0.0, within) for _ in what)
    for moment, (chat, kind) in zip(moments, what, strict=True):
        await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
        await on.say(chat, kind)
    await asyncio.sleep(max(0.0, began + until - time.monotonic()))
