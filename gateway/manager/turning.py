"""Turns taken back, brought back, asked again; a session gone on with in a copy of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from gateway import branching, rewinding, transcript, units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.hub import Seen
from gateway.manager.agent import LOCAL_USER, Agent
from gateway.session_views import Rewound
from gateway.types.people import OPERATOR, Identity, Viewer
from gateway.types.places import Conversation
from gateway.types.sessions import Session
from gateway.views import Generated, SessionMeta

if TYPE_CHECKING:
    from storage import Unit


class Turning(Agent):
    """Turns are counted from 0, those that stand. The ledger keeps what all of them cost.

    Each raises NotFound for a session the *viewer* may not see, and Refused while a turn runs in it.
    """

    async def rewind(self, id: str, n: int, *, viewer: Viewer = OPERATOR) -> Rewound:
        """Turns with an index below *n* stay. Raises Refused for an index out of range: nothing is clamped."""
        return await self._rewind(id, n, viewer)

    async def undo(self, id: str, *, viewer: Viewer = OPERATOR) -> Rewound:
        """Take the last turn back. Raises Refused when none stands."""
        return await self._rewind(id, None, viewer)

    async def redo(self, id: str, *, viewer: Viewer = OPERATOR) -> Rewound:
        """Everything as it was before the last rewind or undo. Raises Refused when something was said since."""
        now = self.core.clock()

        async def work(unit: Unit) -> Rewound:
            session = await units.at_rest(unit, id, viewer)
            entries = await unit.transcript.all(session.id)
            if not rewinding.can_redo(entries):
                raise Refused(key="rewind.no_redo")
            before = len(rewinding.turns(entries))
            await unit.transcript.add(session.id, "mark", transcript.mark("redo"), now=now)
            left = len(rewinding.turns(await unit.transcript.all(session.id)))
            await branching.marked(unit, session, now)
            meta = await units.shown(unit, session)
            return Rewound(session=meta, turns=left - before, left=left, tools=False)

        return await self._store.commit(Point.SESSION, work)

    async def _rewind(self, id: str, n: int | None, viewer: Viewer) -> Rewound:
        now = self.core.clock()

        async def work(unit: Unit) -> Rewound:
            session = await units.at_rest(unit, id, viewer)
            return await branching.rewound(unit, session, n, now)

        return await self._store.commit(Point.SESSION, work)

    async def retry(
        self, id: str, *, key: str = "main", who: Identity | None = None, viewer: Viewer = OPERATOR
    ) -> Generated:
        """Take the last turn back and ask its message again; the new answer. *who* as for `say`."""
        async with aclosing(self.retry_streaming(id, key=key, who=who, viewer=viewer)) as events:
            async for event in events:
                if isinstance(event, Generated):
                    return event
        raise Refused(key="message.internal")

    async def retry_streaming(
        self, id: str, *, key: str = "main", who: Identity | None = None, viewer: Viewer = OPERATOR
    ) -> AsyncGenerator[Seen | Generated]:
        """What happens, as with `generate_streaming`."""
        mine = f"{who.channel}:{who.user_id}" if who is not None else ""
        account, place = await self._store.commit(Point.PEOPLE, units.local_place, key, mine)

        async def work(unit: Unit) -> tuple[int, ...]:
            asks = who or await unit.people.seen(account.channel, LOCAL_USER, "local")
            session = await units.at_rest(unit, id, viewer)
            return await self._again(unit, session, place, asks, str(uuid.uuid4()))

        with self.core.hub.listen(place.id) as queue:
            rows = await self._store.commit(Point.SESSION, work)
            self.core.dispatcher.wake(place.id)
            while True:
                seen = await queue.get()
                if rows[0] in seen.inbox and seen.kind == "done":
                    yield await self._generated(seen)
                    return
                if rows[0] in seen.inbox or seen.kind == "notice":
                    yield seen

    async def retry_here(
        self, conversation: int, id: str, *, identity: Identity | None, origin: str, viewer: Viewer
    ) -> Rewound:
        """The same in a chat, where the message waits for its new answer; Refused for an *origin* that was there."""

        async def work(unit: Unit) -> Rewound:
            session = await units.at_rest(unit, id, viewer)
            place = await unit.places.get(conversation)
            found = rewinding.turns(await unit.transcript.all(session.id))
            await self._again(unit, session, place, identity, origin)
            meta = await units.shown(unit, session)
            return Rewound(session=meta, turns=1, left=len(found) - 1, tools=rewinding.used_tools(found[-1:]))

        done = await self._store.commit(Point.SESSION, work)
        self.core.dispatcher.wake(conversation)
        return done

    async def _again(
        self, unit: Unit, session: Session, place: Conversation, who: Identity | None, origin: str
    ) -> tuple[int, ...]:
        return await branching.again(unit, session, place, who, origin, self.core.clock())

    async def fork(
        self, id: str, turn: int | None = None, name: str | None = None, *, viewer: Viewer = OPERATOR
    ) -> SessionMeta:
        """A copy that goes on by itself: the turns with an index below *turn* (None: all), tags and settings.

        It is called *name*, else “… (fork)”; its usage begins at 0; nobody is in it yet. Raises Refused for an
        index out of range.
        """
        now = self.core.clock()

        async def work(unit: Unit) -> SessionMeta:
            session = await units.at_rest(unit, id, viewer)
            return await units.shown(unit, await branching.forked(unit, session, turn, name, now))

        return await self._store.commit(Point.SESSION, work)

    async def create_child_session(
        self, id: str, title: str | None = None, *, viewer: Viewer = OPERATOR
    ) -> str:
        """A session that works for another one: with its settings, empty, closed with it. Gives its id."""
        now = self.core.clock()

        async def work(unit: Unit) -> str:
            parent = await units.session_named(unit, id, viewer)
            return (await branching.child(unit, parent, title, now)).code

        return await self._store.commit(Point.SESSION, work)

    async def get_child_sessions(self, id: str, *, viewer: Viewer = OPERATOR) -> list[SessionMeta]:
        """Those that work for it directly, oldest first."""

        async def work(unit: Unit) -> list[SessionMeta]:
            session = await units.session_named(unit, id, viewer)
            return [await units.shown(unit, each) for each in await unit.sessions.children(session.id)]

        return await self._store.read(work)

    async def is_child_session(self, id: str, *, viewer: Viewer = OPERATOR) -> bool:
        """Whether it works for another session."""
        return (await self._store.read(units.session_named, id, viewer)).child
