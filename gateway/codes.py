"""One-time codes that people read to one another; pure but for the dice."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Protocol, TypeVar

# Without 0 and O, 1, I and L: nobody can tell them apart on every screen. 31 of them, eight times: 39 bits.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 8


class Hashed(Protocol):
    """Something that was given out with a code."""

    @property
    def code_hash(self) -> str: ...


T = TypeVar("T", bound=Hashed)


def new_code() -> str:
    """ABCDEFGH, from the system's randomness."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def digest(code: str) -> str:
    """What is kept of a code; spaces, dashes and small letters are forgiven."""
    kept = "".join(code.upper().replace("-", "").split())
    return hashlib.sha256(kept.encode("utf-8", "replace")).hexdigest()


def matching(code: str, given: Sequence[T]) -> T | None:
    """Whose code it is; takes as long whether and wherever it is found."""
    tried, found = digest(code), None
    for each in given:
        if hmac.compare_digest(each.code_hash, tried):
            found = each
    return found
