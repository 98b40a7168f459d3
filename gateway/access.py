"""The one gate: who may come in, by whichever door; pure and closed by default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.types.inbound import Kind
from gateway.types.people import Identity, Role, Sender
from gateway.types.places import Conversation, Place

# Doors that only this machine's own user and our own schedule can use.
LOCAL = frozenset({"main", "job"})
# Telegram accounts that stand for nobody in particular: the anonymous group admin, posts in the name of a
# channel, and the service account that forwards a linked channel's posts (Bot API, Message: from and
# sender_chat).
IMPERSONAL = frozenset({"1087968824", "136817688", "777000"})
# The doors by which a person in a chat comes in; nobody waits for a word at the others.
_SPOKEN = frozenset({Kind.MESSAGE, Kind.EDIT, Kind.COMMAND, Kind.BUTTON, Kind.REACTION})
_SHARED = frozenset({"group", "thread"})
_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)  # Telegram's groups have negative ids
_RANK: Mapping[Role, int] = {"user": 0, "admin": 1, "owner": 2}

Mode = Literal["closed", "pairing", "open"]
State = Literal["new", "allowed", "blocked"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The configuration's lists of numeric ids and how an account treats those who are in none.

    By the account's key in the configuration (telegram, telegram.second). One that is not named lets nobody in.
    """

    allow: Mapping[str, frozenset[str]]
    owners: Mapping[str, frozenset[str]]
    access: Mapping[str, Mode] = field(default_factory=dict)

    def mode(self, key: str) -> Mode:
        return self.access.get(key, "closed")

    def names(self, channel: str, user_id: str) -> bool:
        """Whether any account of that platform lists this person."""
        lists = (*self.allow.items(), *self.owners.items())
        return _numbered(user_id) and any(
            user_id in ids for key, ids in lists if key.partition(".")[0] == channel
        )

    def owns(self, channel: str, user_id: str) -> bool:
        """Whether any account of that platform has this person for an owner."""
        return _numbered(user_id) and any(
            user_id in ids for key, ids in self.owners.items() if key.partition(".")[0] == channel
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """*role* None when refused; *reason* is for the log; *tell*: the stranger may be told how to get in.

    *overheard*: not for us, or not from one of ours, but said in a group that is: may serve as context.
    """

    allowed: bool
    role: Role | None
    reason: str
    tell: bool
    overheard: bool = False


def may(
    *,
    kind: Kind,
    channel: str,
    place: Place,
    sender: Sender | None,
    state: State,
    role: Role | None,
    addressed: bool,
    policy: Policy,
    key: str = "",
    chat: State = "new",
) -> Verdict:
    """Whether this event is acted on.

    *state* and *role* are the stored ones of the sender's identity, 'new' and None when there is none yet;
    *chat* is the stored state of the group it was said in. *addressed* counts in groups only. *key* is the
    account's name in the configuration; '' means that of the channel. Names never count: they can be changed
    and taken over by others.
    """
    key = key or channel
    if kind is Kind.UNKNOWN:
        return _refused("unreadable")
    # Joining, leaving, being blocked, a new id of the chat: facts to note, never something to answer.
    if kind in (Kind.MEMBERSHIP, Kind.MIGRATION):
        return _refused(kind.value)
    if channel in LOCAL:
        # A job runs for the one who made it: a block stops it too.
        return (
            _refused("blocked")
            if state == "blocked" and channel != "main"
            else _let_in("local", role or "owner")
        )
    if sender is None or not sender.user_id:
        return _refused("no sender")
    if sender.impersonal or sender.user_id in IMPERSONAL:
        return _refused("impersonal sender")
    owner = _listed(policy.owners, key, sender.user_id)
    if state == "blocked" and not owner:
        return _refused("blocked")
    shared = place.kind in _SHARED
    ours = not shared or (chat != "blocked" and (chat == "allowed" or open_to(place, key, policy)))
    if not (owner or ours):
        return _refused("group not allowed")
    overheard = ours and shared and kind is Kind.MESSAGE and not addressed
    known = state == "allowed" or _listed(policy.allow, key, sender.user_id)
    if not (owner or known or policy.mode(key) == "open"):
        told = place.kind == "direct" and kind in _SPOKEN
        return _refused("not allowed", tell=told, overheard=overheard)
    if place.kind != "direct" and not addressed:
        return _refused("not addressed", overheard=overheard)
    if owner:
        return _let_in("owner", "owner")
    return _let_in("allowed" if known else "open", role or "user")


def lets_in(who: Identity, policy: Policy) -> bool:
    """Whether somebody who wrote before is still let in, by any account of their platform."""
    if who.channel in LOCAL or policy.owns(who.channel, who.user_id):
        return True
    modes = (policy.mode(key) for key in policy.access if key.partition(".")[0] == who.channel)
    known = who.state == "allowed" or policy.names(who.channel, who.user_id) or "open" in modes
    return known and who.state != "blocked"


def role_of(*, channel: str, key: str, user_id: str, role: Role | None, policy: Policy) -> Role:
    """As what somebody acts who was let in; *role* is the stored one, None when there is none."""
    if channel in LOCAL:
        return role or "owner"
    return "owner" if _listed(policy.owners, key or channel, user_id) else role or "user"


def role_in(place: Conversation, who: Identity, *, key: str, policy: Policy) -> Role:
    """As what somebody acts in a conversation; *key* names the account that speaks there."""
    if place.channel == "main" != who.channel:
        return standing(who, policy)  # from elsewhere, through the API
    return role_of(channel=place.channel, key=key, user_id=who.user_id, role=who.role, policy=policy)


def standing(who: Identity, policy: Policy) -> Role:
    """As what somebody acts on their platform, whatever bot there they speak with."""
    if who.channel in LOCAL:
        return who.role or "owner"
    return "owner" if policy.owns(who.channel, who.user_id) else who.role or "user"


def enough(role: Role, needed: Role) -> bool:
    """Whether *role* may do what *needed* may."""
    return _RANK[role] >= _RANK[needed]


def _listed(ids: Mapping[str, frozenset[str]], key: str, user_id: str) -> bool:
    # Only numeric ids count, so that a name that got into a list opens nothing.
    return _numbered(user_id) and user_id in ids.get(key, ())


def open_to(place: Place, key: str, policy: Policy) -> bool:
    """Whether the configuration lists the chat, or the server that it is part of."""
    ids = policy.allow.get(key, frozenset())
    return any(_NUMBER.fullmatch(id) and id in ids for id in (place.chat_id, place.server))


def _numbered(user_id: str) -> bool:
    return user_id.isascii() and user_id.isdigit()


def _refused(reason: str, *, tell: bool = False, overheard: bool = False) -> Verdict:
    return Verdict(allowed=False, role=None, reason=reason, tell=tell, overheard=overheard)


def _let_in(reason: str, role: Role) -> Verdict:
    return Verdict(allowed=True, role=role, reason=reason, tell=False)
