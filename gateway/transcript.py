"""What the rows of a transcript say: our own versioned JSON, with the provider's opaque parts carried along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from gateway.types.inbound import Quote, Waiting
from gateway.types.json import Json

VERSION = 1


@dataclass(frozen=True, slots=True)
class Text:
    """Visible text of an answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The model asks for a tool; *args* is the JSON text exactly as it was given."""

    id: str
    name: str
    args: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A part only its provider understands (signed thinking); shown to nobody, sent back unchanged."""

    provider: str
    data: Json


Part = Text | ToolUse | Opaque


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back."""

    id: str
    name: str
    text: str
    error: bool = False


def user(
    text: str,
    *,
    sender: str = "",
    quotes: Sequence[Json] = (),
    files: Sequence[Json] = (),
    edited: bool = False,
) -> Json:
    """*sender*: who of several said it. *quotes*: others' words that it answers or passes on, see `quoted`.

    *files*, as the message keeps them: kind, type and perhaps name, seconds and bytes, and of `media` (the number
    of a picture), `text` (what is in it; `cut`: not all, `heard`: it was spoken) and `error` (why it could not be
    used) at most one. *edited*: it says anew what had been said before.
    """
    return {
        "v": VERSION,
        "text": text,
        **({"from": sender} if sender else {}),
        **({"quotes": list(quotes)} if quotes else {}),
        **({"files": list(files)} if files else {}),
        **({"edited": 1} if edited else {}),
    }


def said(row: Waiting) -> Json:
    """A message as its transcript keeps it."""
    quotes, files = row.body.get("quotes"), row.body.get("files")
    return user(
        row.text,
        sender=str(row.body.get("from", "")),
        quotes=quotes if isinstance(quotes, list) else (),
        files=files if isinstance(files, list) else (),
        edited=bool(row.body.get("edited")),
    )


def quoted(quote: Quote) -> Json:
    """A quote as it is stored in a user body."""
    return {
        "origin": quote.origin,
        "text": quote.text,
        "author": quote.author,
        **({"ours": 1} if quote.ours else {}),
    }


def note(text: str) -> Json:
    return {"v": VERSION, "text": text}


def summary(text: str, *, upto: int) -> Json:
    """A summary that stands for every entry with seq < *upto*."""
    return {"v": VERSION, "text": text, "upto": upto}


def mark(op: str, **facts: int) -> Json:
    return {"v": VERSION, "op": op, **facts}


def assistant(
    parts: Sequence[Part], *, model: str = "", interrupted: bool = False, files: Sequence[Json] = ()
) -> Json:
    """*files*: those that the model made, each with its `media` number, type and name."""
    rows: list[Json] = []
    for part in parts:
        match part:
            case Text(text):
                rows.append({"t": "text", "text": text})
            case ToolUse(id, name, args):
                rows.append({"t": "tool", "id": id, "name": name, "args": args})
            case Opaque(provider, data):
                rows.append({"t": "opaque", "provider": provider, "data": data})
            case _:
                assert_never(part)
    return {
        "v": VERSION,
        "parts": rows,
        **({"model": model} if model else {}),
        **({"interrupted": 1} if interrupted else {}),
        **({"files": list(files)} if files else {}),
    }


def results(items: Sequence[ToolResult]) -> Json:
    return {
        "v": VERSION,
        "results": [
            {"id": item.id, "name": item.name, "text": item.text, **({"error": 1} if item.error else {})}
            for item in items
        ],
    }


def parts(body: Json) -> list[Part]:
    """The parts of an assistant body; rows of a kind we do not know are left out, never an error."""
    found: list[Part] = []
    for row in body.get("parts", ()):
        match row:
            case {"t": "text", "text": str(text)}:
                found.append(Text(text))
            case {"t": "tool", "id": str(id), "name": str(name), "args": str(args)}:
                found.append(ToolUse(id, name, args))
            case {"t": "opaque", "provider": str(provider), "data": dict(data)}:
                found.append(Opaque(provider, data))
            case _:
                continue
    return found


def tool_results(body: Json) -> list[ToolResult]:
    """The results in a results body."""
    return [
        ToolResult(
            str(row.get("id", "")),
            str(row.get("name", "")),
            str(row.get("text", "")),
            bool(row.get("error")),
        )
        for row in body.get("results", ())
        if isinstance(row, dict)
    ]


def visible(body: Json) -> str:
    """The text of an assistant body as a person reads it."""
    return "".join(part.text for part in parts(body) if isinstance(part, Text)).strip()
