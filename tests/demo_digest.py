"""`make demo-digest`: a digest over a stop at eight o'clock, on the days on which the clocks change.

Real processes: the gateway, whose clock is set; Telegram and the model as servers that behave as the public documents
say. Prints what it does and whether what it expects is true; ends non-zero where it is not.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as Clock
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.digest import summaries
from gateway.types.measures import SECOND
from tests.crash.clock import FileClock
from tests.fakes.llm import OPENAI_MODELS, Ask, FakeLLM, Pace, Reply
from tests.fakes.telegram import FakeTelegram

ROOT = Path(__file__).resolve().parent.parent
BERLIN = ZoneInfo("Europe/Berlin")
ANN = 1001
PATIENCE = 30.0  # seconds for anything that is to happen, on a slow machine
ROSES, REPLY = "How do I prune roses?", "What did you just tell me of the roses?"
LINE = "Pruning roses: in late winter, above a bud."
ANSWERS = {
    ROSES: "In late winter, just above a bud that looks outwards.",
    REPLY: "That they are pruned in late winter.",
}


def changes(after: date, count: int) -> list[date]:
    """The next days on which Berlin's clock changes."""
    found = []
    while len(found) < count:
        after += timedelta(days=1)
        if _offset(after) != _offset(after - timedelta(days=1)):
            found.append(after)
    return found


def _offset(day: date) -> timedelta | None:
    return datetime.combine(day, Clock(12), BERLIN).utcoffset()


def answer(ask: Ask) -> Reply:
    """The model: it answers what it knows, and sums up a digest's conversations where it is asked to."""
    told = json.dumps(ask.body["messages"])
    if summaries.ASKED.partition(".")[0] in told:
        return Reply(text=f"1. {LINE}")
    return Reply(text=next((said for asked, said in ANSWERS.items() if asked in ask.user_text), "I see."))


@dataclass
class Play:
    """One night. *wrong*: what was expected and is untrue."""

    folder: Path
    day: date  # on which the clock changes; the digest is of the day before
    telegram: FakeTelegram
    model: FakeLLM
    tell: Callable[[str], None]
    wrong: list[str] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        self.clock = FileClock(self.folder / "ahead")

    # -- the hands -------------------------------------------------------------------------------------------

    def check(self, what: str, *, true: bool) -> None:
        self.tell(f"    {'ok    ' if true else 'UNTRUE'}  {what}")
        if not true:
            self.wrong.append(what)

    async def start(self, day: date, clock: str) -> None:
        """The gateway begins, and by its clock it is that time in Berlin."""
        moment = datetime.combine(day, Clock.fromisoformat(clock), BERLIN)
        self.clock.set(int(moment.timestamp()) * SECOND)
        self.tell(f"{moment:%A, %d %B %Y, %H:%M} in Berlin: the gateway starts.")
        arguments = {
            "--data": self.folder / "data",
            "--notes": self.folder / "notes.txt",
            "--platform": "telegram",
            "--model-url": self.model.url,
            "--settings": json.dumps(
                {
                    "token": self.telegram.token,
                    "api_url": self.telegram.url,
                    "poll_seconds": 1,
                    "allow": [ANN],
                }
            ),
            "--also": json.dumps({"digest": {"model": f"openai:{OPENAI_MODELS[0]}"}}),
            "--clock": self.clock.file,
        }
        begun = self.begun_lives()
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.crash.gateway"),
                *(str(word) for pair in arguments.items() for word in pair),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        # Before it says so it has looked at what is due, and what is due is on disk.
        await self.until(lambda: self.begun_lives() > begun, "the gateway has started")

    def begun_lives(self) -> int:
        log = self.folder / "gateway.log"
        return (
            sum(" started" in line and "version=" in line for line in log.read_text().splitlines())
            if log.exists()
            else 0
        )

    async def stop(self, *, kill: bool = False) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        code = await process.wait()
        if not kill and code != 0:
            self.check(f"the gateway stops in order (it ended with {code}, see gateway.log)", true=False)

    async def until(self, condition: Callable[[], Any], what: str) -> bool:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline or (
                self.process is not None and self.process.returncode is not None
            ):
                self.check(what, true=False)
                return False
            await asyncio.sleep(0.02)
        return True

    async def says(self, text: str, *, reply_to: int | None = None) -> None:
        """Ann, at the gateway's time."""
        self.tell(f"    Ann:  {text}")
        before = len(self.texts())
        self.telegram.user_says(ANN, text, reply_to=reply_to, date=self.clock() // SECOND)
        await self.until(lambda: len(self.texts()) > before and self.quiet(), f"an answer to “{text}”")
        for each in self.texts()[before:]:
            self.tell(f"    bot:  {each}")

    def quiet(self) -> bool:
        """Whether all that is to be said was said."""
        return not self.rows("SELECT 1 FROM outbox WHERE state NOT IN ('sent', 'dead')") and not self.rows(
            "SELECT 1 FROM inbox WHERE state IN ('waiting', 'taken')"
        )

    def texts(self) -> list[str]:
        return [str(each) for each in self.telegram.texts(ANN) if each]

    def digests(self) -> list[str]:
        return [each for each in self.texts() if "What we talked about" in each or "nothing happened" in each]

    def pictures(self) -> int:
        return sum(call.method == "sendPhoto" and call.status == 200 for call in self.telegram.calls)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        database = self.folder / "data" / "parley.db"
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    # -- the night -------------------------------------------------------------------------------------------

    async def evening(self) -> None:
        await self.start(self.day - timedelta(days=1), "20:00")
        await self.says(ROSES)
        self.check("the question is answered", true=ANSWERS[ROSES] in self.texts())
        await self.says("/digest on 8:00 Europe/Berlin")
        self.check("the digest is set for eight", true="at 08:00 (Europe/Berlin)" in self.texts()[-1])
        await self.stop()

    async def before_eight(self) -> None:
        await self.start(self.day, "07:58")
        await self.until(self.quiet, "all is at rest")
        self.check("nothing comes before its time", true=self.digests() == [])
        self.tell("07:59: the gateway is stopped.")
        await self.stop()

    async def after_eight(self, *, kills: bool) -> None:
        """*kills*: the gateway is killed when the digest is begun, and again when it is being sent."""
        if kills:
            for sign, what in ((self.begun, "is being made"), (self.sending, "is being sent")):
                await self.start(self.day, "08:02")
                await self.until(sign, f"the digest {what}")
                self.tell(f"    The digest {what}: kill -9.")
                await self.stop(kill=True)
        await self.start(self.day, "08:03")
        await self.until(self.digests, "the digest comes")
        await self.until(self.quiet, "all of it is sent")
        for each in self.digests():
            self.tell("\n".join(f"    bot:  {line}" for line in each.splitlines()))
        self.digest_is_right(kills=kills)

    def begun(self) -> bool:
        return bool(self.rows("SELECT 1 FROM turn WHERE trigger = 'digest'"))

    def sending(self) -> bool:
        return bool(self.rows("SELECT 1 FROM outbox WHERE kind = 'job'"))

    def digest_is_right(self, *, kills: bool) -> None:
        texts = self.digests()
        self.check("it has come, once", true=len(texts) == 1)
        self.check(
            "with the bill as a picture" + ("" if kills else ", once"), true=1 <= self.pictures() <= 1 + kills
        )
        before = self.day - timedelta(days=1)
        text = texts[0] if texts else ""
        self.check(f"it is of {before:%A, %d %B}", true=f"{before:%A}, {before.day} {before:%B}" in text)
        self.check(
            "with the time by the clock of that day, and a cheap model's line", true=f"20:00 {LINE}" in text
        )
        planned = datetime.combine(self.day, Clock(8), BERLIN)
        runs = self.rows("SELECT planned, state, delivery FROM job_run")
        due = int(planned.timestamp()) * 1_000_000
        self.check(
            f"its run is that of {planned.astimezone(UTC):%H:%M} UTC", true=runs == [(due, "done", "sent")]
        )
        paid = self.rows("SELECT trigger, purpose, state FROM usage WHERE trigger IS NOT NULL ORDER BY id")
        right = bool(paid) and set(paid) <= {
            ("digest", "summary", "known"),
            ("digest", "summary", "estimated"),
        }
        self.check("its own cost is on the bill, under its name", true=right and (kills or len(paid) == 1))

    async def reply(self) -> None:
        found = next(
            (each for each in self.telegram.messages(ANN) if "What we talked about" in (each.text or "")),
            None,
        )
        await self.says(REPLY, reply_to=found.id if found is not None else None)
        self.check("the reply is answered", true=self.texts()[-1] == ANSWERS[REPLY])
        known = json.dumps(self.model.requests[-1].body["messages"]) if self.model.requests else ""
        self.check("and the model knew what the digest said", true=LINE in known)
        (run,) = self.rows("SELECT session FROM job_run") or [(None,)]
        turn = self.rows("SELECT session FROM turn ORDER BY id DESC LIMIT 1")
        self.check("in the digest's own session", true=turn == [run])
        await self.stop()

    async def once_more(self) -> None:
        await self.start(self.day, "08:10")
        await self.until(self.quiet, "all is at rest")
        self.check("after another start it does not come again", true=len(self.digests()) == 1)
        await self.stop()


@asynccontextmanager
async def stage(folder: Path, day: date, tell: Callable[[str], None]) -> AsyncIterator[Play]:
    model = FakeLLM(script=answer, pace=Pace(before=0.02, between=0.005, chunk=200))
    async with FakeTelegram() as telegram, model:
        play = Play(folder, day, telegram, model, tell)
        try:
            yield play
        finally:
            await play.stop(kill=True)


async def night(folder: Path, day: date, tell: Callable[[str], None], *, kills: bool = False) -> list[str]:
    """What was untrue in one whole night."""
    async with stage(folder, day, tell) as play:
        await play.evening()
        await play.before_eight()
        await play.after_eight(kills=kills)
        await play.reply()
        await play.once_more()
        return play.wrong


def main() -> None:
    wrong: list[str] = []
    today = datetime.now(BERLIN).date()
    for day in changes(today, 2):
        for kills in (False, True):
            print(
                f"\n== The clocks change on {day:%d %B %Y}"
                + (", and the gateway is killed twice" if kills else "")
            )
            with tempfile.TemporaryDirectory(prefix="parley-digest-") as folder:
                wrong += asyncio.run(night(Path(folder), day, print, kills=kills))
    print(f"\n{len(wrong)} untrue" if wrong else "\nAll of it is true.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
