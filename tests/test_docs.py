"""The documents are true: every setting is explained, every test that is named exists, every link leads somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_setting_is_explained_for_operators() -> None:
    example = (ROOT / "config.example.toml").read_text("utf-8")
    keys = set(re.findall(r"^# (\w+) = ", example, re.MULTILINE))
    text = (ROOT / "docs/operating.md").read_text("utf-8")
    assert keys and [key for key in sorted(keys) if f"`{key}`" not in text and f" {key}`" not in text] == []


def test_every_test_that_a_promise_names_exists() -> None:
    text = (ROOT / "docs/promises.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) >= 13
    for file, test in named:
        source = (ROOT / file).read_text("utf-8")
        assert not test or f"def {test}(" in source, f"{file}::{test}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


def test_the_version_is_in_the_changelog() -> None:
    from gateway import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_dependency_is_bounded_and_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    for requirement in project["dependencies"]:
        name = re.match(r"[\w.-]+", requirement)[0].replace(".", "-")  # type: ignore[index]
        assert "<" in requirement or name == "tzdata", requirement
        assert re.search(rf"^{name}(\[[^]]*\])?==", lock, re.MULTILINE), name
    assert "--hash=sha256:" in lock
    assert "://" not in lock  # no addresses: whoever installs chooses the index


def test_every_command_stands_in_the_list_as_it_is() -> None:
    from gateway.commands.people import People
    from gateway.commands.table import ALIASES, _commands

    async def handler(*_: object) -> None: ...

    listed = {
        found[1]: line
        for line in (ROOT / "docs/commands.md").read_text("utf-8").splitlines()
        if (found := re.match(r"\| `/(\w+)`", line))
    }
    commands = [*_commands(handler, handler), *People(None).commands()]  # type: ignore[arg-type]
    assert list(listed) == [each.name for each in commands]
    for each in commands:
        names, what, when, who, private = [cell.strip() for cell in listed[each.name].strip("|").split(" | ")]
        aliases = [alias for alias, name in ALIASES.items() if name == each.name]
        assert names == ", ".join(f"`/{name}`" for name in (each.name, *aliases))
        assert (what, when, bool(private)) == (each.summary(), each.mode, each.private)
        assert (who == "admins") == (each.role != "user")
