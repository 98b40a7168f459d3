"""/v1/send: post in the gateway's name, and what has become of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header
from pydantic import Field

from gateway.addressee import HOME, parse
from gateway.app import App
from gateway.errors import Refused
from gateway.manager import Posted
from gateway.web.body import Body, Id, Name
from gateway.web.routes import Routes
from gateway.web.span import BadField


class Posting(Body):
    """*to* as telegram:12345. A repeat with the same *id* (or header Idempotency-Key) posts nothing."""

    to: Annotated[Name, Field(examples=["main:desk"])]
    text: Annotated[str, Field(min_length=1)]
    id: Name | None = None


Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


def routes(app: App) -> Routes:
    routes = Routes("/v1/send")

    @routes.post("", faults=(409,))
    async def post(posting: Posting, key: Key = None) -> Posted:
        """It is on disk when this answers; sending goes on meanwhile. 409 when that bot is not connected."""
        if key is not None and posting.id not in (None, key):
            raise BadField("id", "is not the same as the header Idempotency-Key; send one of them")
        _connected(app, posting.to)
        return await app.manager.send(posting.to, posting.text, origin=posting.id or key)

    @routes.get("/{id}", faults=(404,))
    async def posted(id: Id) -> Posted:
        """What has become of it."""
        return await app.manager.posted(id)

    return routes


def _connected(app: App, to: str) -> None:
    """Raises Refused with the reason, which the manager does not know."""
    key = parse(to).key
    if key == HOME:
        return
    known = app.settings.channels.known()
    if key not in known:
        raise Refused(f"there is no bot {key!r}; there are: {', '.join(known)}")
    if not known[key]:
        raise Refused(f"{key} is switched off; give it a token: parley init")
    state = next((each for each in app.platforms.channels if each.name == key), None)
    if state is None:
        raise Refused("no gateway is running, so nothing was sent; start it with `parley run` and send again")
    if state.account is None:
        why = f"{state.state}: {state.text}" if state.text else state.state
        raise Refused(f"{key} has not connected yet ({why}), so nothing was sent; try again when it has")
