"""What callers are shown of operations on sessions: frozen values."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.reports import UsageSummary
from gateway.views import SessionMeta

SNIPPET = 160  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDetails:
    """A session with what there is to know of it. Times in microseconds UTC, *duration* in microseconds.

    *turns* stand, of *turns_run* that were made; *approvals* were asked for. *parent* is the session it
    works for or is a copy of (None: of none, or that is deleted). *children* work for it, *forks* are copies of it;
    all by code.
    """

    session: SessionMeta
    running: bool
    turns: int
    turns_run: int
    tool_calls: int
    approvals: int
    duration: int
    effective_model: str
    thinking: str | None
    auto_compact: bool
    system_prompt: str | None
    parent: str | None
    children: tuple[str, ...]
    forks: tuple[str, ...]
    usage: UsageSummary
    can_redo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A session in which words were found: in the message *seq*, or in its title (None)."""

    session: SessionMeta
    seq: int | None
    snippet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound:
    """*turns* were taken back, or brought back; *left* stand. *tools*: what tools did in them is as it was."""

    session: SessionMeta
    turns: int
    left: int
    tools: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """A copy, current in *conversation*; *aside*: that is a thread which was opened for it."""

    session: SessionMeta
    conversation: int
    aside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A session that is closed now, with its summary; *was_open*: by this."""

    session: SessionMeta
    was_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A receipt: what is gone for good, when (microseconds UTC). The ledger's rows are not."""

    id: str
    at: int
    messages: int
    files: int
    requests_kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """A receipt: what is gone of a person, when (microseconds UTC). *number* names them in the ledger from now on.

    *audit_kept*: so many lines of the audit trail keep one of the addresses; none of them has the number.
    """

    number: int
    addresses: tuple[str, ...]
    at: int
    sessions: int
    messages: int
    files: int
    requests_kept: int
    audit_kept: int


def snippet(text: str, words: Sequence[str]) -> str:
    """A line of *text* around the first of *words*, at most SNIPPET characters of it."""
    line = " ".join(text.split())
    bare = "".join(map(_bare, line))
    found = [at for word in words if (at := bare.find("".join(map(_bare, word)))) >= 0]
    start = max(0, min(found, default=0) - SNIPPET // 4)
    if start:
        start = line.find(" ", start) + 1 or start
    cut = line[start : start + SNIPPET]
    return ("…" if start else "") + cut + ("…" if start + SNIPPET < len(line) else "")


def _bare(letter: str) -> str:
    """One character for one, without case and accents, as the index of words has it: places stay where they are."""
    return unicodedata.normalize("NFD", letter)[0].lower()[:1]
