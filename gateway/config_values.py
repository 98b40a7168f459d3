"""What can stand in parley.toml: a table, and the kinds of values that several of them have."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import NoDecode


class Mistake(ValueError):
    """A value that no setting can have: *what* is wrong with it, and the *remedy*."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from gateway.zones import meant, near  # loads a library that a zone that exists does not need

        known = meant(name) or near(name)
        remedy = (
            f"is one of these meant: {', '.join(known)}?"
            if known
            else "use an IANA name such as Europe/Berlin"
        )
        raise Mistake(f"no such time zone: {name[:80]!r}", remedy) from None
    return name


def listed(value: object) -> object:
    """A list; text is read as JSON or as words between commas (environment variables are text)."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return listed(json.loads(value))
        except json.JSONDecodeError:
            raise Mistake("is not a JSON list", 'write it as in ["a","b"] or a,b') from None
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, int):
        return (value,)
    return value


def _address(value: str) -> str:
    if value != "main" and not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_-]+)?:[^\s:]+(:[^\s:]+)?", value):
        raise Mistake(f"{value!r} is not an address", 'write channel:id, as in "telegram:12345"')
    return value


def _targets(value: object) -> object:
    return () if value == "none" else listed(value)


def folder(value: object) -> object:
    if value == "":
        raise Mistake("is empty", "name a folder, as in ~/.parley")
    return home(value) if isinstance(value, str | Path) else value


def folder_or_none(value: object) -> object:
    return None if value == "" else folder(value)


def home(value: str | Path) -> Path:
    """*value* with ~ replaced. Raises Mistake when there is no such user, or when it cannot be a path."""
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise Mistake(f"{str(value)!r} is in the home folder of nobody", "write the whole path") from None
    if "\0" in str(path):
        raise Mistake(f"{str(value)!r} cannot be a path", "leave out the null character")
    return path


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _http(url: str) -> str:
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
        raise Mistake("is not an http address", "write it as in https://host or http://127.0.0.1:8081")
    return url.rstrip("/")


def _model(name: str) -> str:
    if name and name != "demo" and not re.fullmatch(r"[^:\s]+:\S+", name):
        raise Mistake(
            f"{name!r} names no provider", 'write provider:model, as in "anthropic:claude-sonnet-5"'
        )
    return name


Secret = Annotated[SecretStr, BeforeValidator(_stripped)]
Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(listed)]
Targets = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_targets)]
Model = Annotated[str, AfterValidator(_model)]
Models = Annotated[tuple[Model, ...], NoDecode, BeforeValidator(listed)]
Url = Annotated[str, AfterValidator(_http), Field(repr=False)]  # it may hold a password
Zone = Annotated[str, AfterValidator(_zone)]
Budget = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False, decimal_places=9)]  # US dollars
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Table(BaseModel):
    """A table of parley.toml; unknown keys are refused and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
