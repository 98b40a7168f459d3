"""A TOML file: its values, and the line on which each key stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import ParleyError

Key = tuple[str | int, ...]  # ("jobs", 0, "schedule")

_NAME = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]\]?")
_PAIR = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
# Strings and comments come first: they may hide what ends a value.
_TOKEN = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\[\]{},\n]''', re.S
)
_POSITION = re.compile(r" ?\(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the configuration: where it stands, what is wrong, and what to do; one line in all."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


class SettingsError(ParleyError):
    """The configuration cannot be used; its text has one line for each of *problems*."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file says; *lines* has the line (from 1) of each table, key and quoted list element."""

    path: Path
    values: dict[str, Any]
    lines: dict[Key, int]


def read(path: Path) -> ConfigFile:
    """Raises SettingsError when *path* is missing, cannot be read or is not TOML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _refused(
            str(path), "no such file", "correct the path, or create it from config.example.toml"
        ) from None
    except OSError as error:
        raise _refused(str(path), f"cannot be read ({error.strerror})", "make it a readable file") from None
    except UnicodeDecodeError:
        raise _refused(str(path), "is not UTF-8 text", "save it as UTF-8") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, str(error)) from None
    return ConfigFile(path, values, dict(_places(text)))


def _refused(where: str, what: str, remedy: str) -> SettingsError:
    return SettingsError([Problem(where, what, remedy)])


def _not_toml(path: Path, message: str) -> SettingsError:
    position = _POSITION.search(message)
    where = f"{path}:{position[1]}:{position[2]}" if position else str(path)
    what = _POSITION.sub("", message)
    return _refused(
        where, f"not TOML: {what}", 'put text in "quotes", close every bracket, name each key once'
    )


def _places(text: str) -> Iterator[tuple[Key, int]]:
    """Each key of *text*, which is valid TOML, with its line."""
    table: Key = ()
    sizes: dict[Key, int] = {}  # elements so far of each [[array of tables]]
    position = 0
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        if header := _HEADER.match(text, position):
            table = _table(_names(header[2]), sizes, fresh=header[1] == "[[")
            yield table, line
            position = _end(text, header.end())
        elif pair := _PAIR.match(text, position):
            key = (*table, *_names(pair[1]))
            yield key, line
            position = yield from _value(text, pair.end(), key)
        else:
            position = _end(text, position)


def _table(names: Key, sizes: dict[Key, int], *, fresh: bool) -> Key:
    """The path behind a header; a name of an array of tables means its last element, or a *fresh* one."""
    path: Key = ()
    for depth, name in enumerate(names, 1):
        path = (*path, name)
        if fresh and depth == len(names):
            sizes[path] = sizes.get(path, 0) + 1
        if path in sizes:
            path = (*path, sizes[path] - 1)
    return path


def _names(dotted: str) -> Key:
    names: list[str] = []
    inner: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(inner, dict):
        ((name, inner),) = inner.items()
        names.append(name)
    return tuple(names)


def _value(text: str, position: int, key: Key) -> Generator[tuple[Key, int], None, int]:
    """The elements of a list that begins here, as places; returns where the statement ends."""
    depth = index = 0
    outer = ""
    for token in _TOKEN.finditer(text, position):
        mark = token[0]
        if depth == 1 and outer == "[" and mark[0] in "\"'{[":
            yield (*key, index), text.count("\n", 0, token.start()) + 1
        if mark in ("[", "{"):
            outer = outer or mark
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1
        elif mark == "," and depth == 1:
            index += 1
        elif mark == "\n" and depth == 0:
            return token.end()
    return len(text)


def _end(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1
