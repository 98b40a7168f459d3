"""The documents are true: every setting is explained, every test that is named exists, every link leads somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What the list of commands says of each rule of shared chats.
WHO = {"member": "", "asker": "in a group who asked, or an administrator", "admin": "administrators"}
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

SOURCES = ("gateway", "channels", "storage", "tests", "bench", "docs")


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


def test_every_module_that_the_architecture_names_exists() -> None:
    """Under that name, or under the folder that its paragraph is about."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    there = {f"/{path.relative_to(ROOT)}" for each in SOURCES for path in (ROOT / each).rglob("*.py")}
    named = set(re.findall(r"[\w/]+\.py", text))
    assert len(named) > 100
    assert sorted(each for each in named if not any(path.endswith(f"/{each}") for path in there)) == []
    folders = set(re.findall(r"`((?:\w+/)+)`", text))
    assert len(folders) > 10
    kept = {
        f"/{path.relative_to(ROOT)}/"
        for each in SOURCES
        for path in [ROOT / each, *(ROOT / each).rglob("*/")]
    }
    assert sorted(each for each in folders if not any(path.endswith(f"/{each}") for path in kept)) == []


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
        assert (who == "admins") == (each.role == "admin") and each.role != "owner"
        rules = {each.shared(""), each.shared("something")}
        assert all(WHO[rule] in who for rule in rules) and (rules == {"member"}) == ("group" not in who), (
            each.name
        )


def test_every_command_line_command_stands_in_the_table() -> None:
    from typer.main import get_command

    from gateway.cli import app

    lines = (ROOT / "docs/operating.md").read_text("utf-8").splitlines()
    table = "\n".join(line.split(" | ")[0] for line in lines if line.startswith("| `parley "))
    for name, command in vars(get_command(app))["commands"].items():
        assert re.search(rf"`parley {name}\b", table), name
        for inner in vars(command).get("commands", {}):
            assert re.search(rf"`parley {name} [^`]*\b{inner}\b", table), f"{name} {inner}"


def test_every_setting_that_a_reload_takes_over_is_said_to_be() -> None:
    from gateway.settings import AT_ONCE

    text = (ROOT / "docs/operating.md").read_text("utf-8")
    found = re.search(r"^`parley reload` or SIGHUP.*?taken over\s+at once", text, re.MULTILINE | re.DOTALL)
    assert found
    for key in AT_ONCE:
        table, name = key.split(".")[0], key.split(".")[-1]
        words = {f"`{name}`"} if name != "*" else {f"`[{table}]`", f"`[[{table}]]`"}
        assert any(word in found[0] for word in words), key
