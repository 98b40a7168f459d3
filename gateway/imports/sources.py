"""Their files as they lie in one folder; the only part of an import that reads anything."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.errors import Refused
from gateway.types.json import Json

LARGEST = 16 * 1024 * 1024  # bytes of one file
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Sources:
    """*folder* is theirs; *config* their main file, where that is somewhere else. *environ* is our environment."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *, config: Path | None = None) -> None:
        self.folder = folder
        self.config = config
        self._environ = dict(environ)

    @classmethod
    def at(cls, path: Path, environ: Mapping[str, str]) -> Sources:
        """A folder, or the main file in one. Raises Refused when nothing is there."""
        path = path.expanduser()
        if path.is_dir():
            return cls(path, environ)
        if path.is_file():
            return cls(path.parent, environ, config=path)
        raise Refused(f"{path} is not there; name the folder, or the file in it, behind the command")

    def knows(self, more: Mapping[str, object]) -> None:
        """Variables that their own files set; the environment goes before them."""
        self._environ = {**{k: str(v) for k, v in more.items() if isinstance(v, str | int)}, **self._environ}

    def variable(self, name: str) -> str:
        """'' when it is not set."""
        return self._environ.get(name, "").strip()

    def main(self, *names: str) -> Json:
        """Their main file, whichever of *names* is there. Raises Refused."""
        paths = [self.config] if self.config else [self.folder / name for name in names]
        found = next((path for path in paths if path.is_file()), None)
        if found is None:
            listed = " or ".join(names)
            raise Refused(f"there is no {listed} in {self.folder}; name the folder that it is in")
        read = self.read(found)
        if not isinstance(read, dict):
            raise Refused(f"{found} is no configuration: there is no table in it")
        return read

    def maybe(self, *names: str) -> Any:
        """The first of these files, by their paths in the folder; None when none is there. Raises Refused."""
        for name in names:
            path = self.folder / name
            if path.is_file():
                return self.read(path)
        return None

    def read(self, path: Path) -> Any:
        """JSON, JSON5 or YAML by its name. Raises Refused for what cannot be read."""
        text = self._text(path)
        wrong: tuple[type[Exception], ...] = (ValueError, RecursionError)
        if path.suffix in (".yaml", ".yml"):
            yaml = importlib.import_module("yaml")
            read, wrong = yaml.safe_load, (*wrong, yaml.YAMLError)
        else:
            read = _json
        try:
            return read(text)
        except wrong as error:
            raise Refused(f"{path} cannot be read: {_first_line(error)}") from None

    def variables(self, name: str) -> dict[str, str]:
        """What a .env file sets; {} when it is not there."""
        path = self.folder / name
        if not path.is_file():
            return {}
        from dotenv import dotenv_values

        return {key: value for key, value in dotenv_values(path, interpolate=False).items() if value}

    def secret(self, value: object) -> str | None:
        """A secret as it is: a text, one with ${VARIABLES}, {source: env, id: VARIABLE}; None: it is not to be had."""
        match value:
            case str(text) if text.strip():
                missing = [name for name in _REFERENCE.findall(text) if not self.variable(name)]
                if missing:
                    return None
                return _REFERENCE.sub(lambda found: self.variable(found[1]), text).strip()
            case {"source": "env", "id": str(name)}:
                return self.variable(name) or None
        return None

    def file(self, name: object) -> str | None:
        """The text of a file that a setting names; None when it cannot be read."""
        if not isinstance(name, str) or not name.strip():
            return None
        path = Path(name).expanduser()
        try:
            return self._text(path if path.is_absolute() else self.folder / path).strip() or None
        except Refused:
            return None

    def _text(self, path: Path) -> str:
        try:
            if path.stat().st_size > LARGEST:
                raise Refused(f"{path} is larger than {LARGEST // 1024**2} MB")
            return path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{path} cannot be read: {_first_line(error)}") from None


def _json(text: str) -> Any:
    """JSON is read as such: the other reader takes its time."""
    try:
        return json.loads(text)
    except ValueError:
        return importlib.import_module("json5").loads(text)


def _first_line(error: Exception) -> str:
    """Where it is wrong; never more, for the line may hold a secret."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    found = re.search(r"line (\d+)|<string>:(\d+)", str(error))
    return f"line {found[1] or found[2]} is no such syntax" if found else "it is no such syntax"
