"""Turns that were taken back and brought back: what still stands of a transcript, and where its turns begin; pure.

A rewind is a mark: what was said from its `seq` on stands no more. A redo is a mark: everything is as it was before
the rewind that was made last. Nothing is written over, so what a redo brings back is the same byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway import transcript
from gateway.types.json import Json
from gateway.types.turns import Entry

TALK = frozenset({"user", "assistant", "results", "note"})  # or notes: what was taken back stays so

Turn = tuple[Entry, ...]  # a person's message and everything up to the next one


def standing(entries: Sequence[Entry]) -> list[Entry]:
    """What was not taken back, in order; with every other mark, and with the summaries of what stands."""
    return _walked(entries)[0]


def can_redo(entries: Sequence[Entry]) -> bool:
    """Whether something was taken back and nothing was said since."""
    return bool(_walked(entries)[1])


def turns(entries: Sequence[Entry]) -> list[Turn]:
    """The turns that stand, by their index. What the model was made to forget cannot be gone back to."""
    found: list[list[Entry]] = []
    for entry in standing(entries):
        if entry.kind == "mark" and entry.body.get("op") == "clear":
            found = []
        elif entry.kind in TALK:
            if _begins(entry, found[-1] if found else []):
                found.append([])
            if found:
                found[-1].append(entry)
    return [tuple(turn) for turn in found]


def messages(entries: Sequence[Entry]) -> int:
    """How many of people's messages stand."""
    return sum(entry.kind == "user" for entry in standing(entries))


def asked(turn: Turn) -> list[Json]:
    """The bodies of what people said in a turn."""
    return [entry.body for entry in turn if entry.kind == "user"]


def used_tools(found: Sequence[Turn]) -> bool:
    """Whether a tool was called in any of them: what it did is not undone with what was said."""
    return any(
        isinstance(part, transcript.ToolUse)
        for turn in found
        for entry in turn
        if entry.kind == "assistant"
        for part in transcript.parts(entry.body)
    )


def _walked(entries: Sequence[Entry]) -> tuple[list[Entry], list[list[Entry]]]:
    """(what stands, what stood before each rewind that can be redone)."""
    found: list[Entry] = []
    before: list[list[Entry]] = []
    for entry in sorted(entries, key=lambda each: each.seq):
        match entry.kind, entry.body:
            case "mark", {"op": "rewind", "seq": int(seq)}:
                before.append(found)
                found = [each for each in found if each.kind == "mark" or _reach(each) <= seq]
            case "mark", {"op": "redo"}:
                found = before.pop() if before else found
            case "mark", _:
                before = [] if entry.body.get("op") == "clear" else before
                found.append(entry)
            case _:
                before = [] if entry.kind in TALK or entry.kind == "summary" else before
                found.append(entry)
    return found, before


def _begins(entry: Entry, current: Sequence[Entry]) -> bool:
    """Whether a turn begins here: another one's entry, or a person's message that belongs to no run of the agent."""
    if entry.turn is None:
        return entry.kind == "user"
    return not current or current[0].turn != entry.turn


def _reach(entry: Entry) -> int:
    """The first seq the entry says nothing of; for a summary, after what it stands for."""
    upto = entry.body.get("upto")
    return upto if entry.kind == "summary" and isinstance(upto, int) else entry.seq + 1
