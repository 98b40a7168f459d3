"""The emergency stop: nothing is asked anywhere, nothing is lost, and it holds over restarts."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ModelError, Refused
from gateway.manager import SessionManager
from gateway.texts import say
from storage import Store
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, Path, path


async def running(gw: Path, count: int = 1) -> None:
    async with asyncio.timeout(5):
        while gw.core.dispatcher.turns_running < count:
            await asyncio.sleep(0.005)


async def test_running_answers_end_messages_are_kept_and_all_goes_on_afterwards(
    store: Store, clock: Clock
) -> None:
    model = ScriptedModel(queue=[Script(text="never", gate=asyncio.Event()) for _ in range(2)])
    async with path(store, clock=clock, model=model) as gw:
        manager = SessionManager(gw.core)
        await gw.says("one")
        await gw.says("one", user=BOB)
        await running(gw, 2)
        async with asyncio.timeout(5):
            while len(model.asked) < 2:
                await asyncio.sleep(0.005)
        assert await manager.halt(by="telegram:101", why="too dear") == 2
        assert manager.halted == "telegram:101: too dear"
        for chat in (ANN, BOB):
            await gw.channel.until(chat, say("halt.kept"))
        await gw.says("two")
        await asyncio.sleep(0.1)
        assert len(model.asked) == 2
        assert gw.channel.texts(ANN) == [say("halt.kept")]  # once, however much is written
        assert gw.core.dispatcher.outage_since is None
        await manager.unhalt(by="telegram:101")
        await gw.channel.until(ANN, "You said: one", "You said: two")
        await gw.channel.until(BOB, "You said: one")
        async with asyncio.timeout(5):
            while await gw.value("SELECT count(*) FROM turn WHERE state <> 'done'"):
                await asyncio.sleep(0.01)
        assert {row[0] for row in await gw.rows("SELECT state FROM turn")} == {"done"}
        states = [row[0] for row in await gw.rows("SELECT state FROM usage ORDER BY id")]
        assert states == ["estimated", "estimated", "known", "known", "known"]


async def test_it_holds_over_a_restart(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        await SessionManager(gw.core).halt(by="cli")
    async with path(store, clock=clock) as gw:
        manager = SessionManager(gw.core)
        assert manager.halted == "cli"
        await gw.says("hello")
        await gw.channel.until(ANN, say("halt.kept"))
        assert gw.model.asked == []
        await manager.unhalt(by="cli")
        await gw.channel.until(ANN, "You said: hello")
    async with path(store, clock=clock) as gw:
        assert SessionManager(gw.core).halted is None


async def test_no_request_of_any_purpose_is_made(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        manager = SessionManager(gw.core)
        await gw.says("one")
        await gw.channel.until(ANN, "one")
        await gw.says("two")
        await gw.channel.until(ANN, "two")
        ((code,),) = await gw.rows("SELECT code FROM session")
        await manager.halt(by="cli")
        before = await gw.value("SELECT count(*) FROM usage")
        with pytest.raises(ModelError) as refused:
            await manager.compact(str(code))
        assert refused.value.kind == "halted"
        assert await gw.value("SELECT count(*) FROM usage") == before


async def test_pulling_it_twice_or_letting_go_of_nothing_is_refused(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        manager = SessionManager(gw.core)
        with pytest.raises(Refused, match="not halted"):
            await manager.unhalt(by="cli")
        await manager.halt(by="cli")
        with pytest.raises(Refused, match="already"):
            await manager.halt(by="cli")


async def test_a_restart_between_leaves_no_turn_behind(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(text="never", gate=asyncio.Event())])
    async with path(store, clock=clock, model=model) as gw:
        await gw.says("one")
        await running(gw)
        await SessionManager(gw.core).halt(by="cli")
        await gw.channel.until(ANN, say("halt.kept"))
    async with path(store, clock=clock) as gw:
        await asyncio.sleep(0.1)
        assert gw.model.asked == []
        await SessionManager(gw.core).unhalt(by="cli")
        await gw.channel.until(ANN, "You said: one")
        assert await gw.value("SELECT state FROM turn") == "done"
