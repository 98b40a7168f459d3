"""What the marks and summaries of a transcript leave of it; pure, never written back.

A summary stands for what was said before it, a mark `prune` cuts old results of tools; a mark `uncompact` says that one
of these does not hold, `recompact` that it does again. So what shortens a conversation can be taken back, and gives
what was there, byte for byte. Turns that were taken back are `rewinding`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway import rewinding
from gateway.types.json import Json
from gateway.types.turns import Entry

PUT_AWAY = "[put away by the gateway: what this call gave, {} bytes; make the call again if it is needed]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Results before the entry *upto* that have more than *over* bytes are cut to *to* bytes; 0: to a note."""

    upto: int
    over: int
    to: int = 0


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.seq)


def kept(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that count, without marks, and with at most one summary: the first."""
    off = taken_back(entries)
    found: list[Entry] = []
    for entry in rewinding.standing(entries):
        match entry.kind, entry.body:
            case "mark", {"op": "clear"}:
                found = []
            case "mark", _:
                continue
            case "summary", _ if entry.seq in off or not _valid(entry):
                continue
            case _:
                found.append(entry)
    summary = next((entry for entry in reversed(found) if entry.kind == "summary"), None)
    if summary is not None:
        upto = summary.body["upto"]
        found = [summary, *(entry for entry in found if entry.seq >= upto and entry.kind != "summary")]
    prunes = [prune for each in in_order(entries) if each.seq not in off and (prune := _prune(each))]
    return [_pruned(entry, prunes) for entry in found] if prunes else found


def taken_back(entries: Sequence[Entry]) -> frozenset[int]:
    """The summaries and marks that do not hold, by seq; one that was put back again holds.

    What becomes of turns meanwhile changes nothing of that: it is said of the compaction, not of the talk.
    """
    off: set[int] = set()
    for entry in in_order(entries):
        match entry.kind, entry.body:
            case "mark", {"op": "uncompact", "seq": int(seq)}:
                off.add(seq)
            case "mark", {"op": "recompact", "seq": int(seq)}:
                off.discard(seq)
            case _:
                continue
    return frozenset(off)


def present(entries: Sequence[Entry]) -> frozenset[int]:
    """The summaries and marks of pruning that bear on the next prompt, or would if they were put back; by seq."""
    cleared = max((e.seq for e in entries if e.kind == "mark" and e.body.get("op") == "clear"), default=-1)
    summaries = {each.seq for each in rewinding.standing(entries) if each.kind == "summary"}
    prunes = {each.seq for each in entries if _prune(each) is not None}
    return frozenset(seq for seq in summaries | prunes if seq > cleared)


def _prune(mark: Entry) -> Prune | None:
    match mark.kind, mark.body:
        case "mark", {"op": "prune", "upto": int(upto), "over": int(over), "to": int(to)}:
            return Prune(upto=upto, over=over, to=to)
        case _:
            return None


def _valid(summary: Entry) -> bool:
    match summary.body:
        case {"text": str(text), "upto": int(upto)}:
            return bool(text.replace("\0", "").strip()) and upto <= summary.seq
        case _:
            return False


def _pruned(entry: Entry, prunes: Sequence[Prune]) -> Entry:
    """The strictest of those that mean it."""
    meant = [prune for prune in prunes if entry.seq < prune.upto]
    rows = entry.body.get("results")
    if entry.kind != "results" or not meant or not isinstance(rows, list):
        return entry
    prune = min(meant, key=lambda each: (each.to, each.over))
    return replace(entry, body={**entry.body, "results": [_cut(row, prune) for row in rows]})


def _cut(row: Json, prune: Prune) -> Json:
    text = row.get("text") if isinstance(row, dict) else None
    size = len(text.encode(errors="replace")) if isinstance(text, str) else 0
    if not isinstance(text, str) or size <= prune.over:
        return row
    return {**row, "text": shortened(text, prune.to) if prune.to else PUT_AWAY.format(size)}


def shortened(text: str, limit: int) -> str:
    """At most *limit* bytes of UTF-8 and the words in the middle that say how many are missing."""
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return text
    half = limit // 2
    head = data[:half].decode(errors="ignore")
    tail = data[len(data) - half :].decode(errors="ignore")
    missing = len(data) - len(head.encode()) - len(tail.encode())
    return f"{head}\n[… {missing} bytes left out …]\n{tail}"
