"""What is known of channels and threads, from what the gateway tells of its servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from channels.discord.snowflake import is_id
from gateway.types.json import Json

# Channel types; API reference, Channel Types.
DM = 1
GROUP_DM = 3
THREADS = frozenset({10, 11, 12})  # of announcements, public, private
FOR_THREADS = frozenset({0, 5})  # text and announcements: where a message can begin a thread
THREAD_OF = {0: 11, 5: 10}  # by the type of a channel, that of the threads that everybody in it sees


@dataclass(frozen=True, slots=True)
class Spot:
    """A channel or thread. *server* is '' for private ones; *owner* is who began a thread."""

    type: int
    server: str = ""
    parent: str = ""
    owner: str = ""

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS


def spot_of(channel: Json, server: str = "") -> Spot | None:
    """What a Channel object says of itself; None when it cannot be read."""
    kind = channel.get("type")
    if not isinstance(kind, int) or not is_id(channel.get("id")):
        return None
    guild, parent, owner = (channel.get(name) for name in ("guild_id", "parent_id", "owner_id"))
    return Spot(
        type=kind,
        server=str(guild) if is_id(guild) else server,
        parent=str(parent) if is_id(parent) else "",
        owner=str(owner) if is_id(owner) else "",
    )


class Places:
    """The channels we have heard of. Everything it takes in may be of any shape."""

    def __init__(self) -> None:
        self._spots: dict[str, Spot] = {}
        self.servers: set[str] = set()  # of which we are a member

    def get(self, id: str) -> Spot | None:
        return self._spots.get(id)

    def learn(self, channel: object, server: str = "") -> Spot | None:
        """Remember a Channel object; None if it is none."""
        if not isinstance(channel, dict):
            return None
        spot = spot_of(channel, server)
        if spot is not None:
            self._spots[str(channel["id"])] = spot
        return spot

    def forget(self, channel: object) -> None:
        if isinstance(channel, dict):
            self._spots.pop(str(channel.get("id")), None)

    def joined(self, guild: Json) -> Iterator[Json]:
        """Takes in a GUILD_CREATE; gives the channels and active threads in it."""
        server = str(guild.get("id"))
        self.servers.add(server)
        for name in ("channels", "threads"):
            listed = guild.get(name)
            for channel in listed if isinstance(listed, list) else ():
                if self.learn(channel, server) is not None:
                    yield channel

    def left(self, guild: Json) -> None:
        """Takes in a GUILD_DELETE; a server that is only unavailable comes back."""
        if guild.get("unavailable"):
            return
        server = str(guild.get("id"))
        self.servers.discard(server)
        self._spots = {id: spot for id, spot in self._spots.items() if spot.server != server}
