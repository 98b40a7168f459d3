"""How long what is stored is kept, and what has grown too old; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Sessions of a channel, in microseconds after the last that happened in them; None: for ever.

    *archive*: out of the lists, and closed. *delete*: their content is deleted, archived or not.
    """

    archive: int | None = None
    delete: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """*other*: of channels that are not in *channels*. The rest in microseconds, None: for ever.

    *inbox*: the text of messages that are done with (their numbers stay: one that comes again is still known).
    *outbox*: what tells which session a message of ours belongs to. *undelivered*: the text of what could not be sent.
    """

    channels: Mapping[str, Keep] = field(default_factory=dict)
    other: Keep = Keep()
    inbox: int | None = None
    outbox: int | None = None
    undelivered: int | None = None

    def of(self, channel: str) -> Keep:
        return self.channels.get(channel, self.other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """What is too old, or was: sessions by channel, and rows. Channels without any are left out."""

    archived: dict[str, int] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)
    inbox: int = 0
    outbox: int = 0
    undelivered: int = 0

    @property
    def nothing(self) -> bool:
        return not (self.archived or self.deleted or self.inbox or self.outbox or self.undelivered)
