"""Random operations on sessions, with turns, compactions and crashes in between."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fast import fast
from tests.walk.after import one_at_a_time, the_bill
from tests.walk.book import Row
from tests.walk.legal import illegal
from tests.walk.operations import FIRST, STEPS, Step
from tests.walk.sessions import Sessions

SPEED = 12.0
WALKS = int(os.environ.get("WALKS", "12"))  # `make walk` takes more of them


async def walk(folder: Path, steps: Sequence[Step]) -> list[str]:
    world = Sessions(folder)
    await world.begin()
    for step in (*FIRST, *steps):
        await step.happen(world)
    await world.end()
    with closing(sqlite3.connect(folder / str(world.crashes) / "parley.db")) as db:
        left = [*after(db, world), *one_at_a_time(db), *the_bill(db, world)]  # type: ignore[arg-type]
    return world.wrong + left + await illegal(world.model.asked)


def after(db: sqlite3.Connection, world: Sessions) -> Iterator[str]:
    """What must be true at the end; each finding is a sentence."""
    if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
        yield "integrity_check"
    if bad := db.execute("PRAGMA foreign_key_check").fetchall():
        yield f"foreign_key_check: {bad}"
    if db.execute("SELECT found FROM usage_drift").fetchone()[0]:
        yield "the sums by day are not those of the ledger"
    for id, known in world.book.items():
        entries = db.execute("SELECT count(*) FROM entry WHERE session = ?", (id,)).fetchone()[0]
        if known.deleted and entries:
            yield f"{known.code} is deleted and has {entries} entries"
        found = {
            row[0] % 16_777_216
            for row in db.execute(
                "SELECT rowid FROM said WHERE said MATCH '\"you\" OR sx*' AND rowid >= ? AND rowid < ?",
                (id * 16_777_216, (id + 1) * 16_777_216),
            )
        }
        said = {row[0] for row in known.rows if row[2] in ("user", "assistant") and "sx" in text_of(row)}
        if found - {16_777_215} != (set() if known.deleted else said):
            yield f"{known.code}: words are found in {found}, said in {said}"


def text_of(row: Row) -> str:
    body = json.loads(row[3])
    return str(body.get("text", "")) + " ".join(str(part.get("text", "")) for part in body.get("parts", ()))


@settings(
    max_examples=WALKS,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # no shrinking: what threads do is not repeatable
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    database=None,
)
@given(steps=st.lists(STEPS, min_size=12, max_size=40))
def test_whatever_is_done_to_sessions_what_stands_is_what_was_meant_to(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wrong = fast(walk(Path(folder), steps), speed=SPEED)
    assert not wrong, "\n".join(wrong)
