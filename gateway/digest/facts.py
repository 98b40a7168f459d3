"""What a digest tells, gathered in one read. Times are microseconds UTC, money is nano-dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from gateway.appeals import VALID
from gateway.digest.talks import Talk, exchange, talk
from gateway.digest.whose import Whose
from gateway.jobs.reasons import ONLY_DIGEST
from gateway.moments import local, midnight, offsets
from gateway.reports import DayCost, Share, UsageSummary, days, shares, usage_summary

if TYPE_CHECKING:
    from storage import Unit
    from storage.database import Row
    from storage.jobs import Job

CHARTED = 7  # days, the last of them the one that is told
MOST_TALKS = 12
MOST_RESULTS = 8
MOST_WAITING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The day a digest is of, on the clock of *zone*; *until* is its end, or now where it goes on (*today*)."""

    day: date
    since: int
    until: int
    zone: str
    today: bool = False


def span_of(planned: int, zone: str, *, manual: bool) -> Span:
    """The local day before the planned time, whole; out of turn (*manual*), that and what there is of the next."""
    there = local(planned, zone).date()
    before = there - timedelta(days=1)
    until = planned + 1 if manual else midnight(there, zone)
    return Span(day=before, since=midnight(before, zone), until=until, zone=zone, today=manual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a job had to say and nobody has opened."""

    job: str
    at: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """What waits for somebody: an approval with its *code*, or a question that was put aside."""

    kind: Literal["approval", "question"]
    text: str
    at: int
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A job's runs: those that had something to say, that had nothing, and so on. *reason*: why the last failed."""

    job: str
    heartbeat: bool
    told: int
    silent: int
    failed: int
    skipped: int
    reason: str
    usage: UsageSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Everybody's."""

    total: UsageSummary
    by_user: Sequence[Share]
    by_model: Sequence[Share]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Days of which no digest has told: so many, from *first* to *last*."""

    first: date
    last: date
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """*earlier* results are unread from before; *held* messages came while the gateway was away. For admins: how many
    *strangers* ask to be let in, and how many questions a budget has *refused* of which nobody has decided yet."""

    span: Span
    talks: Sequence[Talk]
    results: Sequence[Result]
    earlier: int
    pending: Sequence[Pending]
    held: int
    ran: Sequence[Ran]
    compactions: int
    total: UsageSummary
    by_model: Sequence[Share]
    days: Sequence[DayCost]
    bill: Bill | None = None
    strangers: int = 0
    refused: int = 0
    left_out: Gap | None = None

    @property
    def waiting(self) -> int:
        """Things that wait for somebody to act."""
        return len(self.pending) + self.held + self.strangers + self.refused

    @property
    def empty(self) -> bool:
        """Nothing that anybody needs to know: what ran and had nothing to say does not count, nor what that cost."""
        ran = any(each.told or each.failed or not each.heartbeat for each in self.ran)
        billed = self.bill is not None and self.bill.total.requests
        return not (self.talks or self.results or self.waiting or ran or billed or self.left_out)


async def gather(unit: Unit, whose: Whose, span: Span, now: int, *, bill: bool) -> Facts:
    """*bill*: with everybody's."""
    person, places = whose.person, whose.places
    reads, since, until = unit.digests, span.since, span.until
    rows = await reads.talks(person, places, since=since, until=until)
    jobs = {each.id: each for each in await reads.jobs(person, places) if whose.concerns(each)}
    unread = await reads.unread(list(jobs))
    costs = unit.costs.within(since=since, until=until, person=person, places=whose.within)
    begin = midnight(span.day - timedelta(days=CHARTED - 1), span.zone)
    week = unit.costs.within(
        since=begin,
        until=until,
        person=person,
        places=whose.within,
    )
    clock = offsets(begin, until, span.zone)
    models = [(row[0], row[1], row[2]) for row in await week.models_of_days(clock)]
    return Facts(
        span=span,
        talks=[each for row in rows if (each := await talk(unit, row)) is not None],
        results=[
            await _result(unit, jobs[row[0]], row)
            for row in [each for each in unread if (each[3] or 0) >= since][:MOST_RESULTS]
        ],
        earlier=sum((each[3] or 0) < since for each in unread),
        pending=await _pending(unit, whose, now),
        held=await reads.held(person, places),
        ran=[
            await _ran(unit, jobs[row[0]], row, since, until)
            for row in await reads.ran(list(jobs), since=since, until=until)
        ],
        compactions=await reads.compactions([row[0] for row in rows], since=since, until=until),
        total=usage_summary(await costs.total()),
        by_model=shares(await costs.by("model")),
        days=days(await week.days(clock), models),
        bill=await _bill(unit, since, until) if bill else None,
        strangers=len(await unit.pairings.open("pair", now=now)) if whose.admin else 0,
        refused=len(await unit.appeals.open(since=now - VALID)) if whose.admin else 0,
    )


async def _result(unit: Unit, job: Job, row: Row) -> Result:
    _, session, turn, at = row
    _, said = await exchange(unit, session, turn or 0)
    return Result(job=job.name, at=at, text=said)


async def gap(unit: Unit, job: int, planned: int, zone: str) -> Gap | None:
    """The days whose digests were not made up for when that of *planned* was."""
    found = await unit.digests.left_out(job, planned=planned, reason=ONLY_DIGEST)
    if found is None:
        return None
    first, last, days = found
    return Gap(
        first=span_of(first, zone, manual=False).day, last=span_of(last, zone, manual=False).day, days=days
    )


async def _pending(unit: Unit, whose: Whose, now: int) -> list[Pending]:
    found = [
        Pending(kind="approval", text=row[1], at=row[2], code=row[0])
        for row in await unit.digests.approvals(whose.person, whose.places, now=now, most=MOST_WAITING)
    ]
    for turn, session, at in await unit.digests.parked(whose.person, whose.places, most=MOST_WAITING):
        asked, _ = await exchange(unit, session, turn)
        found.append(Pending(kind="question", text=asked, at=at))
    return found


async def _ran(unit: Unit, job: Job, row: Row, since: int, until: int) -> Ran:
    _, told, silent, failed, skipped, reason = row
    return Ran(
        job=job.name,
        heartbeat=job.kind == "heartbeat",
        told=told,
        silent=silent,
        failed=failed,
        skipped=skipped,
        reason=reason or "",
        usage=usage_summary(await unit.digests.cost_of(job.name, since=since, until=until)),
    )


async def _bill(unit: Unit, since: int, until: int) -> Bill:
    costs = unit.costs.within(since=since, until=until)
    return Bill(
        total=usage_summary(await costs.total()),
        by_user=shares(await costs.by("user")),
        by_model=shares(await costs.by("model")),
    )
