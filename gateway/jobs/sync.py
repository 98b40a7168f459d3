"""The configuration's jobs as rows: taken over at each start and reload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.jobs.slots import plan
from gateway.jobs.spec import JobSpec, Source, body_of, spec_of
from gateway.schedule import next_after

if TYPE_CHECKING:
    from storage import Unit
    from storage.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What the operator should know, as names of jobs.

    *over*: new, and their time is over; *taken*: a job that was made in a chat has that name, so it was left as it is.
    """

    over: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


async def sync(unit: Unit, specs: Sequence[JobSpec], now: int) -> Synced:
    """Jobs that are in the configuration no longer are removed; those made in chats are left alone."""
    known = {job.name: job for job in await unit.jobs.all()}
    over: list[str] = []
    taken: list[str] = []
    for spec in specs:
        old = known.pop(spec.name, None)
        if old is not None and old.source != "config":
            taken.append(spec.name)
        elif await put(unit, spec, old, now, source="config") and spec.enabled:
            over.append(spec.name)
    for job in known.values():
        if job.source == "config":
            await unit.jobs.remove(job.name)
    return Synced(over=tuple(over), taken=tuple(taken))


async def put(
    unit: Unit,
    spec: JobSpec,
    old: Job | None,
    now: int,
    *,
    source: Source,
    identity: int | None = None,
    conversation: int | None = None,
) -> bool:
    """Store a job; True when it is new and its time is over.

    One that was paused or disabled stays so until something in it is changed.
    """
    same = old is not None and (old.spec["schedule"], old.zone) == (spec.schedule, spec.zone)
    accepted = int(old.spec["accepted"]) if old and same else now
    untouched = old is not None and spec_of(old) == spec
    on_before = old is not None and same and old.state == "on"
    state = "on" if spec.enabled else "paused"
    if old is not None and untouched:
        state = old.state
    next_at = None
    if state == "on":
        next_at = (
            old.next_at if old and on_before else next_after(plan(spec.schedule, spec.zone, accepted), now)
        )
    await unit.jobs.put(
        name=spec.name,
        spec=body_of(spec, accepted),
        zone=spec.zone,
        next_at=next_at,
        state=state,
        source=source,
        identity=identity,
        conversation=conversation,
        failures=old.failures if old is not None and untouched else 0,
        created=old.created if old is not None else now,
    )
    await _budgets(unit, spec, None if old is None else spec_of(old))
    return state == "on" and next_at is None and not on_before


async def _budgets(unit: Unit, spec: JobSpec, old: JobSpec | None) -> None:
    """Only what is changed in the job itself is set anew: what /budget has set meanwhile goes before it."""
    before = old or replace(spec, budget_day=None, budget_month=None)
    for period, cap, was in (
        ("day", spec.budget_day, before.budget_day),
        ("month", spec.budget_month, before.budget_month),
    ):
        if cap == was:
            continue
        if cap is None:
            await unit.budgets.drop("job", spec.name, period)
        else:
            await unit.budgets.put("job", spec.name, period, cap)
