"""What an admin has to say to everybody: one copy for each chat, all entered in one unit of work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.notices import put
from gateway.types.measures import DAY
from gateway.types.outbound import Chunk, OutboxRow
from gateway.types.people import Identity
from gateway.types.places import Conversation

if TYPE_CHECKING:
    from storage import Unit

ACTIVE = 30 * DAY  # a group in which nothing happened for longer is left in peace
ORIGIN = "announce:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """How many chats an announcement goes to."""

    direct: int
    groups: int

    @property
    def chats(self) -> int:
        return self.direct + self.groups


@dataclass(frozen=True, slots=True)
class Served:
    """Whom an announcement can and may reach."""

    account: Callable[[int], bool]  # whether it is connected
    person: Callable[[Identity], bool]  # whether they are let in, by hand or by the configuration


async def chats(unit: Unit, served: Served, now: int) -> list[Conversation]:
    """Direct chats of people who are let in, and groups that were active; each chat once, whatever bots are in it.

    *served*: which accounts are connected, and who is let in.
    """
    found: dict[tuple[str, str], Conversation] = {}
    for place in await unit.places.audience(since=now - ACTIVE):
        if not served.account(place.account):
            continue
        if place.kind == "direct":
            writers = await unit.people.writers(place.id, place.chat_id, place.channel)
            if not any(map(served.person, writers)):
                continue
        found.setdefault((place.channel, place.chat_id), place)
    return list(found.values())


def counted(found: list[Conversation]) -> Audience:
    direct = sum(place.kind == "direct" for place in found)
    return Audience(direct=direct, groups=len(found) - direct)


async def enter(
    unit: Unit,
    id: int,
    text: str,
    served: Served,
    render: Callable[[int, str], list[Chunk]],
    now: int,
) -> list[OutboxRow]:
    """The rows that are new: a chat that has the announcement *id* already gets no second one."""
    rows: list[OutboxRow] = []
    for place in await chats(unit, served, now):
        rows += await put(
            unit,
            account=place.account,
            conversation=place.id,
            origin=f"{ORIGIN}{id}:{place.id}",
            chunks=render(place.account, text),
            now=now,
            kind="job",  # behind people's answers
        )
    return rows
