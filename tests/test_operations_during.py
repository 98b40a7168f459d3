"""Every operation while a turn runs in the session: refused with a reason, or in order with it; never in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.manager.documents import parsed
from gateway.models.legal import legal
from gateway.texts import say
from gateway.types.people import OPERATOR
from storage import Store
from tests.chats import Chat, chatting
from tests.conftest import Clock
from tests.operations import running, snapshot, talked, texts

Operation = Callable[[SessionManager, str], Awaitable[object]]


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock) as found:
        yield found


@pytest.fixture
def manager(chat: Chat) -> SessionManager:
    return chat.manager


async def _saved(manager: SessionManager, id: str) -> object:
    return await manager.save(parsed(await manager.export_session(id, "json")))


REFUSED: dict[str, Operation] = {
    "rewind": lambda m, id: m.rewind(id, 0),
    "undo": lambda m, id: m.undo(id),
    "redo": lambda m, id: m.redo(id),
    "retry": lambda m, id: m.retry(id),
    "fork": lambda m, id: m.fork(id),
    "clear": lambda m, id: m.clear(id),
    "archive": lambda m, id: m.archive(id),
    "close": lambda m, id: m.close_session(id),
    "close with summary": lambda m, id: m.close_with_summary(id),
    "save": _saved,
    "compact": lambda m, id: m.compact(id),
}
# What changes nothing that the turn stands on, and whether the session says so at once.
DONE: dict[str, tuple[Operation, Callable[[SessionManager, str], Awaitable[object]]]] = {
    "rename": (lambda m, id: m.rename(id, "Other"), lambda m, id: _title(m, id, "Other")),
    "tag": (lambda m, id: m.tag(id, ["x"]), lambda m, id: _tags(m, id, ("x",))),
    "untag": (lambda m, id: m.untag(id), lambda m, id: _tags(m, id, ())),
    "unread": (lambda m, id: m.mark_read(id, False), lambda m, id: _unread(m, id)),
    "pause": (lambda m, id: m.pause_session(id), lambda m, id: _state(m, id, "paused")),
    "unarchive": (lambda m, id: m.unarchive(id), lambda m, id: _state(m, id, "open")),
    "configure": (
        lambda m, id: m.configure(id, system_prompt="Be brief."),
        lambda m, id: _told(m, id, "Be brief."),
    ),
    "child": (lambda m, id: m.create_child_session(id), lambda m, id: _children(m, id)),
    "export": (lambda m, id: m.export_session(id), lambda m, id: m.export_session(id, "json")),
    "show": (lambda m, id: m.show(id), lambda m, id: m.get_messages(id)),
}


async def _title(manager: SessionManager, id: str, title: str) -> None:
    assert (await manager.show(id)).session.title == title


async def _tags(manager: SessionManager, id: str, tags: tuple[str, ...]) -> None:
    assert (await manager.show(id)).session.tags == tags


async def _unread(manager: SessionManager, id: str) -> None:
    assert not (await manager.show(id)).session.is_read


async def _state(manager: SessionManager, id: str, state: str) -> None:
    assert (await manager.show(id)).session.state == state


async def _told(manager: SessionManager, id: str, text: str) -> None:
    assert (await manager.show(id)).system_prompt == text


async def _children(manager: SessionManager, id: str) -> None:
    assert len(await manager.get_child_sessions(id)) == 1


@pytest.mark.parametrize("name", REFUSED)
async def test_what_would_change_the_ground_a_turn_stands_on_is_refused(
    chat: Chat, manager: SessionManager, name: str
) -> None:
    id = await talked(manager, "a", "b")
    session = await chat.path.value("SELECT max(id) FROM session")
    assert isinstance(session, int)
    async with running(manager, chat.path.model, id) as turn:
        before, listed = await snapshot(chat.path, [session]), await manager.session_count()
        with pytest.raises(Refused) as refused:
            await REFUSED[name](manager, id)
        assert str(refused.value) == say("session.busy")
        assert await snapshot(chat.path, [session]) == before and await manager.session_count() == listed
        turn.go.set()
        assert (await turn.answer).text == "I have thought."
    assert (await texts(manager, id))[-2:] == ["Think.", "I have thought."]
    await manager.generate(id, "and now?")
    prompt = chat.path.model.asked[-1]
    assert list(prompt.messages) == legal(prompt.messages, opaque="")


async def test_elsewhere_nobody_goes_on_with_it_meanwhile(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    async with running(manager, chat.path.model, id):
        other = await manager.open_session("main", "elsewhere")
        sql = "SELECT conversation FROM session WHERE code = :code"
        place = await chat.path.store.read(lambda unit: unit.tx.one(sql, code=other.id))
        assert place is not None
        with pytest.raises(Refused) as refused:
            await manager.resume(place[0], id, viewer=OPERATOR)
        assert str(refused.value) == say("session.busy")


@pytest.mark.parametrize("name", DONE)
async def test_what_does_not_concern_the_turn_is_done_and_the_turn_goes_on(
    chat: Chat, manager: SessionManager, name: str
) -> None:
    id = await talked(manager, "a")
    operation, holds = DONE[name]
    async with running(manager, chat.path.model, id) as turn:
        await operation(manager, id)
        await holds(manager, id)
        turn.go.set()
        assert (await turn.answer).state == "done"
    await holds(manager, id)
    assert (await texts(manager, id))[-2:] == ["Think.", "I have thought."]


async def test_what_is_exported_meanwhile_can_be_read_in(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    async with running(manager, chat.path.model, id):
        made = await manager.import_session(parsed(await manager.export_session(id, "json")))
    assert await texts(manager, made.id) == ["a", "You said: a", "Think."]
    assert (await manager.generate(made.id, "b")).state == "done"


async def test_a_configuration_holds_from_the_next_turn_on(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    async with running(manager, chat.path.model, id):
        await manager.set_system_prompt(id, "Be brief.")
    assert "Be brief." not in chat.path.model.asked[-1].stable
    await manager.generate(id, "b")
    assert "Be brief." in chat.path.model.asked[-1].stable


async def test_cancel_and_delete_stop_the_turn(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    async with running(manager, chat.path.model, id) as turn:
        assert await manager.cancel_operation(id)
        assert (await turn.answer).state == "cancelled"
    async with running(manager, chat.path.model, id) as turn:
        await manager.delete(id)
        assert (await turn.answer).state == "cancelled"


@pytest.mark.parametrize(
    "name", [name for name in REFUSED if name not in ("retry", "redo", "save", "compact")]
)
async def test_what_is_refused_meanwhile_is_done_afterwards(
    chat: Chat, manager: SessionManager, name: str
) -> None:
    id = await talked(manager, "a", "b")
    async with running(manager, chat.path.model, id):
        with pytest.raises(Refused):
            await REFUSED[name](manager, id)
    await REFUSED[name](manager, id)
