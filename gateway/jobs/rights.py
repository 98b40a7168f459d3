"""Who asks something of a job, and what they may: an owner handles their own, an admin all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import NotFound, Refused
from gateway.jobs.slots import known
from gateway.types.people import Identity

if TYPE_CHECKING:
    from storage import Unit
    from storage.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """*identity* None: the operator, at the command line or the HTTP API. *conversation*: the chat they ask in.

    The ids are those of rows. *posts*: whether they may have something said there again and again; in a group that
    is for its administrators.
    """

    identity: int | None = None
    admin: bool = False
    conversation: int | None = None
    posts: bool = True


OPERATOR = Requester(admin=True)


async def identities(unit: Unit, by: Requester) -> list[Identity]:
    """All that whoever asks is, on every platform; [] for the operator."""
    who = None if by.identity is None else await unit.people.identity_by_id(by.identity)
    if who is None:
        return []
    return [who] if who.person is None else await unit.people.of_person(who.person)


async def owns(unit: Unit, job: Job, by: Requester) -> bool:
    """Whether it is theirs, by whichever of their identities they made it or ask."""
    return job.identity is not None and job.identity in {each.id for each in await identities(unit, by)}


async def handled(unit: Unit, name: str, by: Requester) -> Job:
    """The job of that name. Raises NotFound, for a job of somebody else's too: what others have is not told."""
    job = await known(unit, name)
    if not by.admin and not await owns(unit, job, by):
        raise NotFound(key="job.none", name=name)
    return job


async def removable(unit: Unit, name: str, by: Requester) -> Job:
    """Raises NotFound, and Refused for a job of the configuration: there it would come back at the next start."""
    job = await handled(unit, name, by)
    if job.source == "config":
        raise Refused(key="job.configured", name=name)
    return job
