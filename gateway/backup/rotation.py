"""What the nightly backups are called, and which of them are kept; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.types import SECOND

# Only what the gateway has made by night is ever removed by it: a backup made by hand has another name.
NIGHTLY = re.compile(r"parley-nightly-[0-9]{8}-[0-9]{4}\.tar\.gz")


def name_of(planned: int, zone: str) -> str:
    """The file of the night of a planned time (microseconds UTC), by the clock of *zone*."""
    return f"parley-nightly-{datetime.fromtimestamp(planned / SECOND, ZoneInfo(zone)):%Y%m%d-%H%M}.tar.gz"


def too_many(names: Iterable[str], keep: int) -> list[str]:
    """The oldest of the nightly backups among *names*, of which *keep* stay."""
    found = sorted(name for name in names if NIGHTLY.fullmatch(name))
    return found[:-keep] if keep > 0 else []
