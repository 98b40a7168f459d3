"""`python -m bench.sessions`: 10,000 sessions with a million messages, on disk, as one person and as the operator.

Lists, searches and what there is to know of one go through `SessionManager`, as every door does; prompts are built of
sessions as they come, and of the longest. The start is of the real program over that database, until its first poll.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Server
from gateway import history, transcript
from gateway.manager import Filter, SessionManager, Viewer
from gateway.sessions import new_code, title_of
from gateway.types.measures import DAY, SECOND
from gateway.types.turns import Entry
from tests.fakes.telegram import TOKEN

if TYPE_CHECKING:
    from storage import Unit

SESSIONS, MESSAGES = 10_000, 1_000_000
PEOPLE = 50
LONG = 1_000  # messages of the longest session
WORDS = 2_000  # different ones; the first are said most
GOAL, PROMPT_GOAL, START_GOAL = 0.100, 0.050, 5.0  # seconds
TIMES = 300
LANDMARK = "landmark"  # is in the title of the longest one alone


@dataclass(frozen=True, slots=True)
class Row:
    """*p50*, *p99* and *goal* in seconds."""

    what: str
    p50: float
    p99: float
    goal: float


def vocabulary() -> list[str]:
    chooser = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(chooser.choices(letters, k=chooser.randint(3, 9))) for _ in range(WORDS)]


def text(chooser: random.Random, words: Sequence[str]) -> str:
    """Some 25 words, of which the first ones come far more often (Zipf)."""
    chosen = (words[min(WORDS - 1, int(chooser.paretovariate(0.7)) - 1)] for _ in range(25))
    return " ".join(chosen)


async def empty(database: Path) -> None:
    async with await SessionManager.open(f"sqlite:///{database}"):
        pass


def fill(database: Path, sessions: int, messages: int) -> None:
    """Straight into the tables, whose triggers make the index of words. The first session is the longest."""
    chooser, words = random.Random(2), vocabulary()
    now = int(time.time()) * SECOND
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    account = db.execute(
        "INSERT INTO account (channel, platform_id, name, state) VALUES ('telegram', '42', 'bot', 'on') RETURNING id"
    ).fetchone()[0]
    places = []
    for number in range(PEOPLE):
        person = db.execute(
            "INSERT INTO person (role, created) VALUES ('user', ?) RETURNING id", (now,)
        ).fetchone()[0]
        db.execute(
            "INSERT INTO identity (person, channel, user_id, name, state) VALUES (?, 'telegram', ?, ?, 'allowed')",
            (person, str(1000 + number), f"Person {number}"),
        )
        place = db.execute(
            "INSERT INTO conversation (account, chat_id, kind) VALUES (?, ?, 'direct') RETURNING id",
            (account, str(1000 + number)),
        ).fetchone()[0]
        places.append((place, person))
    left = messages
    for number in range(sessions):
        place, person = places[number % PEOPLE]
        count = LONG if number == 0 else max(2, (left // (sessions - number)) // 2 * 2)
        left -= count
        begun = now - (sessions - number) * (DAY // 100)
        id = db.execute(
            "INSERT INTO session (code, conversation, owner, state, origin, title, message_count, next_seq, next_turn,"
            " created, last_person, last_active) VALUES (?, ?, ?, 'closed', 'new', ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                *(new_code(), place, person, title_of(text(chooser, words) if number else LANDMARK)),
                *(count, count + 1, count // 2, begun, begun, begun),
            ),
        ).fetchone()[0]
        rows = []
        for seq in range(1, count + 1):
            said = text(chooser, words)
            body = transcript.user(said) if seq % 2 else transcript.assistant([transcript.Text(said)])
            kind = "user" if seq % 2 else "assistant"
            rows.append((id, seq, kind, json.dumps(body), begun + seq))
        db.executemany("INSERT INTO entry (session, seq, kind, body, created) VALUES (?, ?, ?, ?, ?)", rows)
        if number % 500 == 0:
            print(f"\r{number:,} of {sessions:,} sessions", end="", file=sys.stderr, flush=True)
    db.execute("COMMIT")
    db.close()
    print("\r" + " " * 40, end="\r", file=sys.stderr)


async def looked(database: Path) -> list[Row]:
    """What people and the operator ask for, each many times with other words and sessions."""
    words, rows = vocabulary(), list[Row]()
    long = next(word for word in words if len(word) > 6)  # the most common one of that length
    chooser = random.Random(3)
    async with await SessionManager.open(f"sqlite:///{database}") as manager:
        person = await manager.person_of("telegram:1000")
        own = Viewer(person=person)
        every = [each.id for each in await manager.list(limit=1000)]
        longest = (await manager.search(LANDMARK))[0].session.id

        async def prompt(id: str) -> None:
            async def work(unit: Unit) -> list[Entry]:
                session = await unit.sessions.by_code(id)
                assert session is not None
                return await unit.transcript.live(session.id)

            history.build(await manager.core.store.read(work))

        asked: tuple[tuple[str, float, Callable[[], Awaitable[object]]], ...] = (
            ("list, the operator's", GOAL, lambda: manager.list(limit=20)),
            ("list, a person's", GOAL, lambda: manager.list(limit=20, viewer=own)),
            ("list, page 100", GOAL, lambda: manager.list(limit=20, skip=2000)),
            ("list, nothing fits", GOAL, lambda: manager.list(Filter(tag="nothing"))),
            ("search, a rare word", GOAL, lambda: manager.search(chooser.choice(words[WORDS // 2 :]))),
            ("search, the word that is everywhere", GOAL, lambda: manager.search(words[0])),
            ("search, two common words", GOAL, lambda: manager.search(f"{words[1]} {words[2]}")),
            ("search, a beginning", GOAL, lambda: manager.search(f"{chooser.choice(words)[:3]}*")),
            ("search, four letters that are everywhere", GOAL, lambda: manager.search(f"{words[0][:4]}*")),
            ("search, six letters of a common word", GOAL, lambda: manager.search(f"{long[:6]}*")),
            (
                "search, a common word and a beginning",
                GOAL,
                lambda: manager.search(f"{words[0]} {long[:5]}*"),
            ),
            ("search, a person's own", GOAL, lambda: manager.search(words[5], viewer=own)),
            ("search, nowhere", GOAL, lambda: manager.search("nowhereatall")),
            ("show", GOAL, lambda: manager.show(chooser.choice(every))),
            (f"show, {LONG:,} messages", GOAL, lambda: manager.show(longest)),
            ("last messages", GOAL, lambda: manager.last_messages(chooser.choice(every), 10)),
            ("a prompt", PROMPT_GOAL, lambda: prompt(chooser.choice(every))),
            (f"a prompt, {LONG:,} messages", PROMPT_GOAL, lambda: prompt(longest)),
        )
        for what, goal, ask in asked:
            await ask()
            times = []
            for _ in range(TIMES):
                began = time.perf_counter()
                await ask()
                times.append(time.perf_counter() - began)
            times.sort()
            rows.append(Row(what, times[TIMES // 2], times[int(TIMES * 0.99)], goal))
    return rows


def first_poll(database: Path) -> float:
    """Seconds from the start of the program to its first request for updates."""
    telegram = Server("tests.fakes.telegram")
    folder = database.parent
    (folder / "parley.toml").write_text(
        f'[gateway]\ndata_dir = "{folder}"\n[channels.telegram]\ntoken = "{TOKEN}"\napi_url = "{telegram.url}"\n'
    )
    began = time.monotonic()
    with (folder / "gateway.log").open("w") as log:
        program = [sys.executable, "-m", "gateway.cli", "run", "-c", str(folder / "parley.toml")]
        gateway = subprocess.Popen(program, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        while not telegram.get("/control/state")["counts"].get("getUpdates"):
            if gateway.poll() is not None or time.monotonic() - began > 60:
                raise SystemExit((folder / "gateway.log").read_text())
            time.sleep(0.02)
        return time.monotonic() - began
    finally:
        gateway.terminate()
        gateway.wait()
        telegram.stop()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="parley-bench-"))
    try:
        database = folder / "parley.db"
        asyncio.run(empty(database))
        began = time.monotonic()
        fill(database, args.sessions, args.messages)
        size, took = database.stat().st_size / 1e6, time.monotonic() - began
        print(
            f"{time.strftime('%Y-%m-%d')}; {args.sessions:,} sessions, {args.messages:,} messages, {size:,.0f} MB, "
            f"made in {took:.0f} s; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
        )
        rows = asyncio.run(looked(database))
        start = first_poll(database)
        rows.append(Row("start to first poll", start, start, START_GOAL))
        print("| what | p50 | p99 | goal | |\n|---|---|---|---|---|")
        for row in rows:
            p50, p99, goal = (f"{1000 * each:,.1f} ms" for each in (row.p50, row.p99, row.goal))
            print(f"| {row.what} | {p50} | {p99} | {goal} | {'met' if row.p99 <= row.goal else 'missed'} |")
        return 0 if all(row.p99 <= row.goal for row in rows) else 1
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
