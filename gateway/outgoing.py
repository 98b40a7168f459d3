"""The steps of what goes out, each as it is committed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.types.outbound import Chunk, OutboxRow
from gateway.types.places import Address

if TYPE_CHECKING:
    from storage import Unit


# Instead of a message that the final text no longer needs, where it cannot be taken back.
OVER = Chunk(text="—")
TAKEN_BACK = "taken back"  # what stands as the error of a notice that is not to be seen any more


async def to_state(unit: Unit, id: int, state: str, now: int) -> Chunk | None:
    """Gives what is to be sent, as it stands by now; None: nothing any more."""
    return await unit.outbox.state(id, state, now=now)


async def to_sent(unit: Unit, row: OutboxRow, now: int, message_id: str | None) -> OutboxRow | None:
    """None: done with; else it wants another text than it shows."""
    if row.payload == OVER and row.kind == "notice":
        await unit.outbox.dead(row.id, error=TAKEN_BACK)
        return None
    wanted = await unit.outbox.arrived(row.id, row.payload, now=now, message_id=message_id)
    if wanted is not None:
        return replace(row, payload=wanted.payload, state="placed", message_id=wanted.message_id)
    if (run := _run_of(row)) is not None:
        await unit.jobs.delivered(run, "sent")
    return None


async def taken_back(unit: Unit, origin: str) -> list[OutboxRow]:
    """Gives the rows that want to show OVER now."""
    return await unit.outbox.take_back(origin, OVER, error=TAKEN_BACK)


def _run_of(row: OutboxRow) -> int | None:
    """The run whose answer a chunk carries; its origin is job:<run>:<target>. None: that of no run."""
    return int(row.origin.split(":")[1]) if row.origin.startswith("job:") else None


async def to_placed(unit: Unit, row: OutboxRow, message_id: str) -> OutboxRow | None:
    """None when it was given up meanwhile."""
    found = await unit.outbox.placed(row.id, message_id)
    return found and replace(row, payload=found.payload, state="placed", message_id=message_id)


async def repaid(unit: Unit, id: int, chunk: Chunk) -> None:
    await unit.outbox.repay(id, chunk)


async def to_later(unit: Unit, id: int, until: int, state: str, error: str) -> Chunk | None:
    """As `to_state`; not before *until*, microseconds UTC."""
    return await unit.outbox.put_off(id, not_before=until, state=state, error=error)


async def chat_moved(unit: Unit, address: Address, chat_id: str) -> list[tuple[int, int | None]]:
    account = await unit.people.account_by_id(address.account)
    assert account is not None
    return await unit.places.migrate(account.id, address.chat_id, chat_id)


async def to_dead(unit: Unit, row: OutboxRow, error: str, gone: bool, now: int) -> None:
    await unit.outbox.dead(row.id, error=error)
    if (run := _run_of(row)) is not None:
        await unit.jobs.delivered(run, "dead")
    if gone:
        await unit.places.block(row.conversation, now)
