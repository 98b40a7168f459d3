"""What we ask of a tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.types.json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model is told of it; *parameters* is a JSON schema of an object."""

    name: str
    description: str
    parameters: Json


class Tool(Protocol):
    """Something the model may use."""

    spec: ToolSpec

    async def call(self, args: Json, context: ToolContext) -> str:
        """The result as text; any ToolFailed is told to the model as an error."""
        ...


@runtime_checkable
class Consented(Tool, Protocol):
    """A tool that does nothing before a person has said yes; `call` is made after that, on the same person's behalf.

    What it gives is read by that person as well as by the model.
    """

    async def proposal(self, args: Json, context: ToolContext) -> str:
        """What it would do, for the person to read, in Markdown. Raises ToolFailed for what makes no sense."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """On whose behalf a tool runs: set by us, never by the model.

    *call*: its id, unique in the turn's step. *zone* and *lang* (a BCP 47 tag, '' for unknown) are the person's.
    *asked*: when the person was asked for the yes that it runs by, so that “tomorrow” is the day they were told;
    None where no yes is needed.
    """

    session: int
    turn: int
    call: str
    conversation: int
    identity: int | None
    zone: str
    now: int
    lang: str = ""
    asked: int | None = None


class ToolFailed(Exception):
    """A tool could not do it; the text is for the model."""
