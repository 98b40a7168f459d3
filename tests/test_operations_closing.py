"""Sessions closed, cleared, stopped, set up differently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path as FilePath

import pytest

from gateway.budgets import Rules
from gateway.errors import ModelError, NotFound, Refused
from gateway.manager import SessionManager
from gateway.progress import Options
from gateway.protocols.messages import UserMessage
from gateway.transcript import ToolUse
from gateway.types.people import Viewer
from storage import Store
from tests.chats import Chat, chatting
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.fakes.wishes import Paint
from tests.operations import running, said, talked

OTHER = "fake:two"


@pytest.fixture
def paint(tmp_path: FilePath) -> Paint:
    return Paint(tmp_path / "painted")


@pytest.fixture
async def chat(store: Store, clock: Clock, paint: Paint) -> AsyncIterator[Chat]:
    model = ScriptedModel(thinking=True)
    others = (ScriptedModel(ref=OTHER, model="two"),)
    async with chatting(store, clock, model, others=others, tools={"paint": paint}) as found:
        yield found


@pytest.fixture
def manager(chat: Chat) -> SessionManager:
    return chat.manager


# -- close ----------------------------------------------------------------------------------------------------


async def test_a_closed_session_has_the_summary_it_was_given(manager: SessionManager) -> None:
    id = await said(manager, "whales")
    closed = await manager.close_with_summary(id, "  We talked of whales.\n")
    assert closed.was_open and closed.session.is_closed
    assert closed.session.summary == "We talked of whales."
    again = await manager.close_with_summary(id, "something else")
    assert not again.was_open and again.session.summary == "We talked of whales."
    with pytest.raises(NotFound):
        await manager.close_with_summary("NOSUCHONE1")


async def test_what_was_taken_back_is_in_no_summary(manager: SessionManager) -> None:
    id = await said(manager, "whales", "herons")
    await manager.rename(id, "Animals")
    await manager.undo(id)
    summary = (await manager.close_with_summary(id)).session.summary or ""
    assert "whales" in summary and "herons" not in summary


async def test_an_empty_one_has_no_summary(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    assert (await manager.close_with_summary(id)).session.summary is None


@pytest.fixture
async def summed(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    """A gateway in which another model writes the summaries."""
    cheap = ScriptedModel(ref=OTHER, model="two")
    options = Options(retries=0, summary_model=OTHER)
    async with chatting(store, clock, others=(cheap,), options=options) as found:
        yield found


def cheap(chat: Chat) -> ScriptedModel:
    return chat.path.core.catalogue.get(OTHER)  # type: ignore[return-value]


async def test_a_cheap_model_writes_it_and_that_is_booked(summed: Chat) -> None:
    manager = summed.manager
    id = await talked(manager, "whales", "herons")
    cheap(summed).queue.append(Script(text="  They talked of animals. "))
    closed = await manager.close_with_summary(id)
    assert closed.session.summary == "They talked of animals."
    (prompt,) = cheap(summed).asked
    assert "whales" in str(prompt.messages) and prompt.max_output_tokens <= 200
    rows = await summed.path.rows("SELECT purpose, state FROM usage WHERE model_asked = 'two'")
    assert rows == [("summary", "known")]
    assert await manager.close_with_summary(id) and len(cheap(summed).asked) == 1  # it is closed already


@pytest.mark.parametrize("kind", ["overloaded", "budget", "refused", "auth"])
async def test_where_that_fails_title_and_last_exchange_are_kept(summed: Chat, kind: str) -> None:
    id = await talked(summed.manager, "whales", "herons")
    cheap(summed).queue.append(Script(error=ModelError("no", kind=kind)))  # type: ignore[arg-type]
    closed = await summed.manager.close_with_summary(id)
    assert closed.session.summary == "whales\nherons\nYou said: herons" and closed.session.is_closed
    assert await summed.path.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0


async def test_over_budget_no_summary_is_asked_for(summed: Chat) -> None:
    id = await talked(summed.manager, "whales")
    dispatcher = summed.path.core.dispatcher
    dispatcher.habits = replace(dispatcher.habits, budgets=Rules(caps={("gateway", "day"): 1}))
    closed = await summed.manager.close_with_summary(id)
    assert closed.session.summary == "whales\nYou said: whales" and cheap(summed).asked == []


async def test_what_is_said_while_it_is_written_keeps_it_open_or_is_in_the_summary(summed: Chat) -> None:
    manager = summed.manager
    id = await talked(manager, "whales")
    go = asyncio.Event()
    cheap(summed).queue.append(Script(text="Of whales.", gate=go))
    closing = asyncio.create_task(manager.close_with_summary(id))
    while not cheap(summed).asked:
        await asyncio.sleep(0.001)
    await manager.generate(id, "herons")
    go.set()
    assert (await closing).session.summary == "whales\nherons\nYou said: herons"


# -- clear ----------------------------------------------------------------------------------------------------


async def test_after_clearing_the_model_knows_its_system_prompt_only(
    chat: Chat, manager: SessionManager
) -> None:
    id = await talked(manager, "a")
    await manager.set_system_prompt(id, "Be brief.")
    await manager.clear(id)
    usage = await manager.session_usage(id)
    assert await manager.history(id) == [] and usage.requests == 1
    await manager.generate(id, "b")
    prompt = chat.path.model.asked[-1]
    assert [m.texts for m in prompt.messages if isinstance(m, UserMessage)] == [("b",)]
    assert "Be brief." in prompt.stable


# -- cancel ---------------------------------------------------------------------------------------------------


async def test_the_running_turn_is_stopped_wherever_it_runs(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")  # of the chat k
    async with running(manager, chat.path.model, id) as turn:  # in the chat main
        assert await manager.cancel_operation(id) is True
        assert (await turn.answer).state == "cancelled"
    assert await manager.cancel_operation(id) is False


async def test_what_waits_for_a_yes_is_refused_first(
    chat: Chat, manager: SessionManager, paint: Paint
) -> None:
    chat.path.model.queue += [
        Script(tool=ToolUse("c1", "paint", '{"colour": "red"}')),
        Script(text="It waits."),
    ]
    await chat.told("Paint it.", "Shall I do that?", "It waits.")
    (meta,) = await manager.list()
    assert await manager.cancel_operation(meta.id) is True
    assert await chat.path.rows("SELECT state FROM approval") == [("denied",)]
    await chat.presses("Yes")
    await chat.told("And?", "You said")
    assert paint.painted == []
    notes = [m.text for m in await manager.get_messages(meta.id) if m.role == "note"]
    assert len(notes) == 1 and "said no" in notes[0]
    assert await manager.cancel_operation(meta.id) is False


# -- configure ------------------------------------------------------------------------------------------------


async def test_only_what_is_given_changes(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    await manager.configure(id, model=chat.path.model.ref)
    await manager.configure(id, thinking="high", auto_compact=False)
    await manager.configure(id, system_prompt="Be brief.")
    shown = await manager.show(id)
    assert (shown.session.model, shown.thinking, shown.auto_compact, shown.system_prompt) == (
        chat.path.model.ref,
        "high",
        False,
        "Be brief.",
    )
    before = await manager.get_session(id)
    assert await manager.configure(id) == before
    await manager.configure(id, thinking="default", model="default", system_prompt="", auto_compact=True)
    shown = await manager.show(id)
    assert (shown.session.model, shown.thinking, shown.auto_compact, shown.system_prompt) == (
        None,
        None,
        True,
        None,
    )


async def test_the_next_turn_is_asked_so(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    await manager.configure(id, thinking="low", system_prompt="Be brief.")
    await manager.generate(id, "b")
    prompt = chat.path.model.asked[-1]
    assert (prompt.think, "Be brief." in prompt.stable) == ("low", True)
    await manager.configure(id, model=OTHER, thinking="default")
    await manager.generate(id, "c")
    assert (await manager.show(id)).effective_model == OTHER
    assert len(chat.path.model.asked) == 2


@pytest.mark.parametrize(
    ("budget", "level"), [(0, "off"), (1, "low"), (2048, "low"), (2049, "medium"), (16384, "high")]
)
async def test_a_thinking_budget_is_the_least_level_that_has_as_much(
    manager: SessionManager, budget: int, level: str
) -> None:
    id = await said(manager, "a")
    await manager.configure(id, budget=budget)
    assert (await manager.show(id)).thinking == level


@pytest.mark.parametrize(
    "change",
    [
        {"thinking": "very"},
        {"budget": 10**9},
        {"budget": -1},
        {"budget": 1, "thinking": "low"},
        {"model": OTHER, "thinking": "high"},
        {"system_prompt": "x" * 100_001},
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    manager: SessionManager, change: dict[str, object]
) -> None:
    id = await said(manager, "a")
    before = await manager.show(id)
    with pytest.raises(Refused):
        await manager.configure(id, auto_compact=False, **change)  # type: ignore[arg-type]
    assert (await manager.show(id)).auto_compact == before.auto_compact


async def test_a_model_that_may_not_be_chosen_is_refused(tmp_path: FilePath) -> None:
    async with await SessionManager.open(f"sqlite:///{tmp_path}/other.db") as manager:
        id = await said(manager, "a")
        with pytest.raises(Refused):
            await manager.configure(id, model="nobody:knows", auto_compact=False)
        assert (await manager.show(id)).auto_compact


async def test_what_a_session_is_told_of_itself_is_for_admins(manager: SessionManager) -> None:
    id = await said(manager, "a")
    await manager.set_system_prompt(id, "The secret recipe.")
    somebody = Viewer(everything=True)
    with pytest.raises(Refused):
        await manager.set_system_prompt(id, "Be rude.", viewer=somebody)
    assert (await manager.show(id, viewer=somebody)).system_prompt is None
    for form in ("markdown", "json"):
        assert "recipe" not in await manager.export_session(id, form, viewer=somebody)  # type: ignore[arg-type]


async def test_what_the_agent_may_use_is_listed(manager: SessionManager) -> None:
    assert [tool.name for tool in manager.list_tools()] == ["paint"]


async def test_an_answer_that_nobody_waits_for_can_be_stopped_as_well(
    chat: Chat, manager: SessionManager
) -> None:
    chat.path.model.queue.append(Script(text="late", gate=asyncio.Event()))
    await chat.path.says("hello")
    while not chat.path.model.asked:
        await asyncio.sleep(0.001)
    (meta,) = await manager.list()
    assert await manager.cancel_operation(meta.id) is True
    await chat.sees("Stopped")
