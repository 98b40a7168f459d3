"""All there is of somebody: written down for them, or erased with a receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import personal
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.manager.forgetting import Forgetting
from gateway.roster import addressed
from gateway.session_views import Erased
from gateway.types.json import Json
from gateway.types.people import Identity
from gateway.types.sessions import Session

if TYPE_CHECKING:
    from storage import Unit

MOST_TRIES = 20  # at a moment in which they say nothing


class Personal(Forgetting):
    """Somebody by an address, as channel:number; all identities of that person count."""

    async def export_person(self, address: str) -> Json:
        """Everything, as JSON: who they are, their sessions, what they said in groups, files, jobs, their bill.

        Raises NotFound.
        """
        channel, user_id = addressed(address)

        async def work(unit: Unit) -> Json:
            return await personal.everything(unit, *await personal.somebody(unit, channel, user_id))

        return await self._store.read(work)

    async def erase_person(self, address: str, *, by: str = "api") -> Erased:
        """Forget somebody: their sessions, what they said in groups and were answered there, files, names, ids.

        A nameless row stays that the ledger points to; who was blocked stays known as blocked; lines of the audit
        trail keep the address. The receipt is such a line too, without it. *by* as channel:id, cli or api. Raises
        NotFound, and Refused while a group is being given an answer to them.
        """
        channel, user_id = addressed(address)
        person, identities = await self._store.read(personal.somebody, channel, user_id)
        mine = [each.id for each in identities]
        sessions = messages = files = 0
        for _ in range(MOST_TRIES):
            for session in await self._store.read(_alone, person, mine):
                gone = await self.delete(session.code)
                sessions, messages, files = sessions + 1, messages + gone.messages, files + gone.files
            if await self._store.read(lambda unit: unit.purging.busy(mine)):
                raise Refused(key="erase.busy")
            while (bite := await self._store.commit(Point.SESSION, personal.redacted, mine)).entries:
                messages += bite.messages
            erased = await self._nameless(person, identities, by, (sessions, messages, files))
            if erased is not None:
                return erased
        raise Refused(key="erase.busy")

    async def _nameless(
        self, person: int | None, identities: list[Identity], by: str, gone: tuple[int, int, int]
    ) -> Erased | None:
        """Everything around what was said; None: they have said something meanwhile, and nothing was done."""
        mine, now = [each.id for each in identities], self.core.clock()
        addresses = tuple(f"{each.channel}:{each.user_id}" for each in identities)
        sessions, messages, files = gone

        # Number and address side by side would give the ledger its name back.
        actor = f"identity {mine[0]}" if by in addresses else by

        async def work(unit: Unit) -> tuple[int, list[str], list[int], int] | None:
            if await _alone(unit, person, mine) or await unit.purging.busy(mine):
                return None
            if (await personal.redacted(unit, mine)).entries:
                return None
            kept = await unit.purging.requests_of(mine)
            found = await unit.purging.media_by(mine)
            for id, _ in found:
                await unit.media.deleted(id, now=now)
            await unit.purging.wiping(True)
            places = await unit.purging.person(person, mine, addresses, now=now)
            await unit.purging.wiping(False)
            outcome = (
                f"{sessions} sessions, {messages} messages, {files + len(found)} files; {kept} requests kept"
            )
            await unit.audit.add(at=now, actor=actor, action=f"erase identity {mine[0]}", outcome=outcome)
            return kept, [path for _, path in found], places, await unit.audit.naming(addresses)

        done = await self._store.commit(Point.PEOPLE, work)
        if done is None:
            return None
        kept, paths, places, audited = done
        await self.core.gallery.remove(paths)
        for place in places:
            self.core.delivery.moved(place)
        await self.forget_words()
        return Erased(
            number=mine[0],
            addresses=addresses,
            at=now,
            sessions=sessions,
            messages=messages,
            files=files + len(paths),
            requests_kept=kept,
            audit_kept=audited,
        )


async def _alone(unit: Unit, person: int | None, identities: list[int]) -> list[Session]:
    """Sessions that are theirs alone."""
    found = [await unit.sessions.get(id) for id in await unit.purging.sessions_of(person, identities)]
    return [each for each in found if each is not None]
