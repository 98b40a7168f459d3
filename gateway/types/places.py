"""Where something is said: accounts, places, conversations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.types.json import Json

PlaceKind = Literal["direct", "group", "thread", "client", "job"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something was said; the ids are the platform's own and opaque to the centre.

    A 'thread' is a conversation that people began on purpose: its session is explicit, however old it is.
    """

    chat_id: str
    thread_id: str = ""  # forum topic or thread; '' when the chat has none
    user_id: str = ""  # set only where each member of a group has a session of their own
    kind: PlaceKind = "direct"
    server: str = ""  # what the chat is part of (a Discord guild); '' when of nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A bot's own account on a platform (also main, http and job).

    *key* is its name in the configuration, such as telegram or telegram.second; '' means that of its channel.
    """

    id: int
    channel: str
    platform_id: str
    name: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to send: the account that speaks and the place it speaks in."""

    account: int
    conversation: int
    chat_id: str
    thread_id: str = ""
    kind: PlaceKind = "direct"
    hint: str = ""  # the channel's own, from the latest event there


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A place with its lease and its pointer to the current session."""

    id: int
    account: int
    channel: str
    chat_id: str
    thread_id: str
    user_id: str
    kind: PlaceKind
    current_session: int | None
    settings: Json
    fence: int
    hint: str = ""
    server: str = ""  # what the chat is part of; '' when of nothing

    @property
    def address(self) -> Address:
        return Address(
            account=self.account,
            conversation=self.id,
            chat_id=self.chat_id,
            thread_id=self.thread_id,
            kind=self.kind,
            hint=self.hint,
        )

    @property
    def shared(self) -> bool:
        """Whether several people talk here."""
        return self.kind in ("group", "thread")
