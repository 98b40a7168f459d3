"""A hundred bad answers and CommonMark's own examples, whole and growing, on both platforms."""

import re
import unicodedata
from collections.abc import Callable, Iterator

import pytest

from channels.text import discord, split, telegram
from tests.commonmark import spec
from tests.corpus.nasty import NASTY
from tests.fakes.discord_rules import Form, check_message
from tests.fakes.telegram_text import settled as accepted

CORPORA = pytest.mark.parametrize("corpus", [lambda: NASTY, spec], ids=["nasty", "commonmark"])
PREFIXES = 60  # of each text; all of a text that is no longer
Corpus = Callable[[], dict[str, str]]

# A tick whose partner never comes, or an address or a list that only looked like one: what is shown meanwhile
# is the better guess, and changes at the end.
GUESSED = {"code never closed"} | {f"spec {n}" for n in (91, 349, 491, 495, 516, 519)}


def beginnings(text: str) -> Iterator[str]:
    step = max(1, len(text) // PREFIXES)
    for end in range(1, len(text), step):
        yield text[:end]
    yield text


def check_telegram(pieces: list[telegram.Piece], where: str) -> None:
    for piece in pieces:
        text, entities = accepted(piece.text, [dict(each) for each in piece.entities], unchecked=True)
        assert text == piece.text.strip(), where
        if piece.text == piece.text.strip():  # code keeps its indentation, which the server takes off
            assert sorted(entities, key=repr) == sorted(piece.entities, key=repr), where


def check_discord(parts: list[str], where: str) -> None:
    for part in parts:
        form = Form()
        check_message(form, {"content": part})
        form.done()
        fences = re.findall(r"(?m)^(?:> )*```", part)
        assert len(fences) % 2 == 0 and part.count("```") == len(fences), where


# -- what a reader sees ---------------------------------------------------------------------------------------

DISCORD_LINK = re.compile(r"\[([^\]\[]*)\]\(https?://[^\s)]*\)")
DISCORD_MARKS = re.compile(r"[*_~|`\[\]()\\#>-]")
DRAWN = re.compile(r"[\s─│┼•\u200b]")


def seen(text: str) -> str:
    """Without white space and what tables and lists are drawn with; letters apart from their accents."""
    return DRAWN.sub("", unicodedata.normalize("NFD", text))


def seen_on_telegram(pieces: list[telegram.Piece]) -> str:
    return seen("".join(piece.text for piece in pieces))


def seen_on_discord(parts: list[str]) -> str:
    return DISCORD_MARKS.sub("", seen(DISCORD_LINK.sub(r"\1", "".join(parts))))


def within(some: str, all: str) -> bool:
    """Whether *some* is *all* with characters left out."""
    if all.startswith(some):
        return True
    at = 0
    for char in some:
        at = all.find(char, at) + 1
        if not at:
            return False
    return True


# -- the tests ------------------------------------------------------------------------------------------------


def test_the_corpus_has_a_hundred_texts() -> None:
    assert len(NASTY) >= 100


@CORPORA
def test_every_text_is_accepted_whole_and_growing(corpus: Corpus) -> None:
    for name, text in corpus().items():
        check_telegram(telegram.render(text), name)
        check_discord(discord.render(text), name)
        for begun in beginnings(text):
            check_telegram(telegram.grown(begun), f"{name}: {begun[-40:]!r}")
            check_discord(discord.grown(begun), f"{name}: {begun[-40:]!r}")


DISCORD_CODE = re.compile(r"https?://[^\s>)]+|```.*?```|(`+)(?!`).+?(?<!`)\1(?!`)|\\.", re.S)


@CORPORA
def test_a_beginning_on_discord_leaves_no_mark_open(corpus: Corpus) -> None:
    """Discord would show it, or find a partner for it far below."""
    for name, text in corpus().items():
        for begun in beginnings(text):
            parts = discord.grown(begun)
            if len(parts) == 1:
                bare = DISCORD_CODE.sub("", parts[0])
                assert not any(bare.count(mark) % 2 for mark in ("~~", "||", "`")), f"{name}: {begun[-40:]!r}"
                assert "**" not in bare or "***" in bare or not bare.count("**") % 2, (
                    f"{name}: {begun[-40:]!r}"
                )


@CORPORA
def test_what_grows_is_never_taken_back(corpus: Corpus) -> None:
    """What is shown of a beginning is in the whole, in order: no mark of it is shown raw, edits only add."""
    found = set()
    for name, text in corpus().items():
        ends = seen_on_telegram(telegram.render(text)), seen_on_discord(discord.render(text))
        for begun in beginnings(text):
            shown = seen_on_telegram(telegram.grown(begun)), seen_on_discord(discord.grown(begun))
            if not all(map(within, shown, ends)):
                found.add(name)
                assert name in GUESSED, (begun[-60:], shown)
    assert found == GUESSED & corpus().keys()  # the list names nothing that holds by now


# Where letters of the source are no text: languages of code, addresses and titles of links, character references,
# formulas, what the repair of characters drops.
UNSEEN = re.compile(
    r"^[ >\t]*(?:(?:[-+*]|\d+[.)])[ \t]+)*(?:`{3,}[^`\n]*$|~{3,}.*$)"
    r"|\]\((?:[^()]|\([^()\n]*\))*?\)|&#?\w+;|\\[A-Za-z]+|\$\$?[^$]+\$\$?"
    r"|\\\[[^\]]*\\\]|\\\([^)]*\\\)|<[^\s<>]*>|^(?:[ >\t]*\d+[.)])+|\[[ xX]\]",
    re.M,
)
WORD = re.compile(r"[^\W_]+")
REORDERED = {"table that is wide"}  # the names of its columns stand in every record


@CORPORA
def test_no_word_is_lost(corpus: Corpus) -> None:
    """Every word of the source that is text is shown on both platforms, in order."""
    lost = {}
    for name, text in corpus().items():
        if name in REORDERED:
            continue
        words = WORD.findall(unicodedata.normalize("NFKD", UNSEEN.sub(" ", split.clean(text))))
        for platform, shown in (
            ("Telegram", "".join(piece.text for piece in telegram.render(text))),
            ("Discord", re.sub(r"```\w*", "", "".join(discord.render(text)))),
        ):
            bare = "".join(WORD.findall(unicodedata.normalize("NFKD", shown)))
            at = 0
            for word in words:
                at = bare.find(word, at)
                if at < 0:
                    lost[name] = (platform, word)
                    break
                at += len(word)
    assert lost == {}
