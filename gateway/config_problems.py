"""What is wrong with a configuration, told so that the person can mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.config_file import Key, Problem
from gateway.config_layers import Layer, found, name_of
from gateway.config_values import Mistake
from gateway.types.json import Json
from gateway.vendors import KINDS

ANY = "<name>"  # in a known path: a name that the person chooses, or an element of a list
SEE = "see config.example.toml"
Names = tuple[str, ...]
Known = Mapping[Names, FieldInfo | None]  # each key and table; None for a table under a chosen name

_EXPECTED = {  # by the first word of pydantic's error type
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite": "a number",
    "bool": "true or false",
    "string": "text",
    "path": "the path of a file",
    "tuple": "a list",
    "dict": "a table",
    "model": "a table",
}
_LIMITS = {  # by pydantic's error type: the name of the limit in its context
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_MISSING = {"kind": f"set it to one of: {', '.join(KINDS)}"}


def explained(
    error: ValidationError, values: Json, layers: Sequence[Layer], model: type[BaseModel]
) -> list[Problem]:
    """What pydantic refused in *values*, which were merged from *layers*."""
    known = dict(known_keys(model))
    return [
        problem
        for details in error.errors(include_url=False)
        for problem in _explained(details, values, layers, known)
    ]


def placed(path: Key, what: str, remedy: str, layers: Sequence[Layer]) -> Problem:
    """A problem with the value at *path*, said in the words of the layer that set it."""
    for layer in reversed(layers):
        if layer.has(path):
            return _said(layer, path, what, remedy)
    return placed(path[:-1], what, remedy, layers) if path else Problem("configuration", what, remedy)


def _said(layer: Layer, path: Key, what: str, remedy: str) -> Problem:
    place, part = layer.place(path)
    match layer.style:
        case "file":
            label = _title(path, table=_is_table(found(layer.values, path)))
        case "name":
            label = _dotted(path[len(part) :] if path[: len(part)] == part else path)
        case "command":
            label = _dotted(path)
    return Problem(place, f"{label}: {what}" if label else what, remedy)


def _explained(
    details: ErrorDetails, values: Json, layers: Sequence[Layer], known: Known
) -> Iterator[Problem]:
    path = _path(details["loc"], values)
    if details["type"] == "extra_forbidden":
        yield from _unknown(path, layers, known)
        return
    if details["type"] == "missing":
        name = str(details["loc"][-1])
        yield placed(path, f"{name} is missing", _MISSING.get(name, f"set it, {SEE}"), layers)
        return
    what, remedy = _wrong(details, path, known.get(_general(path, known)))
    yield placed(path, what, remedy, layers)


def _path(loc: Key, values: Json) -> Key:
    """*loc* without what pydantic adds for unions and for the names of tables."""
    path: Key = ()
    for part in loc:
        if found(values, (*path, part)) is not None:
            path = (*path, part)
    return path


def _wrong(details: ErrorDetails, path: Key, field: FieldInfo | None) -> tuple[str, str]:
    kind, context = details["type"], details.get("ctx", {})
    shown = _shown(details["input"], field)
    if isinstance(mistake := context.get("error"), Mistake):
        return mistake.what, mistake.remedy
    if kind == "literal_error":
        return f"{shown} is not one of its values", f"use {context['expected']}"
    if kind == "string_too_short":
        return "is empty", "write something there"
    if kind in _LIMITS:
        limit, words = _LIMITS[kind]
        return f"{shown} is out of range", f"use {words} {context[limit]}"
    expected = _EXPECTED.get(kind.split("_")[0])
    if expected is None:
        return details["msg"].lower(), SEE
    # A scalar in place of a table may be a secret one line too high, so that it is not repeated.
    subject = "" if expected in ("a table", "a list") else f"{shown} "
    return f"{subject}is not {expected}", _as_in(path, field)


def _shown(value: object, field: FieldInfo | None) -> str:
    secret = field is not None and field.annotation is SecretStr
    if secret or not isinstance(value, str | int | float):
        return "the value"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _as_in(path: Key, field: FieldInfo | None) -> str:
    default = None if field is None or field.is_required() else field.get_default(call_default_factory=True)
    match default:
        case bool():
            return f"write it as in {path[-1]} = {str(default).lower()}"
        case int() | float():
            return f"write it as in {path[-1]} = {default}"
        case _:
            return SEE


def _unknown(path: Key, layers: Sequence[Layer], known: Known) -> Iterator[Problem]:
    for layer in layers:
        if not layer.has(path):
            continue
        if layer.style != "name" or len(layer.place(path)[1]) <= len(path):
            yield _unknown_in(layer, path, known)
            continue
        # pydantic names the topmost unknown table only, but a person has to mend each name.
        for key in layer.places:
            if key[: len(path)] == path:
                yield _unknown_in(layer, key, known)


def _unknown_in(layer: Layer, path: Key, known: Known) -> Problem:
    table = layer.style == "file" and _is_table(found(layer.values, path))
    whole_name = layer.style == "name" and path in layer.places
    what = "unknown" if whole_name else "unknown table" if table else "unknown key"
    return _said(layer, path, what, _meant(layer, path, known))


def _meant(layer: Layer, path: Key, known: Known) -> str:
    """The remedy for an unknown key: what the person may have meant."""
    general = _general(path, known)
    near = _near(general, known)
    if not near:
        here = [name[-1] for name in known if name[:-1] == general[:-1] and name[-1] != ANY]
        return f"use one of {', '.join(here)}" if here and layer.style == "file" else SEE
    return f"did you mean {' or '.join(_called(layer, path, general, name, known) for name in near[:2])}?"


def _near(path: Names, known: Known) -> list[Names]:
    beside = {name[-1]: name for name in known if name[:-1] == path[:-1] and name[-1] != ANY}
    if close := get_close_matches(path[-1], beside, n=1, cutoff=0.7):
        return [beside[close[0]]]
    if deeper := [name for name in known if name[-len(path) :] == path]:
        return deeper
    joined = {"_".join(name): name for name in known}
    if close := get_close_matches("_".join(path), joined, n=1, cutoff=0.85):
        return [joined[close[0]]]
    return [name for name, field in known.items() if name[-1] == path[-1] and field is not None]


def _called(layer: Layer, path: Key, general: Names, meant: Names, known: Known) -> str:
    if layer.style == "name" and path in layer.places:
        chosen = path[:-1] if meant[:-1] == general[:-1] else meant[:-1]
        return name_of((*chosen, meant[-1]))
    if layer.style == "command":
        return ".".join(meant)
    if meant[:-1] == general[:-1]:
        return repr(meant[-1])
    if any(name[: len(meant)] == meant and name != meant for name in known):
        return f"[{'.'.join(meant)}]"
    return f"{meant[-1]!r} in [{'.'.join(meant[:-1])}]"


def known_keys(model: type[BaseModel], above: Names = ()) -> Iterator[tuple[Names, FieldInfo | None]]:
    """Each key and table of *model* with its field; None for a table under a name that the person chooses."""
    for name, field in model.model_fields.items():
        yield (*above, name), field
        inner, table = _inside(field.annotation)
        for length in range(1, len(inner) + 1):
            yield (*above, name, *inner[:length]), None
        if table is not None:
            yield from known_keys(table, (*above, name, *inner))


def _inside(annotation: Any) -> tuple[Names, type[BaseModel] | None]:
    """The table that *annotation* allows, and the chosen names or list positions on the way to it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (), annotation
    through = (ANY,) if get_origin(annotation) in (dict, tuple) else ()
    for inner in get_args(annotation):
        names, table = _inside(inner)
        if table is not None:
            return (*through, *names), table
    return (), None


def _general(path: Key, known: Known) -> Names:
    """*path* with ANY for chosen names and list positions."""
    names: Names = ()
    for part in path:
        names = (*names, str(part)) if (*names, ANY) not in known else (*names, ANY)
    return names


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(each, dict) for each in value)
    )


def _title(path: Key, *, table: bool) -> str:
    """As a TOML file writes it: [channels.telegram] allow, or [[jobs]] schedule."""
    *head, last = path if path else ("",)
    if isinstance(last, int) and not table:
        *head, last = head
    whole, key = ((*head, last), "") if table else (tuple(head), str(last))
    name = ".".join(part for part in whole if isinstance(part, str))
    brackets = f"[[{name}]]" if whole and isinstance(whole[-1], int) else f"[{name}]" if name else ""
    return f"{brackets} {key}".strip()


def _dotted(path: Key) -> str:
    """As names and options write it; a position at the end adds nothing."""
    if path and isinstance(path[-1], int):
        return _dotted(path[:-1])
    return ".".join(str(part) for part in path)
