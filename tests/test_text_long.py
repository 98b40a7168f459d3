"""Answers that are too long for a chat: their beginning, and a file with all of it."""

import pytest

from channels.discord.channel import PAGES as DISCORD
from channels.discord.channel import Discord
from channels.telegram.channel import PAGES as TELEGRAM
from channels.telegram.channel import Telegram
from channels.text import long
from channels.text.discord import MAX_TEXT as DISCORD_MOST
from channels.text.telegram import MAX_TEXT as TELEGRAM_MOST
from channels.text.telegram import utf16_len
from gateway.types.outbound import Chunk, File
from tests.fakes.telegram_text import settled as accepted

BOTH = pytest.mark.parametrize(
    ("pages", "most"), [(TELEGRAM, TELEGRAM_MOST), (DISCORD, DISCORD_MOST)], ids=["telegram", "discord"]
)
SENTENCE = "This sentence is **one** of very many. "


def code(size: int, language: str = "python") -> str:
    return f"```{language}\n" + "x = 1\n" * (size // 6) + "```"


@BOTH
def test_what_five_messages_have_room_for_is_said(pages: long.Pages, most: int) -> None:
    text = "\n\n".join("y" * (most - 2) for _ in range(5))
    assert [chunk.text for chunk in long.chunks(text, pages)] == text.split("\n\n")


@BOTH
def test_a_longer_answer_is_its_beginning_and_a_file(pages: long.Pages, most: int) -> None:
    text = "\n\n".join(SENTENCE * 10 for _ in range(6 * most // 380))
    first, second = long.chunks(text, pages)
    assert first.text.startswith("This sentence is") and first.file is None
    shown = first.text.rpartition("\n\n")[0]
    assert shown.endswith("many.") and len(shown) > most // 2
    assert first.text.replace("`", "").endswith("\n\n… 📎 answer.md")
    assert utf16_len(first.text) <= most
    assert second == Chunk(text="", file=File(name="answer.md", type="text/markdown", text=text))


def test_the_note_under_a_beginning_is_code_and_the_whole_is_accepted() -> None:
    """Or the server would make a link of answer.md."""
    text = " ".join(f"**b{number}** and" for number in range(4000))
    first = long.chunks(text, TELEGRAM)[0]
    entities = first.extra["entities"]
    assert len(entities) == 100
    assert entities[-1] == {"type": "code", "offset": utf16_len(first.text) - 9, "length": 9}
    assert accepted(first.text, entities, unchecked=True)[0] == first.text


@BOTH
def test_a_long_block_of_code_is_a_file(pages: long.Pages, most: int) -> None:
    block = code(3 * most)
    first, second = long.chunks(f"Before.\n\n{block}\n\nAfter.", pages)
    assert first.text.replace("`", "") == "Before.\n\n📎 code.py\n\nAfter."
    assert second.text == ""
    assert second.file == File(name="code.py", type="text/plain", text="x = 1\n" * (3 * most // 6))


@BOTH
def test_code_of_two_messages_is_said(pages: long.Pages, most: int) -> None:
    chunks = long.chunks(f"Before.\n\n{code(most)}\n\nAfter.", pages)
    assert len(chunks) == 2 and not any(chunk.file for chunk in chunks)


@BOTH
def test_several_files_are_numbered(pages: long.Pages, most: int) -> None:
    text = f"One:\n\n{code(3 * most)}\n\ntwo:\n\n{code(3 * most, 'rust')}"
    first, *others = long.chunks(text, pages)
    assert first.text.replace("`", "") == "One:\n\n📎 code-1.py\n\ntwo:\n\n📎 code-2.rs"
    assert [each.file.name for each in others if each.file] == ["code-1.py", "code-2.rs"]


@BOTH
def test_with_long_text_beside_it_all_is_in_one_file(pages: long.Pages, most: int) -> None:
    text = f"{code(3 * most)}\n\n" + SENTENCE * (6 * most // 30)
    chunks = long.chunks(text, pages)
    assert [each.file.name for each in chunks if each.file] == ["answer.md"]
    assert len(chunks) == 2


@BOTH
def test_code_that_was_never_closed_is_a_file_too(pages: long.Pages, most: int) -> None:
    _, second = long.chunks("Text\n```sql\n" + "select 1;\n" * (most // 3), pages)
    assert second.file is not None and second.file.name == "code.sql"
    assert second.file.text == "select 1;\n" * (most // 3)


@BOTH
def test_nothing_to_see_is_nothing(pages: long.Pages, most: int) -> None:
    assert long.chunks(" \n\u200b", pages) == []


@pytest.mark.parametrize(
    ("language", "suffix"),
    [
        ("python", "py"), ("Python", "py"), ("py", "py"), ("javascript", "js"), ("typescript", "ts"), ("bash", "sh"),
        ("sh", "sh"), ("json", "json"), ("yaml", "yaml"), ("yml", "yaml"), ("html", "html"), ("css", "css"),
        ("sql", "sql"), ("rust", "rs"), ("go", "go"), ("java", "java"), ("c", "c"), ("cpp", "cpp"), ("c++", "cpp"),
        ("", "txt"), ("../../etc/passwd", "txt"), ("src/a.py:12", "txt"),
    ],
)  # fmt: skip
def test_the_language_names_the_file(language: str, suffix: str) -> None:
    assert long.suffix(language) == suffix


@pytest.mark.parametrize("channel", [Telegram, Discord])
def test_a_channel_makes_files_only_where_it_sends_them(
    channel: type[Telegram] | type[Discord], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SENTENCE * 2000
    made = channel(token="1:x", clock=lambda: 0)
    assert [chunk.file is not None for chunk in made.render(text)] == [False, True]
    growing = made.render(text, growing=True)
    assert len(growing) == 5 and not any(chunk.file for chunk in growing)
    without = type("Without", (channel,), {"can": type(channel.can)()})(token="1:x", clock=lambda: 0)
    assert len(without.render(text)) > 5 and not any(chunk.file for chunk in without.render(text))


@pytest.mark.parametrize("channel", [Telegram, Discord])
def test_without_formatting_a_file_is_kept(channel: type[Telegram] | type[Discord]) -> None:
    made = channel(token="1:x", clock=lambda: 0)
    chunk = Chunk(text="x", file=File(name="a.md", type="text/markdown", text="y"))
    assert made.plain(chunk).file == chunk.file
