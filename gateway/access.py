"""The one gate: who may come in, by whichever door; pure and closed by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from gateway.types import Kind, Place, Role, Sender

# Doors that only this machine's own user and our own schedule can use.
LOCAL = frozenset({"main", "job"})
# Telegram accounts that stand for nobody in particular: the anonymous group admin, posts in the name of a
# channel, and the service account that forwards a linked channel's posts (Bot API, Message: from and
# sender_chat).
IMPERSONAL = frozenset({"1087968824", "136817688", "777000"})
# The doors by which a person in a chat comes in; nobody waits for a word at the others.
_SPOKEN = frozenset({Kind.MESSAGE, Kind.EDIT, Kind.COMMAND, Kind.BUTTON, Kind.REACTION})


@dataclass(frozen=True, slots=True)
class Policy:
    """The configuration's lists: channel -> numeric ids. A channel that is not named lets nobody in."""

    allow: Mapping[str, frozenset[str]]
    owners: Mapping[str, frozenset[str]]


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
    state: Literal["new", "allowed", "blocked"],
    role: Role | None,
    addressed: bool,
    policy: Policy,
) -> Verdict:
    """Whether this event is acted on.

    *state* and *role* are the stored ones of the sender's identity, 'new' and None when there is none yet.
    *addressed* counts in groups only. Names never count: they can be changed and taken over by others.
    """
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
    owner = _listed(policy.owners, channel, sender)
    if state == "blocked" and not owner:
        return _refused("blocked")
    if not (owner or state == "allowed" or _listed(policy.allow, channel, sender)):
        return _refused("not allowed", tell=place.kind == "direct" and kind in _SPOKEN)
    if place.kind != "direct" and not addressed:
        return replace(_refused("not addressed"), overheard=kind is Kind.MESSAGE)
    return _let_in("owner" if owner else "allowed", "owner" if owner else role or "user")


def _listed(ids: Mapping[str, frozenset[str]], channel: str, sender: Sender) -> bool:
    # Only numeric ids count, so that a name that got into a list opens nothing.
    return sender.user_id.isascii() and sender.user_id.isdigit() and sender.user_id in ids.get(channel, ())


def _refused(reason: str, *, tell: bool = False) -> Verdict:
    return Verdict(allowed=False, role=None, reason=reason, tell=tell)


def _let_in(reason: str, role: Role) -> Verdict:
    return Verdict(allowed=True, role=role, reason=reason, tell=False)
