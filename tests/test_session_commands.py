"""Operations on sessions as people give them in a chat: through the dispatcher, over a real store."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.errors import DeliveryError
from gateway.hub import Seen
from gateway.manager import Generated
from gateway.types.sessions import Filter
from storage import Store
from tests.chats import GROUP, Chat, chatting
from tests.conftest import Clock
from tests.path import ANN, BOB

CODE = re.compile(r"`([0-9A-HJKMNP-TV-Z]{10})`")


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock) as found:
        yield found


async def code_here(chat: Chat) -> str:
    found = CODE.search(await chat.told("/session", "model:"))
    assert found is not None
    return found[1]


async def sent_file(chat: Chat) -> tuple[str, str]:
    """Name and content of the file that came last."""
    files = chat.path.channel.sent_files
    async with asyncio.timeout(5):
        while not files:
            await asyncio.sleep(0.005)
    name, content = files[max(files, key=int)]
    return name, content.decode()


async def test_a_session_is_found_by_a_word_by_a_tag_and_by_what_it_is(chat: Chat) -> None:
    await chat.told("about whales", "You said: about whales")
    await chat.told("/tag Sea, biology", "#sea")
    await chat.told("/new", "Closed")
    await chat.told("about trains", "You said: about trains")
    assert "whales" in await chat.told("/search whale*", "about whales")
    assert "whales" in await chat.told("/search #SEA about", "about whales")
    assert "about whales" in await chat.told("/search #sea", "#biology")
    await chat.told("/search trains #sea", "No session has that in it")
    assert "trains" not in await chat.told("/sessions #sea", "#sea")
    text = await chat.told("/sessions open", "trains")
    assert "whales" not in text
    await chat.told("/sessions paused", "no such session")
    await chat.told("/search nowhere", "No session has that in it")
    await chat.told("/sessions nonsense", "cannot make sense")


async def test_a_title_and_tags_are_set_shown_and_taken_off(chat: Chat) -> None:
    await chat.told("hello", "You said: hello")
    await chat.told("/title A *better* name", "A \\*better\\* name")
    await chat.told("/title", "better")
    await chat.told("/tag one two", "#one #two")
    await chat.told("/untag one", "Tags: #two")
    await chat.told("/untag", "no tags")
    await chat.told("/tag no/good!", "is no tag")


async def test_turns_are_taken_back_brought_back_and_asked_again(chat: Chat) -> None:
    for each in ("one", "two", "three"):
        await chat.told(each, f"You said: {each}")
    await chat.told("/undo", "1 turn is taken back. 2 stand.")
    await chat.presses("Bring back")
    await chat.sees("1 turn is back. 3 stand.")
    await chat.told("/rewind 1", "2 turns are taken back. 1 stands.")
    await chat.told("/rewind 9", "no turn 9")
    await chat.told("/redo", "2 turns are back. 3 stand.")
    await chat.told("/rewind", "cannot make sense")
    asked = len(chat.path.model.asked)
    await chat.told("/retry", "I ask again", "You said: three")
    assert len(chat.path.model.asked) == asked + 1
    assert "three" in str(chat.path.model.asked[-1].messages[-1])


async def test_in_the_terminal_a_retry_gives_the_new_answer(chat: Chat) -> None:
    assert await chat.local("one") == "You said: one"
    *before, answer = [event async for event in chat.manager.say("/retry")]
    notices = [each.text for each in before if isinstance(each, Seen) and each.kind == "notice"]
    assert notices == ["The last answer is taken back; I ask again."]
    assert isinstance(answer, Generated) and answer.text == "You said: one"
    assert len(chat.path.model.asked) == 2


async def test_a_fork_goes_on_in_a_copy_and_the_way_back_is_a_button(chat: Chat) -> None:
    await chat.told("one", "You said: one")
    await chat.told("two", "You said: two")
    parent = await code_here(chat)
    text = await chat.told("/fork 1 Another way", "Another way")
    assert parent in text
    details = await chat.told("/session", "comes from")
    assert parent in details and "1 turn" in details and "$0" in details
    await chat.presses("Go back")
    await chat.sees("Back in")
    assert await code_here(chat) == parent


async def test_in_a_group_a_fork_gets_a_thread_of_its_own_and_the_group_goes_on_as_it_was(chat: Chat) -> None:
    chat.path.channel.can = replace(chat.path.channel.can, thread=True)
    await chat.group("one", "You said")
    await chat.group("/fork Aside", "goes on in a thread of its own")
    found = await chat.manager.list(Filter())
    (copy,) = [each for each in found if each.title == "Aside"]
    places = dict(
        await chat.path.rows("SELECT current_session, thread_id FROM conversation WHERE chat_id = '-500'")
    )
    codes = dict(await chat.path.rows("SELECT code, id FROM session"))
    assert places[codes[copy.id]] and places.keys() >= set(codes.values())
    await chat.sees("Aside goes on from the session", user=GROUP)


async def test_where_no_thread_can_be_opened_a_fork_goes_on_here(chat: Chat) -> None:
    chat.path.channel.can = replace(chat.path.channel.can, thread=True)
    chat.path.channel.fail["open_thread"] = [DeliveryError("the chat is not a forum", kind="refused")]
    await chat.group("one", "You said")
    await chat.group("/fork Aside", "This chat goes on in")


async def test_a_closed_session_has_a_summary_and_an_archived_one_is_out_of_the_list(chat: Chat) -> None:
    await chat.told("about whales", "You said: about whales")
    code = await code_here(chat)
    assert "begun" in await chat.told("/session", "open")
    text = await chat.told("/close They are\nvery *large*.", "is closed")
    assert text.endswith("\n\n> They are\n> very \\*large\\*.")
    assert "begun" not in await chat.told(f"/session {code}", "closed, lasted")
    await chat.told(f"/archive {code}", "in the archive")
    await chat.told("/sessions", "no session here yet")
    await chat.told("/sessions archived", "(archived)")
    await chat.told("/unarchive", "Give the code")
    await chat.told(f"/unarchive {code[:4]}", "out of the archive")
    await chat.told(f"/resume {code}", "Back in")


async def test_a_paused_session_turns_messages_away_until_it_goes_on(chat: Chat) -> None:
    await chat.told("hello", "You said: hello")
    await chat.told("/pause", "Paused")
    await chat.told("are you there?", "is paused")
    await chat.told("/pause", "paused already")
    await chat.presses("Go on")
    await chat.sees("This session goes on.")
    await chat.told("/unpause", "was not paused")
    await chat.told("and now?", "You said: and now?")


async def test_unread_is_a_mark_that_the_list_can_ask_for(chat: Chat) -> None:
    await chat.told("hello", "You said: hello")
    await chat.told("/unread", "marked as unread")
    assert "(unread)" in await chat.told("/sessions unread", "(unread)")


async def test_what_was_said_is_shown_and_written_out(chat: Chat) -> None:
    await chat.told("tell me of whales", "You said: tell me of whales")
    text = await chat.told("/history 2", "**Person:**")
    assert "tell me of whales" in text and "**Agent:** You said: tell me of whales" in text
    await chat.told("/history 99", "At most 50")
    await chat.told("/export md", "tell me of whales", "")
    await chat.told("/export json", "tell me of whales", "")
    name, content = await sent_file(chat)
    assert name.endswith(".json") and json.loads(content)["parley"] == "session"


async def test_deleting_asks_first_and_the_bill_stays(chat: Chat) -> None:
    await chat.told("a secret", "You said: a secret")
    before = (await chat.manager.cost_overview()).total
    await chat.told("/delete", "for good?")
    assert len(await chat.manager.list(Filter())) == 1
    await chat.presses("Delete for good")
    await chat.sees("is deleted: 2 messages")
    assert await chat.manager.list(Filter()) == []
    assert (await chat.manager.cost_overview()).total == before
    await chat.told("/search secret", "No session has that in it")
    await chat.told("another", "You said: another")


async def test_somebody_else_finds_nothing_of_it(chat: Chat) -> None:
    await chat.told("a secret of whales", "You said: a secret of whales")
    code = await code_here(chat)
    await chat.told("hello", "You said: hello", user=BOB)
    for line in (f"/session {code}", f"/history {code}", f"/export {code}", f"/archive {code}", f"/delete {code} yes",
                 f"/unread {code}", f"/unarchive {code}", f"/resume {code}"):  # fmt: skip
        await chat.told(line, "There is no such session here", user=BOB)
        chat.path.channel.messages[BOB].clear()
    await chat.told("/search whales", "No session has that in it", user=BOB)
    assert "secret" not in await chat.told("/sessions all", "hello", user=BOB)


async def test_in_a_group_only_its_administrators_take_turns_back(chat: Chat) -> None:
    await chat.group("one", "You said")
    for line in ("/undo", "/rewind 0", "/delete yes", "/archive", "/pause"):
        await chat.group(line, "for its administrators")


async def test_the_model_is_told_something_of_its_own_by_admins_only(chat: Chat) -> None:
    await chat.told("one", "You said: one")
    await chat.told("/system You rhyme.", "is for admins")
    await chat.allow(ANN, "admin")
    await chat.told("/system You rhyme.", "Set, for this session")
    await chat.told("/system", "You rhyme.")
    await chat.told("two", "You said: two")
    assert "You rhyme." in str(chat.path.model.asked[-1])
    await chat.told("/system default", "told everywhere")


async def test_somebody_gets_all_there_is_of_them_and_has_it_erased(chat: Chat) -> None:
    await chat.told("a secret", "You said: a secret")
    await chat.told("/data", "/data export")
    await chat.told("/data export", "everything that is kept of you", "")
    assert "a secret" in (await sent_file(chat))[1]
    await chat.told("/data erase", "for good?")
    await chat.presses("Delete everything")
    await chat.sees("Deleted: 1 sessions")
    assert await chat.manager.list(Filter()) == []
    assert "secret" not in str(await chat.path.rows("SELECT * FROM outbox"))
    assert not await chat.path.rows(f"SELECT 1 FROM conversation WHERE chat_id = '{ANN}'")
