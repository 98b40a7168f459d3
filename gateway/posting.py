"""What an operator posts in the gateway's name: one unit of work, whose origin makes a repeat harmless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway import transcript, units
from gateway.errors import Refused
from gateway.notices import put
from gateway.sessions import Continue
from gateway.types.outbound import Chunk, OutboxRow
from gateway.types.places import Conversation

if TYPE_CHECKING:
    from storage import Unit

ORIGIN = "send:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What has become of a message. *state*: waiting (on disk, the gateway goes on trying), sent, or refused for
    good, with the platform's *error*. *messages*: into how many it was parted."""

    id: str
    messages: int
    state: Literal["waiting", "sent", "refused"]
    error: str | None = None


def summed(id: str, fate: Sequence[tuple[str, str | None]]) -> Posted:
    """*fate*: (state, error) of each part."""
    states = [state for state, _ in fate]
    state: Literal["waiting", "sent", "refused"] = (
        "refused" if "dead" in states else "sent" if set(states) == {"sent"} else "waiting"
    )
    error = next((error for each, error in fate if each == "dead"), None)
    return Posted(id=id, messages=len(fate), state=state, error=error)


async def post(
    unit: Unit, place: Conversation, origin: str, chunks: list[Chunk], now: int
) -> list[OutboxRow]:
    """Into the outbox; [] for a repeat. Raises Refused when *origin* was for another place."""
    if await _repeated(unit, origin, place):
        return []
    return await put(
        unit, account=place.account, conversation=place.id, origin=origin, chunks=chunks, now=now
    )


async def leave(unit: Unit, key: str, origin: str, text: str, now: int) -> Conversation | None:
    """On main, where nothing is delivered: a note in the current session, which becomes unread; None for a repeat."""
    account, place = await units.local_place(unit, key)
    if await _repeated(unit, origin, place):
        return None
    match await units.resolved(unit, place, None, now):
        case Continue(code):
            session = await units.session_named(unit, str(code))
        case _:
            session = await units.created(unit, place, now)
    await unit.transcript.add(session.id, "note", transcript.note(text), now=now)
    await unit.sessions.set_unread(session.id, True)
    rows = await put(
        unit,
        account=account.id,
        conversation=place.id,
        origin=origin,
        chunks=[Chunk(text=text)],
        now=now,
        session=session.id,
    )
    for row in rows:
        await unit.outbox.sent(row.id, now=now)
    return place


async def _repeated(unit: Unit, origin: str, place: Conversation) -> bool:
    before = await unit.outbox.of_origin(origin)
    if before and before[0].conversation != place.id:
        raise Refused(
            f"{origin.removeprefix(ORIGIN)!r} was sent to another place already; give it another id"
        )
    return bool(before)
