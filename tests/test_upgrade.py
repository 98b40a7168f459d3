"""A database that the first Parley left, in the middle of its work, under this one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway import SessionManager
from gateway.backup.schema import latest, version
from gateway.types.measures import MINUTE
from tests.crash.harness import Stage, stage
from tests.jobs import at

OLD = (Path(__file__).parent / "databases" / "v1.sql").read_text()

KILLED = at("2026-11-26 08:24")


def left_behind(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as database:
        database.executescript(OLD)
        assert version(database) == 1


@pytest.mark.crash
async def test_the_next_start_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    async with stage(tmp_path, chats=3) as on:
        for chat in on.chats:
            await on.control("chat", {"chat_id": chat})
        left_behind(on.evidence.database)
        on.clock.set(KILLED + MINUTE)
        await on.start("--job-to", f"telegram:{on.chats[2]}")
        await on.until(
            lambda: _rows(on, "SELECT 1 FROM inbox WHERE state IN ('waiting', 'taken')") == [], 30, ""
        )
        await on.settled()
        await on.stop()
        assert _rows(on, "SELECT value FROM meta WHERE key = 'schema'") == [(str(latest()),)]
        assert _rows(on, "PRAGMA integrity_check") == [("ok",)]
        assert _rows(on, "PRAGMA foreign_key_check") == []
        assert {*_rows(on, "SELECT DISTINCT state FROM turn")} == {("done",)}
        assert _rows(on, "SELECT count(*) FROM usage WHERE state = 'open'") == [(0,)]
        # What it was asked before it died is answered, in the session and with the history from then.
        said = [message.text for message in (await on.collect()).shown[on.chats[1]]]
        assert said[0].startswith("You said m00005") and said[-1].startswith("You said m00006")
        assert _rows(on, "SELECT name, state, next_at FROM job") == [("hourly", "on", at("2026-11-26 09:00"))]
    (copy,) = (tmp_path / "data").glob("parley.db.before-*")
    with closing(sqlite3.connect(copy)) as database:
        assert version(database) == 1
        assert database.execute("SELECT count(*) FROM inbox WHERE state = 'waiting'").fetchone() == (1,)


async def test_what_was_said_and_spent_then_can_be_read_and_found(tmp_path: Path) -> None:
    left_behind(tmp_path / "parley.db")
    async with await SessionManager.open(f"sqlite:///{tmp_path}/parley.db") as manager:
        sessions = await manager.list_sessions()
        assert {each.channel for each in sessions} == {"telegram", "job"}
        (match,) = await manager.search("m00003", limit=1)
        found = match.session
        assert found.id in {each.id for each in sessions}
        before = await manager.get_messages(found.id)
        assert before[0].text == "m00001 short" and "assistant" in {each.role for each in before}
        answer = await manager.generate(found.id, "Go on.")
        assert answer.state == "done" and len(await manager.get_messages(found.id)) == len(before) + 2
        assert await manager.archive(found.id)
        (run,) = await manager.jobs.history("hourly")
        assert run.state == "done"
        assert [each.spec.name for each in await manager.jobs.list()] == ["hourly"]
        health = await manager.store_health()
        assert health.schema == latest()


def _rows(on: Stage, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(f"{on.evidence.database.as_uri()}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()
