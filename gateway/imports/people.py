"""Who may come in, from their lists into ours: numeric ids only, and never wider than a list of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.imports.plan import Plan

_PREFIX = re.compile(r"(?:telegram|tg|discord|user|channel|group|guild):(?:user:|group:)?", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
OPEN = 'nobody is let in until you list numeric ids in allow, or set access = "open" yourself'


def ids(plan: Plan, theirs: str, entries: Iterable[object]) -> list[int]:
    """The numeric ids in a list of theirs; everything else is told."""
    found: list[int] = []
    for entry in entries:
        text = _PREFIX.sub("", str(entry).strip(), count=1)
        if text == "*":
            plan.close(f"{theirs} lets everybody in: {OPEN}")
        elif _NUMBER.fullmatch(text):
            found.append(int(text))
        elif text:
            plan.leave(theirs, f"{text!r} is a name, which can change hands; put the numeric id into allow")
    return found


def only_here(plan: Plan, theirs: str, entries: Iterable[object], allowed: Iterable[int]) -> None:
    """People who may speak in one place only; our list holds everywhere, so they are not put into it."""
    more = [each for each in ids(plan, theirs, entries) if each not in set(allowed)]
    if more:
        named = ", ".join(str(each) for each in more)
        plan.leave(
            theirs, f"{named}: let in there only; Parley's allow holds everywhere: add them if you mean that"
        )


def owners(plan: Plan, theirs: str, entries: Iterable[object]) -> None:
    """Owners, written as channel:id."""
    for entry in entries:
        text = str(entry).strip()
        channel, _, rest = text.partition(":")
        channel = {"tg": "telegram"}.get(channel.lower(), channel.lower())
        if channel in ("telegram", "discord") and _NUMBER.fullmatch(rest.removeprefix("user:")):
            plan.add(theirs, f"channels.{channel}.owners", [int(rest.removeprefix("user:"))])
        elif text == "*":
            plan.close(f"{theirs} makes everybody an owner: nobody is; name yourself in owners")
        else:
            plan.leave(
                theirs, f"{text!r} names no platform of ours with a numeric id; put it into owners yourself"
            )
