"""SQLite: one writing connection with group commit, a few reading ones, one process per file."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from gateway.errors import DiskFull, Locked, StoreError
from gateway.failpoints import Point, passing
from gateway.ownership import folder_at, hand_over
from storage.database import Row, Work

T = TypeVar("T")

MOST_PER_COMMIT = 256
READERS = 2
WRITER_CACHE_KIB = 8192
READER_CACHE_KIB = 2048
OLDEST = (3, 37, 0)  # STRICT tables
ADD_COLUMN = re.compile(r"^ALTER TABLE (?P<table>\w+) ADD COLUMN IF NOT EXISTS (?P<column>\w+)", re.MULTILINE)


class SqliteTx:
    """Tx over a plain sqlite3 connection; its awaits never suspend, so a thread can drive them."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, **params: Any) -> int:
        return self._connection.execute(sql, params).rowcount

    async def one(self, sql: str, **params: Any) -> Row | None:
        row: Row | None = self._connection.execute(sql, params).fetchone()
        return row

    async def all(self, sql: str, **params: Any) -> list[Row]:
        return self._connection.execute(sql, params).fetchall()

    async def script(self, sql: str) -> None:
        for statement in _statements(sql):
            self._execute(statement)

    def _execute(self, statement: str) -> None:
        """SQLite has no ADD COLUMN IF NOT EXISTS."""
        if found := ADD_COLUMN.search(statement):
            columns = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
            if self._connection.execute(columns, found.group("table", "column")).fetchone():
                return
            statement = statement.replace(" IF NOT EXISTS", "", 1)
        self._connection.execute(statement)


@dataclass(slots=True)
class _Job:
    point: Point
    work: Work[Any]
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Sqlite:
    """Database over one file. Raises Locked when another process has it."""

    engine = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._writer: aiosqlite.Connection | None = None
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._reading: list[aiosqlite.Connection] = []
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self, *, wait: float = 0.0) -> Sqlite:
        """Take the instance lock (waiting up to *wait* seconds), then connect."""
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreError(
                f"SQLite {sqlite3.sqlite_version} is too old; Parley needs 3.37 or newer. "
                "Use a newer Python build, which brings its own."
            )
        folder_at(self.path.parent)
        self._lock = await _lock(self.path, wait)
        try:
            self._claim()
            self._writer = await _connect(self.path, WRITER_CACHE_KIB, writing=True)
            for _ in range(READERS):
                reader = await _connect(self.path, READER_CACHE_KIB, writing=False)
                self._reading.append(reader)
                self._readers.put_nowait(reader)
        except (sqlite3.DatabaseError, OSError) as error:
            await self.close()
            raise StoreError(
                f"{self.path}: {error}. Nothing was changed; see 'parley doctor' and 'parley restore'."
            ) from error
        self._task = asyncio.create_task(self._write_loop(), name="sqlite-writer")
        return self

    def _claim(self) -> None:
        """The file, for its owner only. SQLite gives the files beside it the same owner and mode."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(handle, 0o600)
            hand_over(handle, self.path.parent)
        finally:
            os.close(handle)

    async def commit(self, point: Point, work: Work[T]) -> T:
        if self._closed or self._task is None:
            raise StoreError("the database is closed")
        passing(point, "before")
        job = _Job(point, work, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        # Shielded: a caller that is cancelled does not stop SQL that is already on its way.
        result: T = await asyncio.shield(job.done)
        passing(point, "after")
        return result

    async def read(self, work: Work[T]) -> T:
        connection = await self._readers.get()
        try:
            if self._closed:
                raise StoreError("the database is closed")
            return await connection._execute(_read_whole, connection._conn, work)  # type: ignore[no-any-return, no-untyped-call]
        except sqlite3.Error as error:
            raise _translated(error) from error
        finally:
            self._readers.put_nowait(connection)

    async def backup(self, target: Path) -> None:
        """A consistent copy by SQLite's backup API, made by the writer between two commits."""
        assert self._writer is not None
        # It holds what people said: readable by this user alone, as the database is.
        handle = os.open(target, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            hand_over(handle, target.parent)
        finally:
            os.close(handle)
        destination = sqlite3.connect(target, check_same_thread=False)
        try:
            await self._writer.backup(destination)
        finally:
            destination.close()

    async def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._jobs.put_nowait(None)
            await self._task
            self._task = None
        for connection in (*self._reading, self._writer):
            if connection is not None:
                await connection.close()
        self._reading, self._writer = [], None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _write_loop(self) -> None:
        writer = self._writer
        assert writer is not None
        stopping = False
        while not stopping:
            batch = [await self._jobs.get()]
            while len(batch) < MOST_PER_COMMIT and not self._jobs.empty():
                batch.append(self._jobs.get_nowait())
            stopping = None in batch
            jobs = [job for job in batch if job is not None]
            if not jobs:
                continue
            try:
                # One hop to the writer's thread for the whole batch (the public methods cost one each).
                await writer._execute(_commit_all, writer._conn, jobs)  # type: ignore[no-untyped-call]
            except Exception as error:  # noqa: BLE001 - the edge of the task that everybody waits for
                for job in jobs:
                    job.error = _translated(error) if isinstance(error, sqlite3.Error) else error
            for job in jobs:
                if job.done.done():
                    continue
                if job.error is not None:
                    job.done.set_exception(job.error)
                else:
                    job.done.set_result(job.result)


def _commit_all(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
    """Every job in a savepoint of its own, all in one commit: a bad one does not spoil the others."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for job in jobs:
            connection.execute("SAVEPOINT job")
            try:
                job.result = _drive(job.work(SqliteTx(connection)))
            except Exception as error:
                # Whatever it raised is its caller's. But a full disk takes the whole transaction with it.
                if not connection.in_transaction:
                    raise
                connection.execute("ROLLBACK TO job")
                job.error = _translated(error) if isinstance(error, sqlite3.Error) else error
            connection.execute("RELEASE job")
        connection.execute("COMMIT")
    except BaseException:  # whatever it was, the next batch begins a transaction of its own
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _read_whole(connection: sqlite3.Connection, work: Work[T]) -> T:
    connection.execute("BEGIN")
    try:
        result: T = _drive(work(SqliteTx(connection)))
        return result
    finally:
        connection.execute("COMMIT")


def _drive(work: Any) -> Any:
    """Run a coroutine that never suspends, here and now."""
    try:
        work.send(None)
    except StopIteration as finished:
        return finished.value
    work.close()
    raise TypeError("a unit of work awaited something other than its transaction")


def _translated(error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return DiskFull(f"the database could not be written: {error}")
    return StoreError(f"the database refused: {error}")


async def _connect(path: Path, cache_kib: int, *, writing: bool) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None, cached_statements=512)
    try:
        await connection.execute("PRAGMA busy_timeout = 5000")
        if writing:
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = FULL")
            await connection.execute("PRAGMA foreign_keys = ON")
        else:
            await connection.execute("PRAGMA query_only = ON")
            await connection.execute("PRAGMA wal_autocheckpoint = 0")
        await connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    except BaseException:  # cancelled, too
        # Its thread would keep the process from ending.
        await connection.close()
        raise
    return connection


async def _lock(path: Path, wait: float) -> int:
    """The instance lock: a file beside the database, held as long as we live (the kernel lets go at kill -9)."""
    name = path.with_name(path.name + ".lock")
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    hand_over(handle, path.parent)
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= until:
                owner = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
                os.close(handle)
                raise Locked(
                    f"{path} is in use by process {owner}. Stop that Parley, or give this one another "
                    "[gateway] data_dir."
                ) from None
            await asyncio.sleep(0.05)
        else:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            return handle


def _statements(sql: str) -> list[str]:
    found: list[str] = []
    text = ""
    for line in sql.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    if text.strip() and not all(line.startswith("--") or not line.strip() for line in text.splitlines()):
        found.append(text)
    return found
