"""The secret of an API key: how it is made, what the key is called by, and what is stored of it."""

from __future__ import annotations

import hashlib
import secrets

MARK = "parley"  # every key begins so: it can be told from other secrets, by people and by scanners
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
PREFIX = 8  # letters
BYTES = 32  # of chance: nothing slower than SHA-256 is needed to keep it


def made() -> tuple[str, str]:
    """(what the key is called by, the secret, which begins with it)."""
    prefix = "".join(secrets.choice(LETTERS) for _ in range(PREFIX))
    return prefix, f"{MARK}_{prefix}_{secrets.token_urlsafe(BYTES)}"


def prefix_of(typed: str) -> str:
    """What a key is called by; also of a whole secret, of which no more than that is ever shown again."""
    typed = typed.strip()
    return typed.split("_")[1] if typed.startswith(f"{MARK}_") else typed


def hashed(secret: str) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


NEVER = hashed("")
"""Of no key: compared with where there is none, so that it takes as long."""
