"""Sessions deleted, people exported and erased: the content is gone, the bill is as it was, and there is a receipt."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path as FilePath

import pytest

from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.jobs.rights import Requester
from gateway.jobs.spec import JobSpec
from gateway.keys import Keys
from gateway.manager import Filter, SessionManager
from gateway.texts import say
from gateway.transcript import ToolUse
from storage import Store, open_store
from tests import files
from tests.chats import GROUP, ROOM, Chat, chatting
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.fakes.model import Script
from tests.fakes.telegram import FakeTelegram
from tests.fakes.wishes import Paint
from tests.operations import running, said, talked, texts
from tests.path import ANN, BOB
from tests.test_media_gateway import gateway, rows, telegram


@pytest.fixture
async def chat(store: Store, clock: Clock, tmp_path: FilePath) -> AsyncIterator[Chat]:
    async with chatting(store, clock, tools={"paint": Paint(tmp_path / "painted")}) as found:
        yield found


@pytest.fixture
def manager(chat: Chat) -> SessionManager:
    return chat.manager


async def holding(chat: Chat, word: str) -> list[str]:
    """Where in the database *word* stands, as table.column; the table of words aside."""
    found = []
    tables = await chat.path.rows(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'said%'"
    )
    for (table,) in tables:
        for _, column, *_ in await chat.path.rows(f"PRAGMA table_info({table})"):
            hits = await chat.path.rows(f"SELECT {column} FROM {table} WHERE {column} LIKE '%{word}%'")
            # An id of digits may well stand inside a time or a random token.
            whole = re.compile(rf"(?<!\w){word}" + (r"(?!\w)" if word.isdigit() else ""))
            found += [f"{table}.{column}"] if any(whole.search(str(hit)) for (hit,) in hits) else []
    return found


async def ledger(chat: Chat) -> list[tuple[object, ...]]:
    return await chat.path.rows("SELECT * FROM usage ORDER BY id")


# -- delete ---------------------------------------------------------------------------------------------------


async def test_what_was_said_is_gone_and_the_bill_stays(chat: Chat, manager: SessionManager) -> None:
    await chat.told("about narwhals", "You said: about narwhals")
    (meta,) = await manager.list()
    await manager.tag(meta.id, ["narwhals"])
    await manager.set_system_prompt(meta.id, "You love narwhals.")
    await manager.close_with_summary(meta.id)
    await manager.undo(meta.id)
    await manager.redo(meta.id)
    bill, overview = await ledger(chat), await manager.cost_overview()
    receipt = await manager.delete(meta.id)
    assert (receipt.id, receipt.messages, receipt.requests_kept) == (meta.id, 2, 1)
    assert await holding(chat, "narwhals") == []
    assert await manager.get_session(meta.id) is None and await manager.session_count() == 0
    with pytest.raises(NotFound):
        await manager.get_messages(meta.id)
    assert await manager.search("narwhals") == []
    assert await ledger(chat) == bill and (await manager.cost_overview()).total == overview.total
    with pytest.raises(NotFound):
        await manager.delete(meta.id)
    await chat.told("news", "You said: news")
    assert len(await manager.list()) == 1


async def test_what_is_on_disk_of_the_action_that_waits_for_a_yes_is_gone(
    chat: Chat, manager: SessionManager
) -> None:
    chat.path.model.queue += [
        Script(tool=ToolUse("c1", "paint", '{"colour": "narwhal"}')),
        Script(text="It waits."),
    ]
    await chat.told("Paint it.", "Shall I do that?", "It waits.")
    (meta,) = await manager.list()
    await manager.delete(meta.id)
    assert await holding(chat, "narwhal") == []
    assert await chat.path.rows("SELECT state FROM approval") == [("denied",)]


async def test_the_running_turn_is_stopped_first_and_who_waits_is_told(
    chat: Chat, manager: SessionManager
) -> None:
    id = await talked(manager, "a")
    async with running(manager, chat.path.model, id) as turn:
        behind = asyncio.create_task(manager.generate(id, "and then?", timeout=30))
        while not await chat.path.value("SELECT count(*) FROM inbox WHERE state = 'waiting'"):
            await asyncio.sleep(0.001)
        await manager.delete(id)
        assert (await turn.answer).state == "cancelled"
        waiting = await behind
        assert (waiting.state, waiting.text) == ("refused", say("session.gone"))
    assert await holding(chat, "and then") == [] and await manager.get_session(id) is None
    assert await chat.path.rows("SELECT * FROM entry") == []
    fresh = await talked(manager, "b", key="main")
    assert await texts(manager, fresh) == ["b", "You said: b"]


async def test_a_turn_that_was_put_aside_never_goes_on(chat: Chat, manager: SessionManager) -> None:
    id = await talked(manager, "a")
    async with running(manager, chat.path.model, id) as turn:
        await manager.halt(by="cli")
        assert (await turn.answer).state == "kept"
        await manager.delete(id)
        await manager.unhalt(by="cli")
        other = await talked(manager, "b", key="main")
    assert await texts(manager, other) == ["b", "You said: b"]
    assert await chat.path.rows("SELECT state FROM turn ORDER BY id") == [
        ("done",),
        ("cancelled",),
        ("done",),
    ]


async def test_what_works_for_it_goes_too_and_copies_stay(manager: SessionManager) -> None:
    id = await said(manager, "a")
    child, fork = await manager.create_child_session(id), await manager.fork(id)
    assert await manager.destroy_session(id) is True and await manager.destroy_session(id) is False
    assert await manager.get_session(child) is None
    assert await texts(manager, fork.id) == ["a", "On a: yes."]
    assert (await manager.show(fork.id)).parent is None


async def test_what_a_crash_left_over_is_purged_at_the_next_start(
    chat: Chat, manager: SessionManager
) -> None:
    id = await said(manager, "narwhals")
    mark = "UPDATE session SET deleted = 1 WHERE code = :code"
    await chat.path.store.commit(Point.SESSION, lambda unit: unit.tx.run(mark, code=id))
    assert await manager.purge_deleted(10) == 1 and await manager.purge_deleted(10) == 0
    assert await chat.path.rows("SELECT * FROM entry") == []


async def test_what_was_being_answered_there_when_the_process_died_is_not_taken_up(
    tmp_path: FilePath,
) -> None:
    url = f"sqlite:///{tmp_path}/crashed.db"
    async with await SessionManager.open(url) as manager:
        id = await talked(manager, "narwhals")
        for sql in (
            "UPDATE turn SET state = 'running', finished = NULL",
            "UPDATE inbox SET state = 'taken'",
            "UPDATE session SET deleted = 1",
        ):
            await manager.core.store.commit(Point.SESSION, lambda unit, sql=sql: unit.tx.run(sql))
    async with await SessionManager.open(url) as manager:
        found = await manager.core.store.read(
            lambda unit: unit.tx.all("SELECT t.state, i.state FROM turn t JOIN inbox i ON i.turn = t.id")
        )
        assert found == [("cancelled", "refused")]
        assert (await manager.generate(await manager.create_session("main", "k"), "b")).state == "done"
        assert id not in [meta.id for meta in await manager.list()]


async def test_files_go_with_their_session_unless_a_copy_shows_them(tmp_path: FilePath) -> None:
    photo = files.picture(64, 48, format="JPEG")
    async with FakeTelegram() as tg, FakeLLM() as llm, gateway(tmp_path, llm, telegram=telegram(tg)) as app:
        llm.say("A red one.")
        tg.user_sends_photo(1001, photo, "Which colour?")
        await tg.until(lambda: tg.texts(1001) == ["A red one."], timeout=15)
        ((path,),) = await rows(app, "SELECT path FROM media WHERE deleted IS NULL")
        file = tmp_path / "media" / str(path)
        assert file.exists()
        (meta,) = await app.manager.list()
        fork = await app.manager.fork(meta.id)
        assert (await app.manager.delete(meta.id)).files == 0 and file.exists()
        assert (await app.manager.delete(fork.id)).files == 1 and not file.exists()
        assert await rows(app, "SELECT path FROM media WHERE deleted IS NULL") == []


# -- people ---------------------------------------------------------------------------------------------------


async def _group(chat: Chat) -> str:
    """A session of a group, of which Ann has said the first thing and Bob the second; gives its id."""
    await chat.group("I am Ann and love narwhals.", "I am Ann")
    await chat.group("And I am Bob.", "And I am Bob", user=BOB)
    (meta,) = [each for each in await chat.manager.list() if each.key == GROUP]
    return meta.id


async def test_everything_there_is_of_somebody_is_written_down(chat: Chat, manager: SessionManager) -> None:
    await chat.told("about narwhals", "You said: about narwhals")
    await chat.told("about bats", "You said: about bats", user=BOB)
    await _group(chat)
    found = await manager.export_person(f"telegram:{ANN}")
    assert [each["address"] for each in found["identities"]] == [f"telegram:{ANN}"]
    (session,) = found["sessions"]
    assert [entry["kind"] for entry in session["entries"]] == ["user", "assistant"]
    assert [each["text"] for each in found["said"]] == ["about narwhals", "I am Ann and love narwhals."]
    assert [each["purpose"] for each in found["bill"]] == ["chat", "chat"] and found["bill"][0]["cost"] > 0
    assert "bats" not in str(found) and "Bob" not in str(found)
    with pytest.raises(NotFound):
        await manager.export_person("telegram:999")


async def test_somebody_is_forgotten_and_the_others_are_not(
    chat: Chat, manager: SessionManager, tmp_path: FilePath
) -> None:
    await chat.told("about narwhals", "You said: about narwhals")
    await chat.told("about bats", "You said: about bats", user=BOB)
    room = await _group(chat)
    await manager.record_compaction(room, "manual", 10, "Ann loves narwhals.", 2)
    bill = await ledger(chat)
    receipt = await manager.erase_person(f"telegram:{ANN}", by="cli")
    assert (receipt.sessions, receipt.requests_kept, receipt.addresses) == (1, 2, (f"telegram:{ANN}",))
    assert receipt.messages == 2 + 2  # the summary is none
    assert await holding(chat, "narwhal") == [] and await holding(chat, "Ann") == []
    assert set(await holding(chat, ANN)) <= {"audit.actor", "audit.action"}
    assert await ledger(chat) == bill and await manager.search("narwhals") == []
    assert [m.text for m in await manager.get_messages(room)][2:4] == [
        "And I am Bob.",
        "You said: Bob: And I am Bob.",
    ]
    assert len(await manager.list(Filter(person=await manager.person_of(f"telegram:{BOB}")))) == 1
    (line,) = await chat.path.rows("SELECT actor, action, outcome FROM audit WHERE action LIKE 'erase%'")
    assert (
        line[0] == "cli"
        and f"identity {receipt.number}" in str(line[1])
        and "2 requests kept" in str(line[2])
    )
    assert (await manager.cost_overview()).total.requests == 4
    with pytest.raises(NotFound):
        await manager.erase_person(f"telegram:{ANN}")
    # The group goes on; and who comes back is a stranger to us.
    await chat.group("Still here.", "Still here", user=BOB)
    await chat.told("hello again", "You said: hello again")
    assert (await manager.list(limit=1))[0].title == "hello again"


async def test_the_receipt_says_what_the_audit_trail_keeps_and_the_ledgers_number_is_not_beside_it(
    chat: Chat, manager: SessionManager
) -> None:
    ann = f"telegram:{ANN}"
    await chat.told("about narwhals", "You said: about narwhals")
    await chat.table.roster.allow(ann)
    await chat.table.roster.allow(f"{ann}9")  # whose number only begins so
    await chat.told("/data erase yes", "1 line of the audit trail keeps your address")
    lines = await chat.path.rows("SELECT actor, action FROM audit ORDER BY id")
    assert ("cli", f"allow {ann}") in lines
    erased = [line for line in lines if str(line[1]).startswith("erase identity ")]
    assert [line[0] for line in erased] == [str(erased[0][1]).removeprefix("erase ")]
    assert not any(ann in str(line) and "identity" in str(line) for line in lines)


async def test_files_of_closed_sessions_are_written_anew_without_them(
    chat: Chat, manager: SessionManager, tmp_path: FilePath
) -> None:
    room = await _group(chat)
    await manager.close_session(room)
    manager.exports = lambda: tmp_path / "out"
    await manager.export_closed()
    (file,) = (tmp_path / "out").iterdir()
    assert "narwhals" in file.read_text("utf-8")
    await manager.erase_person(f"telegram:{ANN}")
    await manager.export_closed()
    text = file.read_text("utf-8")
    assert "narwhals" not in text and "Ann" not in text and "I am Bob" in text


async def test_what_they_had_set_up_goes_with_them(
    chat: Chat, manager: SessionManager, store: Store, clock: Clock
) -> None:
    """A job, a key, a yes that is waited for in a group: none of it works any more, or says anything."""
    chat.path.model.queue += [
        Script(tool=ToolUse("c1", "paint", '{"colour": "narwhal"}')),
        Script(text="It waits."),
    ]
    await chat.group("Paint it.", "Shall I do that?", "It waits.")
    who = await store.read(lambda unit: unit.people.identity("telegram", ANN))
    assert who is not None
    spec = JobSpec(name="mine", prompt="Of narwhals?", schedule="0 8 * * *", zone="UTC")
    place = await chat.path.value(f"SELECT id FROM conversation WHERE chat_id = '{GROUP}'")
    await manager.jobs.add(spec, Requester(identity=who.id, conversation=place))  # type: ignore[arg-type]
    keys = Keys(store=store, clock=clock, policy=lambda: chat.path.core.dispatcher.habits.policy)
    made = await keys.add("operate", who=f"telegram:{ANN}", name="narwhal")
    await manager.erase_person(f"telegram:{ANN}")
    assert await holding(chat, "narwhal") == []
    assert await chat.path.rows("SELECT state FROM approval") == [("denied",)]
    assert await chat.path.rows("SELECT state, next_at FROM job") == [("removed", None)]
    with pytest.raises(Refused):
        await keys.holder(made.secret)
    assert await keys.any()  # whoever has none stays out


async def test_while_a_group_is_being_answered_for_them_they_cannot_be_forgotten(
    chat: Chat, manager: SessionManager
) -> None:
    await _group(chat)
    go = asyncio.Event()
    chat.path.model.queue.append(Script(text="At last.", gate=go))
    asked = len(chat.path.model.asked)
    await chat.path.says("Think.", place=ROOM)
    while len(chat.path.model.asked) == asked:
        await asyncio.sleep(0.001)
    with pytest.raises(Refused):
        await manager.erase_person(f"telegram:{ANN}")
    go.set()
    await chat.path.channel.until(GROUP, "At last.")
    while (await manager.show((await manager.list())[0].id)).running:
        await asyncio.sleep(0.001)
    assert (await manager.erase_person(f"telegram:{ANN}")).requests_kept == 2


async def test_who_was_blocked_stays_blocked(chat: Chat, manager: SessionManager) -> None:
    await chat.told("about narwhals", "You said: about narwhals")
    await chat.table.roster.block(f"telegram:{ANN}")
    await manager.erase_person(f"telegram:{ANN}")
    ((state,),) = await chat.path.rows(f"SELECT state FROM identity WHERE user_id = '{ANN}'")
    assert state == "blocked" and await holding(chat, "narwhal") == []


async def _spoken_and_forgotten(store: Store, clock: Clock) -> None:
    async with chatting(store, clock) as chat:
        await chat.told("about narwhals " * 400, "You said: about narwhals")
        await chat.told("about bats", "You said: about bats", user=BOB)
        await chat.group("I am Ann and love narwhals.", "I am Ann")
        await chat.local("secret ocelots")
        (local,) = [each.id for each in await chat.manager.list(Filter(channel="main"))]
        await chat.manager.delete(local)
        assert await chat.manager.forget_words() is True and await chat.manager.forget_words() is False
        await chat.manager.erase_person(f"telegram:{ANN}")


async def test_not_a_byte_of_it_is_left_in_the_file(tmp_path: FilePath, clock: Clock) -> None:
    store = await open_store(tmp_path / "bytes.db")
    try:
        await _spoken_and_forgotten(store, clock)
    finally:
        await store.close()
    data = (tmp_path / "bytes.db").read_bytes()
    assert not list(tmp_path.glob("bytes.db-wal"))
    assert b"bats" in data and b"narwhal" not in data and b"ocelot" not in data
    with closing(sqlite3.connect(tmp_path / "bytes.db")) as db:
        db.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab('main', 'said', 'row')")
        words = {row[0] for row in db.execute("SELECT term FROM temp.words")}
    assert "bats" in words and not words & {"narwhals", "ocelots"}
