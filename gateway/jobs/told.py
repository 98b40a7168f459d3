"""Jobs and their runs as people read them in a chat; pure. *now* is microseconds UTC, *zone* whose clock they read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.jobs.reasons import reason
from gateway.jobs.spec import CHAT, MAIN, JobSpec
from gateway.jobs.views import JobView, RunView
from gateway.jobs.words import times, worded
from gateway.moments import coming, shown
from gateway.plain import plain
from gateway.texts import say
from gateway.texts.forms import money

ASKED = 300  # characters of what a job asks
REASON = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads it: when, by whose clock, in which language (a BCP 47 tag)."""

    now: int
    zone: str
    lang: str = ""


def proposed(spec: JobSpec, planned: Sequence[int], reader: Reader, *, named: bool) -> str:
    """What would be made, before anybody has said yes. *named*: they have given it that name."""
    key = "job_said.propose_named" if named else "job_said.propose"
    return say(
        key,
        reader.lang,
        name=f"`{spec.name}`",
        when=worded(spec.schedule, spec.zone, reader.lang),
        times=_times(planned, spec.zone, reader),
        prompt=plain(spec.prompt, ASKED),
    )


def removal(job: JobView, reader: Reader) -> str:
    """What would be removed, before anybody has said yes."""
    return say(
        "job_said.propose_removal",
        reader.lang,
        name=f"`{job.spec.name}`",
        when=worded(job.spec.schedule, job.spec.zone, reader.lang),
        prompt=plain(job.spec.prompt, ASKED),
    )


def added(job: JobView, reader: Reader) -> str:
    """What was made, with its next times."""
    return say(
        "job_said.added",
        reader.lang,
        name=f"`{job.spec.name}`",
        when=worded(job.spec.schedule, job.spec.zone, reader.lang),
        times=_times(job.next_times, job.spec.zone, reader),
    )


def listed(jobs: Iterable[JobView], reader: Reader, *, owners: bool = False) -> str:
    """A line for each. *owners*: and whose it is."""
    return "\n".join(f"- {_row(each, reader, owners=owners)}" for each in jobs)


def _row(job: JobView, reader: Reader, *, owners: bool) -> str:
    lang = reader.lang
    when = worded(job.spec.schedule, job.spec.zone, lang)
    coming_up = (
        _times(job.next_times[:1], job.spec.zone, reader)
        if job.state == "on"
        else say(f"job_said.{job.state}", lang)
    )
    whose = f" ({_owner(job, lang)})" if owners else ""
    return f"`{job.spec.name}`{whose}: {when} · {coming_up}"


def detailed(job: JobView, reader: Reader, *, owners: bool = False) -> str:
    """Everything about one."""
    spec, lang = job.spec, reader.lang
    rows = [
        ("schedule", f"{worded(spec.schedule, spec.zone, lang)} (`{spec.schedule}`)"),
        ("state", say(f"job_said.{job.state}", lang)),
        ("next", _times(job.next_times, job.spec.zone, reader) if job.state == "on" else ""),
        ("prompt", plain(spec.prompt, ASKED)),
        ("to", _targets(job, lang)),
        ("last", "" if job.last is None else run_line(job.last, reader)),
        ("owner", _owner(job, lang) if owners else ""),
        ("more", ", ".join(_options(spec, lang))),
    ]
    lines = [f"- {say(f'job_said.row_{key}', lang)}: {text}" for key, text in rows if text]
    return "\n".join([f"**`{spec.name}`**", "", *lines])


def run_line(run: RunView, reader: Reader) -> str:
    """“Thu 26 Nov 09:00: done, sent (`7K2M9QX4TD`)”."""
    lang = reader.lang
    parts = [say(f"job_state.{run.state}", lang)]
    if run.state == "done" and run.delivery != "none":
        parts.append(say(f"job_delivery.{run.delivery}", lang))
    if run.again is not None:
        again = coming(run.again, now=reader.now, zone=reader.zone, lang=lang)
        parts.append(say("job_said.again", lang, attempt=run.attempt, at=again))
    if run.reason and run.state in ("skipped", "failed", "waiting"):
        parts.append(plain(reason(run.reason, lang), REASON))
    at = shown(run.planned, now=reader.now, zone=reader.zone, lang=lang)
    session = f" (`{run.session}`)" if run.session else ""
    return f"{at}: {', '.join(parts)}{session}"


def _times(planned: Sequence[int], zone: str, reader: Reader) -> str:
    """On the clock of who reads it, which is named where the job goes by another one."""
    said = times(planned, now=reader.now, zone=reader.zone, lang=reader.lang)
    return said if zone == reader.zone or not planned else f"{said} ({reader.zone})"


def _owner(job: JobView, lang: str) -> str:
    if job.owner is None:
        return say("job_said.config" if job.source == "config" else "job_said.operator", lang)
    return plain(job.owner_name or job.owner)


def _targets(job: JobView, lang: str) -> str:
    names = {CHAT: say("job_said.chat", lang), MAIN: say("job_said.main", lang)}
    found = [names.get(to, f"`{to}`") for to in job.spec.deliver_to]
    return ", ".join(found) or say("job_said.nowhere", lang)


def _options(spec: JobSpec, lang: str) -> list[str]:
    """What is not as usual, as it is written behind /job add."""
    usual = JobSpec(name="", schedule="", zone="", prompt="")
    found = [
        f"{key}={getattr(spec, key)}"
        for key in ("session", "catch_up", "overlap", "retries", "timeout", "model", "mention")
        if getattr(spec, key) != getattr(usual, key)
    ]
    found += ["silent=yes"] if spec.silent else []
    for key, cap in (("budget_day", spec.budget_day), ("budget_month", spec.budget_month)):
        found += [f"{key}={money(cap, lang)}"] if cap is not None else []
    return [f"`{each}`" for each in found]
