"""What must be true after a walk; each finding is a sentence."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.outgoing import OVER
from gateway.texts import say
from gateway.types.inbound import Kind
from tests.fakes.channel import LONGEST
from tests.walk.model import WORD
from tests.walk.world import World

OPENING = 80  # characters; as FakeChannel.opening
PLACEHOLDER = "…"


def after(world: World, database: Path) -> list[str]:
    """Everything that is wrong; the gateway must have stopped."""
    with closing(sqlite3.connect(database)) as db:
        found = [
            *nothing_open(db),
            *every_message(db, world),
            *in_order(db, world),
            *one_at_a_time(db),
            *the_bill(db, world),
            *the_texts(db, world),
            *replies(db),
        ]
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            found.append("integrity_check")
        if bad := db.execute("PRAGMA foreign_key_check").fetchall():
            found.append(f"foreign_key_check: {bad}")
    found += [f"answered twice at once: {word}" for word in world.model.overlaps]
    eve = [text for prompt in world.model.asked for text in str(prompt.messages).split() if "evex" in text]
    found += [f"a stranger's words in a prompt: {eve[:2]}"] if eve else []
    internal = [text for cause, text in world.troubles if cause in ("internal", "storage")]
    return found + [f"trouble: {text}" for text in internal]


def nothing_open(db: sqlite3.Connection) -> Iterator[str]:
    for what, sql in {
        "messages": "SELECT id, state FROM inbox WHERE state NOT IN ('done', 'refused', 'dead', 'overheard')",
        "turns": "SELECT id, state FROM turn WHERE state IN ('running', 'parked')",
        "chunks": "SELECT id, origin, state, error FROM outbox WHERE state <> 'sent'"
        " AND coalesce(error, '') <> 'taken back'",
        "ledger rows": "SELECT turn, state FROM usage WHERE state = 'open'",
        "tool calls": "SELECT turn, state FROM tool_call WHERE state = 'intent'",
    }.items():
        if rows := db.execute(sql).fetchall():
            yield f"{what} still open: {rows}"


def every_message(db: sqlite3.Connection, world: World) -> Iterator[str]:
    """Each is answered, refused or failed with a notice, and in one turn only."""
    rows = {
        event: (state, turn, error)
        for event, state, turn, error in db.execute("SELECT event_id, state, turn, error FROM inbox")
    }
    turns = dict(db.execute("SELECT id, state FROM turn"))
    told = {origin for (origin,) in db.execute("SELECT origin FROM outbox WHERE state = 'sent'")}
    asked: defaultdict[str, list[int]] = defaultdict(list)
    for turn, body in db.execute(
        "SELECT e.turn, e.body FROM entry e JOIN turn t ON t.id = e.turn WHERE e.kind = 'user'"
        " AND coalesce(t.error_kind, '') <> 'moved'"
    ):
        said_there = json.loads(body)
        # A late edit is a question of its own, with the word of the message that it changes.
        if (found := WORD.search(said_there["text"])) and not said_there.get("edited"):
            asked[found[0]].append(turn)
    for said in world.said:
        event = said.event
        if event.event_id not in rows:
            yield f"lost: {event.text!r}"
            continue
        state, turn, error = rows[event.event_id]
        if event.kind is not Kind.MESSAGE:
            continue
        word = event.text.split()[0]
        if said.person == "eve" or not event.addressed:
            if word in asked:
                yield f"{word} was asked, though it was not to be"
        elif state == "refused":
            if error is None and not world.rejected:
                yield f"{word} is refused, nobody knows why"
            if word in asked:
                yield f"{word} is refused and asked"
        elif len(asked[word]) != 1:
            yield f"{word} ({state}) is in turns {asked[word]}"
        elif asked[word] != [turn]:
            yield f"{word} is in turn {asked[word]}, its row in {turn}"
        elif turns[turn] != "cancelled" and f"turn:{turn}" not in told:
            yield f"nobody was told anything about {word}, turn {turn} is {turns[turn]}"


def in_order(db: sqlite3.Connection, world: World) -> Iterator[str]:
    """Of each person in each chat; what steers is meant to overtake."""
    sent = {said.event.event_id: number for number, said in enumerate(world.said)}
    last: dict[tuple[int, int], tuple[int, str]] = {}
    for conversation, identity, turn, event in db.execute(
        "SELECT conversation, identity, turn, event_id FROM inbox WHERE kind = 'message' AND turn IS NOT NULL"
        " AND json_extract(body, '$.steer') IS NULL ORDER BY id"
    ):
        before, earlier = last.get((conversation, identity), (0, ""))
        if turn < before:
            yield f"{event} is in turn {turn}, {earlier} of the same person in {before}"
        if earlier and sent[event] < sent[earlier]:
            yield f"{event} was sent before {earlier} and stored after it"
        last[conversation, identity] = (turn, event)


def one_at_a_time(db: sqlite3.Connection) -> Iterator[str]:
    ended: dict[int, tuple[int, int]] = {}
    for turn, conversation, started, finished in db.execute(
        "SELECT id, conversation, started, finished FROM turn ORDER BY id"
    ):
        before, at = ended.get(conversation, (0, 0))
        if started < at:
            yield f"turn {turn} began before {before} of the same chat ended"
        ended[conversation] = (turn, finished or 0)


def the_bill(db: sqlite3.Connection, world: World) -> Iterator[str]:
    """A row for each request; one without a request only where a crash or a stop came in between."""
    states = [state for (state,) in db.execute("SELECT state FROM usage")]
    seen, known = len(world.model.asked), states.count("known")
    spare = len(states) - known
    if seen > len(states):
        yield f"{seen} requests, {len(states)} ledger rows"
    if len(states) - seen > spare:
        yield f"{len(states)} ledger rows for {seen} requests, {spare} of them not known"
    if known > world.model.answered:
        yield f"{known} answers booked, {world.model.answered} were given"
    twice = db.execute(
        "SELECT turn, step, attempt FROM usage WHERE turn IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) > 1"
    ).fetchall()
    if twice:
        yield f"ledger rows twice: {twice}"


def the_texts(db: sqlite3.Connection, world: World) -> Iterator[str]:
    """What people see of each turn is what its transcript says, and there is nothing else."""
    parts: defaultdict[str, list[str]] = defaultdict(list)
    known: set[str] = set()
    for origin, message in db.execute("SELECT origin, message_id FROM outbox ORDER BY origin, part"):
        parts[origin].append(message)
        known.add(message)
    now = {id: text for chat in world.screen.messages.values() for id, text in chat.items()}
    for turn, state, why in db.execute("SELECT id, state, error_kind FROM turn"):
        shown = [now.get(id, "(nothing)") for id in parts[f"turn:{turn}"]]
        while shown and shown[-1] == OVER.text:
            shown.pop()
        seen = "".join(shown)
        bodies = [
            json.loads(body)
            for (body,) in db.execute(
                "SELECT body FROM entry WHERE turn = ? AND kind = 'assistant' ORDER BY seq", (turn,)
            )
        ]
        whole, cut = stored(bodies)
        if any(len(text) > LONGEST for text in shown):
            yield f"turn {turn} shows a message that is too long"
        if state == "done" and seen != (whole or say("turn.empty")):
            yield f"turn {turn} is done and shows {seen!r}, its transcript says {whole!r}"
        elif state in ("failed", "cancelled") and why != "moved" and cut and not seen.startswith(cut):
            yield f"turn {turn} is {state} and shows {seen!r}, its transcript says {cut!r}"
        elif state == "failed" and not seen:
            yield f"turn {turn} failed and shows nothing"
    yield from leftovers(world, known)


def stored(bodies: list[dict[str, Any]]) -> tuple[str, str]:
    """The text of a turn's answer: of its steps that were finished, and with the one that was interrupted."""
    whole, cut = "", ""
    for body in bodies:
        text = "".join(part["text"] for part in body["parts"] if part["t"] == "text")
        if body.get("interrupted"):
            cut = (whole + text).rstrip()
        elif any(part["t"] == "tool" for part in body["parts"]):
            whole += text.rstrip() + "\n\n" if text.strip() else ""
        else:
            whole += text
    return whole.strip(), cut


def leftovers(world: World, known: set[str]) -> Iterator[str]:
    """What nothing accounts for: only what a crash or a lost answer may repeat, and so often."""
    for chat, messages in world.screen.messages.items():
        extra = [id for id in messages if id not in known]
        for id in extra:
            (first, *more) = world.screen.history[id]
            may = (
                first == PLACEHOLDER
                if world.placing == "placeholder"
                else world.placing == "opening"
                and len(first) <= OPENING
                and any(
                    text.startswith(first)
                    for other in messages
                    if other != id
                    for text in world.screen.history[other]
                )
            )
            if more or not may:
                yield f"chat {chat} shows what nothing accounts for: {world.screen.history[id]}"
        if len(extra) > world.crashes + world.screen.lost[chat]:
            yield f"chat {chat} shows {len(extra)} repeated openings after {world.crashes} crashes"


def replies(db: sqlite3.Connection) -> Iterator[str]:
    """Every command that was carried out has its reply."""
    for id, text in db.execute(
        "SELECT i.id, json_extract(i.body, '$.text') FROM inbox i WHERE i.kind = 'command' AND i.state = 'done'"
        " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.origin = 'reply:' || i.id AND o.state = 'sent')"
    ):
        yield f"command {id} ({text}) has no reply"
