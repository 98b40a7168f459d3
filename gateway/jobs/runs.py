"""A run's way into the inbox: as an event whose id is the job's name and the planned time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.jobs import ends, reasons, silence
from gateway.jobs.ends import End, Pen
from gateway.jobs.slots import on_schedule
from gateway.jobs.spec import JobSpec, spec_of
from gateway.moments import local
from gateway.types.inbound import Inbound, Kind, Lane, Receipt
from gateway.types.places import Account, Place

if TYPE_CHECKING:
    from storage import Unit

AT_ONCE = 200  # runs in one page


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """An attempt at a run that is due and not in the inbox. *session*: that of an earlier attempt."""

    run: int
    job: int
    planned: int
    attempt: int
    session: int | None
    spec: JobSpec
    manual: bool  # a digest or a heartbeat that somebody asked for out of turn
    identity: int | None
    made_in: int | None  # conversation


async def owed(unit: Unit, now: int) -> tuple[Account, list[Owed]]:
    """The account jobs come in by, and the runs to hand over; those of removed jobs are skipped."""
    account = await unit.people.account("job", "job")
    found: list[Owed] = []
    for run, planned, attempt, session, job in await unit.jobs.owed(now=now, count=AT_ONCE):
        if job.state == "removed":
            await unit.jobs.run_state(run, "skipped", reason=reasons.REMOVED)
            continue
        found.append(
            Owed(
                run=run,
                job=job.id,
                planned=planned,
                attempt=attempt,
                session=session,
                spec=spec_of(job),
                manual=job.kind != "prompt" and not on_schedule(job, planned),
                identity=job.identity,
                made_in=job.conversation,
            )
        )
    return account, found


def event(owed: Owed, conversation: int | None) -> Inbound:
    """*conversation*: that of the chat whose session it joins; None: each run has a session of its own."""
    spec = owed.spec
    joins = conversation is not None
    again = f"/{owed.attempt}" if owed.attempt > 1 else ""
    return Inbound(
        event_id=f"{spec.name}@{owed.planned}{again}",
        kind=Kind.JOB,
        place=Place(chat_id=spec.name, kind="job"),
        text=_asked(owed),
        trigger=spec.name,
        job_run=owed.run,
        # What an earlier attempt has done already stands in its session.
        session=None if joins else owed.session,
        fresh=not joins and owed.session is None,
        conversation=conversation,
        identity=owed.identity,
    )


def _asked(owed: Owed) -> str:
    spec = owed.spec
    if spec.kind == "digest":
        return f"The digest that is due {local(owed.planned, spec.zone):%Y-%m-%d %H:%M} ({spec.zone})."
    if spec.kind == "heartbeat":
        return spec.prompt  # it says already how to be silent
    return silence.asked(spec.prompt) if spec.silent and spec.prompt.strip() else spec.prompt


async def link(
    unit: Unit,
    account: Account,
    handed: Sequence[tuple[Owed, Inbound]],
    receipts: Sequence[Receipt],
    pen: Pen,
) -> list[End]:
    """Each run knows its inbox row, and has failed if no turn will come of it."""
    found: list[End] = []
    for (run, event), receipt in zip(handed, receipts, strict=True):
        linked = await unit.jobs.link(
            run.run, attempt=run.attempt, account=account.id, event_id=event.event_id
        )
        if linked and receipt.state != "duplicate" and receipt.lane is not Lane.TURN:
            error = "the prompt is empty or too long, or its maker may not ask any more"
            found.append(await ends.failed(unit, run.run, kind="refused", error=error, pen=pen))
    return found
