"""What request bodies and parameters have in common."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Body(BaseModel):
    """A JSON object; keys that nobody knows are refused, so that a misspelt one is not silently ignored.

    Strict: "1" and true are no numbers. So an array is a list, never a tuple.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


LARGEST = 2**53 - 1  # that every reader of JSON reads exactly (RFC 8259, 6)

Name = Annotated[str, Field(min_length=1, max_length=200)]


def _whole(value: object) -> object:
    """3.0 is a whole number too (JSON Schema)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Of a whole number in a body, after its bounds: Annotated[int, Field(ge=0), WHOLE]."""
Number = Annotated[int, Field(ge=1, le=LARGEST), WHOLE]
"""Of a row."""
Id = Annotated[str, Path(min_length=1, max_length=200)]
"""In a path: a session's code, a job's name, …"""
Skip = Annotated[int, Query(ge=0, le=10**9)]
When = Annotated[str, Query(max_length=40, examples=["7d"])]
"""A moment, as `gateway.web.span` reads it."""
