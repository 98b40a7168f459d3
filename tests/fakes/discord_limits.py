"""Discord's rate limits as documented: buckets with headers, the global limit, and the ban for invalid requests."""

import math
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fakes.discord_rules import Json, Refusal

BUCKETS = {"create_message": "messages", "edit_message": "messages"}  # route -> bucket: edits share it
SIZES = {"messages": (5, 5.0)}  # requests in so many seconds, per channel
GLOBAL = (50, 1.0)
INVALID = (10_000, 600.0)  # 401, 403 and 429 (not shared) in ten minutes


class Limited(Refusal):
    """429 with its headers; *scope*: user, global or shared."""

    def __init__(self, seconds: float, scope: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(429, 0, "You are being rate limited.")
        self.seconds = round(seconds, 3)
        self.scope = scope
        self.headers = {"Retry-After": str(math.ceil(seconds)), "X-RateLimit-Scope": scope, **(headers or {})}
        if scope == "global":
            self.headers["X-RateLimit-Global"] = "true"
        if scope == "shared":
            self.message = "The resource is being rate limited."

    @property
    def body(self) -> Json:
        return {"message": self.message, "retry_after": self.seconds, "global": self.scope == "global"}


@dataclass(slots=True)
class _Window:
    left: int
    until: float


@dataclass(slots=True)
class Limits:
    """Counts requests. `on`: refuses those over the limits; a ban is in force either way."""

    clock: Callable[[], float]
    on: bool = False
    buckets: dict[str, str] = field(default_factory=lambda: dict(BUCKETS))
    sizes: dict[str, tuple[int, float]] = field(default_factory=lambda: dict(SIZES))
    invalid_limit: tuple[int, float] = INVALID
    refused: int = 0  # requests over a limit
    early: int = 0  # requests made before an announced retry_after had passed
    invalid: int = 0  # answers 401, 403 and 429
    banned_until: float = 0.0
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)
    _all: deque[float] = field(default_factory=deque)
    _bad: deque[float] = field(default_factory=deque)
    _wait: dict[str, float] = field(default_factory=dict)

    @property
    def banned(self) -> bool:
        return self.clock() < self.banned_until

    def announce(self, place: str, seconds: float) -> None:
        """A retry_after was told for *place*: who comes earlier is counted."""
        self._wait[place] = max(self._wait.get(place, 0.0), self.clock() + seconds)

    def admit(self, route: str, place: str, *, open: bool) -> dict[str, str]:
        """Counts a request; the headers of its answer. *place*: the top-level resource. Raises Limited."""
        now = self.clock()
        # What a client cannot know to the millisecond is forgiven.
        if now < max(self._wait.get(place, 0.0), self._wait.get("global", 0.0)) - 0.01:
            self.early += 1
        if not self.on:
            return {}
        if not open:
            self._global(now)
        bucket = self.buckets.get(route)
        if bucket is None:
            return {}
        most, seconds = self.sizes[bucket]
        window = self._windows.get((bucket, place))
        if window is None or now >= window.until:
            window = self._windows[(bucket, place)] = _Window(most, now + seconds)
        left = window.until - now
        headers = {
            "X-RateLimit-Limit": str(most), "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}", "X-RateLimit-Bucket": f"{zlib.crc32(bucket.encode()):08x}",
        }  # fmt: skip
        if window.left <= 0:
            self.refused += 1
            self.announce(place, left)
            raise Limited(left, "user", headers | {"X-RateLimit-Remaining": "0"})
        window.left -= 1
        return headers | {"X-RateLimit-Remaining": str(window.left)}

    def _global(self, now: float) -> None:
        most, seconds = GLOBAL
        while self._all and now - self._all[0] >= seconds:
            self._all.popleft()
        if len(self._all) >= most:
            self.refused += 1
            wait = self._all[0] + seconds - now
            self.announce("global", wait)
            raise Limited(wait, "global")
        self._all.append(now)

    def answered(self, status: int, *, shared: bool = False) -> None:
        """Counts invalid requests; too many of them ban the address for ten minutes."""
        if status not in (401, 403, 429) or shared:
            return
        self.invalid += 1
        now, (most, seconds) = self.clock(), self.invalid_limit
        self._bad.append(now)
        while now - self._bad[0] >= seconds:
            self._bad.popleft()
        if len(self._bad) >= most:
            self.banned_until = now + seconds
