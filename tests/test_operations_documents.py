"""Sessions written out and read in again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import NotFound, Refused
from gateway.manager import SessionManager, Viewer
from gateway.manager.documents import parsed
from gateway.protocols.messages import UserMessage
from gateway.transcript import ToolUse
from storage import Store
from tests.chats import Chat, chatting
from tests.conftest import Clock
from tests.fakes.model import Script
from tests.operations import said, talked, texts
from tests.test_operations_finding import Look


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock, tools={"look": Look()}) as found:
        yield found


@pytest.fixture
def manager(chat: Chat) -> SessionManager:
    return chat.manager


async def told(manager: SessionManager, id: str) -> dict[str, Any]:
    return parsed(await manager.export_session(id, "json"))


# -- Markdown -------------------------------------------------------------------------------------------------


async def test_markdown_is_what_was_said_and_stands(chat: Chat, manager: SessionManager) -> None:
    chat.path.model.queue.append(Script(text="Let me see.", tool=ToolUse("c1", "look", '{"at": 1}')))
    id = await talked(manager, "What is there?", "Never mind.")
    await manager.undo(id)
    await manager.rename(id, "Looking")
    await manager.tag(id, ["sea"])
    text = await manager.export_session(id)
    assert text.startswith("# Looking\n") and f"session {id}" in text and "tags: sea" in text
    order = ["What is there?", "Let me see.", "*used look*", "*look gave*", "seen", "tool gave seen"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert "Never mind." not in text


@pytest.mark.parametrize("result", ["```", "a\n````\nb", "x `````", "~~~\n```py\n"])
def test_nothing_ends_the_block_of_a_tool_s_result(result: str) -> None:
    from markdown_it import MarkdownIt

    from gateway.archive import _fenced

    (token,) = MarkdownIt().parse(_fenced(result))
    assert (token.type, token.content) == ("fence", result.rstrip("\n") + "\n" if result else "\n")


async def test_another_form_and_another_session_are_refused(manager: SessionManager) -> None:
    id = await said(manager, "a")
    with pytest.raises(Refused, match="markdown, json"):
        await manager.export_session(id, "pdf")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await manager.export_session("NOSUCHONE1")


# -- JSON -----------------------------------------------------------------------------------------------------


async def test_what_is_read_in_is_what_was_written_out(chat: Chat, manager: SessionManager) -> None:
    chat.path.model.queue.append(Script(tool=ToolUse("c1", "look", "{}")))
    id = await talked(manager, "a", "b", "c \U0001f40b \u202e \\")
    await manager.undo(id)
    await manager.tag(id, ["sea", "zoo"])
    await manager.configure(id, auto_compact=False, system_prompt="Be brief.", model=chat.path.model.ref)
    before = await told(manager, id)
    made = await manager.import_session(json.loads(json.dumps(before)))
    assert made.id != id and made.origin == "import" and made.tags == ("sea", "zoo")
    after = await told(manager, made.id)
    assert {**after, "id": ""} == {**before, "id": ""}
    assert (await manager.show(made.id)).usage.requests == 0
    # What was taken back can be brought back there too, and it goes on.
    assert (await manager.redo(made.id)).turns == 1
    assert await texts(manager, made.id) == [m.text for m in await _redone(manager, id)]
    await manager.generate(made.id, "d")
    prompt = chat.path.model.asked[-1]
    people = [text for m in prompt.messages if isinstance(m, UserMessage) for text in m.texts]
    assert people == ["a", "b", "c \U0001f40b \u202e \\", "d"] and "Be brief." in prompt.stable


async def _redone(manager: SessionManager, id: str) -> list[Any]:
    await manager.redo(id)
    return await manager.get_messages(id)


async def test_it_becomes_one_of_a_chat(chat: Chat, manager: SessionManager) -> None:
    await chat.told("hello", "You said: hello")
    (here,) = await manager.list()
    place = await chat.path.value("SELECT id FROM conversation WHERE current_session IS NOT NULL")
    assert isinstance(place, int)
    made = await manager.import_session(await told(manager, here.id), conversation=place, owner=None)
    assert (made.channel, made.key) == (here.channel, here.key)
    current = await manager.current_session(place)
    assert current is not None and current.id == here.id  # nobody was taken there
    assert (await manager.resume(place, made.id)).session.id == made.id


async def test_who_is_no_admin_brings_no_instructions(manager: SessionManager) -> None:
    id = await said(manager, "a")
    await manager.set_system_prompt(id, "The recipe.")
    document = {**await told(manager, id), "model": "dear:model"}
    made = await manager.import_session(document, viewer=Viewer(conversation=1))
    assert (await manager.show(made.id)).system_prompt is None and made.model is None


def _broken(document: dict[str, Any]) -> list[Any]:
    entry = document["entries"][0]
    return [
        None,
        [],
        "text",
        {},
        {**document, "parley": "person"},
        {**document, "v": 99},
        {**document, "v": "1"},
        {**document, "id": 7},
        {**document, "entries": {}},
        {**document, "entries": [None]},
        {**document, "entries": [entry, entry]},
        {**document, "entries": [{**entry, "seq": -1}]},
        {**document, "entries": [{**entry, "seq": True}]},
        {**document, "entries": [{**entry, "kind": "system"}]},
        {**document, "entries": [{**entry, "body": []}]},
        {**document, "entries": [{**entry, "body": {"text": 7}}]},
        {**document, "entries": [{**entry, "body": {"text": "\ud800"}}]},
        {**document, "entries": [{**entry, "kind": "assistant", "body": {"parts": "x"}}]},
        {**document, "entries": [{**entry, "kind": "results", "body": {"results": [1]}}]},
        {**document, "entries": [{**entry, "created": 2**70}]},
        {**document, "created": "yesterday"},
        {**document, "created": -1},
        {**document, "next_seq": True},
        {**document, "title": 7},
        {**document, "title": "\ud800"},
        {**document, "tags": ["two words"]},
        {**document, "tags": 7},
    ]


async def test_what_was_not_written_by_us_is_refused_and_leaves_nothing(
    chat: Chat, manager: SessionManager
) -> None:
    id = await said(manager, "a")
    for wrong in _broken(await told(manager, id)):
        with pytest.raises(Refused):
            await manager.import_session(wrong)
        with pytest.raises(Refused):
            await manager.save(wrong)
    assert await manager.session_count() == 1 and await chat.path.value("SELECT count(*) FROM entry") == 2
    for text in ("", "{", "[" * 100_000, "\x00"):
        with pytest.raises(Refused):
            await manager.import_session(parsed(text))


async def test_parts_that_nobody_knows_do_not_keep_a_session_from_going_on(manager: SessionManager) -> None:
    id = await said(manager, "a")
    document = await told(manager, id)
    document["entries"][1]["body"] = {"v": 9, "parts": [{"t": "hologram", "data": 7}, {}, {"t": "text"}]}
    document["entries"].append(
        {**document["entries"][0], "kind": "mark", "seq": 7, "body": {"op": "rewind", "seq": "x"}}
    )
    made = await manager.import_session(document)
    assert (await manager.generate(made.id, "go on")).state == "done"
    assert await manager.export_session(made.id)


# -- create or update -----------------------------------------------------------------------------------------


async def test_saving_creates_and_then_adds_what_is_new(manager: SessionManager) -> None:
    id = await said(manager, "a")
    first = await told(manager, id)
    await manager.save_message(id, "user", "b")
    await manager.rename(id, "Later")
    second = await told(manager, id)
    await manager.delete(id)
    other = {**first, "id": "ABCDEFGHJK"}
    assert (await manager.save(other)).id == "ABCDEFGHJK"
    assert (await manager.save(other)).id == "ABCDEFGHJK"
    assert await texts(manager, "ABCDEFGHJK") == ["a", "On a: yes."]
    saved = await manager.save({**second, "id": "ABCDEFGHJK"})
    assert saved.title == "Later" and await texts(manager, "ABCDEFGHJK") == ["a", "On a: yes.", "b"]
    with pytest.raises(Refused):  # it is behind what is there
        await manager.save(other)
    changed = {**second, "id": "ABCDEFGHJK"}
    changed["entries"] = [{**changed["entries"][0], "body": {"v": 1, "text": "x"}}, *changed["entries"][1:]]
    with pytest.raises(Refused):
        await manager.save(changed)
    assert await texts(manager, "ABCDEFGHJK") == ["a", "On a: yes.", "b"]


@pytest.mark.parametrize("code", ["../../etc", "", "ABC", "ABCDEFGHJ\x00", "ABCDEFGHJKL", "ABCDEFGHIO"])
async def test_an_id_that_is_none_of_ours_is_refused(manager: SessionManager, code: str) -> None:
    id = await said(manager, "a")
    with pytest.raises(Refused):
        await manager.save({**await told(manager, id), "id": code})


async def test_a_deleted_one_does_not_come_back_by_saving(manager: SessionManager) -> None:
    id = await said(manager, "a")
    document = await told(manager, id)
    await manager.delete(id)
    with pytest.raises(Refused):
        await manager.save(document)
    assert await manager.get_session(id) is None


# -- written when they are closed -------------------------------------------------------------------------------


async def test_closed_sessions_are_written_once_and_again_when_they_were_gone_on_with(
    manager: SessionManager, tmp_path: Path
) -> None:
    folder = tmp_path / "out" / "sessions"
    assert await manager.export_closed() == 0
    manager.exports = lambda: folder
    open_one, closed = await said(manager, "still going", key="a"), await said(manager, "whales", key="b")
    await manager.create_session("main", "empty")
    await manager.create_session("main", "empty")  # closes one in which nothing was said
    await manager.close_with_summary(closed)
    assert (await manager.export_closed(), await manager.export_closed()) == (1, 0)
    (file,) = folder.iterdir()
    assert closed in file.name and "whales" in file.read_text("utf-8") and open_one not in file.name
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    await manager.generate(closed, "herons")
    await manager.close_session(closed)
    assert await manager.export_closed() == 1 and "herons" in file.read_text("utf-8")
    await manager.delete(closed)
    assert list(folder.iterdir()) == []


async def test_a_folder_that_cannot_be_written_to_is_an_error_and_is_tried_again(
    manager: SessionManager, tmp_path: Path
) -> None:
    closed = await said(manager, "whales")
    await manager.close_session(closed)
    (tmp_path / "file").write_text("in the way", "utf-8")
    manager.exports = lambda: tmp_path / "file"
    with pytest.raises(OSError):
        await manager.export_closed()
    manager.exports = lambda: tmp_path / "folder"
    assert await manager.export_closed() == 1
