"""Digests as they are set: by people where they want to have theirs, by the operator for somebody or some chat."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.access import LOCAL
from gateway.digest import whose
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.hub import Hub
from gateway.jobs import rights, views
from gateway.jobs.book import OPERATOR, Jobs
from gateway.jobs.rights import Requester
from gateway.jobs.slots import plan_of
from gateway.jobs.spec import CHAT, MAIN, JobSpec, spec_of
from gateway.jobs.sync import put
from gateway.jobs.unreadable import Unreadable
from gateway.jobs.views import JobView
from gateway.protocols.clock import Clock
from gateway.schedule import ScheduleError, next_after, parse
from gateway.types.places import Conversation, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage import Store, Unit
    from storage.jobs import Job

NAME = "digest"
USUAL = "0 8 * * *"
PATIENCE = 120.0  # seconds that whoever reads at a terminal waits for theirs


class Digests:
    """One for each person, in the private chat where they last asked for it, and one for each group or topic.

    A digest is a job of its own kind; `Requester.conversation` says which is meant. Whoever may set a group's is
    decided by the caller.
    """

    def __init__(
        self,
        *,
        store: Store,
        jobs: Jobs,
        hub: Hub,
        clock: Clock,
        zone: str,
        changed: Callable[[], None],
    ) -> None:
        """*zone*: of digests that name none. *changed* is told when a planned time may be another."""
        self._store = store
        self._jobs = jobs
        self._hub = hub
        self._clock = clock
        self._zone = zone
        self._changed = changed

    async def show(self, by: Requester) -> JobView | None:
        """As it stands; None where none was ever set. Its state is on, or else paused."""

        async def work(unit: Unit) -> JobView | None:
            job = await _own(unit, by)
            if job is None or job.state != "on":
                job = await _configured(unit, by) or job
            return None if job is None else await views.view(unit, job)

        return await self._store.read(work)

    async def turn_on(
        self,
        by: Requester,
        *,
        at: tuple[int, int] | None = None,
        zone: str = "",
        bill: bool = False,
        silent: bool = False,
    ) -> JobView:
        """Every day *at* (hour, minute) on the clock of *zone*: what is left out stays as it was, at first 8:00 and the
        gateway's zone. *silent*: not on a day on which nothing happened.

        Raises Refused for a zone that does not exist, a bill that is not an admin's or not private, and where the
        configuration has set one.
        """
        now = self._clock()

        async def work(unit: Unit) -> JobView:
            place = await _place(unit, by)
            if bill and not by.admin:
                raise Refused(key="digest.admins")
            if bill and place.shared:
                raise Refused(key="digest.bill_private")
            found = await _configured(unit, by)
            if found is not None and found.state == "on":
                raise Refused(key="digest.configured", name=found.name)
            old = await _own(unit, by)
            schedule = str(old.spec["schedule"]) if old is not None else USUAL
            spec = _spec(
                name=old.name if old is not None else await _free(unit),
                schedule=schedule if at is None else f"{at[1]} {at[0]} * * *",
                zone=zone or (old.zone if old is not None else self._zone),
                place=place,
                bill=bill,
                silent=silent,
            )
            job = await _put(unit, spec, old, by, now)
            if job.state != "on":  # somebody had paused it as a job
                await unit.jobs.switch(job.id, "on", next_at=next_after(plan_of(job), now))
                job = await unit.jobs.get(spec.name) or job
            return await views.view(unit, job)

        view = await self._store.commit(Point.JOB, work)
        self._changed()
        return view

    async def turn_off(self, by: Requester) -> bool:
        """False where none was on. Raises Refused for one of the configuration."""
        now = self._clock()

        async def work(unit: Unit) -> bool:
            job = await _own(unit, by)
            if job is None or job.state == "paused":
                found = await _configured(unit, by)
                if found is not None and found.state == "on":
                    raise Refused(key="digest.configured", name=found.name)
                return False
            await _put(unit, replace(spec_of(job), enabled=False), job, by, now)
            return True

        return await self._store.commit(Point.JOB, work)

    async def now(self, by: Requester, *, zone: str = "") -> int:
        """One out of turn, of yesterday and today so far, to where it is asked for, also where none is set.

        Gives the run's id. *zone* where none is set. Raises Refused while one is being made.
        """
        return await self._jobs.run_now(await self._named(by, zone), OPERATOR)

    async def read_now(self, by: Requester, *, zone: str = "") -> str:
        """The same for who reads it in a terminal: its text, '' when it takes too long."""
        name = await self._named(by, zone)
        place = await self._store.commit(Point.PEOPLE, _room, name)
        with self._hub.listen(place) as queue:
            run = await self._jobs.run_now(name, OPERATOR)
            try:
                async with asyncio.timeout(PATIENCE):
                    while True:
                        seen = await queue.get()
                        if seen.kind == "done" and await self._is(seen.turn, run):
                            break
            except TimeoutError:
                return ""
        if seen.session is not None:
            session = seen.session
            await self._store.commit(Point.SESSION, lambda unit: unit.sessions.set_unread(session, False))
        return seen.text

    async def of(self, address: str) -> Requester:
        """The operator, asking for whoever is at telegram:12345, or "main". Raises Refused for who never wrote."""

        async def work(unit: Unit) -> Requester:
            channel, id = ("main", "local") if address == MAIN else _split(address)
            place = await _written(unit, channel, "main" if address == MAIN else id)
            who = await unit.people.identity(channel, id)
            if place is None or (not place.shared and (who is None or who.person is None)):
                raise Refused(key="digest.unknown", address=address[:80])
            identity = None if place.shared or who is None else who.id
            return Requester(identity=identity, admin=True, conversation=place.id)

        return await self._store.read(work)

    async def list(self) -> list[JobView]:
        """All there are, by name."""
        return [each for each in await self._jobs.list() if each.spec.kind == NAME]

    async def _named(self, by: Requester, zone: str) -> str:
        """The job that makes it; one that never comes by itself where none goes there."""
        now = self._clock()

        async def work(unit: Unit) -> str:
            for each in await _theirs(unit, by):
                if each.conversation == by.conversation:
                    return each.name
            place, name = await _place(unit, by), await _free(unit)
            spec = _spec(name=name, schedule=USUAL, zone=zone or self._zone, place=place)
            return (await _put(unit, replace(spec, enabled=False), None, by, now)).name

        return await self._store.commit(Point.JOB, work)

    async def _is(self, turn: int | None, run: int) -> bool:
        found = await self._store.read(lambda unit: unit.turns.get(turn or 0))
        return found is not None and found.job_run == run


def _spec(
    *, name: str, schedule: str, zone: str, place: Conversation, bill: bool = False, silent: bool = False
) -> JobSpec:
    try:
        parse(schedule, zone, now=0)
    except ScheduleError as error:
        raise Unreadable(error) from None
    return JobSpec(
        name=name,
        schedule=schedule,
        zone=zone,
        prompt="",
        deliver_to=(MAIN if place.channel in LOCAL else CHAT,),
        silent=silent,
        # Each day has its own: one that waits for its platform is no reason to leave out the next.
        overlap="queue",
        kind="digest",
        bill=bill,
    )


async def _put(unit: Unit, spec: JobSpec, old: Job | None, by: Requester, now: int) -> Job:
    identity = by.identity if by.identity is not None or old is None else old.identity
    await put(unit, spec, old, now, source="chat", identity=identity, conversation=by.conversation)
    found = await unit.jobs.get(spec.name)
    assert found is not None
    return found


async def _place(unit: Unit, by: Requester) -> Conversation:
    if by.conversation is None:
        raise Refused(key="job.no_chat")
    place = await unit.places.get(by.conversation)
    if by.identity is None and not place.shared:
        raise Refused(key="digest.nobody")
    return place


async def _own(unit: Unit, by: Requester) -> Job | None:
    """That of the person, wherever they have set it, or that of the group."""
    found = await _theirs(unit, by)
    return next((each for each in found if each.state == "on"), found[0] if found else None)


async def _theirs(unit: Unit, by: Requester) -> list[Job]:
    """All of the person's: besides that which comes every day those that were asked for at once in another chat."""
    place = await _place(unit, by)
    found: list[Job] = []
    for job in await unit.jobs.of_kind(NAME):
        if job.source == "config" or job.conversation is None:
            continue
        if place.shared:
            theirs = job.conversation == place.id
        else:
            theirs = await rights.owns(unit, job, by) and not (await unit.places.get(job.conversation)).shared
        if theirs:
            found.append(job)
    return found


async def _configured(unit: Unit, by: Requester) -> Job | None:
    """That of the configuration which goes there."""
    place = await _place(unit, by)
    if place.shared:
        mine = await whose.of_chat(unit, place, "")
    else:
        who = await unit.people.identity_by_id(by.identity or 0)
        mine = whose.Whose(person=None) if who is None else await whose.of_person(unit, who)
    for job in await unit.jobs.of_kind(NAME):
        if job.source == "config" and mine.named(job):
            return job
    return None


async def _free(unit: Unit) -> str:
    name, number = NAME, 1
    while await unit.jobs.get(name) is not None:
        number += 1
        name = f"{NAME}-{number}"
    return name


async def _room(unit: Unit, name: str) -> int:
    """The conversation in which the job's runs are made."""
    account = await unit.people.account("job", "job")
    return (await unit.places.at(account, Place(chat_id=name, kind="job"))).id


async def _written(unit: Unit, channel: str, id: str) -> Conversation | None:
    """Where somebody has written who is called so, or the group, topic or thread of that name."""
    chat, _, thread = id.partition("/")
    private = await unit.places.private(channel, id)
    if private is not None:
        return private
    known = await unit.places.of_channel(channel, chat)
    return next((each for each in known if each.thread_id == thread and not each.user_id), None)


def _split(address: str) -> tuple[str, str]:
    key, _, id = address.partition(":")
    return key.partition(".")[0], id
