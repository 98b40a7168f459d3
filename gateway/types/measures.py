"""Units: times are integer microseconds UTC since 1970, money is integer nano-dollars (1e-9 USD)."""

from __future__ import annotations

SECOND = 1_000_000  # microseconds
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
DOLLAR = 1_000_000_000  # nano-dollars
