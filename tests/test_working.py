"""“Still working”, said when nothing was to be seen for a while, and taken back with the answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gateway import working
from gateway.commands.table import Table
from gateway.failpoints import Point
from gateway.manager import SessionManager
from gateway.roster import Roster
from gateway.texts import say
from gateway.types.inbound import Kind
from gateway.types.outbound import Chunk
from gateway.types.places import Place
from storage import Store
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, Path, path


def impatient(gw: Path) -> None:
    gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, patience=0.1)
    gw.core.dispatcher.commands = Table(
        manager=SessionManager(gw.core), roster=Roster(store=gw.store, clock=gw.core.clock)
    )


async def gone(gw: Path, chat: str) -> None:
    async with asyncio.timeout(5):
        while any("Still working" in text for text in gw.channel.texts(chat)):
            await asyncio.sleep(0.01)


async def test_it_is_said_with_a_button_and_taken_back_with_the_answer(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="at last", gate=gate)])
    async with path(store, clock=clock, model=model) as gw:
        impatient(gw)
        await gw.says("think hard")
        await gw.channel.until(ANN, "Still working (0 s)")
        ((_, buttons),) = gw.channel.buttons.items()
        assert set(buttons) == {say("working.stop")}
        gate.set()
        await gone(gw, ANN)
        await gw.channel.until(ANN, "at last")
        assert gw.channel.texts(ANN) == ["at last"]


async def test_its_button_stops_the_answer(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(text="never", gate=asyncio.Event())])
    async with path(store, clock=clock, model=model) as gw:
        impatient(gw)
        await gw.says("think hard")
        await gw.channel.until(ANN, "Still working")
        ((_, buttons),) = gw.channel.buttons.items()
        await gw.presses(buttons[say("working.stop")])
        await gone(gw, ANN)
        await gw.channel.until(ANN, say("turn.stopped"))
        assert await gw.value("SELECT state FROM turn") == "cancelled"


async def test_somebody_else_cannot_stop_it_by_the_button(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    group = Place(chat_id="-500", kind="group")
    model = ScriptedModel(queue=[Script(text="at last", gate=gate)])
    async with path(store, clock=clock, model=model, allow=frozenset({ANN, BOB, "-500"})) as gw:
        impatient(gw)
        await gw.says("think hard", place=group)
        await gw.channel.until("-500", "Still working")
        ((_, buttons),) = gw.channel.buttons.items()
        token = buttons[say("working.stop")]
        await gw.says("", user=BOB, place=group, kind=Kind.BUTTON, button=token, press_id="p")
        await gw.channel.until("-500", say("rights.shared_asker", name="stop"))
        gate.set()
        await gw.channel.until("-500", "at last")


async def test_an_answer_that_shows_itself_needs_no_such_word(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(text=" ".join(["word"] * 60), pause=0.02)])
    async with path(store, clock=clock, model=model) as gw:
        gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, patience=0.4)
        await gw.says("tell me")
        await gw.channel.until(ANN, "word word")
        async with asyncio.timeout(10):
            while gw.core.dispatcher.turns_running:
                await asyncio.sleep(0.01)
        assert not any("Still working" in text for _, _, text in gw.channel.calls)


async def test_what_a_crash_has_left_is_taken_back_at_the_next_start(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        await gw.says("hello")
        await gw.channel.until(ANN, "hello")
        ((turn, account, place),) = await gw.rows(
            "SELECT t.id, c.account, c.id FROM turn t JOIN conversation c ON c.id = t.conversation"
        )
        address = await gw.core.delivery.address(int(place))
        left = await gw.channel.send(address, Chunk(text="Still working (20 s)"), nonce="n")

        async def crashed(unit):
            row = await unit.outbox.add(
                origin=f"{working.ORIGIN}{turn}", part=0, account=account, conversation=place, session=None,
                kind="notice", payload_=Chunk(text=""), nonce="n", now=clock(),
            )  # fmt: skip
            await unit.outbox.sent(row.id, now=clock(), message_id=left)

        await store.commit(Point.NOTICE, crashed)
        await gw.core.dispatcher.recovery.connected(int(account))
        await gone(gw, ANN)
        # A second start finds nothing to do.
        before = len(gw.channel.calls)
        await gw.core.dispatcher.recovery.connected(int(account))
        assert [call for call in gw.channel.calls[before:] if call[0] == "delete"] == []
