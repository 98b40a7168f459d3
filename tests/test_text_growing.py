"""The beginning of a text that is still being written: nothing half-written is shown raw."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.discord.channel import Discord
from channels.telegram.channel import Telegram
from channels.text import discord, telegram
from channels.text.growing import settled
from tests.fakes.telegram_text import settled as accepted


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("", ""),
        ("A **bol", "A **bol**"),
        ("A **bold*", "A **bold**"),
        ("A **bold _it", "A **bold _it_**"),
        ("A **", "A"),
        ("2 * 3 *", "2 * 3"),
        ("5 ** 2 is", "5 ** 2 is"),
        ("a snake_case_na", "a snake_case_na"),
        ("call `main(", "call `main(`"),
        ("call `", "call"),
        ("it ~~was", "it ~~was~~"),
        ("it ||was", "it ||was||"),
        ("see [the page](https://exam", "see the page"),
        ("see [the pa", "see"),
        ("see [the page]", "see"),
        ("see [1] for", "see [1] for"),
        ("see ![a cat](https://x.org/ca", "see a cat"),
        ("see **[bold](https://x", "see **bold**"),
        ("see <https://exam", "see"),
        ("Tom &am", "Tom"),
        ("Tom & Jer", "Tom & Jer"),
        ('a <b class="x', "a"),
        ("if a < b", "if a < b"),
        ("so $x^", "so"),
        ("so $x^2$ is", "so $x^2$ is"),
        ("it is $5 and", "it is $5 and"),
        ("so \\(x", "so"),
        ("text\n\n$$\nx = 1", "text\n"),
        ("text\n\n\\[\nx = 1\n- y", "text\n"),
        ("- one\n-", "- one"),
        ("- one\n- [x", "- one"),
        ("1. one\n2", "1. one"),
        ("text\n\n#", "text\n"),
        ("text\n> ", "text"),
        ("text\n\n-", "text\n"),
        ("| a | b |", ""),
        ("| a | b |\n|--", ""),
        ("| a | b |\n|---|---|\n", ""),
        ("| a | b |\n|---|---|\n| 1 | 2", ""),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n| 3", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("Name | Ag", "Name"),
        ("```py\nx = 1", "```py\nx = 1"),
        ("```py\nx = 1\n``", "```py\nx = 1\n"),
        ("- a\n  ```py\n  x **y", "- a\n  ```py\n  x **y"),
        ("never **closed\n\nnext", "never **closed\n\nnext"),
    ],
)
def test_what_is_settled_of_a_beginning(written: str, shown: str) -> None:
    assert settled(written).rstrip() == shown.rstrip()


@pytest.mark.parametrize("channel", [Telegram, Discord])
def test_a_channel_shows_a_beginning_without_raw_marks(channel: type[Telegram] | type[Discord]) -> None:
    made = channel(token="1:x", clock=lambda: 0)
    (growing,) = made.render("See [the page](https://exam", growing=True)
    assert growing.text == "See the page"
    (whole,) = made.render("See [the page](https://exam")
    assert "](https://exam" in whole.text


def test_a_beginning_has_its_styles() -> None:
    (piece,) = telegram.grown("a **bold on")
    assert piece == telegram.Piece("a bold on", ({"type": "bold", "offset": 2, "length": 7},))
    assert discord.grown("a **bold on") == ["a **bold on**"]


@pytest.mark.parametrize(
    "sign", ["[", "*", "_a", "`", "$", "|", "<a ", "\\(", "[a](", "&", "> ", "- ", "~~", "||a"]
)
def test_a_beginning_made_to_be_slow_is_shown(sign: str) -> None:
    settled(sign * 1500)


SIGNS = st.lists(
    st.sampled_from([
        *"ab .\n*_`~[](){}<>|-#>!1$&;:\\", "**", "||", "$$", "\\(", "\\[", "\n\n", "```", "\n```py\n", "\n- ", "\n> ",
        "\n1. ",
        "| a | b |\n|---|---|\n", "](https://a.org)", "[^1]", "- [ ] ", "    ", "\t", "😀", "é", "\u200b", "<b", "&amp",
    ]),
    max_size=60,
).map("".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(SIGNS)
def test_any_beginning_can_be_sent(written: str) -> None:
    for piece in telegram.grown(written):
        assert accepted(piece.text, [dict(each) for each in piece.entities], unchecked=True)
    for part in discord.grown(written):
        assert 0 < len(part) <= discord.MAX_TEXT
        assert part.count("```") % 2 == 0
