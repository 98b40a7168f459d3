"""What a program of the OpenAI kind asks, and what it is told first."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.completions.lineage import Past
from gateway.types.places import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """*instructions* of the program for the whole conversation; '' for none. *model* None: as the session has it.

    *session*: it belongs there, whatever its history says. *key* makes a repeat harmless. *again*: the program says
    that it repeats itself.
    """

    past: Past
    instructions: str = ""
    model: str | None = None
    session: str | None = None
    key: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """It is on disk. *session* is the code of the session it belongs to.

    *lasting*: the program has a key to come back with, so that its going away changes nothing.
    """

    session: str
    account: Account
    conversation: int
    event: str
    row: int
    lasting: bool
