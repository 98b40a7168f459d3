"""The bot's own words: complete in English, the same facts in every language."""

from __future__ import annotations

import string
import tomllib
from pathlib import Path

import pytest

from gateway.texts import LANGUAGES, say

FOLDER = Path(__file__).parent.parent / "gateway" / "texts"


def texts(lang: str) -> dict[str, dict[str, str]]:
    """Every text of a language by key, with its forms."""
    tables = tomllib.loads((FOLDER / f"{lang}.toml").read_text("utf-8"))
    return {
        f"{table}.{name}": text if isinstance(text, dict) else {"other": text}
        for table, found in tables.items()
        for name, text in found.items()
    }


def facts(forms: dict[str, str]) -> set[str]:
    return {name for form in forms.values() for _, name, _, _ in string.Formatter().parse(form) if name}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_language_says_the_same_things_with_the_same_facts(lang: str) -> None:
    english, other = texts("en"), texts(lang)
    assert set(other) == set(english)
    for key in english:
        assert facts(other[key]) - {"count"} == facts(english[key]) - {"count"}, key


@pytest.mark.parametrize("lang", LANGUAGES)
def test_forms_are_those_of_a_number(lang: str) -> None:
    for key, forms in texts(lang).items():
        assert set(forms) in ({"other"}, {"one", "other"}), key


@pytest.mark.parametrize(
    ("tag", "expected"), [("de", "Angehalten."), ("de-AT", "Angehalten."), ("DE_de", "Angehalten.")]
)
def test_a_tag_is_matched_by_its_language(tag: str, expected: str) -> None:
    assert say("turn.stopped", tag) == expected


@pytest.mark.parametrize("tag", ["", "xx", "pt-BR", "../../etc/passwd"])
def test_who_speaks_another_language_is_answered_in_english(tag: str) -> None:
    assert say("turn.stopped", tag) == "Stopped."
