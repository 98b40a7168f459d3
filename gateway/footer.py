"""What /footer puts under an answer: its tokens, or its cost; pure."""

from __future__ import annotations

from dataclasses import replace

from gateway.amounts import line, sizes
from gateway.reports import UsageSummary
from gateway.texts import say
from gateway.types.usage import UsageSettled


def under(text: str, what: str, earlier: UsageSummary, last: UsageSettled | None, lang: str = "") -> str:
    """*earlier*: what the turn's other requests came to; *last*: its last one, which is not booked yet."""
    spent = earlier
    if last is not None:
        spent = replace(
            earlier,
            tokens=earlier.tokens + last.tokens,
            cost=earlier.cost + (last.cost or 0),
            unpriced=earlier.unpriced + (last.cost is None),
        )
        if (found := last.searches) is not None:
            spent = replace(
                spent, cost=spent.cost + (found.cost or 0), unpriced=spent.unpriced + (found.cost is None)
            )
    if what == "cost":
        return f"{text}\n\n*{line(spent, lang)}*"
    given, made = sizes(spent, lang)
    return f"{text}\n\n*{say('amount.tokens', lang, given=given, made=made)}*"
