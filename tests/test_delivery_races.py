"""What is changed in the outbox, or around it, while it is on its way: each order is forced."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.failpoints import Point
from gateway.manager import SessionManager
from gateway.notices import nonce, notice
from gateway.outgoing import TAKEN_BACK
from gateway.texts import say
from gateway.types.outbound import Chunk, OutboxRow
from gateway.types.places import Address, Place
from storage import Store, Unit
from tests.conftest import Clock
from tests.fakes.channel import FakeChannel
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, Path, path

OLD, NEW = "-500", "-100500"
OPEN = "SELECT origin, part, state FROM outbox WHERE state NOT IN ('sent', 'dead')"


class Pause:
    """Stops the calls of one method whose text has *word*, before or after they take effect."""

    def __init__(self, channel: FakeChannel, method: str, word: str, *, after: bool) -> None:
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self._word, self._after = word, after
        self._call = getattr(channel, method)
        setattr(channel, method, self.call)

    async def call(self, address: Address, *args: object, **more: object) -> object:
        held = any(isinstance(each, Chunk) and self._word in each.text for each in args)
        if held and not self._after:
            await self._hold()
        found = await self._call(address, *args, **more)
        if held and self._after:
            await self._hold()
        return found

    async def _hold(self) -> None:
        self.reached.set()
        await self.go_on.wait()


async def at_rest(p: Path) -> None:
    """Until nothing is to be sent any more."""
    async with asyncio.timeout(10):
        while p.core.delivery._senders or await p.rows(OPEN):
            await asyncio.sleep(0.005)


async def lines(p: Path, conversation: int, *texts: str) -> list[OutboxRow]:
    async def work(unit: Unit) -> list[OutboxRow]:
        rows = []
        for text in texts:
            rows += await notice(
                unit, p.account.id, conversation, f"test:{text}", text, p.core.delivery.render, p.core.clock()
            )
        return rows

    return await p.store.commit(Point.NOTICE, work)


@pytest.mark.parametrize(
    ("placing", "method", "after"),
    [
        ("exact", "send", False),
        ("exact", "send", True),
        ("opening", "send", True),
        ("placeholder", "edit", False),
        ("placeholder", "edit", True),
    ],
)
async def test_a_word_that_is_on_its_way_when_the_answer_comes_is_taken_back(
    store: Store, clock: Clock, placing: str, method: str, after: bool
) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="at last", gate=gate)])
    async with path(store, clock=clock, model=model, placing=placing) as p:
        p.core.dispatcher.habits = replace(p.core.dispatcher.habits, patience=0.05)
        pause = Pause(p.channel, method, "Still working", after=after)
        await p.says("think hard")
        async with asyncio.timeout(5):
            await pause.reached.wait()
        gate.set()
        async with asyncio.timeout(5):
            while p.core.dispatcher.under_way:  # the turn, and the tidying up behind it
                await asyncio.sleep(0.005)
        pause.go_on.set()
        await at_rest(p)
        assert p.channel.texts(ANN) == ["at last"]
        assert await p.rows("SELECT error FROM outbox WHERE origin LIKE 'working:%'") == [(TAKEN_BACK,)]
        assert p.troubles == []


async def test_what_nobody_has_begun_to_send_is_never_sent_once_it_is_taken_back(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as p:
        await p.says("hello")
        await p.channel.until(ANN, "hello")
        await at_rest(p)
        pause = Pause(p.channel, "send", "one", after=False)
        p.core.delivery.enqueue(await lines(p, 1, "one", "two", "three"))
        await pause.reached.wait()
        await p.core.delivery.take_back("test:two")
        pause.go_on.set()
        await at_rest(p)
        assert p.channel.texts(ANN)[1:] == ["one", "three"]
        await p.core.delivery.take_back("test:one")
        await p.core.delivery.take_back("test:one")
        await at_rest(p)
        assert p.channel.texts(ANN)[1:] == ["three"]


async def test_a_fault_that_nobody_foresaw_is_one_of_its_chunk(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        await p.says("hello")
        await p.channel.until(ANN, "hello")
        await at_rest(p)
        p.channel.fail["send"] = [KeyError("nobody")]  # type: ignore[list-item]
        p.core.delivery.enqueue(await lines(p, 1, "one", "two"))
        await p.channel.until(ANN, "one", "two")
        await at_rest(p)


async def test_what_waits_in_a_conversation_that_another_takes_in_is_said_there(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock, allow=frozenset({ANN, OLD, NEW})) as p:
        for chat in (OLD, NEW):
            await p.says("hello", place=Place(chat_id=chat, kind="group"))
            await p.channel.until(chat, "hello")
        await at_rest(p)
        pause = Pause(p.channel, "send", "one", after=True)
        p.core.delivery.enqueue(await lines(p, 2, "one", "two", "three"))
        await pause.reached.wait()
        moved = await store.commit(Point.ACCEPT, lambda unit: unit.places.migrate(p.account.id, OLD, NEW))
        assert moved == [(1, 2)]
        p.core.dispatcher._moved(*moved[0])
        pause.go_on.set()
        await at_rest(p)
        assert p.channel.texts(NEW)[1:] == ["one", "two", "three"]


async def begun(p: Path, turn: int, parts: int) -> None:
    """Parts of an answer, as a preview leaves them that has not heard what became of its calls."""

    async def work(unit: Unit) -> None:
        for part in range(parts):
            await unit.outbox.put(
                origin=f"turn:{turn}",
                part=part,
                account=p.account.id,
                conversation=1,
                session=1,
                kind="answer",
                payload_=Chunk(text="begun"),
                nonce=nonce(f"turn:{turn}", part),
                state="placing",
                now=p.core.clock(),
            )

    await p.store.commit(Point.PLACING, work)


async def test_an_answer_leaves_no_part_behind_that_was_begun(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(text="short", gate=gate)])) as p:
        await p.says("hello")
        async with asyncio.timeout(5):
            while not p.model.asked:
                await asyncio.sleep(0.005)
        await begun(p, 1, 3)
        gate.set()
        await p.channel.until(ANN, "short")
        await at_rest(p)
        assert p.channel.texts(ANN) == ["short"]


async def test_nor_does_a_turn_that_is_put_aside(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(text="x", gate=gate)])) as p:
        await p.says("poison")
        async with asyncio.timeout(5):
            while not p.model.asked:
                await asyncio.sleep(0.005)
        await p.core.dispatcher.stop(0.0)
        await begun(p, 1, 3)
    await store.commit(Point.META, lambda unit: unit.tx.run("UPDATE turn SET state = 'running', attempt = 4"))
    async with path(store, clock=clock, connect=False) as p:
        p.core.delivery.register(p.account, p.channel)
        await p.core.dispatcher.recovery.wake_all()
        await p.channel.until(ANN, say("turn.poison"))
        await at_rest(p)
        assert p.channel.texts(ANN) == [say("turn.poison")]


async def test_whoever_asks_in_a_session_that_is_cut_off_in_a_chat_nobody_serves_is_told(
    store: Store, clock: Clock
) -> None:
    model = ScriptedModel(queue=[Script(text="x", gate=asyncio.Event())])
    async with path(store, clock=clock, model=model) as p:
        await p.says("hello")
        async with asyncio.timeout(5):
            while not p.model.asked:
                await asyncio.sleep(0.005)
        await p.core.dispatcher.stop(0.0)
    async with path(store, clock=clock, connect=False) as p:
        code = str(await p.value("SELECT code FROM session"))
        answer = await SessionManager(p.core).generate(code, "and now?", timeout=10)
        assert (answer.state, answer.text) == ("refused", say("session.busy_elsewhere"))
        p.core.delivery.register(p.account, p.channel)
        await p.core.dispatcher.recovery.connected(p.account.id)
        await p.channel.until(ANN, "You said: hello")
        answer = await SessionManager(p.core).generate(code, "and now?", timeout=10)
        assert (answer.state, answer.text) == ("done", "You said: and now?")


async def test_nobody_is_told_that_all_is_halted_when_it_is_no_longer(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        await p.core.dispatcher.halt(by="cli")
        await p.says("hello")
        await p.channel.until(ANN, say("halt.kept"))
        await p.core.dispatcher.unhalt(by="cli")
        with p.core.hub.listen(1) as queue:
            # As by a worker that saw the halt just before it ended.
            await p.core.dispatcher._kept.say(1)
            await p.channel.until(ANN, "You said: hello")
            assert "kept" not in [queue.get_nowait().state for _ in range(queue.qsize())]
        assert p.channel.texts(ANN) == [say("halt.kept"), "You said: hello"]
