"""Markdown as Discord messages: within 2000 characters, fences whole in each part, nothing lost."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channels.text.discord import MAX_TEXT, opening, render
from channels.text.split import visible


def one(markdown: str) -> str:
    parts = render(markdown)
    assert len(parts) == 1
    return parts[0]


def words(text: str) -> list[str]:
    return re.findall(r"word\d+", text)


@pytest.mark.parametrize(
    "text",
    [
        "Hello there, how are you?",
        "Two lines\nof one paragraph",
        "First\n\nSecond",
        "**bold**, *italic*, _italic_, ~~struck~~, __under__, ||hidden||, `code`",
        "snake_case_name and 2 * 3 * 4 and a_b",
        "# One\n\n## Two\n\n### Three",
        "- one\n- two\n  - inner\n- three",
        "1. one\n2. two\n3. three",
        "> quoted\n> more\n\nnot quoted",
        "```python\nprint('x')\n```",
        "[a link](https://example.com/a?b=c)",
        "https://example.com/under_score_d_url and <https://example.com>",
        "List<String> & <b>HTML</b>",
        "@everyone and @here, <@123>",
        "Grüße, 你好, 👩‍👩‍👧‍👦",
        "a \\*literal\\* star",
    ],
)
def test_what_discord_reads_as_we_mean_it_stays(text: str) -> None:
    assert one(text) == text


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("#### Deep", "**Deep**"),
        ("###### **Bold**", "**Bold**"),
        ("+ plus\n+ list", "- plus\n- list"),
        ("-# not small", "\\-# not small"),
        ("a &amp; b &lt; c &#42; d", "a & b \\< c \\* d"),
        ("![a cat](https://x.example/cat.png)", "[a cat](https://x.example/cat.png)"),
        ("![](https://x.example/cat.png)", "https://x.example/cat.png"),
        ("[click](javascript:alert)", "click (javascript:alert)"),
        ("[mail](mailto:a@b.c)", "mail (a@b.c)"),
        ("[https://good.example](https://evil.example)", "https://good.example (https://evil.example)"),
        ("[good.example](https://evil.example/x)", "good.example (https://evil.example/x)"),
        ("[https://a.example/](https://a.example/)", "https://a.example/"),
        ("[wiki](https://en.example.org/a_(b))", "[wiki](https://en.example.org/a_%28b%29)"),
        ('[titled](https://a.example "The title")', "[titled](https://a.example)"),
        ("~~~py\nx\n~~~", "```py\nx\n```"),
        ("````\na ``` b\n````", "```\na `\u200b`\u200b` b\n```"),
        ("a ```b``` c", "a `b` c"),
        ("lonely ` tick", "lonely \\` tick"),
        ("5 ** 3", "5 \\*\\* 3"),
        ("never ~~closed", "never \\~\\~closed"),
        ("    indented code", "```\nindented code\n```"),
        ("```a b{c}\nx\n```", "```a\nx\n```"),
        ("one\n\n---\n\ntwo", "one\n\n────────────\n\ntwo"),
        ("> a\n> > b", "> a\n> \n> > b"),
        ("- a\n\n  ```\n  x\n  ```", "- a\n\n```\nx\n```"),
    ],
)
def test_what_discord_would_read_otherwise_is_changed(markdown: str, shown: str) -> None:
    assert one(markdown) == shown


def test_a_table_is_aligned_in_a_block() -> None:
    shown = one("| name | n |\n|:--|--:|\n| `ann` | 1 |\n| **bo** | 22 |")
    assert shown == "```\nname │ n\n─────┼───\nann  │ 1\nbo   │ 22\n```"


def test_a_wide_table_becomes_records() -> None:
    shown = one("| name | text |\n|--|--|\n| ann | " + "much_text " * 6 + "|")
    assert "name: ann" in shown and "```" not in shown


@pytest.mark.parametrize("markdown", ["", " \n\n ", "\u200b", "```\n\n```", "#", "\x00"])
def test_nothing_to_see_is_no_message(markdown: str) -> None:
    assert render(markdown) == []


def test_2001_characters_are_two_messages() -> None:
    assert [len(part) for part in render("x" * 2000)] == [2000]
    assert [len(part) for part in render("x" * 2001)] == [2000, 1]
    assert [len(part) for part in render("😀" * 2001)] == [2000, 1]  # code points, not UTF-16 units


def test_code_is_closed_and_opened_again_with_its_language() -> None:
    code = [f"line{number} = {number}" for number in range(400)]
    parts = render("Before.\n\n```python\n" + "\n".join(code) + "\n```\n\nAfter.")
    assert len(parts) > 2
    for part in parts[1:]:
        assert part.startswith("```python\n")
    for part in parts[:-1]:
        assert part.endswith("\n```")
    assert parts[-1].endswith("```\n\nAfter.")
    kept = [row for part in parts for row in part.split("\n") if row.startswith("line")]
    assert kept == code


def test_a_quote_goes_on_as_a_quote() -> None:
    parts = render("> " + " ".join(f"word{number}" for number in range(600)))
    assert len(parts) > 1
    assert all(part.startswith("> ") for part in parts)


def test_code_in_a_quote_is_fenced_in_each_part() -> None:
    parts = render("> ```\n" + "\n".join(f"> word{number}" for number in range(600)) + "\n> ```")
    assert len(parts) > 1
    for part in parts:
        assert part.startswith("> ```\n> word") and part.endswith("\n> ```")


def test_a_cut_prefers_paragraphs_lines_and_sentences() -> None:
    first, second = render("a" * 1500 + "\n\n" + "b" * 400 + "\n" + "c" * 400)
    assert first == "a" * 1500 and second.startswith("bbb")
    first, second = render("This is a sentence. " * 120)
    assert first.endswith("sentence.") and second.startswith("This")


def test_a_link_is_not_cut() -> None:
    link = "[the label](https://example.com/a/long/path)"
    parts = render("x" * 1980 + " " + link)
    assert parts[1] == link


def test_indented_code_lines_keep_their_indentation_over_a_cut() -> None:
    parts = render("```\n" + "\n".join("    word" + str(number) for number in range(400)) + "\n```")
    assert all(row.startswith("    ") for part in parts for row in part.split("\n") if "word" in row)


def test_too_deeply_nested_is_shown_as_it_is() -> None:
    assert words(" ".join(render("> " * 200 + "word1"))) == ["word1"]


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        render("x", limit=10)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Short.", "Short."),
        ("A first sentence ends here. " + "more " * 30, "A first sentence ends here."),
        ("A line\n" + "more " * 30, "A line"),
        ("word " * 40, ("word " * 16).strip()),
    ],
)
def test_an_opening_is_how_the_text_begins(text: str, first: str) -> None:
    assert opening(text) == first


@pytest.mark.parametrize(
    "text",
    ["**bold " + "x " * 60 + "end**", "```\n" + "x\n" * 60 + "```", "[la " + "x " * 60 + "](https://a.b)"],
)
def test_an_opening_leaves_no_mark_open(text: str) -> None:
    assert opening(text) == text


PIECES = st.sampled_from([
    "word1 word2", "\n", "\n\n", "```", "```py\n", "\n```\n", "`", "``", "**", "*", "_", "__", "~~", "||", "> ",
    ">>> ", "- ", "1. ", "  ", "    ", "# ", "#### ", "-# ", "[", "](", ")", "![", "https://a.example/x_y", "<", ">",
    "&amp;", "&#96;", "\\", "|", "\n|-|-|\n", "| a | b |", "---", "~~~", "😀", "é", "\u200b", "x" * 150, "\t", "\x00",
    "<@1>", "@everyone",
])  # fmt: skip
ANY = st.one_of(st.text(max_size=400), st.lists(PIECES, max_size=60).map("".join))


@settings(max_examples=300, deadline=None)
@given(ANY, st.sampled_from([200, 230, 500, 2000]))
@example("```" * 90, 200)
@example("- ```\n> ```", 200)
@example("```\n0`````", 200)
@example("http://```", 200)
@example("[a](http://b/```)", 200)
@example("<http://```>", 200)
@example("\\```0`0``", 200)
@example("&#96;``0`0``", 200)
def test_whatever_comes_every_part_can_be_sent(markdown: str, limit: int) -> None:
    parts = render(markdown, limit)
    assert parts == render(markdown, limit)
    for part in parts:
        assert len(part) <= limit
        assert visible(part) and part == part.strip("\n ")
        assert part.count("```") % 2 == 0
        assert len(re.findall(r"(?m)^(?:> )*```", part)) == part.count("```")


@settings(max_examples=60, deadline=None)
@given(ANY.filter(bool))
def test_a_growing_text_never_fails(markdown: str) -> None:
    for end in range(0, len(markdown), max(1, len(markdown) // 20)):
        for part in render(markdown[:end], 300):
            assert visible(opening(part))


BLOCKS = st.sampled_from([
    "{}", "**{}**", "# {}", "> {}", "- {}", "1. {}", "```py\n{}\n```", "`{}`", "- a\n  - {}", "> - {}",
    "> ```\n> {}\n> ```", "[{}](https://a.example)", "*{}* and ~~x~~", "| {} | b |\n|-|-|\n| c | d |",
])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(BLOCKS, st.integers(1, 120)), min_size=1, max_size=12),
    st.sampled_from([200, 400, 2000]),
)
def test_no_word_is_lost_or_doubled(blocks: list[tuple[str, int]], limit: int) -> None:
    source = []
    for number, (block, many) in enumerate(blocks):
        if "|" in block:
            many = 1
        source.append(block.format(" ".join(f"word{number}0{each}" for each in range(many))))
    markdown = "\n\n".join(source)
    assert words("\n".join(render(markdown, limit))) == words(markdown)


ENDLESS = [
    "[" * 4000, "`" * 3999, "[a" * 2000, "![" * 2000, "<" * 4000, "> " * 2000, "*a " * 1300, "[a](" * 1000,
    "` " * 2000, "\\" * 3999, "[](" * 1300 + ")" * 1300,
]  # fmt: skip


@pytest.mark.parametrize("text", ENDLESS)
def test_no_text_takes_for_ever(text: str) -> None:
    assert all(len(part) <= MAX_TEXT for part in render(text))


def test_the_same_code_twice_is_two_blocks() -> None:
    assert one("```py\nx\n```\n\n```py\nx\n```") == "```py\nx\n```\n\n```py\nx\n```"


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("- [ ] open\n- [x] done", "- ☐ open\n- ☑ done"),
        ("the $a_1 * b_1$ and \\(x^2\\)", "the a₁ \\* b₁ and x²"),
        ("$$\nE = mc^2\n$$", "```\nE = mc²\n```"),
        ("so:\n\\[\n\\frac{a}{b}\n\\]\nend", "so:\n\n```\na/b\n```\n\nend"),
        ("it costs $5 and $10", "it costs $5 and $10"),
        ("if a || b then ||hidden||", "if a \\|\\| b then ||hidden||"),
        ("(a||b||c)", "(a\\|\\|b\\|\\|c)"),
        ("told[^1]\n\n[^1]: The note", "told¹\n\n¹ The note"),
    ],
)
def test_what_discord_does_not_know_is_shown_readably(markdown: str, shown: str) -> None:
    assert one(markdown) == shown


def test_a_wide_table_keeps_its_links_and_styles() -> None:
    wide = "word " * 12
    assert one(
        f"| name | text |\n|--|--|\n| **ann** | [site](https://a.example) {wide}|\n| bo | x | y |"
    ) == (f"• name: **ann**\n  text: [site](https://a.example) {wide.strip()}\n• name: bo\n  text: x\n  y")
