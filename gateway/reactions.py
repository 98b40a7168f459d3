"""What a person sees of a message at once: an emoji under it, or one line where that is not to be had."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Literal

from gateway import log
from gateway.delivery import Delivery
from gateway.errors import DeliveryError, StoreError
from gateway.failpoints import Point
from gateway.notices import notice
from gateway.protocols.clock import Clock
from gateway.rate import Priority
from gateway.types.outbound import Reaction

if TYPE_CHECKING:
    from storage import Store

Shown = Literal["off", "waiting", "all"]
MOST_MARKED = 10_000  # messages to remember; those forgotten keep their mark
MARKS: dict[str, Reaction] = {"queue": "seen", "steer": "steered", "interrupt": "interrupted"}


class Reactions:
    """Marks people's messages; never in the way of an answer, and nothing depends on it.

    Messages are remembered until their turn ends, in this process only: after a crash a mark may stay.
    """

    def __init__(self, *, store: Store, delivery: Delivery, clock: Clock) -> None:
        self._store = store
        self._delivery = delivery
        self._clock = clock
        self._marked: dict[tuple[int, str], Reaction] = {}
        self._tasks: set[asyncio.Task[object]] = set()

    def told(
        self, conversation: int, message_id: str, during: str, *, turn: int, shown: Shown, line: str
    ) -> None:
        """A message came while *turn* is running: say what happens to it, with *line* where no emoji can."""
        reaction = MARKS.get(during)
        self._spawn(
            self._tell(conversation, message_id, reaction if shown != "off" else None, turn, during, line)
        )

    def mark(self, conversation: int, message_id: str, reaction: Reaction) -> None:
        if message_id:
            self._spawn(self._react(conversation, message_id, reaction))

    def clear(self, conversation: int, message_id: str) -> None:
        """Take away a mark that was put there."""
        if (conversation, message_id) in self._marked:
            self._spawn(self._react(conversation, message_id, None))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work, name="reaction")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(
        self, conversation: int, message_id: str, reaction: Reaction | None, turn: int, during: str, text: str
    ) -> None:
        if reaction is not None and message_id and await self._react(conversation, message_id, reaction):
            return
        try:
            address = await self._delivery.address(conversation)
            # Once for a turn: ten messages that wait for it are one piece of news.
            origin = f"{during}:{turn}" if during != "reject" else f"{during}:{turn}:{message_id}"
            rows = await self._store.commit(
                Point.NOTICE,
                notice,
                address.account,
                conversation,
                origin,
                text,
                self._delivery.render,
                self._clock(),
            )
            self._delivery.enqueue(rows)
        except StoreError as error:
            log.warning("reaction.store", conversation=conversation, error=str(error))

    async def _react(self, conversation: int, message_id: str, reaction: Reaction | None) -> bool:
        """False when the platform has none, or does not want it now."""
        try:
            address = await self._delivery.address(conversation)
            line = self._delivery.line(address.account)
            if line is None or not line.channel.can.reaction:
                return False
            if not await line.gate.admit(address.chat_id, kind=address.kind, priority=Priority.TYPING):
                return False
            await line.channel.react(address, message_id, reaction)
        except DeliveryError as error:
            if error.kind == "flood" and line is not None:
                line.gate.flooded(address.chat_id, error.retry_after or 1.0)
            log.info("reaction.refused", conversation=conversation, kind=error.kind, error=str(error))
            return False
        except StoreError as error:
            log.warning("reaction.store", conversation=conversation, error=str(error))
            return False
        if reaction is None:
            self._marked.pop((conversation, message_id), None)
        else:
            if len(self._marked) >= MOST_MARKED:
                self._marked.clear()
            self._marked[conversation, message_id] = reaction
        return True
