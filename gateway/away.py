"""What was written while we were away is offered, not answered: one line per chat, with two buttons."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gateway.notices import put, under
from gateway.texts import say
from gateway.types import SECOND, Button, Chunk, OutboxRow

if TYPE_CHECKING:
    from storage import Unit

NOTICE_AFTER = 2.0  # seconds of quiet, so that one line counts all that was missed


def clock_time(at: int, zone: str) -> str:
    """Hours and minutes there."""
    return datetime.fromtimestamp(at / SECOND, ZoneInfo(zone)).strftime("%H:%M")


async def tell(
    unit: Unit,
    since: str,
    until: str,
    render: Callable[[int, str], list[Chunk]],
    now: int,
    language: str = "",
) -> list[OutboxRow]:
    """*since* and *until* as clock times. Once for the same messages: the origin names the last of them.

    *language* where that of the person is not known.
    """
    rows: list[OutboxRow] = []
    for conversation, last in await unit.inbox.held_places():
        place = await unit.places.get(conversation)
        count, _, _ = await unit.inbox.held(conversation)
        lang = await unit.inbox.language(conversation, "held") or language
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
