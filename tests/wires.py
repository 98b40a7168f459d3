"""The path of a message with the vendors' own SDKs at its end, over real HTTP against the fake of their servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from aiohttp import web

from gateway.access import Policy
from gateway.core import build
from gateway.failpoints import Point
from gateway.habits import Habits
from gateway.manager import SessionManager
from gateway.models.catalogue import Catalogue, ProviderConfig
from gateway.price import Rates
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.protocols.tool import Tool
from gateway.runs import Live
from gateway.tools import default_tools
from storage import Store
from tests.bill.truth import PRICES
from tests.conftest import Clock
from tests.fakes.channel import FakeChannel
from tests.fakes.llm import KEY, Answer, FakeLLM, Recorded, Reply, Usage, Vendor
from tests.fakes.model import ScriptedModel
from tests.path import ANN, BOB, Path

SONNET, MINI = "anthropic:claude-sonnet-5", "openai:gpt-5-mini"
MUTE = "mute:whisper"  # a compatible server that never tells its usage
UNLISTED = "unlisted:mystery"  # nobody has a price for it
LONG = "You are kind and brief. " * 400  # over the vendors' smallest cached prompt


class CountingLLM(FakeLLM):
    """Also remembers, by request, what the whole answer comes to: what is billed if nobody had left early."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self.made: dict[str, Usage] = {}

    async def _stream(
        self, request: web.Request, vendor: Vendor, record: Recorded, reply: Reply, answer: Answer
    ) -> web.StreamResponse:
        if reply.error_after != 0:  # a stream that begins with an error is a refusal: nothing was made
            self.made[record.request_id] = answer.usage
        if answer.model == MUTE.partition(":")[2]:
            answer = replace(answer, tell_usage=False)
        return await super()._stream(request, vendor, record, reply, answer)


@dataclass
class Wired(Path):
    """A Path whose models are real; *llm* is the server behind them."""

    llm: CountingLLM = None  # type: ignore[assignment]
    manager: SessionManager = None  # type: ignore[assignment]

    @property
    def running(self) -> Live | None:
        """The turn that is running; None when there is none."""
        return next(iter(self.core.dispatcher.runs), None)

    async def use(self, ref: str) -> None:
        """Who answers from the next request on."""
        await self.core.catalogue.replace(default=ref)

    async def session(self, user: str = ANN) -> str:
        """The code of that person's current session."""
        return str(
            await self.value(
                "SELECT s.code FROM session s JOIN conversation c ON c.current_session = s.id "
                f"WHERE c.chat_id = '{user}'"
            )
        )


def providers(url: str, key: str = KEY, *, searching: bool = False) -> dict[str, ProviderConfig]:
    """*searching*: the vendors' servers search the web, as their own do."""
    search = True if searching else None
    return {
        "anthropic": ProviderConfig("anthropic", "anthropic", key, url, search),
        "openai": ProviderConfig("openai", "openai", key, url + "/v1", search),
        "mute": ProviderConfig("mute", "openai", key, url + "/v1"),
        "unlisted": ProviderConfig("unlisted", "openai", key, url + "/v1"),
    }


@asynccontextmanager
async def wired(
    store: Store,
    llm: CountingLLM,
    *,
    clock: Clock,
    default: str = SONNET,
    fallbacks: Sequence[str] = (),
    rates: Mapping[str, Rates | Literal["free"]] = PRICES,
    tools: dict[str, Tool] | None = None,
    options: Options | None = None,
    key: str = KEY,
    silence: float = 5.0,
    allow: frozenset[str] = frozenset({ANN, BOB}),
    searching: bool = False,
) -> AsyncIterator[Wired]:
    troubles: list[tuple[str, str]] = []
    strangers: list[str] = []
    catalogue = Catalogue(
        providers=providers(llm.url, key, searching=searching),
        default=default,
        fallbacks=fallbacks,
        silence=silence,
    )
    core = build(
        store=store,
        catalogue=catalogue,
        pricing=Pricing(rates),
        tools=default_tools() if tools is None else tools,
        options=options or Options(system_prompt=LONG, retries=1, max_output_tokens=2000),
        habits=Habits(
            policy=Policy(allow={"telegram": allow}, owners={}),
            gap_minutes={"telegram": 360, "main": None},
        ),
        clock=clock,
        on_trouble=lambda cause, text: troubles.append((cause, text)),
        on_stranger=lambda channel, user: strangers.append(user),
    )
    channel = FakeChannel()
    account = await store.commit(Point.PEOPLE, lambda unit: unit.people.account("telegram", "42", "bot"))
    core.delivery.register(account, channel)
    await core.dispatcher.recovery.recover()
    found = Wired(store, core, channel, account, ScriptedModel(), troubles, strangers)
    found.llm, found.manager = llm, SessionManager(core)
    try:
        yield found
    finally:
        await core.dispatcher.stop(2.0)
        await core.delivery.drain(2.0)
        await catalogue.close()
