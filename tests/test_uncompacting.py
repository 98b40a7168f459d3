"""Compactions that are looked at, taken back and put back; the prompt before them comes again, byte for byte."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import pytest

from gateway import history
from gateway.errors import NotFound, Refused
from gateway.manager import SessionManager
from gateway.message_size import bytes_of
from gateway.progress import Options
from gateway.protocols.messages import Message
from gateway.texts import say
from gateway.transcript import ToolUse
from gateway.types.people import Viewer
from gateway.types.sessions import Session
from gateway.types.turns import Entry
from storage import Store, Unit, open_store
from tests.chats import Chat, chatting
from tests.compaction import Big, idle, manager_of, sized
from tests.conftest import Clock
from tests.fakes.model import Script
from tests.path import ANN, BOB, Path, path
from tests.test_history import legal

OPTIONS = Options(retries=0, auto_compact=False)
WALKS = int(os.environ.get("WALKS", "3"))


def notes(text: str) -> str:
    return "The notes." if "Now write the notes." in text else f"You said: {text[:60]}"


@pytest.fixture
async def p(store: Store, clock: Clock) -> AsyncIterator[Path]:
    async with path(store, clock=clock, options=OPTIONS, tools={"big": Big(3000)}) as found:
        found.model.reply, found.model.counts = notes, sized
        yield found


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock, tools={"big": Big(3000)}) as found:
        found.path.model.reply = notes
        yield found


async def talk(p: Path, *texts: str, tool: bool = False) -> tuple[SessionManager, str]:
    """Turns, each with a call of the tool where that is wanted."""
    for text in texts:
        if tool:
            p.model.queue.append(Script(tool=ToolUse("c1", "big", "{}")))
        await p.says(text)
        await idle(p)
    return await manager_of(p)


async def entries(p: Path, code: str) -> list[Entry]:
    session = await p.store.read(named(code))
    return await p.store.read(lambda unit: unit.transcript.live(session.id))


async def prompt(p: Path, code: str) -> tuple[Message, ...]:
    """What the model would be sent now."""
    return history.build(await entries(p, code))


# -- the same prompt again ------------------------------------------------------------------------------------


async def test_taken_back_the_model_is_sent_the_same_as_before_and_what_was_said_since(p: Path) -> None:
    manager, code = await talk(p, "one", "two", tool=True)
    before = await prompt(p, code)
    assert (await manager.compact(code, focus="the numbers")).method == "notes"
    assert await prompt(p, code) != before
    await manager.undo_compaction(code)
    assert await prompt(p, code) == before

    await manager.redo_compaction(code)
    await talk(p, "three")
    asked = p.model.asked[-1].messages
    assert "The notes." in str(asked[0]) and "one" not in str(asked[0])
    await manager.undo_compaction(code)
    await talk(p, "four")
    asked = p.model.asked[-1].messages
    assert asked[: len(before) - 1] == before[:-1] and [m.texts for m in asked[-3:-1:2]] == [("three",)]  # type: ignore[union-attr]
    found = await manager.compactions(code)
    assert [(each.trigger, each.focus, each.undone) for each in found] == [("manual", "the numbers", True)]


async def test_notes_of_notes_are_taken_back_one_after_another(p: Path) -> None:
    manager, code = await talk(p, "one " * 40, "two " * 40)
    prompts = [await prompt(p, code)]
    for text in ("three ", "four "):
        await manager.compact(code)
        prompts.append(await prompt(p, code))
        await talk(p, text * 40, "more " * 40)
        prompts.append(await prompt(p, code))
    await manager.compact(code)
    last = await prompt(p, code)
    assert len(await manager.compactions(code)) == 3
    await manager.undo_compaction(code)
    assert await prompt(p, code) == prompts[4]
    await manager.undo_compaction(code)
    await manager.undo_compaction(code)
    with pytest.raises(Refused, match="no compaction to take back"):
        await manager.undo_compaction(code)
    everything = await prompt(p, code)
    assert everything[: len(prompts[0]) - 1] == prompts[0][:-1]
    for _ in range(3):
        await manager.redo_compaction(code)
    assert await prompt(p, code) == last
    with pytest.raises(Refused, match="no compaction to put back"):
        await manager.redo_compaction(code)


async def test_what_was_taken_back_cannot_be_put_back_once_another_was_made(p: Path) -> None:
    manager, code = await talk(p, "one", "two")
    await manager.compact(code)
    await manager.undo_compaction(code)
    await talk(p, "three")
    await manager.compact(code)
    with pytest.raises(Refused, match="put back"):
        await manager.redo_compaction(code)
    assert [each.undone for each in await manager.compactions(code)] == [True, False]


async def test_it_holds_after_a_restart(tmp_path: FilePath, clock: Clock) -> None:
    store = await open_store(tmp_path / "parley.db")
    async with path(store, clock=clock, options=OPTIONS) as p:
        p.model.reply = notes
        manager, code = await talk(p, "one", "two")
        before = await prompt(p, code)
        await manager.compact(code)
        await manager.undo_compaction(code)
    await store.close()
    store = await open_store(tmp_path / "parley.db")
    async with path(store, clock=clock, options=OPTIONS) as p:
        assert await prompt(p, code) == before
        await (await manager_of(p))[0].redo_compaction(code)
        assert "The notes." in str((await prompt(p, code))[0])
    await store.close()


# -- old results ----------------------------------------------------------------------------------------------


async def test_old_results_are_put_away_first_and_no_model_is_asked(p: Path) -> None:
    manager, code = await talk(p, "one", "two", "three", tool=True)
    await talk(p, "four")
    before, requests = await prompt(p, code), len(p.model.asked)
    done = await manager.compact(code)
    assert (
        done.method == "pruned" and done.cost == 0 and done.requests == 0 and len(p.model.asked) == requests
    )
    assert done.after is not None and done.after < done.before
    after = await prompt(p, code)
    assert bytes_of(after) < bytes_of(before) / 2 and "put away by the gateway" in str(after)
    legal(after)
    assert [type(each) for each in after] == [type(each) for each in before]
    await manager.undo_compaction(code)
    assert await prompt(p, code) == before
    # What it is to attend to asks for notes.
    assert (await manager.compact(code, focus="the first result")).method == "notes"


async def test_after_old_results_the_next_one_takes_notes(p: Path) -> None:
    manager, code = await talk(p, "one", "two", "three", tool=True)
    assert (await manager.compact(code)).method == "pruned"
    assert (await manager.compact(code)).method == "notes"
    await manager.undo_compaction(code)
    await manager.undo_compaction(code)
    assert [each.undone for each in await manager.compactions(code)] == [True, True]


# -- beside everything else -----------------------------------------------------------------------------------


async def test_turns_taken_back_meanwhile_are_not_put_into_notes(p: Path) -> None:
    manager, code = await talk(p, "one", "two", "three")
    gate = asyncio.Event()
    p.model.queue.append(Script(text="The notes.", gate=gate))
    compacting = asyncio.create_task(manager.compact(code))
    async with asyncio.timeout(5):
        while p.model.running == 0:
            await asyncio.sleep(0.005)
    await manager.undo(code)
    gate.set()
    with pytest.raises(Refused, match="changed meanwhile"):
        await compacting
    assert await manager.compactions(code) == []
    assert await p.rows("SELECT purpose, state FROM usage ORDER BY id DESC LIMIT 1") == [
        ("compaction", "known")
    ]
    assert "three" not in str(await prompt(p, code))


async def test_a_session_that_is_deleted_meanwhile_stays_deleted(p: Path) -> None:
    manager, code = await talk(p, "one", "two")
    gate = asyncio.Event()
    p.model.queue.append(Script(text="The notes.", gate=gate))
    compacting = asyncio.create_task(manager.compact(code))
    async with asyncio.timeout(5):
        while p.model.running == 0:
            await asyncio.sleep(0.005)
    await manager.delete(code)
    gate.set()
    with pytest.raises(Refused):
        await compacting
    assert await p.value("SELECT count(*) FROM compaction") == 0


async def test_a_copy_of_a_session_has_its_compactions_and_not_their_cost(p: Path) -> None:
    manager, code = await talk(p, "one", "two")
    before = await prompt(p, code)
    await manager.compact(code)
    shortened = await prompt(p, code)
    copy = (await manager.fork(code)).id
    assert await prompt(p, copy) == shortened
    (there,) = await manager.compactions(copy)
    assert there.cost == 0 and there.requests == 0 and there.summary == "The notes." and not there.undone
    await manager.undo_compaction(copy)
    assert await prompt(p, copy) == before and await prompt(p, code) == shortened
    again = (await manager.fork(copy)).id
    assert await prompt(p, again) == before and (await manager.compactions(again))[0].undone
    await manager.redo_compaction(again)
    assert await prompt(p, again) == shortened


async def test_notes_of_turns_that_were_taken_back_are_in_nobody_s_way(p: Path) -> None:
    manager, code = await talk(p, "one", "two", "three")
    await manager.compact(code)
    await manager.rewind(code, 1)
    assert "notes" not in str(await prompt(p, code))
    with pytest.raises(Refused, match="no compaction to take back"):
        await manager.undo_compaction(code)
    await manager.redo(code)
    assert "The notes." in str(await prompt(p, code))
    await manager.undo_compaction(code)
    assert "three" in str(await prompt(p, code))


async def test_notes_that_say_nothing_are_not_taken_in(p: Path) -> None:
    manager, code = await talk(p, "one", "two")
    with pytest.raises(Refused):
        await manager.record_compaction(code, "api", 1000, " \n", 2)
    await manager.record_compaction(code, "api", 1000, "Made elsewhere.", 2)
    assert "Made elsewhere." in str((await prompt(p, code))[0])
    await manager.undo_compaction(code)
    assert "one" in str((await prompt(p, code))[0])


async def test_whoever_may_not_see_a_session_may_not_shorten_it(p: Path) -> None:
    manager, code = await talk(p, "one", "two")
    other = Viewer(person=12345)
    for refused in (
        manager.compact(code, viewer=other),
        manager.compactions(code, viewer=other),
        manager.undo_compaction(code, viewer=other),
        manager.redo_compaction(code, viewer=other),
        manager.auto_compact(code, viewer=other),
        manager.set_auto_compact(code, True, viewer=other),
    ):
        with pytest.raises(NotFound):
            await refused


# -- in a chat ------------------------------------------------------------------------------------------------


async def test_in_a_chat_it_is_made_looked_at_taken_back_and_put_back(chat: Chat) -> None:
    await chat.told("about whales", "You said: about whales")
    assert await chat.told("/compactions", say("compact.none"))
    await chat.told("/compact the names of whales", "Compacted:")
    assert "Attend most to this: the names of whales" in str(chat.path.model.asked[-1].messages)
    text = await chat.told("/compactions", "What was put away")
    assert "asked for" in text and "notes by `fake:one`" in text and "“the names of whales”" in text
    assert "The notes." in await chat.told("/compactions 1", "The notes.")
    assert "taken back" not in text
    assert "told everything again" in await chat.told("/compact undo", "told everything again")
    assert "**taken back**" in await chat.told("/compactions", "taken back")
    await chat.told("/compact redo", "Put back")
    await chat.told("/compact redo", say("window.no_redo"))
    await chat.told("/compactions 9", "/compactions")


async def test_the_button_under_it_takes_it_back(chat: Chat) -> None:
    await chat.told("about whales", "You said: about whales")
    await chat.told("/compact", "Compacted:")
    await chat.presses(say("compact.undo"))
    await chat.sees("told everything again")


async def test_in_a_group_only_its_administrators_go_back_or_switch_it(chat: Chat) -> None:
    await chat.group("about whales", "about whales")
    await chat.group("/compact", "Compacted:", user=BOB)
    await chat.group("/compactions", "What was put away", user=BOB)
    await chat.group("/compact undo", "administrator", user=BOB)
    await chat.group("/compact auto off", "administrator", user=BOB)
    await chat.group("/compact auto", "by itself", user=BOB)
    chat.path.channel.admins.add(ANN)
    await chat.group("/compact undo", "told everything again", user=ANN)
    await chat.group("/compact auto off", "not shortened by itself", user=ANN)


async def test_what_notes_were_to_attend_to_is_forgotten_with_whoever_is(chat: Chat) -> None:
    await chat.group("about narwhals", "about narwhals")
    await chat.group("/compact the narwhals", "Compacted:", user=BOB)
    await chat.manager.erase_person(f"telegram:{ANN}", by="cli")
    ((focus, body),) = await chat.path.rows(
        "SELECT c.focus, e.body FROM compaction c JOIN entry e ON e.session = c.session AND e.seq = c.entry_seq"
    )
    assert focus == "" and "The notes." not in str(body)


# -- random walks ---------------------------------------------------------------------------------------------


@dataclass
class Known:
    """What a walk knows by itself: which compactions hold, by seq."""

    off: set[int] = field(default_factory=set)

    def reference(self, everything: list[Entry]) -> tuple[Message, ...]:
        """The prompt, from all there is, by a transcript in which what does not hold was never written."""
        ops = {"uncompact", "recompact"}
        return history.build(
            [each for each in everything if each.seq not in self.off and each.body.get("op") not in ops]
        )


@pytest.mark.parametrize("seed", range(WALKS))
async def test_whatever_comes_the_prompt_read_from_the_store_is_legal_and_is_the_one_that_is_meant(
    store: Store, clock: Clock, seed: int
) -> None:
    dice = random.Random(seed)
    async with path(store, clock=clock, options=OPTIONS, tools={"big": Big(3000)}) as p:
        p.model.reply = notes
        p.channel.render = lambda text, growing=False: []  # type: ignore[method-assign]
        manager, code = await talk(p, "hello")
        known = Known()
        for number in range(30):
            op = dice.choice(
                ["say", "say", "tool", "compact", "focus", "undo", "undo", "redo", "back", "forth", "clear"]
            )
            before = await prompt(p, code)
            try:
                match op:
                    case "say" | "tool":
                        await talk(p, f"question {number}", tool=op == "tool")
                    case "compact" | "focus":
                        await manager.compact(code, focus="x" if op == "focus" else "")
                        after = await prompt(p, code)
                        undone = await p.core.compactor.undo(await p.store.read(named(code)))
                        assert await prompt(p, code) == before
                        await manager.redo_compaction(code)
                        assert await prompt(p, code) == after
                        assert undone.entry_seq not in known.off
                    case "undo":
                        known.off.add(
                            (await p.core.compactor.undo(await p.store.read(named(code)))).entry_seq
                        )
                    case "redo":
                        found = await p.core.compactor.redo(await p.store.read(named(code)))
                        known.off.remove(found.entry_seq)
                    case "back":
                        await manager.undo(code)
                    case "forth":
                        await manager.redo(code)
                    case "clear" if dice.random() < 0.3:
                        await manager.clear(code)
            except Refused:
                assert await prompt(p, code) == before
            now = await prompt(p, code)
            legal(now)
            session = await p.store.read(named(code))
            everything = await p.store.read(lambda unit, id=session.id: unit.transcript.all(id))
            assert now == history.build(everything) == known.reference(everything), (number, op)
            assert history.INTERRUPTED not in str(now)  # no result was lost to its call


def named(code: str) -> Callable[[Unit], Awaitable[Session]]:
    async def work(unit: Unit) -> Session:
        found = await unit.sessions.by_code(code)
        assert found is not None
        return found

    return work
