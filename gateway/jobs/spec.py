"""What a job is: its schedule, what it asks, and how it behaves; and the same as JSON in its row."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from gateway.types.json import Json

if TYPE_CHECKING:
    from storage.jobs import Job

JobKind = Literal["prompt", "digest", "heartbeat"]
CatchUp = Literal["none", "last", "all"]
Joins = Literal["isolated", "chat"]
Overlap = Literal["skip", "queue"]
Source = Literal["config", "chat", "api"]

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
CHAT = "chat"  # in deliver_to: the chat the job was made in
MAIN = "main"  # in deliver_to: kept in its session, where the terminal shows it
RETRY_AFTER = (30, 60, 300)  # seconds after the first, the second and the third failure
LONGEST = 24 * 3600  # seconds that a run may be given


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job as it was written.

    *name*: unique in the whole gateway, for the bill and the budgets call it so; '' lets `Jobs.add` find one.
    *schedule*: five crontab fields, "@daily", "every 90m" or "at 2026-12-01 09:00", on the clock of *zone*.
    *deliver_to*: addresses, CHAT or MAIN; (): kept in its session. *mention*: the id of the one role that a
    delivery on Discord calls; '': none. *silent*: an answer that says that there is nothing to report is not
    delivered. *session*: one of its own for each run, or that of the chat it delivers to. *model* '': the usual
    one. *timeout* in seconds, None: as for every turn. *retries* after a failure, 3 at most. *budget_day* and
    *budget_month* in nano-dollars, None: what is set for all jobs.

    *kind* digest asks nothing and tells the day before; *bill*: with everybody's bill, to admins alone. *kind*
    heartbeat asks what is in *prompt_file*, read anew for each run, within *active_hours* as 08:00-22:00 ('': always).
    """

    name: str
    schedule: str
    zone: str
    prompt: str
    deliver_to: tuple[str, ...] = ()
    mention: str = ""
    silent: bool = False
    enabled: bool = True
    session: Joins = "isolated"
    catch_up: CatchUp = "last"
    overlap: Overlap = "skip"
    timeout: float | None = None
    retries: int = len(RETRY_AFTER)
    model: str = ""
    budget_day: int | None = None
    budget_month: int | None = None
    kind: JobKind = "prompt"
    bill: bool = False
    prompt_file: str = ""
    active_hours: str = ""


# What its row has columns for.
_APART = frozenset({"name", "zone"})


def body_of(spec: JobSpec, accepted: int) -> Json:
    """The JSON of a job's row; *accepted* anchors an interval (microseconds UTC)."""
    told = {each.name: getattr(spec, each.name) for each in fields(spec) if each.name not in _APART}
    return {"v": 1, **told, "deliver_to": list(spec.deliver_to), "accepted": accepted}


def spec_of(job: Job) -> JobSpec:
    """As it was written; what an older version has not stored is as usual."""
    known = {each.name for each in fields(JobSpec)} - _APART
    told = {key: value for key, value in job.spec.items() if key in known}
    enabled = bool(told.pop("enabled", job.state == "on"))
    targets = tuple(told.pop("deliver_to", ()))
    return JobSpec(name=job.name, zone=job.zone, deliver_to=targets, enabled=enabled, **told)
