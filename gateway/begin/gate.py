"""The gate once more, before a row that waited becomes a turn, and whose rights it has then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import access
from gateway.begin.rules import Rules
from gateway.types.inbound import Kind, Waiting
from gateway.types.people import Identity, Sender
from gateway.types.places import Conversation, Place

if TYPE_CHECKING:
    from storage import Unit


async def refusal(
    unit: Unit, row: Waiting, place: Conversation, identity: Identity | None, rules: Rules
) -> str | None:
    """The gate once more: who was let in when it was sent may be out by now."""
    scheduled = row.kind is Kind.JOB  # it came in by the schedule, wherever it is to run
    if scheduled and identity is not None and not access.lets_in(identity, rules.policy):
        return "the job's maker may not ask any more"
    if place.channel == "main" and identity is not None and not access.lets_in(identity, rules.policy):
        return "not let in any more"
    verdict = access.may(
        kind=row.kind,
        channel="job" if scheduled else place.channel,
        key=rules.key(place.account, place.channel),
        place=Place(
            chat_id=place.chat_id,
            thread_id=place.thread_id,
            user_id=place.user_id,
            kind=place.kind,
            server=place.server,
        ),
        chat=await unit.people.chat(place.channel, place.chat_id, place.server) if place.shared else "new",
        sender=Sender(user_id=identity.user_id, name=identity.name) if identity else None,
        state=identity.state if identity else "new",
        role=identity.role if identity else None,
        addressed=True,
        policy=rules.policy,
    )
    return None if verdict.allowed else verdict.reason


def acting(place: Conversation, identity: Identity | None, rules: Rules) -> Identity | None:
    """With the role that counts now: the configuration names owners."""
    if identity is None:
        return None
    key = rules.key(place.account, place.channel)
    return replace(identity, role=access.role_in(place, identity, key=key, policy=rules.policy))
