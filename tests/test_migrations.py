"""A database that an older Parley made has, once it is opened, the shape of one that is made today."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import storage.migrate
from gateway.backup.schema import latest, pending
from gateway.errors import SchemaTooNew
from storage import open_store
from storage.migrate import DIALECT, migrations

OLD = Path(__file__).parent / "databases" / "migrations"
HASHES = Path(__file__).parent / "databases" / "migrations.sha256"
FOLDER = Path(storage.migrate.__file__).parent / "migrations"
SEVERAL = (1, 2, 3, 4, 5, 9)
LATER = (*SEVERAL, 6, 10)
# What versions between had applied, one after the other; a text of that time where it was another one than today's.
STATES = {
    "people": ("1", "2 first"),
    "jobs, and no appeals yet": SEVERAL,
    "sessions": (*LATER, "12 first"),
    "sessions to export": (*LATER, "12 second"),
    "sessions that are spoilt": (*LATER, "12 third"),
    "keys": (*LATER, "12 third", "13 first"),
    "sessions exported": (*LATER, "12 fourth", "13 first"),
    "compactions": (*LATER, 11, "12 fourth", "13 first"),
    "beginnings": (*LATER, 11, "12 fifth", "13 first"),
    "narrow sums, and no digests yet": (*LATER, 11, "12 fifth", 13, "14 first", 18),
    "digests": (*LATER, 11, "12 fifth", 13, 14, 16, 18),
    "one that was taken along by all of them": (*SEVERAL, 10, "12 first", "13 first", "14 first", 18),
}
Shape = dict[tuple[str, str], object]


def made_by(file: Path, state: tuple[int | str, ...]) -> None:
    """As a version of that time did: the highest number is all that is noted."""
    today, done = dict(migrations()), []
    with closing(sqlite3.connect(file)) as db:
        for each in state:
            number, _, when = str(each).partition(" ")
            done.append(int(number))
            (old,) = OLD.glob(f"{done[-1]:04}_*.{when}.sql") if when else (None,)
            sql = today[done[-1]] if old is None else old.read_text()
            db.executescript(sql.format(**DIALECT["sqlite"]))
        db.execute("INSERT INTO meta (key, value) VALUES ('schema', ?)", (str(max(done)),))
        db.commit()


def shape(file: Path) -> Shape:
    """Tables by their columns in any order, everything else by its text without comments."""
    with closing(sqlite3.connect(file)) as db:
        found: Shape = {}
        for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
            text = re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql or ""))
            if kind == "table" and "VIRTUAL" not in text:
                columns = {row[1:] for row in db.execute(f"PRAGMA table_xinfo({name})")}
                keys = {row[2:] for row in db.execute(f"PRAGMA foreign_key_list({name})")}
                found[kind, name] = (frozenset(columns), frozenset(keys))
            else:
                found[kind, name] = text
        return found


async def opened(file: Path) -> Path:
    await (await open_store(file)).close()
    return file


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
async def test_a_database_of_a_version_between_becomes_what_one_made_today_is(
    tmp_path: Path, state: tuple[int | str, ...]
) -> None:
    made_by(tmp_path / "old.db", state)
    with closing(sqlite3.connect(tmp_path / "old.db")) as db:
        assert pending(db)
    old, new = shape(await opened(tmp_path / "old.db")), shape(await opened(tmp_path / "new.db"))
    assert {name: old.get(name) for name in old.keys() | new.keys() if old.get(name) != new.get(name)} == {}
    with closing(sqlite3.connect(tmp_path / "old.db")) as db:
        assert pending(db) == {}
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT found FROM usage_drift").fetchone() == (0,)


async def test_what_was_said_before_is_found_and_calls_before_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    made_by(file, STATES["one that was taken along by all of them"])
    with closing(sqlite3.connect(file)) as db:
        db.executescript("""
            INSERT INTO zone_offset VALUES (0, 0);
            INSERT INTO account (id, channel, platform_id) VALUES (1, 'main', 'main');
            INSERT INTO conversation (id, account, chat_id, kind) VALUES (1, 1, 'main', 'client');
            INSERT INTO session (id, code, conversation, state, origin, created, last_active)
              VALUES (1, 'CODE', 1, 'open', 'new', 1, 1);
            INSERT INTO entry (session, seq, kind, body, created) VALUES (1, 1, 'user', '{"v":1,"text":"narwhals"}', 1);
            INSERT INTO turn (id, session, n, conversation, fence, state, started) VALUES (1, 1, 1, 1, 1, 'done', 1);
            INSERT INTO tool_call (turn, step, call_id, name, args_hash, state, is_error)
              VALUES (1, 1, 'c', 'clock', '', 'done', 0);
        """)
    with closing(sqlite3.connect(await opened(file))) as db:
        assert db.execute("SELECT rowid FROM said WHERE said MATCH 'narw*'").fetchall() == [(16_777_217,)]
        assert db.execute("SELECT * FROM tool_day").fetchall() == [(0, "clock", 1, 0)]


async def test_a_migration_that_lands_after_a_later_one_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, known = await opened(tmp_path / "parley.db"), migrations()
    late, later = latest() + 1, latest() + 2
    both = [
        (late, "CREATE TABLE late (x {int}) {strict};"),
        (later, "CREATE TABLE later (x {int}) {strict};"),
    ]
    for landed in ([*known, both[1]], [*known, *both]):
        monkeypatch.setattr(storage.migrate, "migrations", lambda landed=landed: landed)
        await opened(file)
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM late, later").fetchone() == (0,)
        assert db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == (str(later),)
    monkeypatch.setattr(storage.migrate, "migrations", lambda: [*known, both[1]])
    with pytest.raises(SchemaTooNew, match=str(late)):
        await open_store(file)


def test_the_text_of_a_migration_never_changes() -> None:
    fixed = dict(reversed(line.split()) for line in HASHES.read_text().splitlines())
    now = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.sql")}
    changed = sorted(name for name, hash in fixed.items() if now.get(name) != hash)
    assert not changed, (
        f"{changed}: databases have been made with these, and are not made with them again. Put the text back, and "
        "write what is to be different as a new migration (see docs/decisions/0036)."
    )
    new = sorted(now.keys() - fixed.keys())
    assert not new, (
        f"{new}: once they are on main their text stays. Note what it is: "
        "(cd storage/migrations && sha256sum *.sql) > tests/databases/migrations.sha256"
    )
