"""Who speaks, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["owner", "admin", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who said it. *user_id* is the platform's immutable numeric id; *name* is for display only."""

    user_id: str
    name: str = ""
    lang: str = ""
    # Senders that stand for no single person (anonymous group admins, channel posts, other bots).
    impersonal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person's account on one platform. *state*: new (not let in), allowed, blocked.

    *lang* is what the person chose (/lang), else what the platform said, as a BCP 47 tag; '' when unknown.
    *zone* is the IANA time zone the person chose (/zone); '' for the gateway's.
    """

    id: int
    person: int | None
    channel: str
    user_id: str
    name: str
    state: Literal["new", "allowed", "blocked"]
    role: Role | None
    lang: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks at sessions, and so which there are: those of one conversation, and more.

    *person*: also their own, of direct chats elsewhere. *groups*: also those of every group. *everything*: all of
    them, for whoever has the machine. *admin*: what only admins do.
    """

    conversation: int | None = None
    person: int | None = None
    groups: bool = False
    everything: bool = False
    admin: bool = False
    name: str = "api"  # as the audit trail names it: channel:user id, cli, api


OPERATOR = Viewer(everything=True, admin=True)
