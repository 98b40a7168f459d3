"""Sessions found: in order, by what they are, by the words that were said; and all there is to know of one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.manager import Filter, SessionManager
from gateway.protocols.tool import ToolContext, ToolSpec
from gateway.session_views import SNIPPET, snippet
from gateway.transcript import ToolUse
from gateway.types.json import Json
from gateway.words import searched
from storage import Store
from tests.chats import Chat, chatting
from tests.conftest import Clock
from tests.fakes.model import Script
from tests.operations import running, said, talked
from tests.path import ANN, BOB


class Look:
    spec = ToolSpec(name="look", description="Looks.", parameters={"type": "object", "properties": {}})

    async def call(self, args: Json, context: ToolContext) -> str:
        return "seen"


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock, tools={"look": Look()}) as found:
        yield found


@pytest.fixture
def manager(chat: Chat) -> SessionManager:
    return chat.manager


async def ids(manager: SessionManager, filter: Filter | None = None, **more: int) -> list[str]:
    return [meta.id for meta in await manager.list(filter, **more)]


async def found(manager: SessionManager, text: str, filter: Filter | None = None) -> list[str]:
    return [match.session.id for match in await manager.search(text, filter)]


# -- list -----------------------------------------------------------------------------------------------------


async def test_the_newest_activity_comes_first(manager: SessionManager, clock: Clock) -> None:
    first, second, third = [await said(manager, key=key) for key in "abc"]
    clock.forward(minutes=1)
    await manager.touch_session(first)
    assert await ids(manager) == [first, third, second]
    assert await ids(manager, limit=1, skip=1) == [third]


async def test_each_filter_leaves_out_what_it_does_not_mean(manager: SessionManager, clock: Clock) -> None:
    tagged, unread, paused, closed, job, elsewhere, plain = [
        await said(manager, key=key) for key in ("t", "u", "p", "c", "j", "e", "n")
    ]
    await manager.tag(tagged, ["Sea"])
    await manager.mark_read(unread, False)
    await manager.pause_session(paused)
    await manager.close_session(closed)
    job = await manager.create_session_full("main", "nightly", triggered_by="backup")
    elsewhere = await manager.create_session("telegram", "77")
    assert await ids(manager, Filter(tag="sea")) == [tagged]
    assert await ids(manager, Filter(unread=True)) == [unread]
    assert unread not in await ids(manager, Filter(unread=False))
    assert await ids(manager, Filter(state="paused")) == [paused]
    assert await ids(manager, Filter(state="closed")) == [closed]
    assert closed not in await ids(manager, Filter(state="open"))
    assert await ids(manager, Filter(trigger="backup")) == await ids(manager, Filter(trigger="")) == [job]
    assert await ids(manager, Filter(trigger="other")) == []
    assert await ids(manager, Filter(channel="telegram")) == [elsewhere]
    assert plain in await ids(manager) and await manager.session_count(Filter(tag="sea")) == 1


async def test_archived_ones_are_listed_only_when_they_are_asked_for(manager: SessionManager) -> None:
    away, here = await said(manager, key="a"), await said(manager, key="b")
    await manager.archive(away)
    assert await ids(manager) == [here] and await ids(manager, Filter(state="archived")) == [away]
    assert (await manager.session_count(), await manager.session_count(Filter())) == (2, 1)
    assert {meta.id for meta in await manager.get_all_sessions()} == {away, here}


async def test_a_person_s_own_are_found_by_their_address(chat: Chat, manager: SessionManager) -> None:
    await chat.told("hello", "You said: hello")
    await chat.told("hi", "You said: hi", user=BOB)
    (ann,) = await ids(manager, Filter(person=await manager.person_of(f"telegram:{ANN}")))
    (bob,) = await ids(manager, Filter(person=await manager.person_of(f"telegram:{BOB}")))
    assert ann != bob and (await manager.get_messages(bob))[0].text == "hi"
    with pytest.raises(NotFound):
        await manager.person_of("telegram:999")
    with pytest.raises(Refused):
        await manager.person_of("nonsense")


# -- search ---------------------------------------------------------------------------------------------------


async def test_words_are_found_in_messages_and_titles_whatever_their_case_and_accents(
    manager: SessionManager,
) -> None:
    whales = await said(manager, "Where do WHALES sing?", key="a")
    cafe = await said(manager, "A café in Málaga", key="b")
    await manager.rename(cafe, "Rechnungen")
    assert await found(manager, "whales") == await found(manager, "Whales sing") == [whales]
    assert await found(manager, "malaga CAFE") == [cafe]
    assert await found(manager, "rechnung*") == await found(manager, "rechnungen") == [cafe]
    assert await found(manager, "rechnung") == await found(manager, "re*") == []
    assert await found(manager, '"do whales"') == [whales] and await found(manager, '"whales do"') == []
    assert await found(manager, "whales malaga") == []


async def test_a_match_says_where_it_was_found(manager: SessionManager) -> None:
    id = await said(manager, "first", "a word about herons and more", key="a")
    (match,) = await manager.search("herons")
    assert (match.session.id, match.seq) == (id, 3)  # the last that has it: the answer repeats it
    assert "herons" in match.snippet
    await manager.rename(id, "Kingfishers")
    (match,) = await manager.search("kingfishers")
    assert (match.seq, match.snippet) == (None, "Kingfishers")


async def test_a_new_title_is_found_and_the_old_one_no_more(manager: SessionManager) -> None:
    id = await manager.create_session("main", "a")
    await manager.rename(id, "alpha")
    await manager.rename(id, "beta")
    assert await found(manager, "alpha") == [] and await found(manager, "beta") == [id]


async def test_the_newest_activity_is_found_first_and_filters_count(
    manager: SessionManager, clock: Clock
) -> None:
    first, second = await said(manager, "oak", key="a"), await said(manager, "oak", key="b")
    clock.forward(minutes=1)
    await manager.touch_session(first)
    assert await found(manager, "oak") == [first, second]
    await manager.tag(second, ["tree"])
    assert await found(manager, "oak", Filter(tag="tree")) == [second]
    await manager.archive(first)
    assert await found(manager, "oak") == [second]


@pytest.mark.parametrize(
    "text", ['"', "oak AND", "NEAR(a b)", "text:oak", "a*b", "-oak", "(", "oak OR x", "^oak"]
)
async def test_whatever_is_typed_is_words_and_no_operator(manager: SessionManager, text: str) -> None:
    await said(manager, "nothing of that", key="a")
    if searched(text).terms:
        assert await found(manager, text) == []
    else:
        with pytest.raises(Refused):
            await found(manager, text)


@pytest.mark.parametrize("text", ["", "  ", "?!", '""'])
async def test_a_search_without_a_word_is_refused(manager: SessionManager, text: str) -> None:
    with pytest.raises(Refused):
        await manager.search(text)


async def test_a_word_that_is_nearly_everywhere_is_found_all_the_same(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    import storage.listing

    made = [await said(manager, "the oak", "the ash", key=str(n)) for n in range(6)]
    expected = await found(manager, "the")
    assert expected == list(reversed(made))
    monkeypatch.setattr(storage.listing, "MOST_HITS", 3)
    assert await found(manager, "the") == expected
    assert [m.seq for m in await manager.search("oak")] == [1] * 6
    assert [m.session.id for m in await manager.search("the", limit=2, skip=1)] == expected[1:3]


@pytest.mark.parametrize("few", [1, 32])
async def test_a_long_beginning_is_found_however_many_words_and_messages_have_it(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    import storage.beginnings
    import storage.listing

    texts = ("Übersee", "a well-behaved one", "the oversight", "overseen", "OVERSEER", 'a "quote" of some')
    made = [await said(manager, each, key=str(n)) for n, each in enumerate(texts)]
    for hits in (1, storage.listing.MOST_HITS):
        monkeypatch.setattr(storage.beginnings, "MOST", few)
        monkeypatch.setattr(storage.listing, "MOST_HITS", hits)
        assert await found(manager, "overse*") == [made[4], made[3]]
        assert await found(manager, "overs*") == [made[4], made[3], made[2]]
        assert await found(manager, "ÜBERS*") == await found(manager, "ubers*") == [made[0]]
        assert await found(manager, "well-behav*") == [made[1]]
        assert await found(manager, "overs* the") == [made[2]]
        assert await found(manager, "behaved-wel*") == await found(manager, "oversees*") == []
        assert await found(manager, '"quote"s*') == []


def test_a_snippet_is_one_line_around_the_word() -> None:
    text = "a " * 200 + "needle\n" + "b " * 200
    line = snippet(text, ("needle",))
    assert "needle" in line and len(line) <= SNIPPET + 2 and line[0] == line[-1] == "…"
    assert snippet("short", ("absent",)) == "short"
    # Found without case and accents, so shown without them too, also behind letters that fold to more than one.
    assert "CRÈME" in snippet("ﬃ ß İ " * 60 + "a CRÈME brûlée " + "word " * 60, ("creme",))


# -- one ------------------------------------------------------------------------------------------------------


async def test_what_there_is_to_know_of_one(chat: Chat, manager: SessionManager, clock: Clock) -> None:
    chat.path.model.queue.append(Script(tool=ToolUse("c1", "look", "{}")))
    id = await talked(manager, "look", "and?")
    clock.forward(minutes=5)
    child, fork = await manager.create_child_session(id, "helper"), await manager.fork(id)
    shown = await manager.show(id)
    assert (shown.turns, shown.turns_run, shown.tool_calls, shown.approvals) == (2, 2, 1, 0)
    assert 5 * 60_000_000 <= shown.duration < 6 * 60_000_000
    assert (shown.children, shown.forks, shown.parent) == ((child,), (fork.id,), None)
    assert shown.usage.requests == 3 and shown.session.state == "open" and not shown.running
    assert (await manager.show(child)).parent == (await manager.show(fork.id)).parent == id
    await manager.close_session(id)
    closed = (await manager.show(id)).duration
    clock.forward(minutes=5)
    assert (await manager.show(id)).duration == closed


async def test_one_in_which_a_turn_runs_says_so(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    async with running(manager, chat.path.model, id):
        shown = await manager.show(id)
        assert shown.running and shown.turns == 2


async def test_the_last_so_many_messages_and_never_more(manager: SessionManager) -> None:
    id = await said(manager, "a", "b", "c")
    await manager.save_message(id, "note", "not said by anybody")
    assert [m.text for m in await manager.last_messages(id, 3)] == ["On b: yes.", "c", "On c: yes."]
    assert len(await manager.last_messages(id, 100)) == 6
    assert await manager.last_messages(id, 0) == await manager.last_messages(id, -1) == []


async def test_history_and_messages_are_what_stands(manager: SessionManager) -> None:
    id = await said(manager, "a", "b")
    await manager.rewind(id, 1)
    assert [m.text for m in await manager.get_messages(id)] == ["a", "On a: yes."]
    assert [m.text for m in await manager.history(id)] == ["a", "On a: yes."]
    await manager.clear(id)
    assert await manager.history(id) == [] and len(await manager.get_messages(id)) == 2


async def test_one_is_found_by_the_beginning_of_its_code(manager: SessionManager) -> None:
    id = await said(manager, "a")
    assert (await manager.find(id[:4].lower())).id == id
    with pytest.raises(Refused):
        await manager.find("1" if not id.startswith("1") else "2")


async def test_all_are_loaded_and_what_cannot_be_read_is_left_alone(
    chat: Chat, manager: SessionManager
) -> None:
    good, bad = await said(manager, "a", key="a"), await said(manager, "b", key="b")
    spoil = (
        "UPDATE entry SET body = '{' WHERE kind = 'assistant'"
        " AND session = (SELECT id FROM session WHERE code = :code)"
    )
    await chat.path.store.commit(Point.SESSION, lambda unit: unit.tx.run(spoil, code=bad))
    assert await manager.load_all_sessions() == 1
    assert (await manager.restore_session_by_id(good)).id == good
    assert await manager.get_session(bad) is not None
    with pytest.raises(NotFound):
        await manager.restore_session_by_id("NOSUCHONE1")
