"""What was written while we were away is offered, not answered: one line per chat, with two buttons."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.moments import clock
from gateway.notices import put, under
from gateway.texts import say
from gateway.types.outbound import Button, Chunk, OutboxRow

if TYPE_CHECKING:
    from storage import Unit

NOTICE_AFTER = 2.0  # seconds of quiet, so that one line counts all that was missed


async def tell(
    unit: Unit,
    span: tuple[int, int],
    render: Callable[[int, str], list[Chunk]],
    now: int,
    language: str = "",
    zone: str = "UTC",
) -> list[OutboxRow]:
    """*span*: since and until when we were away. Once for the same messages: the origin names the last of them.

    *language* and *zone* where those of the person are not known.
    """
    rows: list[OutboxRow] = []
    for conversation, last in await unit.inbox.held_places():
        place = await unit.places.get(conversation)
        count, _, _ = await unit.inbox.held(conversation)
        lang = await unit.inbox.language(conversation, "held") or language
        there = await unit.inbox.zone_of_held(conversation) or zone
        since, until = (clock(at, there, lang) for at in span)
        chunks = render(place.account, say("away.told", lang, since=since, until=until, count=count))
        if not chunks:
            continue
        tokens = {choice: secrets.token_urlsafe(16) for choice in ("answer", "drop")}
        buttons = tuple(
            Button(label=say(f"button.{choice}", lang), token=token) for choice, token in tokens.items()
        )
        told = await put(
            unit,
            account=place.account,
            conversation=conversation,
            origin=f"away:{conversation}:{last}",
            chunks=under(chunks, buttons),
            now=now,
        )
        rows += told
        for choice, token in tokens.items() if told else ():
            await unit.outbox.button(token, action=f"away-{choice}", args={"v": 1}, conversation=conversation)
    return rows
