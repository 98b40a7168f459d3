"""A message with buttons that are no longer to be pressed: it says what was decided, and has none any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import log
from gateway.delivery import Delivery
from gateway.errors import DeliveryError, StoreError
from gateway.rate import Priority
from gateway.types.outbound import OutboxRow

if TYPE_CHECKING:
    from storage import Store

ON_ITS_WAY = ("ready", "placing", "placed", "sending")
LOOKS, LOOK_EVERY = 12, 0.25  # seconds; who decides at once is quicker than the message that asks


async def mark(store: Store, delivery: Delivery, origin: str, text: str, told: str) -> None:
    """The message of that outbox *origin*, which said *text*, says also what was decided; one that cannot be edited
    stays as it is."""
    try:
        await _edit(store, delivery, origin, text, told)
    except (DeliveryError, StoreError) as error:
        log.info("message.stays", origin=origin, error=str(error))


async def _edit(store: Store, delivery: Delivery, origin: str, text: str, told: str) -> None:
    rows = await _of(store, origin)
    line = delivery.line(rows[0].account) if rows else None
    if line is None or not line.channel.can.edit:
        return
    # The buttons are under the last part of the text.
    last = len(line.channel.render(text)) - 1
    row = await _settled(store, origin, last)
    if row is None or row.message_id is None or row.state != "sent":
        return
    chunks = line.channel.render(f"{text}\n\n*{told}*")
    address = await delivery.address(row.conversation)
    await line.gate.admit(address.chat_id, kind=address.kind, priority=Priority.APPROVAL)
    await line.channel.edit(address, row.message_id, replace(chunks[min(last, len(chunks) - 1)], buttons=()))


async def _settled(store: Store, origin: str, part: int) -> OutboxRow | None:
    """That part when it is on its way no longer, or as it is after some seconds."""
    row: OutboxRow | None = None
    for _ in range(LOOKS):
        row = next((each for each in await _of(store, origin) if each.part == part), None)
        if row is None or row.state not in ON_ITS_WAY:
            break
        await asyncio.sleep(LOOK_EVERY)
    return row


async def _of(store: Store, origin: str) -> Sequence[OutboxRow]:
    return await store.read(lambda unit: unit.outbox.of_origin(origin))
