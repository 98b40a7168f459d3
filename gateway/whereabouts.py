"""The conversation that an address such as telegram:12345 means, whether anybody has spoken there or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import log, pairing
from gateway.access import Policy
from gateway.delivery import Delivery, Line
from gateway.errors import DeliveryError
from gateway.failpoints import Point
from gateway.protocols.channel import Channel
from gateway.types.places import Account, Conversation, Place

if TYPE_CHECKING:
    from storage import Store, Unit


def split(address: str) -> tuple[str, str]:
    """('telegram.second', '12345'): the account's or the platform's name, and the platform's own id."""
    key, _, id = address.partition(":")
    return key, id


async def conversation_of(store: Store, delivery: Delivery, address: str) -> tuple[Line, Conversation] | None:
    """None where no such account is connected. Raises DeliveryError when the platform knows no such place.

    A person's id means the private chat that they have with that account.
    """
    key, id = split(address)
    line = delivery.line_named(key) or delivery.line_of(key)
    if line is None or not id:
        return None
    account = line.account

    async def known(unit: Unit) -> Conversation | None:
        chat, _, thread = id.partition("/")
        found = await unit.places.find(account.id, Place(chat_id=chat, thread_id=thread))
        found = found or await unit.places.of_thread(account.id, id)
        if found is None and not thread:
            found = await unit.places.private(account.channel, id)
            found = found if found is not None and found.account == account.id else None
        return found

    there = await store.read(known)
    if there is None:
        place = await line.channel.place(id)
        there = await store.commit(Point.PEOPLE, lambda unit: unit.places.at(account, place))
    return line, there


async def open_private(store: Store, account: Account, channel: Channel, policy: Policy) -> None:
    """Learn the private chats of those who may let others in, so that they can be asked before they have written."""
    for platform, user_id in await store.read(lambda unit: pairing.deciders(unit, policy)):
        if platform != account.channel:
            continue
        try:
            chat = await channel.direct(user_id)
        except DeliveryError as error:
            log.info("private.unknown", channel=platform, user=user_id, error=str(error))
            continue
        if chat != user_id:
            await store.commit(Point.META, _note, account, user_id, chat)


async def _note(unit: Unit, account: Account, user_id: str, chat: str) -> None:
    await unit.people.set_cursor(account.id, f"{pairing.PRIVATE}{user_id}", chat)
