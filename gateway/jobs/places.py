"""Where a job's answer goes: the conversation behind each of its targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import log
from gateway.delivery import Delivery, Line
from gateway.errors import DeliveryError
from gateway.jobs.spec import CHAT, MAIN, JobSpec
from gateway.types.outbound import Chunk
from gateway.types.places import Conversation
from gateway.whereabouts import conversation_of

if TYPE_CHECKING:
    from storage import Store

# Nothing will change about these: asking again in a minute would give the same answer.
FINAL = frozenset({"gone", "rejected", "missing", "format", "too_big"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A target that was found. *number*: which of `deliver_to` it is; it is part of the origin of what is sent."""

    number: int
    line: Line
    place: Conversation

    def origin(self, run: int) -> str:
        return f"job:{run}:{self.number}"


async def spots(
    store: Store, delivery: Delivery, targets: Sequence[str], made_in: int | None
) -> tuple[list[Spot], bool]:
    """(those that were found, whether another one may be found later). *made_in*: the conversation that CHAT means."""
    found: list[Spot] = []
    later = False
    for number, target in enumerate(targets):
        if target == MAIN:
            continue
        try:
            there = await _there(store, delivery, target, made_in)
        except DeliveryError as error:
            log.warning("job.target", target=target, kind=error.kind, error=str(error))
            later = later or error.kind not in FINAL
            continue
        if there is None:
            later = True  # its platform is not connected
        else:
            found.append(Spot(number=number, line=there[0], place=there[1]))
    return found, later


async def _there(
    store: Store, delivery: Delivery, target: str, made_in: int | None
) -> tuple[Line, Conversation] | None:
    if target != CHAT:
        return await conversation_of(store, delivery, target)
    if made_in is None:
        raise DeliveryError("the job was made in no chat", kind="rejected")
    place = await store.read(lambda unit: unit.places.get(made_in))
    line = delivery.line(place.account)
    return None if line is None else (line, place)


def chunks(line: Line, spec: JobSpec, text: str, files: Sequence[Chunk] = ()) -> list[Chunk]:
    """An answer as messages of that channel; the first calls the role that the job names."""
    rendered = line.channel.render(text)
    if spec.mention and rendered:
        rendered = line.channel.calling(rendered, spec.mention)
    return [*rendered, *files]
