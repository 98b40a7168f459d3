"""What /footer puts under an answer: its tokens, or its cost; pure."""

from __future__ import annotations

from dataclasses import replace

from gateway.amounts import line, tokens
from gateway.reports import UsageSummary
from gateway.types import UsageSettled


def under(text: str, what: str, earlier: UsageSummary, last: UsageSettled | None) -> str:
    """*earlier*: what the turn's other requests came to; *last*: its last one, which is not booked yet."""
    spent = earlier
    if last is not None:
        spent = replace(
            earlier,
            tokens=earlier.tokens + last.tokens,
            cost=earlier.cost + (last.cost or 0),
            unpriced=earlier.unpriced + (last.cost is None),
        )
    if what == "cost":
        return f"{text}\n\n*{line(spent)}*"
    return f"{text}\n\n*{tokens(spent.total_input_tokens)} in, {tokens(spent.total_output_tokens)} out*"
