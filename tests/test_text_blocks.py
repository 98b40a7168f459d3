"""A text is read block by block: the same as when it is read whole."""

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.text import blocks, lines, split, styled
from channels.text.line import Line
from channels.text.writer import Writer
from tests.commonmark import spec
from tests.corpus.nasty import NASTY

LINES = st.lists(
    st.sampled_from([
        "", "", "- a", "- b `c`", "+ d", "1. e", "2. f", "10. g", "  h", "   i", "    j", "  - k", "   1. l", "```",
        "  ```", "   ```py", "````", "~~~", "> m", "> ```", "# n", "---", "- ---", "***", "o **p** q", "| r | s |",
        "|---|---|", "$$", "\\[", "t", "- ```", "- # u", "1. > v", "- [ ] w", "- [x]", "\tx", "- - y", "1. 2. z", "-",
        "5 a", "(b)", "`c`", "**d**", "- a | b", "-- e", "* f", "* * *",
    ]),
    max_size=14,
).map("\n".join)  # fmt: skip


def whole(text: str) -> tuple[str, list[object]]:
    """As the parser reads it in one piece."""
    tokens = styled._parser().parse(text)
    writer = Writer(lines=text.split("\n"))
    styled._blocks(tokens, writer)
    shown = split.spaced("".join(writer.parts))
    return shown, list(styled.tidy(shown, writer.spans))


def deep(text: str) -> bool:
    """Such texts are shown as they were written, block by block."""
    return any(token.level >= styled.DEEPEST - 1 for token in styled._parser().parse(text))


CORPORA = pytest.mark.parametrize("corpus", [lambda: NASTY, spec], ids=["nasty", "commonmark"])


@CORPORA
def test_a_text_read_by_blocks_is_the_text_read_whole(corpus: Callable[[], dict[str, str]]) -> None:
    for name, source in corpus().items():
        text = split.clean(source)
        assert deep(text) or styled.styled(text) == whole(text), name


@settings(max_examples=1500, deadline=None)
@given(LINES)
def test_any_lines_read_by_blocks_are_the_lines_read_whole(text: str) -> None:
    assert styled.styled(text) == whole(text)


@CORPORA
def test_nothing_is_lost_between_the_blocks(corpus: Callable[[], dict[str, str]]) -> None:
    for source in corpus().values():
        text = split.clean(source)
        borders = blocks.starts(text)
        assert borders == sorted(borders) and borders[0] == 0
        assert re.sub(r"\s", "", "".join(blocks.parts(text))) == re.sub(r"\s", "", text)


def test_a_text_is_really_taken_apart() -> None:
    assert blocks.parts("# a\n\nb\nc\n```py\nd\n\ne\n```\nf\n\n- g\n\n  h\n- i\n\nj") == [
        "# a", "b\nc", "```py\nd\n\ne\n```", "f", "- g\n\n  h\n- i", "j",
    ]  # fmt: skip
    assert blocks.items("1. a\n2. b\n   - c\n3. d") == ["1. a", "2. b\n   - c", "3. d"]


def lines_whole(text: str) -> list[Line]:
    return list(lines._Reader(lines._blocks().parse(text), text.split("\n")).read())


@CORPORA
def test_the_lines_for_discord_are_those_of_the_text_read_whole(corpus: Callable[[], dict[str, str]]) -> None:
    for name, source in corpus().items():
        text = split.clean(source)
        assert deep(text) or lines.lines(text) == lines_whole(text), name


@settings(max_examples=800, deadline=None)
@example("1. e\n   ```py\n  ```\n~~~")  # the second fence ends the list and begins code of its own
@given(LINES)
def test_the_lines_for_discord_of_any_text_are_those_of_it_read_whole(text: str) -> None:
    assert lines.lines(text) == lines_whole(text)
