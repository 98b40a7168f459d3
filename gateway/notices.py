"""Lines of the gateway's own on their way out: into the outbox, once per origin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol

from gateway.types.outbound import Button, Chunk, OutboxRow

if TYPE_CHECKING:
    from storage import Unit


def nonce(origin: str, part: int) -> str:
    """The same for every try of a chunk; 24 characters (Discord allows 25)."""
    return hashlib.sha256(f"{origin}/{part}".encode()).hexdigest()[:24]


async def put(
    unit: Unit,
    *,
    account: int,
    conversation: int,
    origin: str,
    chunks: Sequence[Chunk],
    now: int,
    session: int | None = None,
    kind: Literal["notice", "job"] = "notice",
) -> list[OutboxRow]:
    """The rows to be sent; [] when that origin was there already. *kind* 'job' goes behind people's answers."""
    rows: list[OutboxRow] = []
    for part, chunk in enumerate(chunks):
        row = await unit.outbox.add(
            origin=origin,
            part=part,
            account=account,
            conversation=conversation,
            session=session,
            kind=kind,
            payload_=chunk,
            nonce=nonce(origin, part),
            now=now,
        )
        if row is not None:
            rows.append(row)
    return rows


async def notice(
    unit: Unit,
    account: int,
    conversation: int,
    origin: str,
    text: str,
    render: Callable[[int, str], list[Chunk]],
    now: int,
) -> list[OutboxRow]:
    """A line of text. *render* gives [] for an account that cannot speak now."""
    return await put(
        unit,
        account=account,
        conversation=conversation,
        origin=origin,
        chunks=render(account, text),
        now=now,
    )


class Pen(Protocol):
    """What is needed to write one with buttons."""

    @property
    def render(self) -> Callable[[int, str], list[Chunk]]: ...  # (account, text)
    @property
    def now(self) -> int: ...


async def enter(
    unit: Unit,
    pen: Pen,
    *,
    account: int,
    conversation: int,
    origin: str,
    text: str,
    buttons: Sequence[Button] = (),
) -> list[OutboxRow]:
    """A line of text, with buttons under its last part."""
    chunks = under(pen.render(account, text), buttons)
    return await put(
        unit, account=account, conversation=conversation, origin=origin, chunks=chunks, now=pen.now
    )


def under(chunks: Sequence[Chunk], buttons: Sequence[Button]) -> list[Chunk]:
    """The chunks with buttons under the last of them that is no file."""
    last = next((at for at in reversed(range(len(chunks))) if chunks[at].file is None), None)
    if last is None or not buttons:
        return list(chunks)
    return [*chunks[:last], replace(chunks[last], buttons=tuple(buttons)), *chunks[last + 1 :]]
