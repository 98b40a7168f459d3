"""What was said while we were not there: read from the history, before what is said now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from channels.backoff import Backoff
from channels.discord.api import PAGE, Api
from channels.discord.inbound import DIRECT
from channels.discord.pages import Raw
from channels.discord.places import DM, Places, Spot
from channels.discord.refusal import ApiError
from channels.discord.snowflake import is_id, made_at, said_at, tells_time
from gateway.protocols.clock import Clock
from gateway.types.json import Json
from gateway.types.measures import MINUTE

ALIVE = "alive"  # the scope of a cursor that is no channel's
AT_ONCE = 4  # histories being read
_PRIVATE = Spot(DM)


class CatchUp:
    """Puts every message behind those that were missed before it in the same channel.

    *cursors*: the last message taken in, by the scope of its channel, and under ALIVE the moment (microseconds
    UTC) at which we were last known to listen: from then on a channel counts in which nobody had spoken yet. Without
    that too it begins now. *put* takes events in order; *counts* tells whether one is a person's message.
    """

    def __init__(
        self,
        *,
        api: Api,
        places: Places,
        cursors: Mapping[str, str],
        put: Callable[[Raw], None],
        counts: Callable[[Raw], bool],
        clock: Clock,
        minutes: int,
        messages: int,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._api, self._places, self._put, self._counts = api, places, put, counts
        self._clock, self._minutes, self._messages, self._sleep = clock, minutes, messages, sleep
        self._last = {scope: id for scope, id in cursors.items() if is_id(id) and scope != ALIVE}
        self._alive = int(cursors[ALIVE]) if is_id(cursors.get(ALIVE)) else None
        self._listened = self._alive  # as it stood when the session began
        self._unread: set[str] = set()  # scopes whose history has not been read since the session began
        self._held: dict[str, list[Raw]] = {}  # by scope: what came while its history is being read
        self._again: set[str] = set()  # a new session began while it was being read
        self._readers: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)

    def begin(self) -> None:
        """A new session: what happened before it is in no replay."""
        if not self._minutes or not self._messages:
            return
        self._unread, self._listened = set(self._last), self._alive
        for scope in sorted((each for each in self._unread if each.startswith(DIRECT)), key=self._age):
            self._start(scope)

    def joined(self, channel: Json) -> None:
        """A channel or thread of a server, as its GUILD_CREATE tells of it."""
        scope, newest = str(channel["id"]), channel.get("last_message_id")
        if scope not in self._last and self._spoken_since(newest):
            self._last[scope] = "0"
            self._unread.add(scope)
        if scope not in self._unread:
            return
        if "last_message_id" in channel and (not is_id(newest) or int(str(newest)) <= int(self._last[scope])):
            self._unread.discard(scope)
        else:
            self._start(scope)

    def came(self, raw: Raw) -> None:
        """A message or an edit, just now."""
        scope = self._scope(raw)
        if scope in self._unread:
            self._start(scope)
        if scope in self._held:
            self._held[scope].append(raw)
            return
        self._seen(scope, raw)
        self._put(raw)

    def alive(self, moment: int) -> None:
        """We listened at that moment."""
        self._alive = moment

    def _spoken_since(self, newest: object) -> bool:
        """Whether something may have been said in a channel without a cursor since we last listened."""
        if self._listened is None or not is_id(newest) or not self._minutes or not self._messages:
            return False
        return made_at(str(newest)) >= self._listened or not tells_time(str(newest))

    async def close(self) -> None:
        for task in self._readers:
            task.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _start(self, scope: str) -> None:
        self._unread.discard(scope)
        if scope in self._held:
            self._again.add(scope)
            return
        self._held[scope] = []
        task = asyncio.create_task(self._read(scope), name=f"discord.catch-up-{scope}")
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _read(self, scope: str) -> None:
        known: set[str] = set()
        async with self._turns:
            while True:
                self._again.discard(scope)
                for raw in await self._missed(scope):
                    known.add(_id(raw))
                    self._seen(scope, raw)
                    self._put(raw)
                if scope not in self._again:
                    break
        for raw in self._held.pop(scope):
            if raw.name != "MESSAGE_CREATE" or _id(raw) not in known:
                self._seen(scope, raw)
                self._put(raw)

    async def _missed(self, scope: str) -> list[Raw]:
        """The newest messages after the last one taken in, oldest first."""
        channel = scope.removeprefix(DIRECT)
        last, since = int(self._last[scope]), self._clock() - self._minutes * MINUTE
        if not last and self._listened is not None:
            since = max(since, self._listened)
        spot = _PRIVATE if scope.startswith(DIRECT) else self._places.get(channel)
        found: list[Raw] = []
        before = ""
        pause = Backoff(0.5, 30.0)
        while sum(map(self._counts, found)) < self._messages:
            try:
                spot = spot or self._places.learn(await self._api.channel(channel))
                page = await self._api.history(channel, before=before)
            except ApiError as error:
                if error.kind not in ("flood", "connect", "lost", "server"):
                    return []  # no longer ours to read
                await self._sleep(error.retry_after or pause.next())
                continue
            newer = [
                Raw("MESSAGE_CREATE", each, spot)
                for each in page
                if int(each["id"]) > last and said_at(each) >= since
            ]
            found = newer + found
            if len(newer) < PAGE or spot is None:
                break
            before = str(page[0]["id"])
        while sum(map(self._counts, found)) > self._messages:
            found.pop(0)
        return found if spot is not None else []

    def _scope(self, raw: Raw) -> str:
        channel = str(raw.data.get("channel_id", "")) if isinstance(raw.data, dict) else ""
        private = isinstance(raw.data, dict) and "guild_id" not in raw.data
        return DIRECT + channel if private else channel

    def _seen(self, scope: str, raw: Raw) -> None:
        """Our own messages and those of no interest count, too: they need not be read again."""
        id = _id(raw)
        if raw.name == "MESSAGE_CREATE" and scope in self._last and int(id or 0) > int(self._last[scope]):
            self._last[scope] = id

    def taken(self, cursor: tuple[str, str]) -> None:
        """That message is on disk."""
        scope, id = cursor
        if int(id) > int(self._last.get(scope, "0")):
            self._last[scope] = id

    def _age(self, scope: str) -> int:
        return -int(self._last[scope])


def _id(raw: Raw) -> str:
    id: Any = raw.data.get("id") if isinstance(raw.data, dict) else None
    return str(id) if is_id(id) else ""
