"""What happens in a conversation of `main`, for who watches it; whoever comes back is told what they missed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway import units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.hub import Seen
from gateway.manager.agent import Agent
from gateway.types.people import Identity
from gateway.views import Generated

if TYPE_CHECKING:
    from storage import Unit

MOST_MISSED = 20  # answers that are read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """*id* is for coming back. *text* as in Seen, *messages* the event ids that it is about, as they were sent.

    *answer*: of a turn or command that has ended (kind done), None otherwise.
    """

    id: str
    kind: Literal["started", "text", "tool", "done", "notice"]
    text: str
    messages: tuple[str, ...] = ()
    answer: Generated | None = None


class Watching(Agent):
    """By the key of the conversation, as for `say`."""

    async def watch(
        self, key: str = "main", *, who: Identity | None = None, after: str = ""
    ) -> AsyncGenerator[Happening]:
        """What happens from now on; *after*: the id of the last event seen, and then first what came after it.

        While this process runs that is everything, but of texts the newest; after a restart it is the answers.
        Raises Refused for an *after* that is no id.
        """
        mine = f"{who.channel}:{who.user_id}" if who is not None else ""
        _, place = await self._store.commit(Point.PEOPLE, units.local_place, key, mine)
        # Two numbers: of the event; and of a turn up to which all answers of this conversation were told.
        seq, told = _parsed(after) if after else (None, await self._store.read(_before, place.id))
        hub = self.core.hub
        known = seq is None or hub.knows(place.id, seq)
        with hub.listen(place.id, after=seq) as queue:
            while not known:
                missed = await self._store.read(_missed, place.id, told, seq or 0, mine)
                for happening in missed:
                    told = int(happening.id.partition(".")[2])
                    yield happening
                known = not missed
            while True:
                seen = await queue.get()
                if seen.turn is not None and seen.turn <= told:
                    continue  # its answer was told already
                if seen.kind == "done" and seen.turn is not None and seen.state != "kept":
                    told = seen.turn
                yield await self._happening(seen, told, mine)

    async def _happening(self, seen: Seen, told: int, mine: str) -> Happening:
        return Happening(
            id=f"{seen.seq}.{told}",
            kind=seen.kind,
            text=seen.text,
            messages=await self._store.read(_messages, seen.inbox, mine) if seen.inbox else (),
            answer=await self._generated(seen) if seen.kind == "done" else None,
        )


async def _before(unit: Unit, conversation: int) -> int:
    return await unit.turns.before(conversation)


async def _missed(unit: Unit, conversation: int, told: int, seq: int, mine: str) -> list[Happening]:
    found: list[Happening] = []
    for turn in await unit.turns.ended(conversation, after=told, count=MOST_MISSED):
        answer = await units.answer_of(unit, turn, await unit.appeals.get(turn.id))
        rows = await unit.inbox.of_turn(turn.id)
        messages = await _messages(unit, [each.id for each in rows], mine)
        id = f"{seq}.{turn.id}"
        found.append(Happening(id=id, kind="done", text=answer.text, messages=messages, answer=answer))
    return found


async def _messages(unit: Unit, rows: Sequence[int], mine: str) -> tuple[str, ...]:
    """Event ids as whoever watches has given them."""
    return tuple(each.removeprefix(f"{mine} ") for each in await unit.inbox.events(rows))


def _parsed(after: str) -> tuple[int, int]:
    seq, _, told = after.partition(".")
    if not (seq.isascii() and seq.isdecimal() and told.isascii() and told.isdecimal() and len(after) < 40):
        raise Refused(f"{after[:40]!r} is not the id of an event.")
    return int(seq), int(told)
