"""What backups are called, and which of them are kept; pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.types.measures import SECOND

# Two families: making one of the one never removes one of the other, nor a file of any other name.
NIGHTLY = re.compile(r"parley-nightly-[0-9]{8}-[0-9]{4}\.tar\.gz")
BY_HAND = re.compile(r"parley-[0-9]{8}-[0-9]{6}\.tar\.gz")


def name_of(planned: int, zone: str) -> str:
    """The file of the night of a planned time (microseconds UTC), by the clock of *zone*."""
    return f"parley-nightly-{datetime.fromtimestamp(planned / SECOND, ZoneInfo(zone)):%Y%m%d-%H%M}.tar.gz"


def by_hand(now: int, zone: str, taken: Container[str]) -> str:
    """The file of one that somebody wants *now* (microseconds UTC), by the clock of *zone*; later if it is *taken*."""
    while True:
        name = f"parley-{datetime.fromtimestamp(now / SECOND, ZoneInfo(zone)):%Y%m%d-%H%M%S}.tar.gz"
        if name not in taken:
            return name
        now += SECOND


def too_many(names: Iterable[str], like: str, keep: int) -> list[str]:
    """The oldest among *names* of the family of *like*, of which *keep* stay; 0: all stay."""
    family = next((each for each in (NIGHTLY, BY_HAND) if each.fullmatch(like)), None)
    found = sorted(name for name in names if family is not None and family.fullmatch(name))
    return found[:-keep] if keep > 0 else []
