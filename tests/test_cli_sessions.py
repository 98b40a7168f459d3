"""`parley sessions` as its users type it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group

from gateway.cli import sessions
from gateway.cli.prompt import Printer
from gateway.cli.show import is_document
from gateway.cli.talk import Heard
from gateway.sessions import CODE_LENGTH
from gateway.web.guard import LARGEST_BODY
from tests.test_cli import home as home  # the fixture: an empty folder, and a data folder of its own
from tests.test_cli import parley


def told(*words: str) -> Any:
    return json.loads(parley(*words, "--json").stdout)


def talked(*texts: str, key: str = "main") -> str:
    """The session in which that was said."""
    for text in texts:
        answer = told("chat", "-m", text, "--key", key)
    return str(answer["session_id"])


NAMES = sorted(get_group(sessions.app).commands)


@pytest.mark.parametrize("name", NAMES)
def test_every_help_has_an_example(name: str) -> None:
    said = parley("sessions", name, "--help").stdout
    assert f"    parley sessions {name}" in said.partition("Example")[2]


def test_a_title_of_several_words_needs_no_quotes() -> None:
    id = talked("about whales")
    assert (
        f"{id} is called Größe der Wale 🐋 now."
        in parley("sessions", "rename", id[:4], "Größe", "der", "Wale", "🐋").stdout
    )


def test_a_tag_keeps_its_letters() -> None:
    id = talked("about whales")
    assert parley("sessions", "tag", id, "#Größe").stdout == "#größe\n"
    assert told("sessions", "list", "--tag", "GRÖßE")[0]["id"] == id


def test_lists_go_on_where_the_last_page_ended_and_say_when_nothing_fits() -> None:
    assert "Start one with" in parley("sessions", "list").stdout
    ids = [talked("hello", key=key) for key in ("a", "b", "c")]
    pages = [told("sessions", "list", "-n", "2", "--skip", skip) for skip in ("0", "2")]
    assert [each["id"] for page in pages for each in page] == ids[::-1]
    for only in (("--skip", "9"), ("--tag", "none"), ("--state", "archived"), ("--unread",)):
        assert parley("sessions", "list", *only).stdout == "There is no such session.\n"
    assert (
        "'open', 'closed', 'paused', 'archived'" in parley("sessions", "list", "--state", "x", code=2).stderr
    )


def test_words_are_looked_for_in_some_sessions_only() -> None:
    first, other = talked("about whales", key="a"), talked("about whales", key="b")
    parley("sessions", "tag", first, "sea")
    found = told("sessions", "search", "whales", "--tag", "sea")
    assert [each["session"]["id"] for each in found] == [first]
    found = told("sessions", "search", "whales", "--skip", "1", "--channel", "main", "--person", "main:local")
    assert [each["session"]["id"] for each in found] == [first]
    parley("sessions", "archive", other)
    found = told("sessions", "search", "whales", "--state", "archived")
    assert [each["session"]["id"] for each in found] == [other]
    assert parley("sessions", "search", "whales", "--channel", "job").stdout == "No session has that in it.\n"


def test_a_session_that_is_not_there_is_told_as_at_a_command_line() -> None:
    assert (
        parley("sessions", "show", "ZZZZ", code=1).stderr
        == "parley: There is no session that begins with ZZZZ.\n"
    )
    assert "no session that begins with ../x" in parley("sessions", "show", "../x", code=1).stderr
    assert "parley sessions list" in parley("sessions", "undo", "", code=2).stderr
    assert "NOSUCHCODE" in parley("sessions", "undo", "NOSUCHCODE", code=1).stderr


def test_deleting_asks_about_the_session_by_its_title_and_not_about_one_that_is_not_there() -> None:
    id = talked("about whales")
    asked = parley("sessions", "delete", id[:5], typed="n\n", code=1).stdout
    assert f"Delete {id}, about whales, for good?" in asked
    assert "for good" not in parley("sessions", "delete", "ZZZZ", typed="y\n", code=1).output
    parley("sessions", "delete", id[:5], typed="y\n")
    assert told("sessions", "list") == []


def test_configuring_nothing_is_refused_and_thinking_can_be_said_in_tokens() -> None:
    id = talked("hello")
    assert "say what to change" in parley("sessions", "configure", id, code=2).stderr
    assert "'high'" in parley("sessions", "configure", id, "--thinking", "hugely", code=2).stderr
    refused = parley("sessions", "configure", id, "--thinking-tokens", "9000", code=1).stderr
    assert "cannot be told how long to think" in refused  # the demo


def test_a_session_larger_than_any_other_request_is_written_out_and_read_in_again() -> None:
    id = talked("about whales")
    file = Path("long.json")
    parley("sessions", "export", id, "-f", "json", "-o", str(file))
    document = json.loads(file.read_text("utf-8"))
    document["entries"][0]["body"]["text"] = "Größe " * (LARGEST_BODY // 5)
    file.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    assert file.stat().st_size > LARGEST_BODY
    again = parley("sessions", "import", str(file)).stdout[:CODE_LENGTH]
    parley("sessions", "export", again, "-f", "json", "-o", "again.json")
    assert {**json.loads(Path("again.json").read_text("utf-8")), "id": id} == document


def test_what_cannot_be_written_or_read_is_said_in_one_line() -> None:
    id = talked("hello")
    assert "cannot be written" in parley("sessions", "export", id, "-o", "no/such/folder", code=1).stderr
    assert "No such file" in parley("sessions", "import", "nothing.json", code=1).stderr
    Path("bytes").write_bytes(b"\xff\xfe")
    assert parley("sessions", "import", "bytes", code=1).stderr == "parley: bytes is no text\n"


def test_whoever_talks_at_the_terminal_has_their_data_like_others() -> None:
    id = talked("about whales")
    written = json.loads(parley("people", "export", "main:local").stdout)
    assert [each["id"] for each in written["sessions"]] == [id]
    assert json.loads(parley("chat", "-m", "/data export").stdout)["sessions"] == written["sessions"]
    assert "1 session" in parley("people", "erase", "main:local", "--yes").stdout
    assert told("people", "list") == []
    assert told("sessions", "list") == []
    talked("about trains")
    assert "Deleted: 1 sessions" in parley("chat", "-m", "/data erase yes").stdout
    assert told("sessions", "list") == []


@pytest.mark.parametrize(
    ("line", "shown"),
    [("/history", "a * b_c `d` \\n \nlong"), ("/export json", "a \\* b\\_c \\`d\\` \\\\n long")],
)
def test_a_terminal_shows_no_backslashes_of_markdown_but_those_of_a_document(line: str, shown: str) -> None:
    out: list[str] = []
    printer = Printer(out.append, width=20, document=is_document(line))
    text = "a \\* b\\_c \\`d\\` \\\\n long"
    printer.hear(Heard(kind="done", text=text + "word" * 5, state="command"))
    assert "".join(out) == f"{shown}{'word' * 5}\n"
