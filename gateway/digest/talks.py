"""The conversations of a day, as a digest tells of them: only what still stands, nothing that was taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import rewinding, transcript
from gateway.types.json import Json
from gateway.types.turns import Entry

if TYPE_CHECKING:
    from storage import Unit
    from storage.database import Row

LONGEST = 1500  # characters of an exchange that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A session in which somebody asked something. *opened*: the first question of the span; *asked* and *answered*:
    the last exchange, '' where there is none. *at*: when the first of its *turns* began (microseconds UTC)."""

    title: str
    channel: str
    shared: bool
    at: int
    turns: int
    opened: str
    asked: str
    answered: str


async def talk(unit: Unit, row: Row) -> Talk | None:
    """*row* as storage.digests.Digests.talks gives it; None when all that was said has been taken back."""
    session, title, channel, kind, said, rewound = row
    turns: list[tuple[int, int]] = sorted((turn, at) for turn, at in json.loads(said))
    if rewound:
        gone = taken_back(await unit.digests.outline(session))
        turns = [each for each in turns if each[0] not in gone]
    if not turns:
        return None
    (first, at), (last, _) = turns[0], turns[-1]
    asked, answered = await exchange(unit, session, last)
    opened = asked if first == last else (await exchange(unit, session, first))[0]
    return Talk(
        title=title or "",
        channel=channel,
        shared=kind in ("group", "thread"),
        at=at,
        turns=len(turns),
        opened=opened,
        asked=asked,
        answered=answered,
    )


def taken_back(entries: Sequence[Entry]) -> frozenset[int]:
    """The turns of a transcript of which nothing stands any more."""
    standing = {each.turn for each in rewinding.standing(entries) if each.kind in rewinding.TALK}
    return frozenset(
        each.turn
        for each in entries
        if each.kind in rewinding.TALK and each.turn is not None and each.turn not in standing
    )


async def exchange(unit: Unit, session: int, turn: int) -> tuple[str, str]:
    """What was asked in a turn, and what was answered at its end."""
    asked, answered = "", ""
    for kind, text in await unit.digests.exchange(session, turn):
        body: Json = json.loads(text)
        if kind == "user":
            asked = asked or str(body.get("text", ""))
        else:
            answered = transcript.visible(body) or answered
    return asked[:LONGEST], answered[:LONGEST]
