"""Whether a turn goes round in circles: the same call again and again, or errors only; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gateway import transcript
from gateway.transcript import ToolUse
from gateway.types.turns import Entry


def circling(entries: Sequence[Entry], turn: int, *, same: int, errors: int) -> bool:
    """*same*: how often one tool may be called with the same arguments; *errors*: how many results in a row may be
    errors. Of one turn; the calls that a restart has cut off are no errors of the model's, but count as calls.
    """
    calls: Counter[tuple[str, str]] = Counter()
    failed = 0
    for entry in entries:
        if entry.turn != turn:
            continue
        if entry.kind == "assistant":
            calls.update(
                (part.name, part.args) for part in transcript.parts(entry.body) if isinstance(part, ToolUse)
            )
        elif entry.kind == "results":
            for result in transcript.tool_results(entry.body):
                failed = failed + 1 if result.error else 0
    return failed >= errors or max(calls.values(), default=0) > same
