"""Where an answer goes: to the chat it was asked in, or to the places that a job names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.delivery import Delivery
from gateway.finish import Target
from gateway.jobs import places
from gateway.lanes import AGAIN
from gateway.progress import Started
from gateway.types.outbound import Chunk, File

if TYPE_CHECKING:
    from storage import Store


def targets(delivery: Delivery, started: Started, text: str, files: Sequence[File]) -> list[Target]:
    """[] when whoever asked reads the transcript."""
    place = started.conversation
    line = delivery.line(place.account)
    if line is None:
        return []
    return [
        Target(
            account=place.account,
            conversation=place.id,
            channel=line.channel,
            chunks=[*line.channel.render(text), *enclosed(files)],
            origin=f"turn:{started.turn.id}",
        )
    ]


async def of_job(
    store: Store, delivery: Delivery, started: Started, text: str, files: Sequence[File]
) -> tuple[list[Target], bool]:
    """(where the answer of a job's run goes, whether a place may be found later that could not be found now)."""
    job, run = started.job, started.turn.job_run
    if job is None or run is None:
        return [], False
    # A run that a budget had refused was told of in the first place already.
    again = f":{started.turn.id}" if any(AGAIN in row.body for row in started.rows) else ""
    found, later = await places.spots(store, delivery, job.spec.deliver_to, job.made_in)
    return [
        Target(
            account=spot.line.account.id,
            conversation=spot.place.id,
            channel=spot.line.channel,
            chunks=places.chunks(spot.line, job.spec, text, enclosed(files)),
            origin=spot.origin(run) + again,
            kind="job",
        )
        for spot in found
    ], later


def enclosed(files: Sequence[File]) -> list[Chunk]:
    return [Chunk(text="", file=file) for file in files]
