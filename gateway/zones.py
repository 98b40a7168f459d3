"""Time zones by what people call them: Europe/Berlin, berlin, Wien; pure, over the names that tzdata and CLDR have."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from gateway.texts import LANGUAGES
from gateway.texts.forms import cities

NEAR = 3  # names offered for one that does not exist
# Etc/GMT+2 is two hours behind GMT: who writes GMT+2 means the opposite.
MISLEADING = ("Etc/",)
NOWHERE = ("Factory",)  # what a machine has whose clock nobody has set


def meant(text: str) -> tuple[str, ...]:
    """The zone of that IANA name or city; several when it does not decide, none when nothing is called so."""
    key = _key(text)
    full = {_key(name): name for name in _zones()}
    if key in full:
        return (full[key],)
    return _distinct(_cities().get(key, ()))


def near(text: str) -> tuple[str, ...]:
    """Zones whose name, or whose city, is spelt almost so; nearest first."""
    called = {key: names[0] for key, names in _cities().items()}
    called |= {_key(name): name for name in _zones() if "/" in name and not name.startswith(MISLEADING)}
    return _distinct(called[key] for key in get_close_matches(_key(text), called, n=NEAR, cutoff=0.7))


@cache
def _zones() -> tuple[str, ...]:
    """tzdata's own list: looking for the files takes half a thousand times as long."""
    names = files("tzdata").joinpath("zones").read_text("utf-8").split()
    return tuple(name for name in names if name not in NOWHERE)


@cache
def _cities() -> dict[str, tuple[str, ...]]:
    """By the last part of a zone's name, and by what CLDR calls its city in the languages we speak."""
    known = set(_zones())
    pairs = [(name.rpartition("/")[2], name) for name in _zones() if "/" in name]
    pairs += [pair for each in LANGUAGES for pair in cities(each).items() if pair[1] in known]
    found: dict[str, list[str]] = {}
    for city, name in pairs:
        if not name.startswith(MISLEADING):
            found.setdefault(_key(city), []).append(name)
    return {key: tuple(names) for key, names in found.items()}


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The first of those that are the same clock under several names."""
    clocks: dict[bytes, str] = {}
    for name in names:
        clocks.setdefault(files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes(), name)
    return tuple(clocks.values())


def _key(text: str) -> str:
    """Without case, accents, blanks and signs; a sign before a digit counts."""
    letters = "".join(
        each for each in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(each)
    )
    return re.sub(r"[^\w/+-]|_|[+-](?!\d)", "", letters)
