"""Where an answer goes: to the chat it was asked in, or to the places that a job names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gateway.delivery import Delivery
from gateway.failpoints import Point
from gateway.finish import Target
from gateway.turn import Started
from gateway.types import Place

if TYPE_CHECKING:
    from storage import Store, Unit


async def targets(store: Store, delivery: Delivery, started: Started, text: str, placed: int) -> list[Target]:
    """[] when whoever asked reads the transcript. *placed*: messages that a preview has begun there."""
    place = started.conversation
    line = delivery.line(place.account)
    if line is not None:
        return [
            Target(
                account=place.account,
                conversation=place.id,
                channel=line.channel,
                chunks=line.channel.render(text),
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
                    chunks=line.channel.render(text),
                    origin=f"job:{started.turn.job_run}:{number}",
                    kind="job",
                )
            )
    return found


async def _job_places(store: Store, delivery: Delivery, run: int | None) -> list[tuple[int, int]]:
    """(account, conversation) of everywhere a job's answer is to be delivered."""
    if run is None:
        return []

    async def work(unit: Unit) -> list[tuple[int, int]]:
        job = await unit.jobs.of_run(run)
        found: list[tuple[int, int]] = []
        for target in job.spec.get("deliver_to", ()) if job else ():
            channel, _, chat = str(target).partition(":")
            line = delivery.line_of(channel)
            if line is not None and chat:
                kind: Literal["direct", "group"] = "group" if chat.startswith("-") else "direct"
                place = await unit.places.at(line.account, Place(chat_id=chat, kind=kind))
                found.append((line.account.id, place.id))
        return found

    return await store.commit(Point.JOB, work)
