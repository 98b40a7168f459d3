"""A session as a document: Markdown to be read, JSON to be read back; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from gateway import rewinding, transcript
from gateway.errors import Refused
from gateway.media import telling
from gateway.moments import local
from gateway.types.json import Json
from gateway.types.sessions import Session
from gateway.types.turns import Entry

VERSION = 1
KINDS = frozenset({"user", "assistant", "results", "note", "summary", "mark"})
FIELDS = ("title", "summary", "system_prompt", "model", "triggered_by")  # of the session, as text or null
MOST_ENTRIES = 1_000_000
FAR = 2**62  # microseconds, or whatever else is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A session as it was written down. *next_seq*: the number of the first entry that comes after it.

    Its entries number the turns from 0 as they come: rows have other numbers elsewhere.
    """

    code: str
    created: int
    last_active: int
    closed: bool
    title: str | None = None
    summary: str | None = None
    system_prompt: str | None = None
    model: str | None = None
    triggered_by: str | None = None
    settings: Json = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    next_seq: int = 0


def document(session: Session, tags: tuple[str, ...], entries: Sequence[Entry]) -> Document:
    """With everything that can be brought back still in it. Files are named, and not part of it."""
    return Document(
        code=session.code,
        created=session.created,
        last_active=session.last_active,
        closed=session.state == "closed",
        title=session.title,
        summary=session.summary,
        system_prompt=session.system_prompt,
        model=session.model,
        triggered_by=session.triggered_by,
        settings=session.settings,
        tags=tags,
        entries=tuple(_numbered(entries)),
        next_seq=session.next_seq,
    )


def to_json(found: Document) -> Json:
    """What `read` understands."""
    return {
        "parley": "session",
        "v": VERSION,
        "id": found.code,
        "created": found.created,
        "last_active": found.last_active,
        "closed": found.closed,
        **{name: getattr(found, name) for name in FIELDS},
        "settings": found.settings,
        "tags": list(found.tags),
        "next_seq": found.next_seq,
        "entries": [
            {
                "seq": each.seq,
                "turn": each.turn,
                "kind": each.kind,
                "created": each.created,
                "body": each.body,
            }
            for each in found.entries
        ],
    }


def read(told: object) -> Document:
    """Raises Refused, with what is wrong, for anything that `to_json` would not have made."""
    match told:
        case {"parley": "session", "v": int(version)} if version > VERSION:
            raise Refused(key="import.newer")
        case {"parley": "session", "v": int(), "id": str(code), "entries": list(rows)}:
            fields: dict[str, Any] = told  # type: ignore[assignment]
        case _:
            raise Refused(key="import.none")
    if len(rows) > MOST_ENTRIES:
        raise Refused(key="import.too_long", most=MOST_ENTRIES)
    entries = tuple(_entry(row, number) for number, row in enumerate(rows))
    if any(one.seq >= other.seq for one, other in pairwise(entries)):
        raise Refused(key="import.order")
    last = entries[-1].seq if entries else -1
    try:
        return Document(
            code=code,
            created=_number(fields, "created"),
            last_active=_number(fields, "last_active"),
            closed=bool(fields.get("closed")),
            **{name: _text(fields, name) for name in FIELDS},
            settings=_settings(fields.get("settings")),
            tags=tuple(_tags(fields.get("tags"))),
            entries=entries,
            next_seq=max(_number(fields, "next_seq"), last + 1),
        )
    except (TypeError, ValueError) as error:
        raise Refused(key="import.field", problem=str(error)) from None


def to_markdown(found: Document, *, zone: str) -> str:
    """What was said and stands, by the clock of *zone*."""
    head = [
        f"# {found.title or found.code}",
        "",
        f"- session {found.code}, begun {_when(found.created, zone)}",
    ]
    head += [f"- tags: {', '.join(found.tags)}"] if found.tags else []
    head += [f"- model: {found.model}"] if found.model else []
    head += ["", "> " + found.summary.replace("\n", "\n> ")] if found.summary else []
    parts = ["\n".join(head)]
    for entry in rewinding.standing(found.entries):
        text = _said(entry)
        if text:
            parts.append(f"## {_speaker(entry)}, {_when(entry.created, zone)}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def dump(told: Json) -> str:
    return json.dumps(told, ensure_ascii=False, indent=1)


def _speaker(entry: Entry) -> str:
    name = entry.body.get("from")
    if entry.kind == "user":
        return str(name) if isinstance(name, str) and name else "Person"
    return {"assistant": "Agent", "results": "Tool", "summary": "Summary"}.get(entry.kind, "Note")


def _said(entry: Entry) -> str:
    match entry.kind:
        case "user":
            files = "\n".join(telling.lines(entry.body))
            return "\n\n".join(part for part in (files, str(entry.body.get("text", ""))) if part.strip())
        case "assistant":
            calls = [
                f"*used {part.name}* `{part.args}`"
                for part in transcript.parts(entry.body)
                if isinstance(part, transcript.ToolUse)
            ]
            return "\n\n".join(
                part for part in (transcript.visible(entry.body), *calls, telling.made(entry.body)) if part
            )
        case "results":
            return "\n\n".join(
                f"*{each.name} gave*\n\n{_fenced(each.text)}" for each in transcript.tool_results(entry.body)
            )
        case "note" | "summary":
            return str(entry.body.get("text", ""))
        case _:
            return ""


def _fenced(text: str) -> str:
    """As a block of code that nothing in it can end."""
    longest = max((len(run) for run in text.replace("\n", " ").split() if set(run) == {"`"}), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip(chr(10))}\n{fence}"


def _when(at: int, zone: str) -> str:
    return local(at, zone).strftime("%Y-%m-%d %H:%M")


def _numbered(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Turns by their order. Files lose their numbers: elsewhere, or later, those would be another file's."""
    turns: dict[int, int] = {}
    for entry in entries:
        turn = None if entry.turn is None else turns.setdefault(entry.turn, len(turns))
        yield replace(entry, turn=turn, body=_without_numbers(entry.body))


def _without_numbers(body: Json) -> Json:
    files = telling.listed(body.get("files"))
    if not files:
        return body
    kept = [{name: value for name, value in file.items() if name != "media"} for file in files]
    return {**body, "files": kept}


def _entry(row: object, number: int) -> Entry:
    match row:
        case {"seq": int(seq), "kind": str(kind), "created": int(created), "body": dict(body), **more} if (
            not isinstance(seq, bool)
            and 0 <= seq < MOST_ENTRIES
            and 0 <= created < FAR
            and kind in KINDS
            and _readable(kind, body)
        ):
            turn = more.get("turn")
            return Entry(
                seq=seq,
                turn=turn if isinstance(turn, int) and 0 <= turn < MOST_ENTRIES else None,
                kind=kind,  # type: ignore[arg-type]
                body=_without_numbers(body),
                created=created,
            )
        case _:
            raise Refused(key="import.entry", number=number)


def _readable(kind: str, body: Json) -> bool:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # half a surrogate pair, or deeper than anybody reads
        return False
    match kind:
        case "assistant":
            return _rows(body.get("parts"))
        case "results":
            return _rows(body.get("results"))
        case "mark":
            return isinstance(body.get("op"), str)
        case _:
            return isinstance(body.get("text"), str)


def _rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _number(fields: Json, name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < FAR:
        raise ValueError(f"{name} is no number")
    return value


def _text(fields: Json, name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    (value or "").encode()  # half a surrogate pair is none either
    return value


def _tags(value: object) -> Iterator[str]:
    if value is not None and not isinstance(value, list):
        raise TypeError("tags are no list")
    for each in value or ():
        if not isinstance(each, str):
            raise TypeError("a tag is no text")
        yield each


def _settings(value: object) -> Json:
    """Those that are ours; whatever else was in it is left out."""
    if not isinstance(value, dict):
        return {"v": 1}
    return {name: value[name] for name in ("v", "think", "compact") if isinstance(value.get(name), str | int)}
