"""The store on a real disk: what is acknowledged is there, whatever goes wrong beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

import storage.migrate
from gateway.errors import DiskFull, LeaseLost, Locked, SchemaTooNew, StoreError
from gateway.failpoints import Point
from gateway.floods import Limits
from storage import Store, Unit, open_store
from storage.sqlite import Sqlite
from tests.conftest import Clock
from tests.path import ANN, path

ROOT = Path(__file__).parent.parent


async def put(unit: Unit, key: str, value: str = "1") -> str:
    await unit.meta.put(key, value)
    return key


async def keys(store: Store, like: str = "k%") -> list[str]:
    rows = await store.read(lambda unit: unit.tx.all("SELECT key FROM meta WHERE key LIKE :like", like=like))
    return sorted(row[0] for row in rows)


def database(store: Store) -> Sqlite:
    found = store.database
    assert isinstance(found, Sqlite)
    return found


def writer(store: Store) -> aiosqlite.Connection:
    found = database(store)._writer
    assert found is not None
    return found


@asynccontextmanager
async def busy(store: Store) -> AsyncIterator[None]:
    """The writer is held up inside; what is committed meanwhile makes one batch."""
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    async def work(unit: Unit) -> None:
        await put(unit, "holding")
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)

    held = asyncio.create_task(store.commit(Point.META, work))
    await begun.wait()
    try:
        yield
    finally:
        go_on.set()
        await held


# ---- units of work ----


async def test_what_waits_for_the_writer_is_committed_at_once(store: Store) -> None:
    said: list[str] = []
    await writer(store).set_trace_callback(said.append)
    async with busy(store):
        tasks = [asyncio.create_task(store.commit(Point.META, put, f"k{n:03}")) for n in range(100)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == [f"k{n:03}" for n in range(100)]
    assert said.count("COMMIT") == 2
    assert len(await keys(store)) == 100


class Odd(Exception):
    """Nobody expects it."""


def failing(error: Exception) -> Any:
    async def work(unit: Unit) -> None:
        await put(unit, "k-bad")
        raise error

    return work


async def sleeping(unit: Unit) -> None:
    await put(unit, "k-bad")
    await asyncio.sleep(0.01)


async def yielding(unit: Unit) -> None:
    await put(unit, "k-bad")
    await asyncio.sleep(0)


async def too_big(unit: Unit) -> None:
    await put(unit, "k-bad")
    await unit.tx.run("INSERT INTO meta (key, value) VALUES (:n, 'x')", n=2**70)


async def wrong_sql(unit: Unit) -> None:
    await put(unit, "k-bad")
    await unit.tx.run("INSERT INTO nowhere VALUES (1)")


async def wrong_type(unit: Unit) -> None:
    await put(unit, "k-bad")
    await unit.tx.run("INSERT INTO cursor (account, scope, value) VALUES ('no number', 's', 'v')")


async def orphan(unit: Unit) -> None:
    await put(unit, "k-bad")
    await unit.tx.run("INSERT INTO tag (session, tag, pos) VALUES (12345, 'a', 0)")


BAD = {
    "refused": (failing(LeaseLost("gone")), LeaseLost),
    "a lookup": (failing(KeyError("x")), KeyError),
    "a failed assertion": (failing(AssertionError()), AssertionError),
    "nobody expected": (failing(Odd()), Odd),
    "out of memory": (failing(MemoryError()), MemoryError),
    "half a character": (failing(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x")), UnicodeEncodeError),
    "too big a number": (too_big, OverflowError),
    "wrong SQL": (wrong_sql, StoreError),
    "a wrong type": (wrong_type, StoreError),
    "an orphan": (orphan, StoreError),
    "waits for the clock": (sleeping, RuntimeError),
    "waits for the loop": (yielding, TypeError),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore:coroutine 'sleep' was never awaited")
async def test_a_bad_unit_of_work_is_undone_and_spoils_no_other(store: Store, name: str) -> None:
    bad, error = BAD[name]
    async with busy(store):
        before = asyncio.create_task(store.commit(Point.META, put, "k1"))
        spoilt = asyncio.create_task(store.commit(Point.META, bad))
        after = asyncio.create_task(store.commit(Point.META, put, "k2"))
        await asyncio.sleep(0)
    with pytest.raises(error):
        await spoilt
    assert [await before, await after] == ["k1", "k2"]
    assert await keys(store) == ["k1", "k2"]
    await store.commit(Point.META, put, "k3")
    assert await keys(store) == ["k1", "k2", "k3"]


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_unit_of_work_that_reads_is_its_callers_trouble_alone(store: Store, name: str) -> None:
    bad, error = BAD[name]
    # A reader may not write: whatever is asked of it fails at its first statement.
    for _ in range(5):
        with pytest.raises((error, StoreError)):
            await store.read(bad)
    assert await keys(store) == []


async def test_a_reader_gives_its_place_back_after_an_error(store: Store) -> None:
    async def odd(unit: Unit) -> None:
        raise Odd

    for _ in range(10):
        with pytest.raises(Odd):
            await store.read(odd)
    assert await keys(store) == []


@pytest.mark.parametrize("when", ["waiting", "running"])
async def test_a_caller_that_is_cancelled_does_not_half_do_its_work(store: Store, when: str) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def both(unit: Unit) -> None:
        await put(unit, "k1")
        begun.set()
        go_on.wait(10)
        await put(unit, "k2")

    if when == "running":
        task = asyncio.create_task(store.commit(Point.META, both))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        go_on.set()
    else:
        async with busy(store):
            task = asyncio.create_task(store.commit(Point.META, both))
            await asyncio.sleep(0)
            task.cancel()
            go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.commit(Point.META, put, "k3")  # behind it in the queue
    assert await keys(store) == ["k1", "k2", "k3"]


async def test_a_cancelled_caller_whose_work_fails_troubles_nobody(store: Store) -> None:
    async with busy(store):
        task = asyncio.create_task(store.commit(Point.META, failing(Odd())))
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.commit(Point.META, put, "k1")
    assert await keys(store) == ["k1"]


async def test_readers_see_what_is_committed_and_nothing_else(store: Store) -> None:
    async with busy(store):
        assert await keys(store, "holding") == []
    assert await keys(store, "holding") == ["holding"]


async def test_a_reader_sees_one_picture_while_others_write(store: Store) -> None:
    await store.commit(Point.META, put, "k1")
    first, go_on = threading.Event(), threading.Event()

    async def twice(unit: Unit) -> tuple[int, int]:
        before = await unit.tx.all("SELECT key FROM meta WHERE key LIKE 'k%'")
        first.set()
        go_on.wait(10)
        return len(before), len(await unit.tx.all("SELECT key FROM meta WHERE key LIKE 'k%'"))

    reading = asyncio.create_task(store.read(twice))
    await asyncio.to_thread(first.wait)
    await store.commit(Point.META, put, "k2")
    go_on.set()
    assert await reading == (1, 1)
    assert await keys(store) == ["k1", "k2"]


# ---- how it is opened and closed ----


async def pragma(store: Store, name: str, *, reader: bool = False) -> Any:
    async def work(unit: Unit) -> Any:
        row = await unit.tx.one(f"PRAGMA {name}")
        assert row is not None
        return row[0]

    return await (store.read(work) if reader else store.commit(Point.META, work))


async def test_the_connections_are_set_as_durability_asks(store: Store) -> None:
    assert await pragma(store, "journal_mode") == "wal"
    assert await pragma(store, "synchronous") == 2  # FULL
    assert await pragma(store, "foreign_keys") == 1
    assert await pragma(store, "cache_size") == -8192
    for _ in range(3):
        assert await pragma(store, "query_only", reader=True) == 1
        assert await pragma(store, "wal_autocheckpoint", reader=True) == 0
        assert await pragma(store, "cache_size", reader=True) == -2048


async def test_what_people_said_is_readable_by_this_user_alone(store: Store) -> None:
    await store.commit(Point.META, put, "k1")
    target = database(store).path.with_name("copy.db")
    await database(store).backup(target)
    modes = {
        each.name: oct(each.stat().st_mode & 0o777)
        for each in database(store).path.parent.iterdir()
        if each.is_file()
    }
    assert {"parley.db", "parley.db-wal", "parley.db.lock", "copy.db"} <= set(modes)
    assert set(modes.values()) == {"0o600"}, modes


async def test_the_drivers_own_thread_can_be_given_a_whole_function() -> None:
    """`_execute` and `_conn` are aiosqlite's own; should they go, this says so before anything else does."""
    connection = await aiosqlite.connect(":memory:")
    try:

        def whole(plain: sqlite3.Connection, number: int) -> tuple[int, str]:
            return plain.execute("SELECT ? + 1", (number,)).fetchone()[0], threading.current_thread().name

        found, thread = await connection._execute(whole, connection._conn, 41)
        assert found == 42 and thread != threading.current_thread().name
        with pytest.raises(ZeroDivisionError):
            await connection._execute(lambda: 1 // 0)
        assert (await connection._execute(whole, connection._conn, 1))[0] == 2
    finally:
        await connection.close()


async def test_closing_leaves_no_thread_and_no_open_file(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    store = await open_store(tmp_path / "parley.db")
    await store.commit(Point.META, put, "k1")
    assert len(set(threading.enumerate()) - before) >= 3
    await store.close()
    await asyncio.sleep(0.05)
    assert set(threading.enumerate()) - before == set()
    handles = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert not [handle for handle in handles if str(tmp_path) in handle]
    await store.close()  # once more does no harm


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "parley.db")
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.commit(Point.META, put, "k1")
    with pytest.raises(StoreError, match="closed"):
        await keys(store)


async def test_what_came_before_the_closing_is_stored_and_what_comes_after_is_refused(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "parley.db")
    async with busy(store):
        before = asyncio.create_task(store.commit(Point.META, put, "k1"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        after = asyncio.create_task(store.commit(Point.META, put, "k2"))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await closing
        assert await before == "k1"
        with pytest.raises(StoreError, match="closed"):
            await after
    again = await open_store(tmp_path / "parley.db")
    assert await keys(again) == ["k1"]
    await again.close()


# ---- one process per file ----

HOLDER = """
import asyncio, sys
from pathlib import Path
from storage import open_store
async def main():
    await open_store(Path(sys.argv[1]))
    print("open", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the database."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


async def test_a_second_process_is_refused_by_name_until_the_first_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "parley.db"
    with holder(file) as process:
        with pytest.raises(Locked) as refused:
            await open_store(file)
        assert str(process.pid) in str(refused.value) and str(file) in str(refused.value)
        with pytest.raises(Locked):
            await open_store(file, wait=0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        store = await open_store(file)
    await store.commit(Point.META, put, "k1")
    await store.close()


async def test_who_waits_gets_the_database_when_the_first_lets_go(tmp_path: Path) -> None:
    file = tmp_path / "parley.db"
    first = await open_store(file)
    waiting = asyncio.create_task(open_store(file, wait=5.0))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await first.close()
    await (await waiting).close()


# ---- its schema ----


def meddle(file: Path, *statements: str) -> None:
    """By other means, while nobody has it open."""
    connection = sqlite3.connect(file)
    try:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


def ask(file: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def made(file: Path) -> None:
    store = await open_store(file)
    await store.commit(Point.META, put, "k1", "kept")
    await store.close()


async def test_a_schema_from_the_future_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "parley.db"
    await made(file)
    meddle(file, "UPDATE meta SET value = '999' WHERE key = 'schema'", "CREATE TABLE tomorrow (x)")
    before = file.read_bytes()
    for _ in range(2):  # the lock is free again each time
        with pytest.raises(SchemaTooNew, match="999"):
            await open_store(file)
    assert file.read_bytes() == before
    assert ask(file, "SELECT value FROM meta WHERE key = 'k1'") == [("kept",)]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["parley.db", "parley.db.lock"]


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at" * 100, b"SQLite format 3\0xx"]
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "parley.db"
    file.write_bytes(content)
    threads = set(threading.enumerate())
    failed = []  # what keeps the error keeps all that it knows
    for _ in range(2):
        with pytest.raises(StoreError, match=r"parley\.db") as refused:
            await open_store(file)
        failed.append(refused)
    await asyncio.sleep(0.05)
    assert set(threading.enumerate()) <= threads
    assert file.read_bytes() == content


def with_next(monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    """As if a newer version had brought these migrations; gives the last one's number."""
    known = storage.migrate.migrations()
    first = known[-1][0] + 1
    found = [*known, *((first + n, sql) for n, sql in enumerate(more))]
    monkeypatch.setattr(storage.migrate, "migrations", lambda: found)
    return found[-1][0]


async def test_migrations_are_applied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "parley.db"
    await made(file)
    shape = ask(file, "SELECT sql FROM sqlite_master ORDER BY name")
    await made(file)
    assert ask(file, "SELECT sql FROM sqlite_master ORDER BY name") == shape
    last = with_next(monkeypatch, "CREATE TABLE more (x {int}) {strict};", "INSERT INTO more VALUES (1);")
    for _ in range(3):
        await made(file)
        assert ask(file, "SELECT x FROM more") == [(1,)]
        assert ask(file, "SELECT value FROM meta WHERE key = 'schema'") == [(str(last),)]
    database = await Sqlite(file).open()
    assert await storage.migrate.migrate(database) == []
    await database.close()


async def test_before_a_migration_the_whole_database_is_backed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "parley.db"
    await made(file)
    assert not list(tmp_path.glob("*.before-*"))  # an empty database has nothing to lose
    last = with_next(monkeypatch, "DELETE FROM meta WHERE key = 'k1';")
    await (await open_store(file)).close()
    (backup,) = tmp_path.glob("*.before-*")
    assert backup.name == f"parley.db.before-{last}"
    assert backup.stat().st_mode & 0o777 == 0o600
    assert ask(file, "SELECT value FROM meta WHERE key = 'k1'") == []
    assert ask(backup, "SELECT value FROM meta WHERE key = 'k1'") == [("kept",)]
    assert ask(backup, "PRAGMA integrity_check") == [("ok",)]


async def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "parley.db"
    await made(file)
    shape = ask(file, "SELECT sql FROM sqlite_master ORDER BY name")
    with monkeypatch.context() as patched:
        with_next(
            patched,
            "CREATE TABLE more (x {int}) {strict};\nDELETE FROM meta;\nINSERT INTO nowhere VALUES (1);",
        )
        with pytest.raises(StoreError, match="nowhere"):
            await open_store(file)
    assert ask(file, "SELECT sql FROM sqlite_master ORDER BY name") == shape
    store = await open_store(file)
    assert await keys(store) == ["k1"]
    await store.close()


# ---- a full disk ----


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of 3 MB at *folder*; False where nobody may mount one."""
    folder.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True
        ).returncode
        == 0
        if os.geteuid() == 0
        else False
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


class Room:
    """How much the database may grow: by SQLite's own limit, or by what else is on its disk."""

    def __init__(self, store: Store, ballast: Path | None) -> None:
        self._store, self._ballast = store, ballast

    async def none(self) -> None:
        if self._ballast is not None:
            with self._ballast.open("ab", buffering=0) as file:
                for size in (65536, 4096, 1024):
                    try:
                        while file.write(b"x" * size) == size:
                            pass
                    except OSError:
                        continue
        else:
            await self._limit(1)  # at once: it is never set below what is there

    async def again(self) -> None:
        if self._ballast is not None:
            self._ballast.unlink()
        else:
            await self._limit(1_000_000)

    async def _limit(self, pages: int) -> None:
        await pragma(self._store, f"max_page_count = {pages}")


@pytest.fixture(params=["limit", "disk"])
async def room(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Store, Room]]:
    monkeypatch.setattr("gateway.workers.STORE_RETRY", 0.05)
    with small_disk(tmp_path / "small") as mounted:
        on_disk = request.param == "disk" and mounted
        if request.param == "disk" and not mounted:
            print("no file system may be mounted here: SQLite's own limit stands for a full disk")
        store = await open_store(tmp_path / ("small" if on_disk else "") / "parley.db")
        try:
            yield store, Room(store, tmp_path / "small" / "ballast" if on_disk else None)
        finally:
            await store.close()


async def stored(store: Store) -> set[str]:
    rows = await store.read(lambda unit: unit.tx.all("SELECT event_id FROM inbox"))
    return {row[0] for row in rows}


async def test_on_a_full_disk_nothing_is_accepted_that_is_not_stored(
    room: tuple[Store, Room], clock: Clock
) -> None:
    store, space = room
    many = Limits(messages_per_minute=100_000, most_waiting=100_000)
    async with path(store, clock=clock, connect=False, limits=many) as p:
        accepted: set[str] = set()
        refused: list[Any] = []

        async def page(count: int, size: int = 2000) -> None:
            events = [p.message("x" * size) for _ in range(count)]
            try:
                receipts = await p.core.dispatcher.accept(p.account, events)
            except DiskFull:
                refused.append(events)
            else:
                assert [receipt.state for receipt in receipts] == ["waiting"] * count
                accepted.update(event.event_id for event in events)

        await page(3)
        await space.none()
        for _ in range(400):
            await asyncio.gather(page(1), page(4), page(2))
            if len(refused) > 20:
                break
        assert len(refused) > 20
        assert await stored(store) == accepted
        await space.again()
        for events in refused:  # the platform brings them again
            receipts = await p.core.dispatcher.accept(p.account, events)
            assert {receipt.state for receipt in receipts} == {"waiting"}
            accepted.update(event.event_id for event in events)
        assert await stored(store) == accepted
        assert await pragma(store, "quick_check") == "ok"


async def test_when_there_is_space_again_whoever_was_accepted_is_answered(
    room: tuple[Store, Room], clock: Clock
) -> None:
    store, space = room
    async with path(store, clock=clock) as p:
        await p.says("before")
        await p.channel.until(ANN, "You said: before")
        await space.none()
        accepted = []
        for number in range(400):
            try:
                await p.says(f"m{number} " + "x" * 2000, chat=f"chat-{number}")
            except DiskFull:
                break
            accepted.append(number)
        else:
            raise AssertionError("the disk never was full")
        await asyncio.sleep(0.2)
        await space.again()
        await p.says("after")
        await p.channel.until(ANN, "You said: after")
        async with asyncio.timeout(10):
            while await p.value("SELECT count(*) FROM inbox WHERE state IN ('waiting', 'taken')"):
                await asyncio.sleep(0.01)
        assert await p.value("SELECT count(*) FROM turn WHERE state = 'done'") == len(accepted) + 2
        assert await p.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0
