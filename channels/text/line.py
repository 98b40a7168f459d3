"""A line of a Discord message, before it is known in which part it will be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """Code on lines of its own. Two blocks are never the same object, so that each has fences of its own."""

    language: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line. *quote* stands before it whatever part it comes into; *gap*: an empty line before it."""

    text: str
    quote: str = ""
    block: Block | None = None
    gap: bool = False
