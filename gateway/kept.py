"""Messages that are kept because nothing can be asked now, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.delivery import Delivery
from gateway.failpoints import Point
from gateway.finish import keep
from gateway.habits import Habits
from gateway.halt import Halt
from gateway.hub import Hub, Seen
from gateway.notices import notice
from gateway.outage import Outage
from gateway.progress import Outcome, Started
from gateway.protocols.clock import Clock
from gateway.texts import say

if TYPE_CHECKING:
    from storage import Store

MOST_TOLD = 1000  # waiting messages of one conversation whose askers are told


class Kept:
    """Turns put aside by a halt, by an outage, or by our own end."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        hub: Hub,
        halt: Halt,
        outage: Outage,
        clock: Clock,
        habits: Callable[[], Habits],
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._hub = hub
        self._halt = halt
        self._outage = outage
        self._clock = clock
        self._habits = habits

    async def keep(self, started: Started, outcome: Outcome) -> None:
        """Its messages stand where they were, and whoever asked is told why, once."""
        now = self._clock()
        place = started.turn.conversation
        halted = self._halt.now is not None
        if outcome.state != "kept" and not halted:
            await self._store.commit(
                Point.FINISH, keep, started, outcome, self._delivery.render, now, None, ""
            )
            return
        if not halted:
            self._outage.begin()
            self._outage.keep(place)
        origin, text = self._line(place, started.lang)
        rows = await self._store.commit(
            Point.FINISH, keep, started, outcome, self._delivery.render, now, origin, text
        )
        self._delivery.enqueue(rows)
        self._hub.publish(
            Seen(
                kind="done",
                conversation=place,
                turn=started.turn.id,
                session=started.turn.session,
                text=text,
                state="kept",
                error=outcome.error,
                inbox=tuple(row.id for row in started.rows),
            )
        )

    @property
    def _over(self) -> bool:
        """Whether the trouble has ended while we were about to tell of it: then what waits has been woken."""
        return self._halt.now is None and self._outage.since is None

    def _line(self, conversation: int, lang: str) -> tuple[str, str]:
        """(origin, text) of what whoever writes now is told: one line a conversation and outage, or halt."""
        if self._halt.now is not None:
            return f"halted:{conversation}:{self._halt.now.at}", say("halt.kept", lang)
        return f"kept:{conversation}:{self._outage.since}", say("turn.kept", lang)

    async def say(self, conversation: int) -> None:
        """Whoever writes while nothing can be asked is told once that it is kept."""
        lang = await self._store.read(lambda unit: unit.inbox.language(conversation, "waiting"))
        if self._over:
            return
        origin, text = self._line(conversation, lang or self._habits().language)
        account = (await self._delivery.address(conversation)).account
        now = self._clock()
        rows = await self._store.commit(
            Point.NOTICE, notice, account, conversation, origin, text, self._delivery.render, now
        )
        self._delivery.enqueue(rows)
        if self._hub.watched(conversation):
            # Who waits for the answer at a terminal or a socket must not wait until the trouble is over.
            waiting = await self._store.read(
                lambda unit: unit.inbox.head(conversation, now=now, count=MOST_TOLD)
            )
            if self._over:  # whoever listens by now waits for an answer that is being made
                return
            ids = tuple(row.id for row in waiting)
            self._hub.publish(
                Seen(kind="done", conversation=conversation, text=text, state="kept", inbox=ids)
            )
