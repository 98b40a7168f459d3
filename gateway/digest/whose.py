"""Whose a digest is: one person's, wherever they write from, or that of the people in one chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.jobs.spec import CHAT, MAIN

if TYPE_CHECKING:
    from gateway.types.people import Identity
    from gateway.types.places import Conversation
    from storage import Unit
    from storage.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """*person* None: that of the conversations *places*, which are one chat's.

    *addresses* are what jobs call them: telegram:12345. *owner*: the operator's own jobs are theirs too. *admin*:
    may see everybody's bill. *lang* as for an identity.
    """

    person: int | None
    places: tuple[int, ...] = ()
    addresses: frozenset[str] = frozenset()
    owner: bool = False
    admin: bool = False
    lang: str = ""

    @property
    def within(self) -> tuple[int, ...] | None:
        """Where the bill is summed; None: wherever the person asked."""
        return self.places if self.person is None else None

    def concerns(self, job: Job) -> bool:
        """Whether what that job has to say is for them."""
        targets, named = _targets(job), self.named(job)
        if self.person is None:
            return named or (CHAT in targets and job.conversation in self.places)
        if job.identity is not None:
            return True  # the store gives one's own only
        return named or (self.owner and (not targets or targets == [MAIN]))

    def named(self, job: Job) -> bool:
        """Whether it delivers to one of their addresses."""
        return any(_plain(each) in self.addresses for each in _targets(job))


def _targets(job: Job) -> list[str]:
    return [str(each) for each in job.spec.get("deliver_to", ())]


def _plain(target: str) -> str:
    """telegram:12345 of telegram.second:12345: whichever bot speaks there."""
    key, _, id = target.partition(":")
    return f"{key.partition('.')[0]}:{id}"


async def of_chat(unit: Unit, place: Conversation, lang: str) -> Whose:
    """That of everybody there; where each member has a session of their own, and one asked, that one's."""
    places = (place.id,) if place.user_id else tuple(await unit.digests.places(place.id))
    topic = f"/{place.thread_id}" if place.thread_id else ""
    addresses = {f"{place.channel}:{place.chat_id}{topic}"}
    if place.kind == "thread":
        # Discord's threads are named without their channel.
        addresses.add(f"{place.channel}:{place.thread_id}")
    return Whose(person=None, places=places, addresses=frozenset(addresses), lang=lang)


async def of_person(unit: Unit, who: Identity, *, owner: bool = False, admin: bool = False) -> Whose:
    """*who* without a person: of nothing, as nobody can be told apart."""
    if who.person is None:
        return Whose(person=None, lang=who.lang)
    own = await unit.people.of_person(who.person)
    addresses = frozenset(f"{each.channel}:{each.user_id}" for each in own)
    return Whose(person=who.person, addresses=addresses, owner=owner, admin=admin, lang=who.lang)
