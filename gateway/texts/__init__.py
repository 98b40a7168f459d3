"""The bot's own words, one file a language: `say("halt.on", "de")`. English is complete; the others may lag.

A file holds tables of texts. {names} are filled in from the facts; a text that is a table itself has a form for
each of CLDR's categories of numbers (one, other, and what else the language has), chosen by the fact *count*.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from gateway.texts import forms
from gateway.texts.language import ENGLISH, LANGUAGES, language_of

__all__ = ["ENGLISH", "LANGUAGES", "language_of", "say"]


def say(key: str, lang: str = "", /, **facts: str | int) -> str:
    """The text of that key, such as "turn.stopped". *lang* is a BCP 47 tag; unknown ones are answered in English.

    Whole numbers get the form of the language that the text is in; all other facts come in theirs
    (`gateway.texts.forms`). Raises KeyError for a key that English does not have, or a fact that the text needs.
    """
    spoken = language_of(lang)
    if key not in _texts(spoken):
        spoken = ENGLISH
    found = _texts(spoken)[key]
    if isinstance(found, dict):
        count = facts["count"]
        found = found.get(forms.plural(int(count), spoken)) or found["other"]
    return str(found).format_map({name: _formed(fact, spoken) for name, fact in facts.items()})


def _formed(fact: str | int, lang: str) -> str:
    return forms.whole(fact, lang) if isinstance(fact, int) else fact


@cache
def _texts(lang: str) -> dict[str, Any]:
    import tomllib  # 10 ms that only who speaks needs

    tables = tomllib.loads(Path(__file__).with_name(f"{lang}.toml").read_text("utf-8"))
    return {f"{table}.{name}": text for table, texts in tables.items() for name, text in texts.items()}
