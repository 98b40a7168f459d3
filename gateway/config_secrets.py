"""Secrets of a configuration: where they come from, which they are, and how to show it without them."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from gateway.config_file import Key, Problem
from gateway.config_layers import FILE, Layer, found
from gateway.config_problems import placed
from gateway.config_values import Mistake, home
from gateway.types.json import Json
from gateway.vendors import VENDORS

HIDDEN = "***"
LARGEST = 64 * 1024  # bytes of a secret's file; a larger one is the wrong file
_USER_IN_URL = re.compile(r"(?<=://)[^/?#\s]+(?=@)")


def vendor_layer(environ: Mapping[str, str], values: Json) -> Layer:
    """ANTHROPIC_API_KEY and the like, each where *values* has no key for that kind of provider.

    It goes to the provider named like its vendor alone, so that no other server is ever sent that key.
    """
    found = {
        kind: next((name for name in vendor.keys if environ.get(name)), "")
        for kind, vendor in VENDORS.items()
    }
    keys = {kind: name for kind, name in found.items() if name and not _has_key(values, kind)}
    return Layer(
        style="name",
        values={"providers": {kind: {"api_key": environ[name]} for kind, name in keys.items()}}
        if keys
        else {},
        places={("providers", kind, "api_key"): name for kind, name in keys.items()},
    )


def _has_key(values: Json, kind: str) -> bool:
    providers = values.get("providers")
    return isinstance(providers, dict) and any(
        isinstance(table, dict)
        and table.get("kind", name) == kind
        and bool(table.get("api_key") or table.get(f"api_key{FILE}"))
        for name, table in providers.items()
    )


def twice(layer: Layer) -> list[Problem]:
    """Secrets that *layer* gives both as a value and as a file."""
    return [
        placed(path, f"{path[-1]} and {_secret_of(path)[-1]} are both set", "keep one of them", [layer])
        for path in _files(layer.values)
        if found(layer.values, _secret_of(path))
    ]


def read_files(values: Json, layers: Sequence[Layer]) -> tuple[list[Problem], list[Problem]]:
    """Put the secrets that *values* keeps in files beside the names of those files; problems, warnings."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    # Set in both ways they are a problem already: see twice.
    for path in [path for path in _files(values) if not found(values, _secret_of(path))]:
        try:
            file = home(str(found(values, path)))
            secret = _read(file)
        except Mistake as mistake:
            problems.append(placed(path, mistake.what, mistake.remedy, layers))
            continue
        table = found(values, path[:-1])
        if isinstance(table, dict):
            table[_secret_of(path)[-1]] = secret
        warnings.extend(exposed(file))
    return problems, warnings


def _read(file: Path) -> str:
    """The secret in *file*. Raises Mistake."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
        secret = raw.decode("utf-8").strip()
    except FileNotFoundError:
        raise Mistake(f"{file} does not exist", "create it, or correct the path") from None
    except OSError as error:
        raise Mistake(
            f"{file} cannot be read ({error.strerror})", "make it a file that this user can read"
        ) from None
    except UnicodeDecodeError:
        raise Mistake(f"{file} is not text", "put the secret alone in it") from None
    if not secret or len(raw) > LARGEST:
        raise Mistake(f"{file} is {'too large' if secret else 'empty'}", "put the secret alone in it")
    return secret


def exposed(file: Path) -> list[Problem]:
    """A warning when everybody on this machine may read *file*."""
    if file.stat().st_mode & stat.S_IROTH:
        return [Problem(str(file), "holds a secret and everybody may read it", f"run chmod o-rwx {file}")]
    return []


def in_file(layer: Layer) -> bool:
    """Whether *layer* has a secret's value itself."""
    return any(name in ("token", "api_key") and bool(value) for name, value in _scalars(layer.values))


def secrets_in(values: object) -> Iterator[str]:
    """Each secret value, and the passwords within URLs."""
    for _, value in _scalars(values):
        if isinstance(value, SecretStr) and value:
            yield value.get_secret_value()
        elif isinstance(value, str) and (user := _USER_IN_URL.search(value)):
            parts = urlsplit(value)
            yield from {user[0], unquote(parts.password or user[0]), parts.password or user[0]}


def hidden(value: object) -> object:
    """*value* as plain JSON, with HIDDEN in place of every secret."""
    match value:
        case dict():
            return {name: hidden(inner) for name, inner in value.items()}
        case list() | tuple():
            return [hidden(inner) for inner in value]
        case SecretStr():
            return HIDDEN if value else ""
        case Decimal():
            return float(value)
        case Path():
            return str(value)
        case str():
            return _USER_IN_URL.sub(HIDDEN, value)
        case _:
            return value


def _scalars(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _scalars(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _scalars(inner, name)
    else:
        yield name, value


def _files(values: Json) -> Iterator[Key]:
    """The path of each key that names a secret's file."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((name, *rest) for rest in _files(value))
        elif name in (f"token{FILE}", f"api_key{FILE}") and isinstance(value, str | Path) and value:
            yield (name,)


def _secret_of(path: Key) -> Key:
    return (*path[:-1], str(path[-1]).removesuffix(FILE))
