"""The tables of parley.toml about what we do by the clock ourselves: the jobs, the digests and the heartbeat."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway import heartbeat
from gateway.config_values import Budget, Mistake, Model, Seconds, Table, Targets, Zone
from gateway.jobs.spec import LONGEST, NAME


def _hours(text: str) -> str:
    if text:
        try:
            heartbeat.hours(text)
        except ValueError:
            raise Mistake(
                f"{text!r} are no hours", 'write them as in "08:00-22:00", or leave it empty'
            ) from None
    return text


def _role_id(value: object) -> object:
    if value == "":
        return ""
    if not re.fullmatch(r"[0-9]+", str(value)):
        raise Mistake(f"{value!r} is not a role's id", "copy it in Discord's developer mode; it is a number")
    return str(value)


def _job_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Mistake(f"{name!r} is not a job's name", "use up to 64 letters, digits, '.', '-' or '_'")
    return name


RoleId = Annotated[str, BeforeValidator(_role_id)]


class JobSettings(Table):
    name: Annotated[str, AfterValidator(_job_name)]
    schedule: str  # "0 9 * * MON-FRI", "@daily", "every 90m" or "at 2026-12-01 09:00"
    kind: Literal["prompt", "digest"] = "prompt"
    prompt: str = ""  # what the agent is asked; a digest asks nothing
    bill: bool = False  # of a digest: with everybody's bill
    zone: Zone | None = None  # None: [gateway] timezone
    deliver_to: Targets = ("main",)  # (): kept in the session only
    mention: RoleId = ""  # the role that a delivery on Discord calls; '': none
    silent: bool = False  # an answer that says that there is nothing to report is not delivered
    enabled: bool = True
    session: Literal["isolated", "chat"] = "isolated"  # one of its own for each run, or the chat's
    catch_up: Literal["none", "last", "all"] = "last"  # runs missed while the gateway was down
    overlap: Literal["skip", "queue"] = "skip"  # a run that is due while the one before is running
    timeout_seconds: Annotated[Seconds, Field(le=LONGEST)] | None = None  # None: as [agent] says
    retries: Annotated[int, Field(ge=0, le=3)] = 3  # after 30 s, 60 s and 5 min
    model: Model = ""  # '': [agent] model
    budget_day: Budget | None = None
    budget_month: Budget | None = None


class DigestSettings(Table):
    model: Model = ""  # that writes a line for each conversation; '': they are quoted


class HeartbeatSettings(Table):
    file: str = ""  # what it is asked, relative to the configuration's folder; '': there is no heartbeat
    every_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    active_hours: Annotated[str, AfterValidator(_hours)] = ""  # as 08:00-22:00; '': always
    zone: Zone | None = None  # None: [gateway] timezone
    deliver_to: Targets = ("main",)  # (): kept in the session only
    model: Model = ""  # '': [agent] model
