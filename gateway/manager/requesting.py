"""Who asks something of a scheduled job, from within a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.access import enough, standing
from gateway.jobs.rights import Requester
from gateway.manager.choices import Choices
from gateway.types.people import Identity, Role
from gateway.types.places import Conversation

if TYPE_CHECKING:
    from storage import Unit


class Requesting(Choices):
    """For `SessionManager.jobs`."""

    async def requester(
        self, place: Conversation, who: Identity | None, role: Role, *, posting: bool = True
    ) -> Requester:
        """*role* is what they act as there. *posting*: a job is made, so that it matters whether they may have it
        say something there; in a group the platform is asked who administers it."""
        admin = enough(role, "admin")
        posts = admin or not place.shared
        if posting and not posts and who is not None:
            posts = await self.administers(place.address, who.user_id)
        return Requester(
            identity=who.id if who is not None else None, admin=admin, conversation=place.id, posts=posts
        )

    async def requester_in(self, conversation: int, identity: int | None) -> Requester:
        """The same by the numbers of their rows."""

        async def work(unit: Unit) -> tuple[Conversation, Identity | None]:
            who = await unit.people.identity_by_id(identity) if identity is not None else None
            return await unit.places.get(conversation), who

        place, who = await self._store.read(work)
        policy = self.core.dispatcher.habits.policy
        return await self.requester(place, who, standing(who, policy) if who is not None else "user")
