"""What an import would do: the settings it comes to, what they were taken from, and what is left behind and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.types.json import Json


@dataclass(frozen=True, slots=True)
class Taken:
    """A setting of theirs and the one of ours that it became, as dotted paths."""

    theirs: str
    ours: str


@dataclass(frozen=True, slots=True)
class Left:
    """A setting of theirs that was not taken over, and why."""

    theirs: str
    why: str


@dataclass(slots=True)
class Plan:
    """*tables* as parley.toml has them. *closed*: where their doors were wider than ours will be."""

    system: str
    tables: Json = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def take(self, theirs: str, ours: str, value: Any) -> None:
        """Set *ours*, a dotted path, unless it is set already."""
        *path, last = ours.split(".")
        table = self.tables
        for name in path:
            table = table.setdefault(name, {})
        if last not in table:
            table[last] = value
            self.taken.append(Taken(theirs, ours))

    def add(self, theirs: str, ours: str, values: list[int]) -> None:
        """Append to the list at *ours*, each value once."""
        if not values:
            return
        *path, last = ours.split(".")
        table = self.tables
        for name in path:
            table = table.setdefault(name, {})
        listed = table.setdefault(last, [])
        listed.extend(value for value in dict.fromkeys(values) if value not in listed)
        self.taken.append(Taken(theirs, ours))

    def get(self, ours: str) -> Any:
        """None where nothing is set."""
        found: Any = self.tables
        for name in ours.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def leave(self, theirs: str, why: str) -> None:
        if Left(theirs, why) not in self.left:
            self.left.append(Left(theirs, why))

    def close(self, text: str) -> None:
        if text not in self.closed:
            self.closed.append(text)


def table(value: object) -> Json:
    """*value* where a table belongs; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """*value* where a list belongs; commas part what is written as one text."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [] if value is None else [value]


def among(table: Json, *names: str) -> Any:
    """The first of these keys that is there; None for none."""
    return next((table[name] for name in names if table.get(name) is not None), None)
