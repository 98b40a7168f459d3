"""What each session must be, kept beside the gateway: every row as it lies on disk, and what of them stands.

It is told what is asked for and reads the rows that come of it, in their order; each finding is a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway import history
from gateway.rewinding import TALK
from gateway.types.turns import Entry

Row = tuple[int, int | None, str, str, int]  # seq, turn, kind, body, created


def entry(row: Row) -> Entry:
    return Entry(seq=row[0], turn=row[1], kind=row[2], body=json.loads(row[3]), created=row[4])  # type: ignore[arg-type]


@dataclass
class Known:
    """A session. *rows* are all it has, *stand* those that were not taken back, *before* what each redo gives again."""

    code: str
    rows: list[Row] = field(default_factory=list)
    stand: list[Row] = field(default_factory=list)
    before: list[list[Row]] = field(default_factory=list)
    deleted: bool = False

    def turns(self) -> list[list[Row]]:
        """Those that stand since the model was last made to forget."""
        found: list[list[Row]] = []
        for row in self.stand:
            if row[2] == "mark" and json.loads(row[3]).get("op") == "clear":
                found = []
            elif row[2] in TALK:
                if not found or found[-1][0][1] != row[1]:
                    found.append([])
                found[-1].append(row)
        return found

    def talk(self) -> list[Row]:
        return [row for row in self.stand if row[2] != "mark"]

    def read(self, rows: Sequence[Row], wanted: int | None) -> list[str]:
        """Take in what is on disk now; *wanted*: the index that a rewind was asked for, None: the last turn."""
        if list(rows[: len(self.rows)]) != self.rows:
            return [f"{self.code}: what was written is not what it was"]
        wrong: list[str] = []
        for row in rows[len(self.rows) :]:
            wrong += self._next(row, wanted)
        self.rows = list(rows)
        return wrong

    def _next(self, row: Row, wanted: int | None) -> list[str]:
        body: dict[str, Any] = json.loads(row[3])
        match row[2], body:
            case "mark", {"op": "rewind", "seq": int(seq)}:
                turns = self.turns()
                n = len(turns) - 1 if wanted is None else wanted
                if not 0 <= n < len(turns) or turns[n][0][0] != seq:
                    return [f"{self.code}: turn {n} of {len(turns)} is not at {seq}"]
                self.before.append(list(self.stand))
                self.stand = [each for each in self.stand if each[2] == "mark" or _reach(each) <= seq]
            case "mark", {"op": "redo"}:
                if not self.before:
                    return [f"{self.code}: there was nothing to bring back"]
                self.stand = self.before.pop()
            case kind, _:
                self.stand.append(row)
                if kind in TALK or kind == "summary" or body.get("op") == "clear":
                    self.before = []
        return []

    def check(self, live: Sequence[Entry]) -> list[str]:
        """What is derived of all the rows, and of those that are read for a prompt, is derived of what stands alone."""
        meant = history.build([entry(row) for row in self.stand], ask=False)
        wrong: list[str] = []
        if history.build([entry(row) for row in self.rows], ask=False) != meant:
            wrong.append(f"{self.code}: the prompt is not of what stands")
        if history.build(live, ask=False) != meant:
            wrong.append(f"{self.code}: not enough is read for the prompt")
        return wrong


def _reach(row: Row) -> int:
    return int(json.loads(row[3])["upto"]) if row[2] == "summary" else row[0] + 1
