"""The bot's own words: complete in English, the same facts in every language."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path

import pytest

from gateway.texts import LANGUAGES, say
from gateway.texts.forms import plural

# “3 earlier”, “3 more”; a stretch of days is of more than one; whole phrases with a noun of their own.
ONE_FORM = ("cost.earlier", "people.more", "period.days")
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
def test_forms_are_those_that_numbers_have_in_the_language(lang: str) -> None:
    categories = {plural(count, lang) for count in range(1000)}
    for key, forms in texts(lang).items():
        assert set(forms) in ({"other"}, categories), key


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_noun_goes_with_its_number(lang: str) -> None:
    """Where a number stands before a word, the word has a form for each; abbreviations and symbols have one only."""
    for key, forms in texts(lang).items():
        if re.search(r"\{(count|number)\} \w\w", forms["other"]) and key not in ONE_FORM:
            assert len(forms) > 1, key


@pytest.mark.parametrize(
    ("tag", "expected"), [("de", "Angehalten."), ("de-AT", "Angehalten."), ("DE_de", "Angehalten.")]
)
def test_a_tag_is_matched_by_its_language(tag: str, expected: str) -> None:
    assert say("turn.stopped", tag) == expected


@pytest.mark.parametrize("tag", ["", "xx", "pt-BR", "../../etc/passwd"])
def test_who_speaks_another_language_is_answered_in_english(tag: str) -> None:
    assert say("turn.stopped", tag) == "Stopped."
