"""What /verbose shows of an answer's steps; pure. It is for the person only: the model is not sent it again."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.texts import say
from gateway.transcript import ToolResult, ToolUse

LONGEST = 200  # characters of a call's arguments, and of its result
LONGEST_THOUGHT = 600  # characters of what the model thinks


def lines(how: object, calls: Sequence[ToolUse], results: Sequence[ToolResult], lang: str) -> str:
    """Markdown, one line a call: 'brief' its name, 'full' what went in and came out too; '' for anything else."""
    if how not in ("brief", "full"):
        return ""
    if how == "brief":
        return "\n".join(say("verbose.tool", lang, name=call.name) for call in calls)
    given = {result.id: result for result in results}
    return "\n".join(
        say("verbose.call", lang, name=call.name, args=_code(call.args), result=_code(given[call.id].text))
        for call in calls
        if call.id in given
    )


def thinking(how: object, text: str) -> str:
    """What the model thinks as a quotation before its answer: with 'full' alone; '' for anything else."""
    text = text.strip()
    if how != "full" or not text:
        return ""
    shown = text if len(text) <= LONGEST_THOUGHT else text[:LONGEST_THOUGHT].rstrip() + "…"
    return "> 💭 " + "\n> ".join(shown.splitlines()) + "\n\n"


def _code(text: str) -> str:
    """On one line, safe inside backticks."""
    line = " ".join(text.replace("`", "'").split())
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"
