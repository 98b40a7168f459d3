"""The layers of a configuration: the same shape from a file, from names or from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pydantic_settings
from pydantic import BaseModel
from pydantic_settings import BaseSettings, EnvSettingsSource

from gateway.config_file import Key, Problem, read
from gateway.types.json import Json

PREFIX = "PARLEY_"
NESTED = "__"  # between the names of tables and keys in an environment variable
FILE = "_file"  # a key with this ending names the file that holds a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Values from one kind of source; *places* says where a person finds a key (or the table around it)."""

    style: Literal["file", "name", "command"]
    values: Json
    places: Mapping[Key, str]

    def has(self, path: Key) -> bool:
        return found(self.values, path) is not None

    def place(self, path: Key) -> tuple[str, Key]:
        """Where *path* is set, and the path that this place stands for: of it, of what is around or in it."""
        around = [path[:length] for length in range(len(path), -1, -1)]
        inside = [key for key in self.places if key[: len(path)] == path]
        key = next(key for key in (*around, *inside) if key in self.places)
        return self.places[key], key


def found(values: object, path: Key) -> object:
    """The value at *path*, or None when there is none."""
    for name in path:
        if isinstance(values, Mapping):
            values = values.get(name)
        elif isinstance(values, Sequence) and isinstance(name, int) and name < len(values):
            values = values[name]
        else:
            return None
    return values


def merged(layers: Sequence[Layer]) -> Json:
    """One set of values; later layers win, lists are replaced as a whole."""
    result: Json = {}
    for layer in layers:
        result = _over(result, layer.values)
    return result


def _over(lower: Json, upper: Json) -> Json:
    # A secret and the file that holds it are one setting: whichever is set later is meant.
    replaced = {name.removesuffix(FILE) for name in upper} | {f"{name}{FILE}" for name in upper}
    result = {name: value for name, value in lower.items() if name in upper or name not in replaced}
    for name, value in upper.items():
        below = result.get(name)
        under = below if isinstance(below, dict) else {}
        result[name] = _over(under, value) if isinstance(value, dict) else value  # a copy in any case
    return result


def file_layer(path: Path) -> Layer:
    """Raises SettingsError. Relative files and folders in it count from its own folder."""
    file = read(path)
    places = {key: f"{path}:{line}" for key, line in file.lines.items()}
    return Layer(style="file", values=_anchored(file.values, path.parent), places={**places, (): str(path)})


def _anchored(values: Json, folder: Path) -> Json:
    return {name: _anchor(name, value, folder) for name, value in values.items()}


def _anchor(name: str, value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return _anchored(value, folder)
    names_path = name == "data_dir" or name.endswith(FILE)
    if names_path and isinstance(value, str) and value and not value.startswith("~"):
        return str(folder / value)
    return value


def command_layer(overrides: Mapping[str, object]) -> Layer:
    """From options such as {"web.port": 8080}; None means that the option was not given."""
    values: Json = {}
    for dotted, value in overrides.items():
        if value is not None:
            values = _over(values, _nested(dotted.split("."), value))
    return Layer(style="command", values=values, places={(): "command line"})


def _nested(names: Sequence[str], value: object) -> Json:
    for name in reversed(names[1:]):
        value = {name: value}
    return {names[0]: value}


def environment_layer(environ: Mapping[str, str], model: type[BaseModel]) -> tuple[Layer, list[Problem]]:
    """From PARLEY_…; an empty variable counts as not set."""
    entries = {name: (value, name) for name, value in environ.items() if name.startswith(PREFIX) and value}
    return _named(entries, model)


def credentials_layer(folder: Path, model: type[BaseModel]) -> tuple[Layer, list[Problem]]:
    """From the files parley_… of systemd's $CREDENTIALS_DIRECTORY; other files there are not ours."""
    entries: dict[str, tuple[str, str]] = {}
    problems: list[Problem] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.upper().startswith(PREFIX):
            try:
                entries[path.name.upper()] = (path.read_text(encoding="utf-8").strip(), str(path))
            except (OSError, UnicodeDecodeError):
                problems.append(Problem(str(path), "cannot be read as text", "make it a readable text file"))
    layer, more = _named(entries, model)
    return layer, problems + more


def _named(entries: Mapping[str, tuple[str, str]], model: type[BaseModel]) -> tuple[Layer, list[Problem]]:
    """From names such as PARLEY_WEB__PORT, each with its value and where it stands.

    One at a time, because the parser does not say which name it could not read.
    """
    # The parser reads nothing of the model but its fields, and those of a plain model are the same. A
    # BaseSettings would read the environment behind our back whenever one is made.
    source = EnvSettingsSource(
        cast("type[BaseSettings]", model),
        env_prefix=PREFIX,
        env_nested_delimiter=NESTED,
        case_sensitive=False,
    )
    values: Json = {}
    places: dict[Key, str] = {}
    problems: list[Problem] = []
    for name, (value, place) in sorted(entries.items()):
        path = path_of(name)
        source.env_vars = {name.lower(): value}
        try:
            part = source()
        except pydantic_settings.SettingsError:
            problems.append(Problem(place, "is not JSON", _json_remedy(path)))
            continue
        # The parser leaves out names that it does not know: they are kept here, to be refused with the rest.
        values = _over(values, part or _nested([str(each) for each in path], value))
        places[path] = place
    return Layer(style="name", values=values, places=places), problems


def _json_remedy(path: Key) -> str:
    if path == ("jobs",):
        return """write a list, as in [{"name":"news","schedule":"@daily","prompt":"What is new?"}]"""
    return 'write a table as {"key":"value"}, or set each key by a name of its own'


def path_of(name: str) -> Key:
    """PARLEY_WEB__PORT is web.port."""
    return tuple(name.removeprefix(PREFIX).lower().split(NESTED))


def name_of(path: Key) -> str:
    return PREFIX + NESTED.join(str(each) for each in path).upper()
