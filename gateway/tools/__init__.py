"""What the model may use; one file per tool."""

from __future__ import annotations

from gateway.protocols import Tool
from gateway.tools.now import Now


def default_tools() -> dict[str, Tool]:
    """The tools every session has."""
    return {tool.spec.name: tool for tool in (Now(),)}
