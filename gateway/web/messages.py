"""POST /v1/messages: say something, and get the answer whole or as it is written."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import Annotated

from fastapi import Header, Query, Response
from pydantic import Field

from gateway.app import App
from gateway.errors import Refused
from gateway.manager import Generated
from gateway.web import feed
from gateway.web.body import Body, Name
from gateway.web.caller import Calling
from gateway.web.encoding import plain
from gateway.web.faults import over
from gateway.web.feed import EVENTS, Feed
from gateway.web.routes import Routes


class Saying(Body):
    """*key* names the conversation. A repeat with the same *event_id* is given the first one's answer."""

    text: Annotated[str, Field(min_length=1)]
    key: Name = "main"
    session: Name | None = None  # None: the conversation's current one
    event_id: Name | None = None
    stream: bool = False


Key = Annotated[str, Query(min_length=1, max_length=200)]
Last = Annotated[str, Header(alias="Last-Event-ID", max_length=40)]


def routes(app: App) -> Routes:
    routes = Routes("/v1/messages")

    @routes.post("", who="user", faults=(402, 404, 409), media={"text/event-stream": EVENTS})
    async def say(saying: Saying, caller: Calling) -> Generated | Response:
        """As a message from a chat: on disk first, answered in its turn, by whoever's key it is.

        402 where a budget is in the way. With stream, events started, text (the whole text so far), notice and
        done. Leaving stops no turn.
        """
        events = app.manager.say(
            saying.text,
            key=saying.key,
            session=saying.session,
            event_id=saying.event_id,
            who=caller.identity,
        )
        if saying.stream:
            return await Feed(events, stopping=app.stopping).response()
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Generated):
                    return event if event.over is None else over(event.over, **_unanswered(event))
        raise Refused(key="message.internal")

    @routes.get("/events", who="user", faults=(409,), media={"text/event-stream": EVENTS})
    async def events(caller: Calling, key: Key = "main", last: Last = "") -> Response:
        """Everything that happens in a conversation, whoever asked: started, text, notice and done, as it happens.

        It ends after a minute; come back with the header Last-Event-ID, as an EventSource does, and nothing is
        missed: while the gateway runs on every event since (of texts the newest), after a restart every answer since.
        """
        watching = app.manager.watch(key, who=caller.identity, after=last)
        return await Feed(watching, stopping=app.stopping, longest=feed.LONGEST, at_once=not last).response()

    return routes


def _unanswered(event: Generated) -> dict[str, object]:
    return dict(plain(replace(event, over=None)))
