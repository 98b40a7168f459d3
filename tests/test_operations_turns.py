"""Turns taken back, brought back, asked again; sessions gone on with in a copy; sessions that work for others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.errors import NotFound, Refused
from gateway.manager import SessionManager
from gateway.protocols.messages import UserMessage
from gateway.transcript import ToolUse
from gateway.types.people import Viewer
from storage import Store
from tests.chats import Chat, chatting
from tests.conftest import Clock
from tests.fakes.model import Script
from tests.operations import said, talked, texts
from tests.path import ANN
from tests.test_operations_finding import Look


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock, tools={"look": Look()}) as found:
        yield found


@pytest.fixture
def manager(chat: Chat) -> SessionManager:
    return chat.manager


def prompted(chat: Chat) -> list[str]:
    """What people had said in the latest prompt."""
    return [
        text for m in chat.path.model.asked[-1].messages if isinstance(m, UserMessage) for text in m.texts
    ]


# -- rewind, undo, redo ---------------------------------------------------------------------------------------


async def test_turns_below_the_index_stay(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a", "b", "c")
    back = await manager.rewind(id, 1)
    assert (back.turns, back.left, back.tools) == (2, 1, False)
    assert await texts(manager, id) == ["a", "You said: a"]
    await manager.generate(id, "d")
    assert prompted(chat) == ["a", "d"]


async def test_all_can_be_taken_back_and_nothing_can_be(manager: SessionManager) -> None:
    id = await talked(manager, "a", "b")
    assert (await manager.rewind(id, 2)).turns == 0 and len(await texts(manager, id)) == 4
    assert (await manager.rewind(id, 0)).left == 0 and await texts(manager, id) == []


@pytest.mark.parametrize("n", [3, -1, 1_000_000])
async def test_an_index_out_of_range_is_refused_and_changes_nothing(manager: SessionManager, n: int) -> None:
    id = await talked(manager, "a", "b")
    with pytest.raises(Refused, match="2 stand"):
        await manager.rewind(id, n)
    with pytest.raises(Refused):
        await manager.fork(id, n)
    assert len(await texts(manager, id)) == 4 and len(await manager.list()) == 1
    assert not (await manager.show(id)).can_redo


async def test_undo_takes_back_one_after_the_other_and_redo_brings_them_back(manager: SessionManager) -> None:
    id = await talked(manager, "a", "b")
    whole = await manager.get_messages(id)
    assert (await manager.undo(id)).left == 1 and (await manager.undo(id)).left == 0
    with pytest.raises(Refused):
        await manager.undo(id)
    first = await manager.redo(id)
    assert (first.turns, first.left) == (1, 1)
    assert (await manager.redo(id)).left == 2
    assert await manager.get_messages(id) == whole
    with pytest.raises(Refused):
        await manager.redo(id)


async def test_messages_are_those_that_stand(manager: SessionManager) -> None:
    id = await talked(manager, "a", "b", "c")

    async def count() -> int:
        return (await manager.show(id)).session.message_count

    assert await count() == 3
    assert (await manager.rewind(id, 1)).session.message_count == await count() == 1
    assert (await manager.redo(id)).session.message_count == await count() == 3
    await manager.retry(id)
    assert await count() == 3
    await manager.undo(id)
    copy = await manager.import_session(await manager.export_json(id))
    assert copy.message_count == await count() == 2


async def test_what_was_said_since_ends_the_way_back(manager: SessionManager) -> None:
    id = await talked(manager, "a", "b")
    await manager.undo(id)
    await manager.generate(id, "c")
    with pytest.raises(Refused):
        await manager.redo(id)


async def test_the_bill_knows_nothing_of_it(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a", "b")
    before = await manager.session_usage(id)
    rows = await chat.path.rows("SELECT * FROM usage ORDER BY id")
    await manager.rewind(id, 0)
    await manager.redo(id)
    await manager.undo(id)
    await manager.clear(id)
    assert await manager.session_usage(id) == before and before.requests == 2
    assert await chat.path.rows("SELECT * FROM usage ORDER BY id") == rows


async def test_that_tools_were_used_is_said(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    chat.path.model.queue.append(Script(tool=ToolUse("c1", "look", "{}")))
    await manager.generate(id, "look")
    assert (await manager.undo(id)).tools and not (await manager.undo(id)).tools


async def test_what_the_model_was_made_to_forget_cannot_be_taken_back(manager: SessionManager) -> None:
    id = await talked(manager, "a", "b")
    await manager.clear(id)
    with pytest.raises(Refused):
        await manager.undo(id)


async def test_going_back_behind_a_compaction_takes_its_notes_back_too(
    chat: Chat, manager: SessionManager
) -> None:
    id = await talked(manager, "a", "b", "c")
    before = await manager.history(id)
    chat.path.model.queue.append(Script(text="Notes of a, b and c."))
    await manager.compact(id)
    shortened = await manager.history(id)
    assert [m.role for m in shortened] == ["summary", "user", "assistant"]
    await manager.undo(id)
    assert await manager.history(id) == shortened[:1]
    await manager.redo(id)
    await manager.rewind(id, 1)
    assert await manager.history(id) == before[:2]
    await manager.redo(id)
    assert await manager.history(id) == shortened
    await manager.rewind(id, 1)
    await manager.generate(id, "d")
    assert prompted(chat) == ["a", "d"]


async def test_taking_back_survives_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('rewind')}/p.db"
    async with await SessionManager.open(url) as manager:
        id = await said(manager, "a", "b")
        whole = await texts(manager, id)
        await manager.undo(id)
    async with await SessionManager.open(url) as manager:
        assert await texts(manager, id) == whole[:2]
        await manager.redo(id)
        assert await texts(manager, id) == whole


# -- retry ----------------------------------------------------------------------------------------------------


async def test_the_last_message_is_asked_again_and_both_answers_are_billed(
    chat: Chat, manager: SessionManager
) -> None:
    id = await talked(manager, "a", "b")
    chat.path.model.queue.append(Script(text="another answer"))
    again = await manager.retry(id)
    assert (again.state, again.text, again.session_id) == ("done", "another answer", id)
    assert prompted(chat) == ["a", "b"]
    assert await texts(manager, id) == ["a", "You said: a", "b", "another answer"]
    assert (await manager.session_usage(id)).requests == 3


async def test_where_nothing_was_asked_nothing_is_asked_again(chat: Chat, manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    with pytest.raises(Refused):
        await manager.retry(id)
    id = await talked(manager, "a")
    await manager.pause_session(id)
    with pytest.raises(Refused):
        await manager.retry(id)
    assert len(await texts(manager, id)) == 2 and len(chat.path.model.asked) == 1


async def test_in_a_chat_it_is_answered_there_and_once_for_each_time_it_was_asked(
    chat: Chat, manager: SessionManager
) -> None:
    await chat.told("hello", "You said: hello")
    (meta,) = await manager.list()
    place = await chat.path.value("SELECT id FROM conversation WHERE current_session IS NOT NULL")
    assert isinstance(place, int)
    who = await chat.path.store.read(lambda unit: unit.people.identity("telegram", ANN))
    chat.path.model.queue.append(Script(text="once more"))
    viewer = Viewer(conversation=place)
    done = await manager.retry_here(place, meta.id, identity=who, origin="r1", viewer=viewer)
    assert (done.turns, done.left) == (1, 0)
    await chat.sees("once more")
    assert await texts(manager, meta.id) == ["hello", "once more"]
    with pytest.raises(Refused):  # the same press, once more
        await manager.retry_here(place, meta.id, identity=who, origin="r1", viewer=viewer)
    assert await texts(manager, meta.id) == ["hello", "once more"]


# -- fork -----------------------------------------------------------------------------------------------------


async def test_a_copy_goes_on_by_itself_and_the_original_is_as_it_was(
    chat: Chat, manager: SessionManager
) -> None:
    id = await talked(manager, "a", "b")
    await manager.tag(id, ["x", "y"])
    await manager.configure(id, auto_compact=False, system_prompt="Be brief.")
    await manager.rename(id, "Talk")
    before = await manager.get_messages(id)
    fork = await manager.fork(id)
    assert (fork.title, fork.tags, fork.origin) == ("Talk (fork)", ("x", "y"), "fork")
    assert [m.text for m in await manager.get_messages(fork.id)] == [m.text for m in before]
    shown = await manager.show(fork.id)
    assert (shown.parent, shown.usage.requests, shown.usage.cost, shown.turns) == (id, 0, 0, 2)
    assert shown.auto_compact is False and shown.system_prompt == "Be brief."
    await manager.generate(fork.id, "c")
    assert prompted(chat) == ["a", "b", "c"] and (await manager.session_usage(fork.id)).requests == 1
    assert await manager.get_messages(id) == before and (await manager.session_usage(id)).requests == 2
    await manager.undo(fork.id)
    await manager.undo(fork.id)
    assert await texts(manager, fork.id) == ["a", "You said: a"] and len(await texts(manager, id)) == 4


async def test_a_copy_is_made_at_a_turn_and_under_a_name(manager: SessionManager) -> None:
    id = await talked(manager, "a", "b", "c")
    fork = await manager.fork(id, 1, "  from\nthe first ")
    assert fork.title == "from the first" and await texts(manager, fork.id) == ["a", "You said: a"]
    assert await texts(manager, (await manager.fork(id, 0)).id) == []
    assert (await manager.fork(await manager.create_session("main", "n"))).title is None


async def test_what_was_taken_back_is_not_copied(manager: SessionManager) -> None:
    id = await talked(manager, "a", "b")
    await manager.undo(id)
    fork = await manager.fork(id)
    assert (
        await texts(manager, fork.id) == ["a", "You said: a"] and not (await manager.show(fork.id)).can_redo
    )


async def test_a_copy_of_a_copy_is_a_copy(manager: SessionManager) -> None:
    id = await talked(manager, "a")
    fork = await manager.fork((await manager.fork(id)).id)
    assert await texts(manager, fork.id) == await texts(manager, id)


# -- children -------------------------------------------------------------------------------------------------


async def test_a_child_works_for_its_parent_and_ends_with_it(manager: SessionManager) -> None:
    id = await talked(manager, "a")
    await manager.configure(id, system_prompt="Be brief.")
    child = await manager.create_child_session(id, "looks something up")
    below = await manager.create_child_session(child)
    assert [meta.id for meta in await manager.get_child_sessions(id)] == [child]
    assert await manager.is_child_session(child) and not await manager.is_child_session(id)
    assert not await manager.is_child_session((await manager.fork(id)).id)
    shown = await manager.show(child)
    assert (shown.parent, shown.system_prompt, shown.session.title) == (id, "Be brief.", "looks something up")
    await manager.close_session(id)
    for each in (child, below):
        meta = await manager.get_session(each)
        assert meta is not None and (meta.is_closed, meta.close_reason) == (True, "parent")
    with pytest.raises(Refused, match="none can work for it"):
        await manager.create_child_session(id)
    with pytest.raises(NotFound):
        await manager.create_child_session("NOSUCHONE1")
