"""Markdown as Telegram messages: what the server's rules demand of every one of them."""

import json
import re
import subprocess
import sys
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.text import split
from channels.text.telegram import Piece, opening, plain, render, utf16_len

FENCE = "```"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # four people, one character
FLAG = "\U0001f1e9\U0001f1ea"
PROSE = "The quick brown fox jumps over the lazy dog, as it does every day of the week. "

NASTY = {
    "nothing": "",
    "blank lines": " \n\n \t\n",
    "only invisible": "\u200b\u2060\ufeff",
    "code in bold": "**Use `x` and `y` now** and then",
    "code in italic in bold": "***`x`***",
    "code in a link": "[see `main()` here](https://example.org/a?b=c&d=e)",
    "bold in a link": "[see **this** one](https://example.org)",
    "link in bold": "**see [this](https://example.org) one**",
    "bold in bold": "**a **b** c**",
    "bold in a heading": "# All **bold `code`** here",
    "styles across each other": "**bold _both** italic_ ~~**x~~ y**",
    "unclosed everything": "**bold _italic ~~strike `code [link](http://",
    "stars alone": "* ** *** **** * a*b*c 2*3*4",
    "underscores in words": "snake_case_name and __init__ and _private",
    "nested quotes": "> one\n>> two\n>>> three\n> `code` **bold**",
    "fence in a quote": f"> before\n> {FENCE}py\n> x = 1\n> {FENCE}\n> after",
    "list in a quote": "> - a\n>   - b\n>\n> end",
    "open fence": f"Look:\n{FENCE}python\ndef f():\n\treturn 1",
    "fence without a language": f"{FENCE}\n  indented\n{FENCE}",
    "empty fence": f"a\n{FENCE}python\n{FENCE}\nb",
    "fence in a fence": f"````md\n{FENCE}py\nx\n{FENCE}\n````",
    "fence in a list": f"1. first\n   {FENCE}sh\n   ls\n   {FENCE}\n2. second\n\n   more",
    "odd fence info": f'{FENCE}{{.py title="`x"}}\nx\n{FENCE}\n~~~c++ {{1,2}}\nint x;\n~~~',
    "indented code": "text\n\n    code\n\tmore",
    "html": "<b>bold</b> List<String> a<br>b <script>alert(1)</script>\n<div>\nx\n</div>\n<!-- gone? -->",
    "references to controls": "**&#x9;a&#x202e;** &#x1; `b` &#x0d; &#x2028;",
    "entities": "&lt;b&gt; &amp;amp; &#0; &#xD800; &#x1F600; &nbsp;",
    "bad links": "[a](javascript:alert(1)) [b](data:text/html,x) [c](tg://resolve?domain=x) [d](src/main.py)",
    "hosts the server refuses": "[a](http://localhost:80/x) [b](http://[::1]/) [c](https://) [d](http://u@evil.org)",
    "empty links": "[](https://example.org) [x]() []() ![](https://example.org/i.png)",
    "invisible link text": "[\u200b](https://example.org/?secret=1)",
    "mail": "[write](mailto:me@example.org) <me@example.org>",
    "autolinks": "<https://example.org/a_b_c> https://example.org/x_y_z",
    "link with brackets": "[a [b] c](https://en.wikipedia.org/wiki/X_(y)) [x](<https://a.org/b c>)",
    "address in a link": "[see <https://a.org/x> there](https://b.org)",
    "image in a link": "[![logo](https://example.org/i.png)](https://example.org)",
    "reference links": "see [this][1]\n\n[1]: https://example.org 'title'\n[^n]: a note",
    "small table": "| a | b |\n|---|:-:|\n| 1 | **2** | 3 |\n| [x](https://e.org) |",
    "wide table": f"| name | what it is |\n|---|---|\n| x | {PROSE} `code` |\n| y | [z](https://e.org) | m |",
    "table of wide characters": "| 名前 | 値 |\n|---|---|\n| 東京 | 1 |\n| é | \U0001f600 |",
    "table in a list": "- t\n\n  | a | b |\n  |---|---|\n  | 1 | 2 | 3 |\n\nend",
    "table in a quote": "> q\n> | a | b |\n> |---|---|\n> | 1 | 2 |\n> end",
    "table begun": "| a | b |\n|---|",
    "tasks": "- [ ] open\n- [x] done\n1. [X] numbered\n- [ ]",
    "deep list": "\n".join("  " * n + f"- level {n}" for n in range(12)),
    "too deep a list": "\n".join("  " * n + f"- level {n}" for n in range(70)),
    "too deep quotes": ">" * 200 + " deep",
    "numbers": "3) three\n4) four\n\n999999999. big\n",
    "rules": "a\n\n---\n***\n___\nb\n---",
    "mathematics": r"\(a_b\) \[x^2\] $a_1 * b_1$ $$\sum_{i=1}^n$$",
    "line ends": "a\r\nb\rc\u2028d\u2029e\x0bf\x00g\x1bh",
    "lone surrogates": "a\ud800b \udc00 **\ud83d** [x\udfff](https://a.org/\ud800)",
    "a pair of surrogates": "**\ud83d\ude00** x",
    "overrides": "abc\u202egnp.exe\u202c",
    "240 bold": " ".join(f"**b{n}**" for n in range(240)),
    "240 links": " ".join(f"[l{n}](https://e.org/{n})" for n in range(240)),
    "mixed 300": " ".join(f"**b{n}** `c{n}` [l{n}](https://e.org/{n})" for n in range(100)),
    "long paragraphs": "\n\n".join(PROSE * 9 for _ in range(20)),
    "long code": f"Intro\n\n{FENCE}go\n" + "\tfmt.Println(1)\n\n" * 900 + f"{FENCE}\nend",
    "no place to cut": "x" * 9000,
    "emoji only": "**" + FAMILY * 900 + "**",
    "flags only": FLAG * 2500,
    "zalgo": "a" + "\u0301" * 9000,
    "long link text": "[" + "word " * 2000 + "end](https://example.org)",
    "long code line": "`" + "y" * 5000 + "`",
    "quote over the limit": "\n".join("> " + PROSE for _ in range(120)),
}
INVISIBLE = "\u200b\u2060\ufeff"
DOCUMENT = f"""# A **title** with `code`

Some _text_ with [a link](https://example.org/x) and `code`, **bold {FAMILY} `x` bold**.
Intro:
- one
  1. two [ ] **x**
- [x] three

> quote `c`
> {FENCE}py
> x
> {FENCE}

| a | b |
|---|---|
| 1 | ~~2~~ | 3 |

{FENCE}python
def f():
    return "**no**"
{FENCE}

---
![i](https://example.org/i.png) end {FLAG}
"""


def units(text):
    return text.encode("utf-16-le")


def cut(text, entity):
    begin, end = entity["offset"] * 2, (entity["offset"] + entity["length"]) * 2
    return units(text)[begin:end].decode("utf-16-le")


def check(piece, limit=4096):
    """What the server demands; a break of any rule is an error there, or formatting that is not as meant."""
    json.dumps({"text": piece.text, "entities": piece.entities}, ensure_ascii=False).encode()
    size = len(units(piece.text)) // 2
    assert 0 < size <= limit
    assert piece.text.rstrip() == piece.text
    assert piece.text.strip().strip(INVISIBLE)
    blocks_at_the_begin = [e for e in piece.entities if e["type"] == "pre" and e["offset"] == 0]
    assert blocks_at_the_begin or piece.text.lstrip() == piece.text
    assert not piece.text.startswith("\n")
    assert not re.search("[\x00-\x09\x0b-\x1f\u2028-\u202e\ud800-\udfff]", piece.text)
    assert len(piece.entities) <= 100
    assert list(piece.entities) == sorted(piece.entities, key=lambda e: (e["offset"], -e["length"]))
    for entity in piece.entities:
        check_alone(piece.text, entity, size)
    for one, other in combinations(piece.entities, 2):
        check_pair(one, other)


def check_alone(text, entity, size):
    kind = entity["type"]
    assert kind in {"bold", "italic", "strikethrough", "spoiler", "code", "pre", "text_link", "blockquote"}
    assert set(entity) <= {"type", "offset", "length"} | {"pre": {"language"}, "text_link": {"url"}}.get(
        kind, set()
    )
    assert entity["offset"] >= 0 and entity["length"] > 0
    assert entity["offset"] + entity["length"] <= size
    covered = cut(text, entity)  # raises if it begins or ends inside a surrogate pair
    assert covered.strip()
    assert covered == covered.rstrip()
    assert kind == "pre" or covered == covered.lstrip()
    if kind == "text_link":
        assert re.fullmatch(r"https?://[^\s/?#@]+\.[^\s/?#@]+([/?#]\S*)?", entity["url"], re.I)


def check_pair(one, other):
    begin, end = one["offset"], one["offset"] + one["length"]
    first, last = other["offset"], other["offset"] + other["length"]
    if end <= first or last <= begin:
        return
    assert (begin <= first and last <= end) or (first <= begin and end <= last), "partial overlap"
    kinds = {one["type"], other["type"]}
    assert not kinds & {"pre", "code"}, "code has nothing in it and is in nothing"
    assert len(kinds) == 2, "a kind within itself"


def check_all(markdown, limit=4096):
    pieces = render(markdown, limit)
    for piece in pieces:
        check(piece, limit)
    return pieces


def words(text):
    return re.findall(r"[^\W_]+", text)


def kinds(piece):
    return [(entity["type"], cut(piece.text, entity)) for entity in piece.entities]


def only(markdown):
    (piece,) = check_all(markdown)
    return piece


@pytest.mark.parametrize("markdown", NASTY.values(), ids=NASTY.keys())
@pytest.mark.parametrize("limit", [4096, 1000, 97])
def test_every_message_of_a_nasty_text_obeys_the_server(markdown, limit):
    check_all(markdown, limit)
    for piece in plain(markdown, limit):
        check(piece, limit)


def test_the_corpus_is_large_enough_to_mean_something():
    assert len(NASTY) >= 40


@pytest.mark.parametrize("name", ["nothing", "blank lines", "only invisible"])
def test_a_text_with_nothing_to_see_gives_no_message(name):
    assert render(NASTY[name]) == [] == plain(NASTY[name])


# Their words are in character references, formulas and fence infos, or change with the repair of the characters.
REPAIRED = {
    "mathematics",
    "references to controls",
    "entities",
    "odd fence info",
    "image in a link",
    "line ends",
    "lone surrogates",
}


@pytest.mark.parametrize("name", sorted(NASTY.keys() - REPAIRED))
def test_no_word_is_lost(name):
    """Every word of the source is in the messages or in the addresses and languages of their entities."""
    pieces = render(NASTY[name])
    shown = [piece.text for piece in pieces]
    shown += [str(e.get("url", e.get("language"))) for piece in pieces for e in piece.entities]
    remaining = "".join(words(" ".join(shown)))
    markup = {"mailto", "python", "py", "x", "X", "title"} | {str(n) for n in range(12)}
    assert [w for w in words(split.clean(NASTY[name])) if w not in remaining and w not in markup] == []


@pytest.mark.parametrize(
    "name", [name for name in NASTY if len(NASTY[name]) < 700], ids=lambda name: name.replace(" ", "-")
)
def test_every_beginning_of_a_nasty_text_is_valid(name):
    for end in range(len(NASTY[name]) + 1):
        check_all(NASTY[name][:end])


@pytest.mark.parametrize("limit", [4096, 60])
def test_every_beginning_of_a_document_is_valid(limit):
    for end in range(len(DOCUMENT) + 1):
        check_all(DOCUMENT[:end], limit)


SIGNS = [
    *"ab .\n\t*_`~[](){}<>|-#>!+1\\&;:\"'",
    "\u200d",
    "\u0301",
    "\ufe0f",
    "\U0001f600",
    "\ud83d",
    "\ude00",
]
SIGNS += [
    "\x00",
    "\U0001f1e6",
    "```",
    "\n- ",
    "\n> ",
    "\n```py\n",
    "**",
    "](https://a.org)",
    "|a|b|\n|-|-|\n|c|d|e|\n",
]
MARKUP = st.lists(st.sampled_from(SIGNS), max_size=120).map("".join)
ANY = st.one_of(MARKUP, st.text(st.characters(), max_size=200), st.text(max_size=80))


@settings(max_examples=300, deadline=None)
@given(ANY, st.sampled_from([4096, 40, 2, 7]))
def test_any_text_gives_valid_messages(markdown, limit):
    check_all(markdown, limit)
    for piece in plain(markdown, limit):
        check(piece, limit)


@settings(max_examples=150, deadline=None)
@given(MARKUP)
def test_rendering_is_deterministic(markdown):
    assert render(markdown) == render(markdown)


@settings(max_examples=200, deadline=None)
@given(MARKUP, st.sampled_from([1, 2, 10, 80]))
def test_an_opening_is_the_begin_of_its_message(markdown, limit):
    for piece in render(markdown):
        begin = opening(piece, limit)
        assert piece.text.startswith(begin.text)
        check(begin)
        assert begin == piece or utf16_len(begin.text) <= limit


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_utf16_len_counts_what_the_codec_counts(text):
    assert utf16_len(text) == len(units(text)) // 2


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text("abcXYZ", min_size=1, max_size=12), max_size=60), st.sampled_from([30, 64]))
def test_words_are_neither_lost_nor_cut_nor_moved(some, limit):
    assert words(" ".join(piece.text for piece in render(" ".join(some), limit))) == some


def test_bold_goes_around_code():
    assert kinds(only("**Use `x` now**")) == [("bold", "Use"), ("code", "x"), ("bold", "now")]


def test_code_in_a_link_is_only_a_link():
    piece = only(NASTY["code in a link"])
    assert piece.text == "see main() here"
    assert piece.entities[0]["url"] == "https://example.org/a?b=c&d=e"
    assert [kind for kind, _ in kinds(piece)] == ["text_link"]


def test_a_quote_ends_before_code_and_goes_on_after_it():
    piece = only(NASTY["fence in a quote"])
    assert kinds(piece) == [("blockquote", "before"), ("pre", "x = 1"), ("blockquote", "after")]


def test_quotes_in_quotes_are_shown_by_marks():
    piece = only("> one\n>> two")
    assert kinds(piece) == [("blockquote", "one\n\n> two")]


def test_a_heading_is_bold_and_a_rule_is_a_line():
    piece = only("# Head\ntext\n\n---\nmore")
    assert kinds(piece) == [("bold", "Head")]
    assert re.fullmatch("Head\n\ntext\n\n─+\n\nmore", piece.text)


def test_lists_are_indented_and_tasks_have_boxes():
    assert only("- a\n  - b\n    next\n- [x] c\n- [ ] d\n\n3. e\n4. f").text == (
        "• a\n  • b\n    next\n☑ c\n☐ d\n\n3. e\n4. f"
    )


def test_an_open_fence_is_code_already():
    assert only("Look:\n```py\nx = 1").entities == (
        {"type": "pre", "offset": 7, "length": 5, "language": "py"},
    )


def test_tabs_in_code_become_spaces_because_the_server_leaves_one():
    assert only("```\nif x:\n\ty\n```").text == "if x:\n    y"


def test_a_list_on_its_way_does_not_turn_the_line_above_into_a_heading():
    assert only("Intro:\n-").entities == ()


@pytest.mark.parametrize(
    "markdown, text",
    [
        ("[a](javascript:alert(1))", "a (javascript:alert(1))"),
        ("[a](tg://resolve?domain=x)", "a (tg://resolve?domain=x)"),
        ("[a](src/main.py)", "a (src/main.py)"),
        ("[a](http://localhost:80/)", "a (http://localhost:80/)"),
        ("[a](https://good.org@evil.org)", "a (https://good.org@evil.org)"),
        ("[write](mailto:me@example.org)", "write (me@example.org)"),
        ("<me@example.org>", "me@example.org"),
        ("![pic](cid:1)", "pic (cid:1)"),
    ],
)
def test_an_address_that_is_no_web_address_is_shown_instead_of_linked(markdown, text):
    assert only(markdown) == Piece(text)


def test_a_link_nobody_could_see_shows_its_address():
    assert only(NASTY["invisible link text"]).text.endswith("https://example.org/?secret=1")


def test_an_image_is_a_link_with_its_description():
    piece = only("![A cat](https://example.org/cat.png)")
    assert kinds(piece) == [("text_link", "A cat")]


def test_html_and_type_parameters_stay_text():
    assert only("a List<String> <b>x</b>").text == "a List<String> <b>x</b>"


def test_a_small_table_is_aligned_and_keeps_surplus_cells():
    assert only("| a | bb |\n|---|---|\n| 1 | 2 | 3 |").text == "a │ bb │\n──┼────┼──\n1 │ 2  │ 3"


def test_a_wide_table_becomes_records_with_formatting():
    piece = only(f"| name | what |\n|---|---|\n| x | **{PROSE.strip()}** |\n| y | |")
    assert piece.text == f"• name: x\n  what: {PROSE.strip()}\n• name: y"
    assert kinds(piece) == [("bold", PROSE.strip())]


def test_a_surplus_cell_in_a_quoted_table_is_not_doubled():
    assert only("> | a | b |\n> |---|---|\n> | 1 | 2 |").text == "a │ b\n──┼──\n1 │ 2"


def test_surrogates_are_joined_or_replaced():
    assert only("\ud83d\ude00 \ud83d x").text == "\U0001f600 \ufffd x"


def test_a_letter_with_its_ring_apart_is_made_one_because_the_server_drops_the_ring():
    assert only("sma\u030a").text == "sm\xe5"


def test_nul_and_overrides_are_removed():
    assert only("a\x00b\u202ec").text == "abc" == plain("a\x00b\u202ec")[0].text


def test_styles_are_given_up_before_links_when_there_are_too_many():
    piece = only(" ".join(f"**b{n}** [l{n}](https://e.org/{n})" for n in range(80)))
    names = [kind for kind, _ in kinds(piece)]
    assert names.count("text_link") == 80
    assert names.count("bold") == 20


def test_links_beyond_a_hundred_begin_a_new_message():
    pieces = check_all(NASTY["240 links"])
    assert [url for p in pieces for e in p.entities for url in [e["url"]]] == [
        f"https://e.org/{n}" for n in range(240)
    ]


@pytest.mark.parametrize("size", [4094, 4095, 4096, 4097, 4098])
def test_an_emoji_at_the_limit_is_not_cut(size):
    text = "x" * (size - 2) + "\U0001f600"
    pieces = check_all(text)
    assert "".join(piece.text for piece in pieces) == text
    assert len(pieces) == (1 if size <= 4096 else 2)


@pytest.mark.parametrize("shift", range(12))
@pytest.mark.parametrize(
    "sign", [FAMILY, FLAG, "👍🏽", "e\u0301", "1\ufe0f\u20e3", "🏴\U000e0067\U000e0062\U000e007f"]
)
def test_a_character_of_several_code_points_is_not_cut(sign, shift):
    text = "x" * shift + sign * 20
    pieces = check_all(text, 24)
    assert "".join(piece.text for piece in pieces) == text
    assert all(
        piece.text.lstrip("x").count(sign) * len(sign) == len(piece.text.lstrip("x")) for piece in pieces
    )


def test_a_text_of_exactly_the_limit_is_one_message():
    assert len(check_all("y" * 4096)) == 1
    assert [len(piece.text) for piece in check_all("y" * 4097)] == [4096, 1]


@pytest.mark.parametrize(
    "text, first",
    [
        pytest.param("One one one.\n\nTwo. Two\ntwo three four five", "One one one.", id="paragraph"),
        pytest.param("One one one one.\nTwo. Two two three four", "One one one one.", id="line"),
        pytest.param("One one one one. Two two three four five", "One one one one.", id="sentence"),
        pytest.param("One one one one two two three four five", "One one one one two two", id="word"),
        pytest.param(
            "你好你好你好你好你好你好。再见再见再见再见再见再见再见",
            "你好你好你好你好你好你好。",
            id="no spaces",
        ),
    ],
)
def test_a_text_is_cut_at_the_best_border(text, first):
    assert check_all(text, 24)[0].text == first


def test_a_link_text_is_not_cut_when_it_fits_in_the_next_message():
    pieces = check_all("word word [a link of words](https://e.org) end", 20)
    assert [kinds(piece) for piece in pieces] == [[], [("text_link", "a link of words")]]


def test_code_over_the_limit_is_code_with_its_language_in_every_message():
    source = "\n".join(f"    line_{n} = {n}" for n in range(600))
    pieces = check_all(f"```python\n{source}\n```")
    assert len(pieces) > 2
    assert "\n".join(piece.text for piece in pieces) == source
    for piece in pieces:
        assert piece.entities == (
            {"type": "pre", "offset": 0, "length": len(piece.text), "language": "python"},
        )


def test_code_that_fits_moves_to_the_next_message_as_a_whole():
    pieces = check_all("Some words before the code are here.\n\n```py\na = 1\n\nb = 2\n```", 45)
    assert kinds(pieces[1]) == [("pre", "a = 1\n\nb = 2")]


@pytest.mark.parametrize(
    "text",
    [
        "a\n\nb\n\n\nc d",
        "a b c",
        "\U0001f600\n\n\U0001f600 b",
        "a. b. ab. c",
        "。\U0001f600\U0001f600 b",
        "[a\n\nb](https://e.org)",
    ],
)
@pytest.mark.parametrize("limit", [2, 3])
def test_the_smallest_limits_come_to_an_end(text, limit):
    assert "".join(words("".join(piece.text for piece in check_all(text, limit)))) == "".join(
        words(render(text)[0].text)
    )


def test_a_limit_without_room_for_a_character_is_refused():
    with pytest.raises(ValueError):
        render("abc", 1)


def test_plain_shows_what_was_written():
    assert plain("**a** [b](javascript:x)\n") == [Piece("**a** [b](javascript:x)")]


@pytest.mark.parametrize(
    "markdown, limit, begin",
    [
        pytest.param("Short. Text.", 80, "Short. Text.", id="all of it"),
        pytest.param("First one. Second " + "word " * 30, 80, "First one.", id="sentence"),
        pytest.param("# Head\n\nBody " + "word " * 30, 80, "Head", id="line"),
        pytest.param("word " * 30, 12, "word word", id="words"),
        pytest.param(
            "1. Do this e.g. now. Then " + "word " * 30, 80, "1. Do this e.g. now.", id="no false end"
        ),
        pytest.param("\U0001f600" * 50, 9, "\U0001f600" * 4, id="emoji"),
    ],
)
def test_an_opening_is_a_sentence_or_some_words(markdown, limit, begin):
    assert opening(only(markdown), limit).text == begin


def test_an_opening_keeps_the_entities_that_reach_into_it():
    piece = only("**" + "word " * 30 + "end** and `code`")
    assert opening(piece, 12).entities == ({"type": "bold", "offset": 0, "length": 9},)


@pytest.mark.parametrize(
    "sign", ["[", "*", "> ", "- ", "`a``", "![", "<", "a_b*", "|a", "[a](", "1. a\n", "&amp;", " \n"]
)
def test_a_text_made_to_be_slow_is_rendered_and_valid(sign):
    check_all(sign * 1500)


def test_the_parser_is_loaded_at_the_first_use_only():
    code = "import sys, channels.text.telegram; sys.exit('markdown_it' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "markdown, text, marked",
    [
        ("it is ||hidden **well**||", "it is hidden well", [("spoiler", "hidden well"), ("bold", "well")]),
        ("if a || b or (a||b||c)", "if a || b or (a||b||c)", []),
        ("||with `code`||", "with code", [("spoiler", "with code")]),
        ("the $a_1 * b_1$ and \\(x^2\\)", "the a₁ * b₁ and x²", []),
        ("so:\n$$\n\\frac{a}{b} \\leq \\alpha\n$$\nend", "so:\n\na/b ≤ α\n\nend", [("pre", "a/b ≤ α")]),
        ("> \\[\n> x_i\n> \\]", "xᵢ", [("pre", "xᵢ")]),
        ("- one\n  $$x^2$$", "• one\nx²", [("pre", "x²")]),
        ("it costs $5 and $10, US$3", "it costs $5 and $10, US$3", []),
        ("told[^1] and [^b]\n\n[^1]: The note", "told¹ and [b]\n\n¹ The note", []),
    ],
)
def test_what_commonmark_does_not_know_is_readable(markdown, text, marked):
    piece = only(markdown)
    assert piece.text == text
    assert kinds(piece) == marked
