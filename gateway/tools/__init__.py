"""What the model may use; one file per tool."""

from __future__ import annotations

from gateway.protocols.tool import Tool
from gateway.tools import fence
from gateway.tools.now import Now

HONEST = "If you need facts that you neither know nor can get with a tool, say so; never make them up."


def default_tools(*more: Tool) -> dict[str, Tool]:
    """The tools every session has, and *more*; always in this order, which prompt caches need."""
    return {tool.spec.name: tool for tool in (Now(), *more)}


def instructions(system_prompt: str) -> str:
    """What the model is told about its task, and what holds whatever that is."""
    return "\n\n".join(part for part in (system_prompt.strip(), f"{HONEST} {fence.RULE}") if part)
