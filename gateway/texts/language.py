"""The languages the bot speaks; pure."""

from __future__ import annotations

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}  # by primary subtag (BCP 47), each in its own words


def language_of(tag: str) -> str:
    """The language we speak to who asks for *tag*."""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else ENGLISH
