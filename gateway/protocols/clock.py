"""What we ask of a clock."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], int]
"""Now, in microseconds UTC."""
