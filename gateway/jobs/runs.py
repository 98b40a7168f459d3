"""A run's way: into the inbox, and what its end leads to: another attempt, or the end of the job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.types import Account, Inbound, Kind, Lane, Place, Receipt

if TYPE_CHECKING:
    from storage import Unit


async def owed(unit: Unit, now: int) -> tuple[Account, list[tuple[int, Inbound]]]:
    """The account jobs come in by, and the runs that are due and lack their inbox row, as events."""
    account = await unit.people.account("job", "job")
    runs: list[tuple[int, Inbound]] = []
    for id, planned, name, state, spec in await unit.jobs.owed(now=now):
        if state == "removed":
            await unit.jobs.run_state(id, "skipped", reason="the job was removed")
            continue
        event = Inbound(
            event_id=f"{name}@{planned}",
            kind=Kind.JOB,
            place=Place(chat_id=name, kind="job"),
            text=spec["prompt"],
            trigger=name,
            job_run=id,
            fresh=True,
        )
        runs.append((id, event))
    return account, runs


async def link(
    unit: Unit, account: Account, runs: Sequence[tuple[int, Inbound]], receipts: Sequence[Receipt], now: int
) -> None:
    """Each run knows its inbox row, and has failed if no turn will come of it."""
    for (id, event), receipt in zip(runs, receipts, strict=True):
        await unit.jobs.link(id, account=account.id, event_id=event.event_id)
        if receipt.lane is not Lane.TURN:
            await unit.jobs.run_state(id, "failed", reason="the prompt is empty or too long", ended=now)
