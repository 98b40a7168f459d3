"""`python -m bench.files`: what bad files cost. Twenty chats talk all the while; then one person sends a file of 20 MB,
archives, pictures and documents that unpack to far more than they are.

Latencies are Parley's own, from its database: a message received to its answer confirmed by the platform. Memory is
what the kernel says of the gateway and of the processes it starts (Pss: shared pages count once), sampled all the time.
"""

from __future__ import annotations

import base64
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.mixed import ROOT, Server, query
from tests import files
from tests.fakes.llm import KEY
from tests.fakes.telegram import TOKEN

CHATS, FIRST, SENDER = 20, 9001, 8001
PAUSE = 1.5  # seconds between two questions of a person: no limit of the platform comes into it
SECONDS = 12.0  # of talk without files; with them it takes as long as they take
MOST_MEMORY, MOST_LATENCY = 50.0, 2.0  # megabytes more; times the p95 without files
BAD: dict[str, Callable[[], bytes]] = {
    "20 MB of nothing": lambda: bytes(20_000_000),
    "20 MB of text": lambda: b"nothing new here\n" * (20_000_000 // 17),
    "zip bomb, 200 MB": lambda: files.zip_bomb(200),
    "PNG of 30,000 x 30,000": files.bomb,
    "PNG of 3,840 x 2,160": lambda: files.picture(3840, 2160),
    "JPEG of 12,000 x 9,000": lambda: files.picture(12_000, 9_000, format="JPEG"),
    "PDF of 10,000 pages": lambda: files.pdf(*["Nothing new on this page."] * 10_000),
    "PDF that unpacks to 200 MB": lambda: files.pdf_bomb(200),
}


class Memory:
    """The most that a process and its children took, in megabytes, since `restart`."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self.own = self.whole = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def restart(self) -> None:
        self.own = self.whole = 0.0

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            own = _pss(self._pid)
            self.own = max(self.own, own)
            self.whole = max(self.whole, own + sum(map(_pss, _children(self._pid))))


def _pss(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(text.split("Pss:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0  # it has ended


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(each) for each in task.read_text().split()]
        except OSError:
            continue
    return found


class Talk:
    """People who write again as soon as they are answered."""

    def __init__(self, server: Server, database: Path) -> None:
        self._server, self._database = server, database
        self._asked = dict.fromkeys(range(FIRST, FIRST + CHATS), 0)
        self._at = dict.fromkeys(self._asked, 0.0)

    def step(self) -> None:
        done = {
            int(chat): count
            for chat, count in query(
                self._database,
                "SELECT c.chat_id, count(*) FROM outbox o JOIN conversation c ON c.id = o.conversation"
                " WHERE o.kind = 'answer' AND o.state = 'sent' GROUP BY 1",
            )
        }
        for who, asked in self._asked.items():
            if asked <= done.get(who, 0) and time.monotonic() - self._at[who] > PAUSE:
                self._at[who] = time.monotonic()
                self._server.post("say", {"chat_id": who, "user_id": who, "text": "m00001 short"})
                self._asked[who] += 1

    def latencies(self, since: int) -> list[float]:
        """Milliseconds of each answer to a message received from then on (microseconds UTC)."""
        return sorted(
            (sent - received) / 1000
            for received, sent in query(
                self._database,
                "SELECT i.received, max(o.sent) FROM inbox i JOIN outbox o ON o.origin = 'turn:' || i.turn"
                f" JOIN conversation c ON c.id = i.conversation WHERE i.received >= {since} AND o.state = 'sent'"
                f" AND c.chat_id <> '{SENDER}' GROUP BY i.id",
            )
        )


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def drive(server: Server, database: Path, pid: int) -> bool:
    deadline = time.monotonic() + 60
    while not database.exists() or not query(database, "SELECT 1 FROM sqlite_master WHERE name = 'outbox'"):
        if time.monotonic() > deadline:
            raise RuntimeError("the gateway does not start")
        time.sleep(0.1)
    talk, memory = Talk(server, database), Memory(pid)

    def talking(until: Callable[[], bool]) -> list[float]:
        since = time.time_ns() // 1000
        while not until():
            talk.step()
            time.sleep(0.02)
        return talk.latencies(since)

    warm = time.monotonic() + 5
    talking(lambda: time.monotonic() > warm)
    memory.restart()
    end = time.monotonic() + SECONDS
    quiet = talking(lambda: time.monotonic() > end)
    own, whole = memory.own, memory.whole
    print(f"{CHATS} chats, nothing else: p95 {p95(quiet):.0f} ms, {own:.0f} MB")
    good = True
    for name, make in BAD.items():
        data = base64.b64encode(make()).decode()
        memory.restart()
        before = query(database, "SELECT count(*) FROM inbox WHERE json_type(body, '$.files') IS NOT NULL")[
            0
        ][0]
        server.post(
            "document", {"chat_id": SENDER, "user_id": SENDER, "name": "file", "type": "", "base64": data}
        )

        def done(before: int = before) -> bool:
            sql = "SELECT count(*) FROM inbox WHERE json_type(body, '$.files') IS NOT NULL"
            return bool(query(database, sql)[0][0] > before)

        least = time.monotonic() + 4.0
        while_there = talking(lambda done=done, least=least: done() and time.monotonic() > least)
        more, slower = max(memory.whole - whole, 0.0), p95(while_there) / p95(quiet)
        met = more <= MOST_MEMORY and slower <= MOST_LATENCY
        good = good and met
        print(
            f"  {name:28} p95 of the others {p95(while_there):5.0f} ms ({slower:.2f}x), "
            f"gateway +{max(memory.own - own, 0):.0f} MB, with its processes +{more:.0f} MB  "
            f"{'met' if met else 'MISSED'}"
        )
    memory.stop()
    print("  what became of them:")
    for (text,) in query(
        database,
        "SELECT json_extract(body, '$.files') FROM inbox WHERE json_type(body, '$.files') IS NOT NULL",
    ):
        print(f"    {text[:120]}")
    return good


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="parley-files-"))
    model = Server("tests.crash.model", "--before", "0.05", "--between", "0.005")
    server = Server("tests.fakes.telegram", "--token", TOKEN)
    people = [SENDER, *range(FIRST, FIRST + CHATS)]
    file = folder / "parley.toml"
    file.write_text(
        f'[gateway]\ndata_dir = "{folder}"\nlog_level = "warning"\n[agent]\nmodel = "openai:gpt-5-mini"\n'
        f'[providers.openai]\napi_key = "{KEY}"\nbase_url = "{model.told["url"]}/v1"\n'
        f'[channels.telegram]\ntoken = "{TOKEN}"\napi_url = "{server.told["url"]}"\nallow = {people}\n'
        "[limits]\nmessages_per_minute = 100000\n"
    )
    file.chmod(0o600)
    with (folder / "log").open("w") as log:
        gateway = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "run", "-c", str(file)], cwd=ROOT, stdout=log, stderr=log
        )
        try:
            return 0 if drive(server, folder / "parley.db", gateway.pid) else 1
        finally:
            gateway.terminate()
            gateway.wait()
            model.stop()
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
