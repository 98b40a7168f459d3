"""The path of a message over a real store, with a fake platform on one side and a scripted model on the other."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path as FilePath

from gateway.access import Policy
from gateway.budgets import Rules
from gateway.calls import Commands
from gateway.core import Core, build
from gateway.failpoints import Point
from gateway.floods import Limits
from gateway.habits import Habits
from gateway.price import Rates
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.protocols.tool import Tool
from gateway.types.inbound import Inbound, Kind, Receipt
from gateway.types.people import Sender
from gateway.types.places import Account, Place
from storage import Store
from tests.conftest import Clock
from tests.fakes.channel import FakeChannel
from tests.fakes.model import ScriptedModel

ANN, BOB = "101", "102"


class OneModel:
    """As much of a catalogue as the path needs."""

    def __init__(self, *models: ScriptedModel) -> None:
        self.models = models
        self.default = models[0].ref

    @property
    def allowed(self) -> tuple[str, ...]:
        return tuple(model.ref for model in self.models)

    def chain(self, ref: str | None = None) -> list[ScriptedModel]:
        found = [model for model in self.models if model.ref == ref]
        return [*found, *(model for model in self.models if model.ref != ref)]

    def get(self, ref: str) -> ScriptedModel:
        return next((model for model in self.models if model.ref == ref), self.models[0])

    def swap(self, ref: str) -> None:
        self.default = self.get(ref).ref


@dataclass
class Path:
    """Everything a test of the path touches."""

    store: Store
    core: Core
    channel: FakeChannel
    account: Account
    model: ScriptedModel
    troubles: list[tuple[str, str]] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def says(
        self, *texts: str, user: str = ANN, chat: str | None = None, **more: object
    ) -> list[Receipt]:
        """A page of messages from one person."""
        return await self.core.dispatcher.accept(
            self.account, [self.message(text, user=user, chat=chat, **more) for text in texts]
        )

    def message(self, text: str, *, user: str = ANN, chat: str | None = None, **more: object) -> Inbound:
        number = next(self._ids)
        facts: dict[str, object] = {
            "event_id": f"e{number}",
            "kind": Kind.COMMAND if text.startswith("/") else Kind.MESSAGE,
            "place": Place(chat_id=chat or user),
            "sender": Sender(user_id=user, name="Ann" if user == ANN else "Bob"),
            "message_id": str(number),
            "sent": self.core.clock(),
        }
        return Inbound(text=text, **{**facts, **more})  # type: ignore[arg-type]

    async def presses(self, token: str, *, user: str = ANN) -> None:
        await self.says("", user=user, kind=Kind.BUTTON, button=token, press_id="p1")

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return await self.store.read(lambda unit: unit.tx.all(sql))

    async def value(self, sql: str) -> object:
        return (await self.rows(sql))[0][0]


@asynccontextmanager
async def path(
    store: Store,
    *,
    clock: Clock,
    model: ScriptedModel | None = None,
    others: tuple[ScriptedModel, ...] = (),
    tools: dict[str, Tool] | None = None,
    options: Options | None = None,
    placing: str = "opening",
    allow: frozenset[str] = frozenset({ANN, BOB}),
    commands: Commands | None = None,
    connect: bool = True,
    policy: Policy | None = None,
    limits: Limits | None = None,
    budgets: Rules | None = None,
    media: FilePath | None = None,
) -> AsyncIterator[Path]:
    model = model or ScriptedModel()
    troubles: list[tuple[str, str]] = []
    strangers: list[str] = []
    core = build(
        store=store,
        catalogue=OneModel(model, *others),  # type: ignore[arg-type]
        pricing=Pricing({"fake/*": Rates(uncached=Decimal(3), output=Decimal(15))}),
        tools=tools or {},
        options=options or Options(retries=0),
        media=media,
        habits=Habits(
            policy=policy or Policy(allow={"telegram": allow}, owners={}),
            gap_minutes={"telegram": 360, "main": None},
            limits=limits or Limits(),
            budgets=budgets or Rules(),
        ),
        clock=clock,
        on_trouble=lambda cause, text: troubles.append((cause, text)),
        on_stranger=lambda channel, user: strangers.append(user),
    )
    core.dispatcher.commands = commands
    channel = FakeChannel(placing=placing)
    account = await store.commit(Point.PEOPLE, lambda unit: unit.people.account("telegram", "42", "bot"))
    if connect:
        core.delivery.register(account, channel)
    await core.dispatcher.recovery.recover()
    found = Path(store, core, channel, account, model, troubles, strangers)
    try:
        yield found
    finally:
        await core.dispatcher.stop(2.0)
        await core.delivery.drain(2.0)
