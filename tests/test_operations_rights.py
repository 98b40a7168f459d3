"""Whose sessions are whose: what is another person's is not there, in the same words as what never was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

import storage.listing
from gateway.commands.command import viewer_of
from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.manager import Filter, SessionManager, Viewer
from gateway.types.people import OPERATOR
from gateway.types.places import Place
from storage import Store
from tests.chats import ROOM, Chat, call, chatting
from tests.conftest import Clock
from tests.path import ANN, BOB

NEVER = "ZZZZZZZZZZ"

Operation = Callable[[SessionManager, str, Viewer], Awaitable[object]]


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock) as found:
        yield found


@pytest.fixture
def manager(chat: Chat) -> SessionManager:
    return chat.manager


async def viewer(chat: Chat, user: str, *, role: str = "user", place: Place | None = None) -> Viewer:
    """What who gives a command sees, in their own chat or in *place*."""
    place = place or Place(chat_id=user)
    found = await chat.path.store.read(lambda unit: unit.places.find(chat.path.account.id, place))
    who = await chat.path.store.read(lambda unit: unit.people.identity("telegram", user))
    assert found is not None
    return viewer_of(call("sessions", identity=who, role=role, conversation=found))


async def _talk(chat: Chat) -> tuple[str, str]:
    """(Ann's session, Bob's); they are called the same and tagged the same."""
    made = []
    for user, secret in ((ANN, "narwhals"), (BOB, "bats")):
        await chat.told(f"secret {secret}", f"You said: secret {secret}", user=user)
        (meta,) = [each for each in await chat.manager.list() if each.key == user]
        await chat.manager.rename(meta.id, "Plans")
        await chat.manager.tag(meta.id, ["plan"])
        made.append(meta.id)
    return made[0], made[1]


BY_ID: dict[str, Operation] = {
    "show": lambda m, id, v: m.show(id, viewer=v),
    "get_messages": lambda m, id, v: m.get_messages(id, viewer=v),
    "last_messages": lambda m, id, v: m.last_messages(id, 5, viewer=v),
    "history": lambda m, id, v: m.history(id, viewer=v),
    "export": lambda m, id, v: m.export_session(id, viewer=v),
    "export as JSON": lambda m, id, v: m.export_session(id, "json", viewer=v),
    "rename": lambda m, id, v: m.rename(id, "x", viewer=v),
    "tag": lambda m, id, v: m.tag(id, ["x"], viewer=v),
    "untag": lambda m, id, v: m.untag(id, viewer=v),
    "mark_read": lambda m, id, v: m.mark_read(id, viewer=v),
    "archive": lambda m, id, v: m.archive(id, viewer=v),
    "unarchive": lambda m, id, v: m.unarchive(id, viewer=v),
    "pause": lambda m, id, v: m.pause_session(id, viewer=v),
    "unpause": lambda m, id, v: m.resume_session(id, viewer=v),
    "close": lambda m, id, v: m.close_session(id, viewer=v),
    "close with summary": lambda m, id, v: m.close_with_summary(id, viewer=v),
    "rewind": lambda m, id, v: m.rewind(id, 0, viewer=v),
    "undo": lambda m, id, v: m.undo(id, viewer=v),
    "redo": lambda m, id, v: m.redo(id, viewer=v),
    "retry": lambda m, id, v: m.retry(id, viewer=v),
    "retry here": lambda m, id, v: m.retry_here(1, id, identity=None, origin="x", viewer=v),
    "fork": lambda m, id, v: m.fork(id, viewer=v),
    "children": lambda m, id, v: m.get_child_sessions(id, viewer=v),
    "is child": lambda m, id, v: m.is_child_session(id, viewer=v),
    "clear": lambda m, id, v: m.clear(id, viewer=v),
    "cancel": lambda m, id, v: m.cancel_operation(id, viewer=v),
    "configure": lambda m, id, v: m.configure(id, auto_compact=False, viewer=v),
    "delete": lambda m, id, v: m.delete(id, viewer=v),
}


@pytest.mark.parametrize("name", BY_ID)
async def test_another_person_s_session_is_not_there(chat: Chat, manager: SessionManager, name: str) -> None:
    ann, _ = await _talk(chat)
    before = (
        await chat.path.rows("SELECT * FROM session ORDER BY id"),
        await chat.path.rows("SELECT * FROM entry"),
    )
    bob = await viewer(chat, BOB)
    with pytest.raises(NotFound) as foreign:
        await BY_ID[name](manager, ann, bob)
    with pytest.raises(NotFound) as never:
        await BY_ID[name](manager, NEVER, bob)
    assert str(foreign.value).replace(ann, NEVER) == str(never.value)
    assert before == (
        await chat.path.rows("SELECT * FROM session ORDER BY id"),
        await chat.path.rows("SELECT * FROM entry"),
    )
    if name not in ("redo", "delete"):  # there is nothing to bring back; the last is tried elsewhere
        await BY_ID[name](manager, ann, await viewer(chat, ANN))


async def test_it_is_neither_listed_nor_found_nor_gone_back_to(chat: Chat, manager: SessionManager) -> None:
    ann, own = await _talk(chat)
    bob = await viewer(chat, BOB)
    for filter in (None, Filter(tag="plan"), Filter(channel="telegram"), Filter(state="open")):
        assert [meta.id for meta in await manager.list(filter, viewer=bob)] == [own]
        assert await manager.session_count(filter or Filter(), viewer=bob) == 1
    person = await manager.person_of(f"telegram:{ANN}")
    assert await manager.list(Filter(person=person), viewer=bob) == []
    assert [match.session.id for match in await manager.search("secret", viewer=bob)] == [own]
    assert await manager.search("narwhals", viewer=bob) == []
    assert await manager.get_session(ann, viewer=bob) is None
    place = bob.conversation
    assert place is not None
    for id in (ann, ann[:4], NEVER):
        with pytest.raises(Refused) as refused:
            await manager.resume(place, id, viewer=bob)
        with pytest.raises(Refused) as unfound:
            await manager.find(id, viewer=bob)
        assert str(refused.value) == str(unfound.value)


async def test_words_that_are_nearly_everywhere_show_no_more(
    chat: Chat, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, own = await _talk(chat)
    monkeypatch.setattr(storage.listing, "MOST_HITS", 1)
    assert [m.session.id for m in await manager.search("secret", viewer=await viewer(chat, BOB))] == [own]


async def test_in_a_group_one_sees_what_is_of_that_group_and_nobody_s_own(
    chat: Chat, manager: SessionManager
) -> None:
    ann, _ = await _talk(chat)
    await chat.group("hello all", "hello all")
    (room,) = [each.id for each in await manager.list() if each.key == ROOM.chat_id]
    for user in (ANN, BOB):
        here = await viewer(chat, user, place=ROOM)
        assert [meta.id for meta in await manager.list(viewer=here)] == [room]
        assert await manager.search("narwhals", viewer=here) == []
    alone = [meta.id for meta in await manager.list(viewer=await viewer(chat, ANN))]
    assert alone == [ann]  # a group's sessions are seen in that group


async def test_an_admin_sees_groups_and_nobody_s_own(chat: Chat, manager: SessionManager) -> None:
    ann, own = await _talk(chat)
    await chat.group("hello all", "hello all")
    (room,) = [each.id for each in await manager.list() if each.key == ROOM.chat_id]
    admin = await viewer(chat, BOB, role="admin")
    assert {meta.id for meta in await manager.list(viewer=admin)} == {room, own}
    with pytest.raises(NotFound):
        await manager.show(ann, viewer=admin)


async def test_two_people_linked_are_one_and_see_both(chat: Chat, manager: SessionManager) -> None:
    ann, bob = await _talk(chat)

    async def link(unit: object) -> None:
        people = unit.people  # type: ignore[attr-defined]
        one, other = await people.identity("telegram", ANN), await people.identity("telegram", BOB)
        await people.join(other, one.person, let_in=False)

    await chat.path.store.commit(Point.PEOPLE, link)
    seen = {meta.id for meta in await manager.list(viewer=await viewer(chat, ANN))}
    assert seen == {ann, bob}


async def test_a_group_that_becomes_another_keeps_its_sessions_to_itself(
    chat: Chat, manager: SessionManager
) -> None:
    await _talk(chat)
    await chat.group("hello all", "hello all")
    (room,) = [each.id for each in await manager.list() if each.key == ROOM.chat_id]
    other = Place(chat_id="-100777", kind="group")
    await chat.path.store.commit(
        Point.PEOPLE,
        lambda unit: unit.places.at(chat.path.account, other),
    )
    elsewhere = await viewer(chat, BOB, place=other)
    assert await manager.list(viewer=elsewhere) == []
    with pytest.raises(NotFound):
        await manager.show(room, viewer=elsewhere)


async def test_a_session_that_was_taken_elsewhere_is_seen_where_it_is(
    chat: Chat, manager: SessionManager
) -> None:
    ann, _ = await _talk(chat)
    bob = await viewer(chat, BOB)
    assert bob.conversation is not None
    await manager.resume(bob.conversation, ann, viewer=OPERATOR)  # an operator hands it over
    assert (await manager.show(ann, viewer=bob)).session.id == ann


def test_who_sits_at_the_machine_sees_everything() -> None:
    place = call("x").conversation
    local = viewer_of(
        call("sessions", role="owner", conversation=replace(place, channel="main", kind="client"))
    )
    assert local.everything and local.admin
    user = viewer_of(
        call("sessions", role="user", conversation=replace(place, channel="main", kind="client"))
    )
    assert not user.everything and not user.admin and not user.groups
