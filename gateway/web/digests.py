"""/v1/digests: who has yesterday summed up every day, set by the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from gateway.app import App
from gateway.commands.digest import time_of
from gateway.manager import JobView
from gateway.web.body import Body, Name
from gateway.web.routes import Routes


class Setting(Body):
    """*to* as telegram:12345, or main; *at* as 8:00. What is left out stays as it was, *bill* and *silent* are off."""

    to: Name
    at: Annotated[str, Field(pattern=r"^([01]?[0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    zone: Name | None = None
    bill: bool = False
    silent: bool = False


class Whose(Body):
    to: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """*owner* None: of a group, or of the configuration. *chat*: where it goes. *next_at* in microseconds UTC, None: it
    is off. *last_state* and *last_planned_at* None: none came yet."""

    name: str
    owner: str | None
    chat: str
    schedule: str
    zone: str
    bill: bool
    silent: bool
    state: str
    next_at: int | None
    last_state: str | None
    last_planned_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """*was_on*: whether one came there."""

    was_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """*run*: its number."""

    run: int


def routes(app: App) -> Routes:
    routes = Routes("/v1/digests")
    digests = app.manager.digests

    @routes.get("")
    async def listed() -> list[Digest]:
        """Everybody's, by name."""
        return [_digest(each) for each in await digests.list()]

    @routes.post("", faults=(409,))
    async def on(setting: Setting) -> Digest:
        """Every day, for who has written to the gateway before, or a group."""
        at = None if setting.at is None else time_of(setting.at)
        by, zone = await digests.of(setting.to), setting.zone or ""
        view = await digests.turn_on(by, at=at, zone=zone, bill=setting.bill, silent=setting.silent)
        return _digest(view)

    @routes.post("/off", faults=(409,))
    async def off(whose: Whose) -> Off:
        """None comes there any more."""
        return Off(was_on=await digests.turn_off(await digests.of(whose.to)))

    @routes.post("/now", faults=(409,))
    async def now(whose: Whose) -> Begun:
        """One of yesterday and today so far, delivered where theirs comes."""
        return Begun(run=await digests.now(await digests.of(whose.to)))

    return routes


def _digest(view: JobView) -> Digest:
    last = view.last
    return Digest(
        name=view.spec.name,
        owner=view.owner,
        chat=view.chat or ", ".join(view.spec.deliver_to),
        schedule=view.spec.schedule,
        zone=view.spec.zone,
        bill=view.spec.bill,
        silent=view.spec.silent,
        state=view.state,
        next_at=view.next_at,
        last_state=None if last is None else last.state,
        last_planned_at=None if last is None else last.planned,
    )
