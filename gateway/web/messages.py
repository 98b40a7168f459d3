"""POST /v1/messages: say something, and get the answer whole or as it is written."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from gateway.app import App
from gateway.errors import Refused
from gateway.manager import Generated
from gateway.web.body import Body, Name
from gateway.web.encoding import Json, plain
from gateway.web.faults import over
from gateway.web.feed import Feed


class Message(Body):
    """*key* names the conversation. A repeat with the same *event_id* is given the first one's answer."""

    text: Annotated[str, Field(min_length=1)]
    key: Name = "main"
    session: Name | None = None  # None: the conversation's current one
    event_id: Name | None = None
    stream: bool = False


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/messages")

    @router.post("")
    async def say(message: Message) -> Response:
        """402 where a budget is in the way.

        With stream, events started, text (the whole text so far), notice and done. Leaving stops no turn.
        """
        events = app.manager.say(
            message.text, key=message.key, session=message.session, event_id=message.event_id
        )
        if message.stream:
            return await Feed(events, stopping=app.stopping).response()
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Generated):
                    return (
                        Json(event)
                        if event.over is None
                        else over(event.over, **plain(replace(event, over=None)))
                    )
        raise Refused(key="message.internal")

    return router
