"""How the vendors keep prompts, on a clock of one's own; where their documents leave it open, the dearer reading.

Anthropic (Messages API, prompt caching): a request's blocks are one prefix in the order tools, system, messages; it is
written at breakpoints and read where a breakpoint, or one of the LOOKBACK - 1 blocks before it, ends a prefix that was
written. A read renews what was read. What is written for five minutes is gone then, and everything after it with it,
whatever lifetime that has.

OpenAI (prompt caching): every prompt is kept unasked, in steps of STEP tokens from MINIMUM on; of "5 to 10 minutes"
it is five, of "up to 24 hours" (which is more than the hour after which the others are gone at the latest) one hour.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

BYTES_PER_TOKEN = 4
MINIMUM = 1024  # tokens; both vendors, most models
# Anthropic, prompt caching, cache limitations: the models whose minimum is another one.
MINIMA = (
    (re.compile(r"claude-(opus|fable|mythos)-5(?![-.]5)"), 512),
    (re.compile(r"claude-(opus-4[-.][567]|haiku-4[-.]5)"), 4096),
    (re.compile(r"claude-(3-)?haiku|claude-3-5-haiku"), 2048),
)
STEP = 128  # tokens
LOOKBACK = 20  # blocks, the breakpoint's own among them
LIFETIMES = {"5m": 300.0, "1h": 3600.0}  # seconds; cache_control.ttl
IN_MEMORY, EXTENDED = 300.0, 3600.0  # seconds
MOST = 100_000  # prefixes, so that a long benchmark does not fill the memory


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the prompt: what it counts for, what else tells it from others, its breakpoint's ttl (None: none)."""

    data: bytes
    ttl: str | None = None
    key: bytes = b""

    @property
    def tokens(self) -> int:
        return -(-len(self.data) // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of one prompt, apart."""

    uncached: int = 0
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0


@dataclass(slots=True)
class _Kept:
    """A prefix that was written; *before* is the one it goes on from."""

    ttl: float
    until: float
    before: bytes | None


class PromptCache:
    """What a vendor remembers. *minimum* None: the model's own."""

    def __init__(self, *, clock: Callable[[], float], minimum: int | None = None) -> None:
        self.minimum = minimum
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def anthropic(self, model: str, parts: Sequence[Part]) -> Counts:
        """What the prompt reads, writes and neither."""
        sizes, prefixes = running(parts), prefixes_of(model, parts)
        least = minimum_of(model) if self.minimum is None else self.minimum
        marks = [at for at, part in enumerate(parts) if part.ttl and sizes[at] >= least]
        hit = max(
            (at for at in (self._hit(prefixes, mark) for mark in marks) if at is not None), default=None
        )
        covered, before = (0, None) if hit is None else (sizes[hit], prefixes[hit])
        self._renew(before)
        read, written = covered, dict.fromkeys(LIFETIMES, 0)
        for mark in marks:
            if hit is not None and mark <= hit:
                continue
            ttl = parts[mark].ttl or "5m"
            written[ttl] += sizes[mark] - covered
            self._keep(prefixes[mark], LIFETIMES[ttl], before)
            covered, before = sizes[mark], prefixes[mark]
        total = sizes[-1] if sizes else 0
        return Counts(total - covered, read, written["5m"], written["1h"])

    def openai(self, model: str, parts: Sequence[Part], *, extended: bool = False) -> Counts:
        """*extended*: the request asks for the longer retention."""
        least = MINIMUM if self.minimum is None else self.minimum
        read, steps = 0, list(_steps(model, parts, least))
        total = sum(part.tokens for part in parts)
        for size, prefix in steps:
            if self._alive(prefix):
                read = size
        for _, prefix in steps:
            kept = self._kept.get(prefix)
            lifetime = (
                EXTENDED if extended or (kept and kept.ttl == EXTENDED and self._alive(prefix)) else IN_MEMORY
            )
            self._keep(prefix, lifetime, None)
        return Counts(total - read, read)

    def _hit(self, prefixes: Sequence[bytes], mark: int) -> int | None:
        for at in range(mark, max(-1, mark - LOOKBACK), -1):
            if self._alive(prefixes[at]):
                return at
        return None

    def _alive(self, prefix: bytes | None) -> bool:
        now = self._clock()
        while prefix is not None:
            kept = self._kept.get(prefix)
            if kept is None or kept.until <= now:
                return False
            prefix = kept.before
        return True

    def _renew(self, prefix: bytes | None) -> None:
        now = self._clock()
        while prefix is not None:
            kept = self._kept[prefix]
            kept.until = now + kept.ttl
            prefix = kept.before

    def _keep(self, prefix: bytes, lifetime: float, before: bytes | None) -> None:
        self._kept[prefix] = _Kept(lifetime, self._clock() + lifetime, before)
        self._kept.move_to_end(prefix)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)


def minimum_of(model: str) -> int:
    """Tokens from which on Anthropic caches a prompt."""
    return next((least for names, least in MINIMA if names.match(model)), MINIMUM)


def running(parts: Sequence[Part]) -> list[int]:
    """Tokens up to the end of each."""
    sizes, size = [], 0
    for part in parts:
        size += part.tokens
        sizes.append(size)
    return sizes


def prefixes_of(model: str, parts: Sequence[Part]) -> list[bytes]:
    """What tells the prompt up to the end of each from all others."""
    hashed, found = hashlib.blake2b(model.encode(), digest_size=16), []
    for part in parts:
        hashed.update(b"%d:%d:" % (len(part.data), len(part.key)))
        hashed.update(part.data)
        hashed.update(part.key)
        found.append(hashed.digest())
    return found


def _steps(model: str, parts: Sequence[Part], least: int) -> Iterator[tuple[int, bytes]]:
    """(tokens, prefix) at each step; a part begins with a token of its own."""
    stream = bytearray()
    keys: list[tuple[int, bytes]] = []
    for part in parts:
        keys.append((len(stream), part.key))
        stream += part.data + b" " * (-len(part.data) % BYTES_PER_TOKEN)
    hashed, done, number = hashlib.blake2b(model.encode(), digest_size=16), 0, 0
    for tokens in range(STEP, len(stream) // BYTES_PER_TOKEN + 1, STEP):
        end = tokens * BYTES_PER_TOKEN
        while number < len(keys) and keys[number][0] < end:
            hashed.update(keys[number][1])
            number += 1
        hashed.update(stream[done:end])
        done = end
        if tokens >= least:
            yield tokens, hashed.digest()
