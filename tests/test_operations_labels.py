"""What is written on a session: title, tags, read or not, paused, in the archive."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.errors import NotFound, Refused
from gateway.manager import Generated, SessionManager
from gateway.manager.labels import LONGEST_TAG, MOST_TAGS
from gateway.texts import say
from storage import Store
from tests.chats import Chat, chatting
from tests.conftest import Clock
from tests.operations import said, talked


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock) as found:
        yield found


@pytest.fixture
def manager(chat: Chat) -> SessionManager:
    return chat.manager


# -- title ----------------------------------------------------------------------------------------------------


async def test_a_title_is_replaced_by_one_line_and_never_by_nothing(manager: SessionManager) -> None:
    id = await said(manager, "hello")
    assert (await manager.rename(id, "  All\nabout \u202e whales ")).title == "All about whales"
    assert len((await manager.rename(id, "w" * 500)).title or "") == 60
    for nothing in ("", " \n ", "\u200b"):
        with pytest.raises(Refused):
            await manager.rename(id, nothing)
    await manager.set_title_if_empty(id, "another")
    meta = await manager.get_session(id)
    assert meta is not None and meta.title is not None and meta.title.startswith("www")
    with pytest.raises(NotFound):
        await manager.rename("NOSUCHONE1", "x")


# -- tags -----------------------------------------------------------------------------------------------------


async def test_tags_are_added_once_in_their_order_and_taken_off(manager: SessionManager) -> None:
    id = await said(manager, "a")
    assert (await manager.tag(id, ["#Sea", "work"])).tags == ("sea", "work")
    assert (await manager.tag(id, ["work", "zoo", "SEA"])).tags == ("sea", "work", "zoo")
    assert (await manager.untag(id, ["work", "never there"[:5]])).tags == ("sea", "zoo")
    assert (await manager.untag(id)).tags == ()


@pytest.mark.parametrize("tag", ["", "#", "two words", "a" * (LONGEST_TAG + 1), "a\nb", "a\u202eb", "a,b"])
async def test_what_is_no_tag_is_refused_and_nothing_is_tagged(manager: SessionManager, tag: str) -> None:
    id = await said(manager, "a")
    with pytest.raises(Refused):
        await manager.tag(id, ["fine", tag])
    meta = await manager.get_session(id)
    assert meta is not None and meta.tags == ()


async def test_a_session_has_so_many_tags_at_most(manager: SessionManager) -> None:
    id = await said(manager, "a")
    await manager.tag(id, [str(n) for n in range(MOST_TAGS)])
    with pytest.raises(Refused):
        await manager.tag(id, ["one-more"])
    assert len((await manager.tag(id, ["0"])).tags) == MOST_TAGS


# -- read or not ----------------------------------------------------------------------------------------------


async def test_read_and_unread(manager: SessionManager) -> None:
    id = await said(manager, "a")
    assert not (await manager.mark_read(id, False)).is_read
    assert (await manager.mark_read(id)).is_read
    with pytest.raises(NotFound):
        await manager.mark_read("NOSUCHONE1")


# -- paused ---------------------------------------------------------------------------------------------------


async def test_a_paused_session_takes_no_turn_until_it_goes_on(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    assert await manager.pause_session(id) is True and await manager.pause_session(id) is False
    refused = await manager.generate(id, "b")
    assert (refused.state, refused.text) == ("refused", say("session.paused"))
    assert len(chat.path.model.asked) == 1 and refused.usage.requests == 0
    assert await manager.resume_session(id) is True and await manager.resume_session(id) is False
    assert (await manager.generate(id, "c")).state == "done"


async def test_in_a_chat_a_pause_is_told_and_outlasts_the_gap(
    chat: Chat, manager: SessionManager, clock: Clock
) -> None:
    await chat.told("hello", "You said: hello")
    (meta,) = await manager.list()
    await manager.pause_session(meta.id)
    clock.forward(minutes=10_000)
    assert await chat.told("more", "paused") == say("session.paused")
    await manager.resume_session(meta.id)
    await chat.told("again", "You said: again")
    assert [each.id for each in await manager.list()] == [meta.id]


async def test_a_pause_outlives_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('pause')}/p.db"
    async with await SessionManager.open(url) as manager:
        id = await manager.create_session("main", "k")
        await manager.pause_session(id)
    async with await SessionManager.open(url) as manager:
        assert isinstance(answer := await manager.generate(id, "hello"), Generated)
        assert answer.state == "refused" and await manager.pause_session(id) is False


# -- archive --------------------------------------------------------------------------------------------------


async def test_what_is_archived_can_be_read_and_is_not_gone_on_with(
    chat: Chat, manager: SessionManager
) -> None:
    await chat.told("hello", "You said: hello")
    (meta,) = await manager.list()
    archived = await manager.archive(meta.id)
    assert archived.state == "archived" and archived.is_closed and archived.archived_at is not None
    assert len(await manager.get_messages(meta.id)) == 2
    refused = await manager.generate(meta.id, "go on")
    assert (refused.state, refused.text) == ("refused", say("session.gone"))
    with pytest.raises(Refused):
        await manager.resume(1, meta.id)
    await chat.told("news", "You said: news")
    (fresh,) = await manager.list()
    assert fresh.id != meta.id
    back = await manager.unarchive(meta.id)
    assert back.state == "closed" and back.archived_at is None
    assert (await manager.generate(meta.id, "go on")).state == "done"


async def test_going_back_to_one_that_was_closed_opens_it_again(chat: Chat, manager: SessionManager) -> None:
    await chat.told("hello", "You said: hello")
    (first,) = await manager.list()
    await manager.close_session(first.id)
    await chat.told("news", "You said: news")
    place = await chat.path.value("SELECT id FROM conversation WHERE current_session IS NOT NULL")
    assert isinstance(place, int)
    resumed = await manager.resume(place, first.id)
    assert resumed.session.id == first.id and resumed.session.state == "open"
    await chat.told("more", "You said: more")
    assert (await manager.get_messages(first.id))[-2].text == "more"
    assert (await manager.resume(place, first.id)).already
