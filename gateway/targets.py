"""Where an answer goes: to the chat it was asked in, or to the places that a job names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway import log
from gateway.begin import AGAIN
from gateway.delivery import Delivery
from gateway.errors import DeliveryError
from gateway.finish import Target
from gateway.progress import Started
from gateway.types import Chunk, File
from gateway.whereabouts import conversation_of

if TYPE_CHECKING:
    from storage import Store


async def targets(
    store: Store, delivery: Delivery, started: Started, text: str, files: Sequence[File], placed: int
) -> list[Target]:
    """[] when whoever asked reads the transcript. *placed*: messages that a preview has begun there."""
    # A run that a budget had refused was told of in the first place already.
    again = f":{started.turn.id}" if any(AGAIN in row.body for row in started.rows) else ""
    enclosed = [Chunk(text="", file=file) for file in files]
    place = started.conversation
    line = delivery.line(place.account)
    if line is not None:
        return [
            Target(
                account=place.account,
                conversation=place.id,
                channel=line.channel,
                chunks=[*line.channel.render(text), *enclosed],
                origin=f"turn:{started.turn.id}",
                placed=placed,
            )
        ]
    found: list[Target] = []
    for number, (account, conversation) in enumerate(
        await _job_places(store, delivery, started.turn.job_run)
    ):
        line = delivery.line(account)
        if line is not None:
            found.append(
                Target(
                    account=account,
                    conversation=conversation,
                    channel=line.channel,
                    chunks=[*line.channel.render(text), *enclosed],
                    origin=f"job:{started.turn.job_run}:{number}{again}",
                    kind="job",
                )
            )
    return found


async def _job_places(store: Store, delivery: Delivery, run: int | None) -> list[tuple[int, int]]:
    """(account, conversation) of everywhere a job's answer is to be delivered."""
    if run is None:
        return []
    job = await store.read(lambda unit: unit.jobs.of_run(run))
    found: list[tuple[int, int]] = []
    for target in job.spec.get("deliver_to", ()) if job else ():
        try:
            there = await conversation_of(store, delivery, str(target))
        except DeliveryError as error:
            log.warning("job.target", target=str(target), kind=error.kind, error=str(error))
            continue
        if there is not None:
            line, place = there
            found.append((line.account.id, place.id))
    return found
