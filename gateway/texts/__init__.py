"""The bot's own words, one file a language: `say("halt.on", "de")`. English is complete; the others may lag.

A file holds tables of texts. {names} are filled in from the facts; a text that is a table itself has a form
for one and for other numbers (CLDR's categories), chosen by the fact *count*.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}  # by primary subtag (BCP 47), each in its own words


def say(key: str, lang: str = "", /, **facts: object) -> str:
    """The text of that key, such as "turn.stopped". *lang* is a BCP 47 tag; unknown ones are answered in English.

    Raises KeyError for a key that English does not have, or a fact that the text needs.
    """
    found = _texts(language_of(lang)).get(key) or _texts(ENGLISH)[key]
    if isinstance(found, dict):
        found = found["one" if facts.get("count") == 1 else "other"]
    return str(found).format_map(facts)


def language_of(tag: str) -> str:
    """The language we speak to who asks for *tag*."""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else ENGLISH


@cache
def _texts(lang: str) -> dict[str, Any]:
    import tomllib  # 10 ms that only who speaks needs

    tables = tomllib.loads(Path(__file__).with_name(f"{lang}.toml").read_text("utf-8"))
    return {f"{table}.{name}": text for table, texts in tables.items() for name, text in texts.items()}
