"""What must be true in the end, from three sides: what people see, what is on disk, what the provider made."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from channels.text.telegram import utf16_len
from gateway.media.folder import Folder
from tests.crash.harness import WORD, Evidence
from tests.crash.model import answer, question, words_of
from tests.crash.platforms import CONTENT, Shown

WHERE = "coalesce(nullif(c.thread_id, ''), c.chat_id)"  # the chat that people see
OPENING = 80  # UTF-16 units; the longest text that a crash may repeat in mode "opening"
PLACEHOLDER = "…"
OVER = "—"  # what stays in a message that the final text did not need
TALLY = (
    "messages",
    "turns",
    "requests",
    "ledger rows",
    "estimated",
    "never sent",
    "files",
    "left over",
    "repeated openings",
    "placeholders",
    "repeated messages",
)


@dataclass(slots=True)
class Verdict:
    """*wrong* is empty when every promise was kept."""

    wrong: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TALLY, 0))

    def miss(self, condition: object, text: str) -> None:
        if condition:
            self.wrong.append(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A turn as the store has it: what was asked and what its tool gave (None: it had none)."""

    id: int
    session: int
    chat: int
    state: str
    asked: str
    result: str | None
    answered: int  # whole assistant entries without a call
    trigger: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A chunk of the outbox; *message* is 0 before its id is known."""

    origin: str
    part: int
    chat: int
    state: str
    message: int


def judge(evidence: Evidence) -> Verdict:
    """Pure but for reading the database file."""
    verdict = Verdict(wrong=list(evidence.broken))
    verdict.numbers["messages"] = len(evidence.said)
    with closing(sqlite3.connect(evidence.database)) as db:
        turns, parts = read_turns(db), read_parts(db)
        verdict.miss(db.execute("PRAGMA integrity_check").fetchone()[0] != "ok", "integrity_check at the end")
        nothing_open(db, verdict)
        each_once(db, evidence, turns, verdict)
        the_bill(db, evidence, turns, verdict)
        the_files(db, evidence, verdict)
    in_order(evidence, turns, verdict)
    exact_texts(evidence, turns, parts, verdict)
    leftovers(evidence, parts, verdict)
    verdict.miss(evidence.errors, f"the fake met calls it does not understand: {evidence.errors}")
    verdict.numbers["turns"] = len(turns)
    return verdict


# -- what is on disk ----------------------------------------------------------------------------------------------


def read_turns(db: sqlite3.Connection) -> list[Ran]:
    found = []
    for id, session, chat, state, trigger in db.execute(
        f"SELECT t.id, t.session, {WHERE}, t.state, t.trigger"
        " FROM turn t JOIN conversation c ON c.id = t.conversation ORDER BY t.id"
    ).fetchall():
        entries = [
            (kind, json.loads(body))
            for kind, body in db.execute("SELECT kind, body FROM entry WHERE turn = ? ORDER BY seq", (id,))
        ]
        results = [row for kind, body in entries if kind == "results" for row in body["results"]]
        found.append(
            Ran(
                id=id,
                session=session,
                chat=int(chat) if chat.lstrip("-").isdigit() else 0,
                state=state,
                asked=" ".join(body["text"] for kind, body in entries if kind == "user"),
                result=results[-1]["text"] if results else None,
                answered=sum(kind == "assistant" and whole(body) for kind, body in entries),
                trigger=trigger,
            )
        )
    return found


def whole(body: dict[str, Any]) -> bool:
    return not body.get("interrupted") and all(part["t"] != "tool" for part in body["parts"])


def read_parts(db: sqlite3.Connection) -> list[Part]:
    return [
        Part(origin=origin, part=part, chat=int(chat), state=state, message=int(message or 0))
        for origin, part, chat, state, message in db.execute(
            f"SELECT o.origin, o.part, {WHERE}, o.state, o.message_id FROM outbox o"
            " JOIN conversation c ON c.id = o.conversation ORDER BY o.id"
        )
    ]


def nothing_open(db: sqlite3.Connection, verdict: Verdict) -> None:
    """Whatever was begun has come to its end."""
    for what, sql in {
        "ledger rows": "SELECT count(*) FROM usage WHERE state = 'open'",
        "waiting messages": "SELECT count(*) FROM inbox WHERE state IN ('waiting', 'taken')",
        "dead messages": "SELECT count(*) FROM inbox WHERE state = 'dead'",
        "turns": "SELECT count(*) FROM turn WHERE state NOT IN ('done', 'cancelled')",
        "chunks": "SELECT count(*) FROM outbox WHERE state <> 'sent'",
        "runs of jobs": "SELECT count(*) FROM job_run WHERE state IN ('waiting', 'running')",
        "tool calls": "SELECT count(*) FROM tool_call WHERE state = 'intent'",
    }.items():
        count = db.execute(sql).fetchone()[0]
        verdict.miss(count, f"{count} {what} still open")


def each_once(db: sqlite3.Connection, evidence: Evidence, turns: Sequence[Ran], verdict: Verdict) -> None:
    """Every message is in one turn, which answered once; its tool ran at most once."""
    asked = Counter(word for turn in turns for word in words_of(turn.asked) if WORD.match(word))
    rows = Counter(evidence.platform.number(event) for (event,) in db.execute("SELECT event_id FROM inbox"))
    for said in evidence.said:
        verdict.miss(asked[said.word] == 0, f"lost: {said.text!r} is in no turn")
        verdict.miss(asked[said.word] > 1, f"twice: {said.text!r} is in {asked[said.word]} turns")
        verdict.miss(rows[said.number] != 1, f"{rows[said.number]} inbox rows for {said.text!r}")
    ghosts = set(asked) - {said.word for said in evidence.said}
    verdict.miss(ghosts, f"turns about words that nobody said: {sorted(ghosts)}")
    for turn in turns:
        verdict.miss(turn.answered != 1, f"turn {turn.id} ({turn.asked!r}) has {turn.answered} answers")
    for id, event in db.execute(
        "SELECT i.id, i.event_id FROM inbox i WHERE i.kind = 'command' AND NOT EXISTS"
        " (SELECT 1 FROM outbox o WHERE o.origin = 'reply:' || i.id AND o.state = 'sent')"
    ):
        verdict.miss(True, f"command {id} ({event}) has no reply")
    for run, count in db.execute(
        "SELECT r.id, count(t.id) FROM job_run r LEFT JOIN turn t ON t.job_run = r.id"
        " WHERE r.state <> 'skipped' GROUP BY r.id"
    ):
        verdict.miss(count != 1, f"run {run} of a job has {count} turns")
    noted = Counter(evidence.notes)
    for word, count in noted.items():
        verdict.miss(count > 1, f"the tool ran {count} times for {word}")
    for turn in turns:
        if turn.result is not None and turn.result.startswith("noted"):
            verdict.miss(
                not noted[words_of(turn.asked)[-1]], f"turn {turn.id}: a result, but the tool never ran"
            )


def the_files(db: sqlite3.Connection, evidence: Evidence, verdict: Verdict) -> None:
    """Each file was taken once and is whole; the sweep leaves none that nothing speaks of."""
    verdict.numbers["files"] = len(evidence.shared)
    for (text,) in db.execute("SELECT body FROM entry WHERE kind = 'user'").fetchall():
        body = json.loads(text)
        word, files = body["text"].split(" ")[0], body.get("files", [])
        taken = [file for file in files if "media" in file or file.get("text", "").strip() == CONTENT.strip()]
        verdict.miss(
            len(taken) != len(files) or len(files) != (word in evidence.shared), f"{word}: files {files}"
        )
    twice = db.execute("SELECT inbox FROM media GROUP BY inbox HAVING count(*) > 1").fetchall()
    verdict.miss(twice, f"files of messages {twice} were stored twice")
    folder = evidence.database.parent / "media"
    rows = dict(db.execute("SELECT path, sha256 FROM media WHERE deleted IS NULL").fetchall())
    verdict.numbers["left over"] = Folder(folder).sweep(rows.keys(), settled=0.0)
    there = {
        place.relative_to(folder).as_posix(): hashlib.sha256(place.read_bytes()).hexdigest()
        for place in folder.rglob("*")
        if place.is_file()
    }
    verdict.miss(there != rows, f"{len(rows)} files have rows, {len(there)} are there")


def the_bill(db: sqlite3.Connection, evidence: Evidence, turns: Sequence[Ran], verdict: Verdict) -> None:
    """One ledger row a request; what the provider counted is on it, or estimated from above."""
    rows = db.execute(
        "SELECT turn, state, provider_id, tok_in, tok_read, tok_w5m, tok_out, step, attempt FROM usage"
    ).fetchall()
    places = Counter((turn, step, attempt) for turn, *_, step, attempt in rows if turn is not None)
    verdict.miss(any(n > 1 for n in places.values()), f"ledger rows twice: {places.most_common(1)}")
    requests = {each["response_id"]: each for each in evidence.requests if each["response_id"]}
    known = [row for row in rows if row[1] == "known"]
    guessed = [row for row in rows if row[1] != "known"]
    for row in known:
        request = requests.get(row[2])
        verdict.miss(request is None, f"a ledger row names {row[2]}, which the provider never answered")
        if request is not None and (usage := request["sent_usage"]):
            told = (
                usage["input_tokens"],
                usage["cache_read_tokens"],
                usage["cache_write_5m_tokens"],
                usage["output_tokens"],
            )
            verdict.miss(row[3:7] != told, f"turn {row[0]} is booked as {row[3:7]}, the provider said {told}")
    ids = Counter(row[2] for row in known)
    verdict.miss(any(n > 1 for n in ids.values()), f"booked twice: {ids.most_common(1)}")
    seen, booked = len(evidence.requests), len(rows)
    verdict.miss(seen > booked, f"the provider saw {seen} requests, the ledger has {booked} rows")
    # A kill between the commit of a row and its request leaves a row without one; it must be an estimate.
    verdict.miss(
        booked - seen > len(guessed), f"{booked} ledger rows for {seen} requests, {len(guessed)} estimated"
    )
    verdict.miss(
        any(row[1] != "estimated" for row in guessed),
        f"neither known nor estimated: {Counter(r[1] for r in rows)}",
    )
    made = sum(usage["output_tokens"] for usage in evidence.made)
    verdict.miss(sum(row[6] for row in rows) < made, "the ledger has less output than the provider made")
    asked_again(known, turns, evidence, verdict)
    verdict.numbers |= {
        "requests": seen,
        "ledger rows": booked,
        "estimated": len(guessed),
        "never sent": booked - seen,
    }


def asked_again(
    known: Sequence[tuple[Any, ...]], turns: Sequence[Ran], evidence: Evidence, verdict: Verdict
) -> None:
    """What was settled is never asked again: one settled request a step."""
    per_turn = Counter(row[0] for row in known)
    for turn in turns:
        steps = 1 if turn.result is None else 2
        verdict.miss(
            turn.state == "done" and per_turn[turn.id] != steps,
            f"turn {turn.id} has {per_turn[turn.id]} settled requests for {steps} steps",
        )
    settled = {row[2] for row in known}
    done: set[tuple[str, str | None]] = set()
    for request in evidence.requests:
        if not request["body"].get("tools"):
            continue  # a compaction: its prompt is the conversation once more
        asked = question(request["body"]["messages"])
        verdict.miss(asked in done, f"asked again though it was settled: {asked}")
        if request["response_id"] in settled and asked[0].startswith("m"):
            done.add(asked)


# -- what people see ----------------------------------------------------------------------------------------------


def in_order(evidence: Evidence, turns: Sequence[Ran], verdict: Verdict) -> None:
    """Per chat, the turns took the messages in the order in which they were sent."""
    for chat in {said.chat for said in evidence.said}:
        sent = [said.word for said in evidence.said if said.chat == chat]
        taken = [
            word for turn in turns if turn.chat == chat for word in words_of(turn.asked) if WORD.match(word)
        ]
        verdict.miss(sent != taken, f"chat {chat}: sent {sent}, taken {taken}")


def expected(evidence: Evidence, turn: Ran) -> list[str]:
    """The texts of the messages that show a turn's answer."""
    return evidence.platform.render(answer(turn.asked, turn.result)) if turn.asked else []


def exact_texts(evidence: Evidence, turns: Sequence[Ran], parts: Sequence[Part], verdict: Verdict) -> None:
    """Every answer is there whole and exact, in order, each message of it known to the store."""
    last: dict[int, tuple[int, int]] = {}
    for turn in turns:
        mine = [part for part in parts if part.origin == f"turn:{turn.id}"]
        for part in mine:
            turn_before, message_before = last.get(part.chat, (0, 0))
            verdict.miss(
                part.message <= message_before,
                f"chat {part.chat}: message {part.message} of turn {turn.id} comes before {message_before}"
                f" of turn {turn_before}",
            )
            last[part.chat] = (turn.id, max(part.message, message_before))
        if turn.state != "done" or turn.trigger is not None:
            continue
        shown = [current(evidence, part) for part in mine]
        while shown and shown[-1] == OVER:
            shown.pop()
        meant = expected(evidence, turn)
        verdict.miss(shown != meant, f"turn {turn.id} shows {brief(shown)}, expected {brief(meant)}")


def current(evidence: Evidence, part: Part) -> str | None:
    """What stands in the message of a chunk; None when there is no such message."""
    for message in evidence.shown.get(part.chat, ()):
        if message.id == part.message and not message.deleted:
            return message.text
    return None


def brief(texts: Sequence[str | None]) -> list[str]:
    return [f"{each[:60]}…{each[-20:]} ({len(each)})" if each else "nothing" for each in texts]


def leftovers(evidence: Evidence, parts: Sequence[Part], verdict: Verdict) -> None:
    """What else the bot has said: what a crash may repeat, and once for each kill in a chat; nothing where exact."""
    ours = {(part.chat, part.message) for part in parts}
    found: Counter[tuple[int, int]] = Counter()  # (chat, which life of the gateway)
    for chat, message, every in spoken(evidence):
        if (chat, message.id) in ours:
            continue
        allowed = not evidence.platform.exact and LEFT[evidence.delivery](message, every)
        if allowed:
            found[chat, bisect(evidence.killed_at, message.at)] += 1
        else:
            verdict.wrong.append(
                f"chat {chat}: a message that nothing accounts for: {brief(message.history)}"
            )
    for (chat, life), count in found.items():
        verdict.miss(count > 1, f"chat {chat}: kill {life + 1} has left {count} messages")
        verdict.miss(life >= evidence.kills, f"chat {chat}: a message left by a life that was not killed")
    names = {"placeholder": "placeholders", "draft": "repeated messages"}
    name = names.get(evidence.delivery, "repeated openings")
    verdict.numbers[name] = found.total()


def spoken(evidence: Evidence) -> Iterator[tuple[int, Shown, list[str]]]:
    """(chat, message, every text the bot's other messages there ever had)."""
    for chat, messages in evidence.shown.items():
        for message in messages:
            others = [text for other in messages if other is not message for text in other.history if text]
            yield chat, message, others


def repeated_opening(message: Shown, others: Sequence[str]) -> bool:
    """Short, never changed, and how another message of the chat begins."""
    (said, *more) = message.history
    return not more and utf16_len(said) <= OPENING and any(other.startswith(said) for other in others)


def repeated_message(message: Shown, others: Sequence[str]) -> bool:
    """Never changed, and what another message of the chat says."""
    (said, *more) = message.history
    return not more and said in others


# What a kill may leave behind, by how answers are placed.
LEFT: Mapping[str, Callable[[Shown, Sequence[str]], bool]] = {
    "opening": repeated_opening,
    "placeholder": lambda message, others: message.history == (PLACEHOLDER,),
    "draft": repeated_message,
}
