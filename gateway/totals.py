"""Sums over ledger rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.types.usage import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Sums over ledger rows. *cost* is that of the rows that have one, estimates included."""

    requests: int = 0
    turns: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost: int = 0
    unpriced: int = 0
    estimated: int = 0
    estimated_cost: int = 0

    @classmethod
    def of(cls, tokens: Tokens, cost: int | None, *, estimated: bool = False, turns: int = 0) -> Total:
        """The total of one request; *cost* None: unpriced."""
        return cls(
            requests=1,
            turns=turns,
            tokens=tokens,
            cost=cost or 0,
            unpriced=int(cost is None),
            estimated=int(estimated),
            estimated_cost=(cost or 0) if estimated else 0,
        )

    def __add__(self, other: Total) -> Total:
        return Total(
            requests=self.requests + other.requests,
            turns=self.turns + other.turns,
            tokens=self.tokens + other.tokens,
            cost=self.cost + other.cost,
            unpriced=self.unpriced + other.unpriced,
            estimated=self.estimated + other.estimated,
            estimated_cost=self.estimated_cost + other.estimated_cost,
        )
