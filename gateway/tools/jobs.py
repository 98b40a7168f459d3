"""The tools `list_jobs`, `create_job` and `remove_job`: what whoever asks has running by the clock, and no one else's.

Making and removing ask the person first, in words: what cannot be is told to the model at once, and never asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from gateway.errors import Refused
from gateway.jobs import told
from gateway.jobs.book import Jobs, Requester
from gateway.jobs.spec import CHAT, JobSpec
from gateway.jobs.told import Reader
from gateway.protocols.tool import Tool, ToolContext, ToolFailed, ToolSpec
from gateway.texts import say
from gateway.types.json import Json

Asking = Callable[[int, int | None], Awaitable[Requester]]
"""(conversation, identity): who asks, and what they may there."""


def job_tools(jobs: Callable[[], Jobs], asking: Asking) -> Iterator[Tool]:
    """*jobs* is asked for at each call: who keeps them is made after the tools."""
    yield ListJobs(jobs, asking)
    yield CreateJob(jobs, asking)
    yield RemoveJob(jobs, asking)


class _Own:
    """The jobs of the person that the model serves."""

    def __init__(self, jobs: Callable[[], Jobs], asking: Asking) -> None:
        self._jobs = jobs
        self._asking = asking

    async def _by(self, context: ToolContext) -> Requester:
        # An admin's model does no more than anybody else's.
        return replace(await self._asking(context.conversation, context.identity), admin=False)


class ListJobs(_Own):
    """Theirs, in a line each."""

    spec = ToolSpec(
        name="list_jobs",
        description="The person's scheduled jobs and reminders.",
        parameters={"type": "object", "properties": {}, "additionalProperties": False},
    )

    async def call(self, args: Json, context: ToolContext) -> str:
        found = await self._jobs().list(await self._by(context), everybody=False)
        if not found:
            return "none"
        lines = [
            f"{told.listed([each], _reader(context)).removeprefix('- ')}: {each.spec.prompt[: told.ASKED]}"
            for each in found
        ]
        return "\n".join(lines)


class CreateJob(_Own):
    """See gateway.protocols.tool.Consented."""

    spec = ToolSpec(
        name="create_job",
        description="Make a reminder or recurring job. At its times you are asked its prompt in a new session, and the"
        " answer comes to this chat. The person is asked for a yes.",
        parameters={
            "type": "object",
            "properties": {
                "schedule": {
                    "type": "string",
                    "description": "'0 8 * * 1-5' (crontab), 'every 90m', 'at 2026-12-01 09:00' or 'tomorrow at 9:00'",
                },
                "prompt": {
                    "type": "string",
                    "description": "What you are asked then; it must say everything",
                },
                "name": {"type": "string", "description": "Short; a-z, 0-9, -"},
                "zone": {"type": "string", "description": "IANA; default: the person's"},
            },
            "required": ["schedule", "prompt"],
            "additionalProperties": False,
        },
    )

    async def proposal(self, args: Json, context: ToolContext) -> str:
        spec = _spec(args, context)
        try:
            planned = await self._jobs().check(spec, await self._by(context))
        except Refused as error:
            raise ToolFailed(str(error)) from None
        return told.proposed(planned.spec, planned.next_times, _reader(context), named=bool(spec.name))

    async def call(self, args: Json, context: ToolContext) -> str:
        try:
            made = await self._jobs().add(_spec(args, context), await self._by(context), asked=context.asked)
        except Refused as error:
            raise ToolFailed(error.told(context.lang)) from None
        return told.added(made, _reader(context))


class RemoveJob(_Own):
    """See gateway.protocols.tool.Consented."""

    spec = ToolSpec(
        name="remove_job",
        description="Remove one of the person's jobs. The person is asked for a yes.",
        parameters={
            "type": "object",
            "properties": {"name": {"type": "string", "description": "As list_jobs says"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    )

    async def proposal(self, args: Json, context: ToolContext) -> str:
        try:
            job = await self._jobs().show(_text(args, "name"), await self._by(context))
        except Refused as error:
            raise ToolFailed(str(error)) from None
        return told.removal(job, _reader(context))

    async def call(self, args: Json, context: ToolContext) -> str:
        name = _text(args, "name")
        try:
            await self._jobs().remove(name, await self._by(context))
        except Refused as error:
            raise ToolFailed(error.told(context.lang)) from None
        return say("job_said.removed", context.lang, name=f"`{name}`", plain=name)


def _spec(args: Json, context: ToolContext) -> JobSpec:
    return JobSpec(
        name=str(args.get("name") or ""),
        schedule=_text(args, "schedule"),
        zone=str(args.get("zone") or context.zone),
        prompt=_text(args, "prompt"),
        deliver_to=(CHAT,),
    )


def _text(args: Json, name: str) -> str:
    """Raises ToolFailed."""
    found = args.get(name)
    if not isinstance(found, str) or not found.strip():
        raise ToolFailed(f"{name} is missing")
    return found.strip()


def _reader(context: ToolContext) -> Reader:
    return Reader(now=context.now, zone=context.zone, lang=context.lang)
