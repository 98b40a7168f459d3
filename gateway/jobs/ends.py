"""How a run ends: done, tried again, or failed; and what whoever made the job is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway.errors import RETRYABLE
from gateway.jobs import reasons
from gateway.jobs.spec import RETRY_AFTER, spec_of
from gateway.notices import notice
from gateway.texts import say
from gateway.types.measures import SECOND
from gateway.types.outbound import Chunk, OutboxRow

if TYPE_CHECKING:
    from storage import Unit
    from storage.jobs import Job

MOST_FAILED = 10  # runs in a row; then the job is disabled
TOLD = frozenset({*RETRYABLE, "budget", "runaway", "poison", "context", "refused", "not_found"})
REASONS = {
    "timeout": reasons.TOO_LONG,
    "runaway": reasons.TOO_MANY_STEPS,
    "poison": reasons.CRASHED,
}

Delivery = Literal["none", "silent", "owed", "waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What an end leads to. *again*: when the next attempt begins, None: there is none (microseconds UTC).

    *rows* tell the chat that the job was made in; *trouble* (cause, text) tells the operator, None: nothing to tell.
    """

    again: int | None = None
    rows: tuple[OutboxRow, ...] = ()
    trouble: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """What is needed to tell somebody of it. *language*: of whoever's own is not known."""

    render: Callable[[int, str], list[Chunk]]  # (account, text)
    now: int
    language: str = ""


async def done(unit: Unit, run: int, delivery: Delivery, now: int) -> End:
    """It has answered; *delivery*: how far the answer has come with that commit."""
    await unit.jobs.run_state(run, "done", ended=now)
    await unit.jobs.delivery(run, delivery)
    await unit.jobs.succeeded(run)
    return End()


async def stopped(unit: Unit, run: int, now: int) -> End:
    """A person has stopped it: no failure, and nothing to try again."""
    await unit.jobs.run_state(run, "failed", reason=reasons.STOPPED, ended=now)
    return End()


async def failed(unit: Unit, run: int, *, kind: str | None, error: str | None, pen: Pen) -> End:
    """Another attempt in a while, where that may help; else it has failed, and whoever made the job is told.

    *kind* as a ModelError's, or timeout, runaway, poison; *error* in the words of whoever failed.
    """
    job, attempt = await unit.jobs.of_run(run), await unit.jobs.attempt(run)
    assert job is not None
    reason = error or REASONS.get(kind or "", kind or "unknown")
    retries = spec_of(job).retries if kind in RETRYABLE and job.state != "removed" else 0
    if attempt <= retries:
        again = pen.now + RETRY_AFTER[min(attempt, len(RETRY_AFTER)) - 1] * SECOND
        await unit.jobs.again(run, due=again, reason=reason)
        return End(again=again)
    await unit.jobs.run_state(run, "failed", reason=reason, ended=pen.now)
    failures = await unit.jobs.failed(job.id)
    disabled = failures >= MOST_FAILED and job.state == "on"
    if disabled:
        await unit.jobs.disable(job.id)
    return await _told(unit, job, run, kind, reason, failures if disabled else 0, pen)


async def _told(
    unit: Unit, job: Job, run: int, kind: str | None, reason: str, disabled: int, pen: Pen
) -> End:
    """*disabled*: after how many failures; 0: it goes on."""
    told = await _to_maker(unit, job, run, kind, disabled, pen)
    if not told:
        text = f"The job {job.name} has failed: {reason}"
        if disabled:
            text += f". It is disabled after {disabled} failures in a row; parley jobs resume {job.name}"
        return End(trouble=(f"job:{job.name}" + (":disabled" if disabled else ""), text))
    return End(rows=tuple(told))


async def _to_maker(
    unit: Unit, job: Job, run: int, kind: str | None, disabled: int, pen: Pen
) -> list[OutboxRow]:
    """In the chat that it was made in, else in their own; [] where nothing can be said to them now."""
    who = await unit.people.identity_by_id(job.identity) if job.identity is not None else None
    lang = (who.lang if who is not None else "") or pen.language
    why = say(f"job_failed.{kind if kind in TOLD else 'other'}", lang)
    text = say("job.failed", lang, name=f"`{job.name}`", why=why)
    if disabled:
        text += " " + say("job.disabled", lang, count=disabled, name=job.name)
    place = await unit.places.get(job.conversation) if job.conversation is not None else None
    if place is None and who is not None:
        place = await unit.places.private(who.channel, who.user_id)
    if place is None:
        return []
    return await notice(unit, place.account, place.id, f"job-failed:{run}", text, pen.render, pen.now)
