"""A Discord application as its own bot sees it, and the links by which it comes into servers and to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any
from urllib.parse import urlencode

PORTAL = "https://discord.com/developers/applications"
AUTHORIZE = "https://discord.com/oauth2/authorize"
# Application flags (Discord API, "Application Flags"): the intent is switched on, for bots in many servers
# after a review (GATEWAY_MESSAGE_CONTENT), for others by a switch alone (GATEWAY_MESSAGE_CONTENT_LIMITED).
MESSAGE_CONTENT = 1 << 18 | 1 << 19
ACCEPTED = 2  # membership_state of a team's member (Discord API, "Membership State Enum")


class Permission(IntFlag):
    """What the bot needs in a server and no more (Discord API, "Bitwise Permission Flags")."""

    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    CREATE_PUBLIC_THREADS = 1 << 35
    SEND_MESSAGES_IN_THREADS = 1 << 38


NEEDED = sum(Permission)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at Discord; *id* is for good, *name* can change."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """*people*: who it belongs to, a team's own owner first. *servers*: how many it is in, None: not told."""

    id: str
    people: tuple[Person, ...] = ()
    message_content: bool = False
    servers: int | None = None

    @property
    def invite(self) -> str:
        """Where somebody who manages a server lets the bot in."""
        wanted = {"client_id": self.id, "scope": "bot applications.commands", "permissions": NEEDED}
        return f"{AUTHORIZE}?{urlencode(wanted)}"

    @property
    def install(self) -> str:
        """Where a person takes its commands along, to every server and direct message (integration type 1)."""
        wanted = {"client_id": self.id, "scope": "applications.commands", "integration_type": 1}
        return f"{AUTHORIZE}?{urlencode(wanted)}"

    @property
    def switches(self) -> str:
        """The page with the privileged intents."""
        return f"{PORTAL}/{self.id}/bot"


def application(told: object) -> Application | None:
    """From the body of GET /applications/@me; None when it is nothing of the kind."""
    if not isinstance(told, Mapping) or not told.get("id"):
        return None
    flags, servers = told.get("flags"), told.get("approximate_guild_count")
    return Application(
        id=str(told["id"]),
        people=_people(told),
        message_content=isinstance(flags, int) and bool(flags & MESSAGE_CONTENT),
        servers=servers if isinstance(servers, int) else None,
    )


def _people(told: Mapping[str, Any]) -> tuple[Person, ...]:
    """Of a team its members: the application's own owner is then a user that stands for the team."""
    team = told.get("team")
    if not isinstance(team, Mapping):
        owner = _person(told.get("owner"))
        return (owner,) if owner else ()
    members = [each for each in team.get("members") or () if isinstance(each, Mapping)]
    found = [
        person
        for each in members
        if each.get("membership_state", ACCEPTED) == ACCEPTED and (person := _person(each.get("user")))
    ]
    return tuple(sorted(found, key=lambda person: person.id != str(team.get("owner_user_id"))))


def _person(told: object) -> Person | None:
    if not isinstance(told, Mapping) or not str(told.get("id", "")).isdecimal():
        return None
    return Person(str(told["id"]), str(told.get("global_name") or told.get("username") or ""))
