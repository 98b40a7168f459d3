"""What pydantic has against a request, in words for whoever sent it; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# Where a type has several choices pydantic names in a problem's place the one that was tried.
_CHOICE = re.compile(r"str|list\[\w+\]")


def meant(problems: Sequence[Any]) -> list[Any]:
    """Of what may be a text or a list, a list is told only what is wrong in it: not that it is no text."""
    inside = {
        tuple(each["loc"][:at])
        for each in problems
        for at, part in enumerate(each["loc"][:-1])
        if _CHOICE.fullmatch(str(part))
    }
    return [each for each in problems if tuple(each["loc"][:-1]) not in inside]


def told(problem: Any) -> str:
    """What to do about it, for the mistakes that are made most."""
    if problem["type"] == "json_invalid":
        why = str(problem.get("ctx", {}).get("error", "")).lower()
        return f"is not JSON: {why} at character {problem['loc'][-1]}"
    if tuple(problem["loc"]) == ("body",):
        return "send a JSON object, with the header content-type: application/json"
    match problem["type"]:
        case "string_too_short":
            return "is empty; write something there"
        case "extra_forbidden":
            return "is not known here"
        case "missing":
            return "is missing"
        case "value_error":
            return str(problem["ctx"]["error"])
    return str(problem["msg"])


def field(problem: Any) -> str:
    """('body', 'text') as 'text'; the body itself as 'body'."""
    unknown = problem["type"] == "extra_forbidden"  # a key of the sender's own, whatever its name
    path = [str(part) for part in problem["loc"] if unknown or not _CHOICE.fullmatch(str(part))]
    return ".".join(path[1:] if len(path) > 1 and problem["type"] != "json_invalid" else path[:1])
