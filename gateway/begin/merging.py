"""Which of the waiting rows become one turn; pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.lanes import AGAIN, ALONE
from gateway.types.inbound import Kind, Waiting

MOST_ROWS = 20  # messages merged into one turn
MOST_BYTES = 32 * 1024


def run_of(head: Sequence[Waiting]) -> list[Waiting]:
    """The longest run from the head that is one person's, for one session, within the limits."""
    first, run, size = head[0], [head[0]], len(head[0].text.encode())
    if first.trigger is not None or first.kind is Kind.JOB:
        return run
    for row in head[1:] if not {AGAIN, ALONE} & first.body.keys() else ():
        size += len(row.text.encode())
        same = (row.identity, row.session, row.kind) == (first.identity, first.session, first.kind)
        if not same or row.trigger is not None or size > MOST_BYTES or {AGAIN, ALONE} & row.body.keys():
            break
        run.append(row)
    return run
