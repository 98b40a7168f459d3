"""What request bodies and parameters have in common."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A JSON object; keys that nobody knows are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


LARGEST = 2**63 - 1  # that a table can hold

Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[int, Field(ge=1, le=LARGEST)]
"""Of a row."""
Id = Annotated[str, Path(min_length=1, max_length=200)]
"""In a path: a session's code, a job's name, …"""
Skip = Annotated[int, Query(ge=0, le=10**9)]
When = Annotated[str, Query(max_length=40)]
"""A moment, as `gateway.web.span` reads it."""
