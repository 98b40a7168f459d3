"""What a model gives."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.transcript import Part
from gateway.types.usage import Tokens


@dataclass(frozen=True, slots=True)
class Delta:
    """More visible text."""

    text: str


@dataclass(frozen=True, slots=True)
class Counted:
    """The provider's usage so far (input is exact, output still grows)."""

    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Thought:
    """More of what the model thinks, as far as its provider shows it; not part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a model has made: an image, mostly. *type* is its media type."""

    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A page that an answer cites, as its provider found it; not trusted. *title* '': it has none."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The end of a whole, uncut response. *model* is the one that really answered.

    *tokens* None: the provider never said. *provider_cost* in nano-dollars where the provider bills itself.
    *searches*: how many its provider has made and bills. *sources*: the pages it cites, each once.
    """

    parts: tuple[Part, ...]
    tokens: Tokens | None
    model: str
    provider_id: str = ""
    finish: str = "stop"  # stop, length, tools, filter
    provider_cost: int | None = None
    files: tuple[Made, ...] = ()
    searches: int = 0
    sources: tuple[Source, ...] = ()


ModelEvent = Delta | Thought | Counted | Answer
