"""Lines of the gateway's own on their way out: rendered, with buttons under the last part, once per origin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gateway.types import Button, Chunk, OutboxRow

if TYPE_CHECKING:
    from storage import Unit


class Pen(Protocol):
    """What is needed to write one. *render* gives [] for an account that cannot speak now."""

    @property
    def render(self) -> Callable[[int, str], list[Chunk]]: ...  # (account, text)
    @property
    def nonce(self) -> Callable[[str, int], str]: ...
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
    """The rows that are to be sent; [] when that origin was there already, or the account cannot speak."""
    chunks = pen.render(account, text)
    if chunks and buttons:
        chunks[-1] = replace(chunks[-1], buttons=tuple(buttons))
    rows: list[OutboxRow] = []
    for part, chunk in enumerate(chunks):
        row = await unit.outbox.add(
            origin=origin,
            part=part,
            account=account,
            conversation=conversation,
            session=None,
            kind="notice",
            payload_=chunk,
            nonce=pen.nonce(origin, part),
            now=pen.now,
        )
        if row is not None:
            rows.append(row)
    return rows
