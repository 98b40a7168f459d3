"""A chat that gets another id: its conversations, with all that belongs to them, go with it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.failpoints import Point
from gateway.types.inbound import Inbound, Kind, Lane
from gateway.types.outbound import Chunk
from gateway.types.places import Account, Conversation, Place, PlaceKind
from gateway.types.sessions import Session
from storage import Store, Unit
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, Path, path

OLD, NEW = "-55", "-1001234567890"


async def bot(store: Store, number: str = "42") -> Account:
    return await store.commit(Point.PEOPLE, lambda unit: unit.people.account("telegram", number, "bot"))


async def place(store: Store, account: Account, chat: str, thread: str = "", user: str = "") -> Conversation:
    spot = Place(chat_id=chat, thread_id=thread, user_id=user, kind="group")
    return await store.commit(Point.PEOPLE, lambda unit: unit.places.at(account, spot))


async def with_session(store: Store, where: Conversation, code: str) -> Session:
    async def work(unit: Unit) -> Session:
        session = await unit.sessions.add(code=code, conversation=where.id, now=1)
        await unit.places.point(where.id, session.id)
        return session

    return await store.commit(Point.SESSION, work)


async def move(
    store: Store, account: Account, old: str = OLD, new: str = NEW
) -> list[tuple[int, int | None]]:
    return await store.commit(Point.ACCEPT, lambda unit: unit.places.migrate(account.id, old, new))


async def get(store: Store, id: int) -> Conversation:
    return await store.read(lambda unit: unit.places.get(id))


async def rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    return await store.read(lambda unit: unit.tx.all(sql))


async def referring(store: Store, conversation: int) -> list[str]:
    """Tables in which something still belongs to a conversation."""
    tables = await rows(store, "SELECT name FROM sqlite_master WHERE type = 'table'")
    found = []
    for (table,) in tables:
        columns = [row[1] for row in await rows(store, f"PRAGMA table_info({table})")]
        if "conversation" in columns and await rows(
            store, f"SELECT 1 FROM {table} WHERE conversation = {conversation}"
        ):
            found.append(str(table))
    return found


async def test_a_conversation_keeps_all_it_has_under_the_new_id(store: Store) -> None:
    account = await bot(store)
    group = await place(store, account, OLD)
    session = await with_session(store, group, "aaaaaa")

    async def settle(unit: Unit) -> int | None:
        await unit.places.set(group.id, {"v": 1, "gap": "never"})
        await unit.places.hint(group.id, "hint")
        return await unit.places.lease(group.id, "me")

    fence = await store.commit(Point.SESSION, settle)
    assert await move(store, account) == [(group.id, None)]
    moved = await get(store, group.id)
    assert (moved.chat_id, moved.current_session, moved.settings, moved.hint) == (
        NEW, session.id, {"v": 1, "gap": "never"}, "hint",
    )  # fmt: skip
    assert fence is not None
    assert await store.read(lambda unit: unit.places.holds(group.id, fence))
    assert await store.read(lambda unit: unit.places.find(account.id, Place(chat_id=OLD))) is None


async def test_the_budget_of_the_chat_goes_with_it_unless_the_new_one_has_its_own(store: Store) -> None:
    account = await bot(store)
    await place(store, account, OLD)

    async def work(unit: Unit) -> None:
        await unit.budgets.put("chat", f"telegram:{OLD}", "day", 1)
        await unit.budgets.put("chat", f"telegram:{OLD}", "month", 2)
        await unit.budgets.put("chat", f"telegram:{NEW}", "month", 3)
        await unit.budgets.put("chat", f"discord:{OLD}", "day", 4)

    await store.commit(Point.META, work)
    for _ in range(2):
        await move(store, account)
    caps = {tuple(row[1:3]): row[3] for row in await store.read(lambda unit: unit.budgets.caps())}
    assert caps == {
        (f"telegram:{NEW}", "day"): 1,
        (f"telegram:{OLD}", "month"): 2,  # nobody's any more
        (f"telegram:{NEW}", "month"): 3,
        (f"discord:{OLD}", "day"): 4,
    }


async def test_a_second_time_and_a_move_of_nothing_change_nothing(store: Store) -> None:
    account = await bot(store)
    group = await place(store, account, OLD)
    assert await move(store, account) == [(group.id, None)]
    before = await rows(store, "SELECT * FROM conversation")
    assert await move(store, account) == []
    assert await move(store, account, NEW, NEW) == []
    assert await move(store, account, "-77", "-78") == []
    assert await rows(store, "SELECT * FROM conversation") == before


async def test_every_topic_and_every_member_of_the_chat_goes_and_nobody_elses_chat(store: Store) -> None:
    account, other = await bot(store), await bot(store, "43")
    ours = [
        await place(store, account, OLD, thread, user) for thread, user in (("", ""), ("7", ""), ("", ANN))
    ]
    theirs = [await place(store, other, OLD), await place(store, account, "-56")]
    assert await move(store, account) == [(each.id, None) for each in ours]
    assert [(await get(store, each.id)).chat_id for each in ours] == [NEW] * 3
    assert [(await get(store, each.id)).thread_id for each in ours] == ["", "7", ""]
    assert [(await get(store, each.id)).chat_id for each in theirs] == [OLD, "-56"]


async def filled(store: Store, account: Account, where: Conversation, code: str) -> Session:
    """A row in every table that can refer to a conversation."""
    session = await with_session(store, where, code)

    async def work(unit: Unit) -> None:
        await unit.inbox.add(
            Inbound(event_id=f"e-{code}", kind=Kind.MESSAGE, text="hi"),
            account=account.id, lane=Lane.TURN, state="waiting", received=1, body={"v": 1, "text": "hi"},
            conversation=where.id, identity=None,
        )  # fmt: skip
        await unit.outbox.add(
            origin=f"o-{code}", part=0, account=account.id, conversation=where.id, session=session.id,
            kind="answer", payload_=Chunk(text="yes"), nonce=code, now=1,
        )  # fmt: skip
        await unit.outbox.button(f"b-{code}", action="x", args={}, conversation=where.id)
        turn = await unit.turns.add(
            session=session.id, conversation=where.id, identity=None, trigger=None, job_run=None, fence=1,
            model=None, now=1,
        )  # fmt: skip
        await unit.tx.run(
            "INSERT INTO usage (uid, turn, conversation, session, purpose, channel, provider, model_asked, state, at) "
            "VALUES (:uid, :turn, :place, :session, 'chat', 'telegram', 'p', 'm', 'known', 1)",
            uid=f"u-{code}", turn=turn.id, place=where.id, session=session.id,
        )  # fmt: skip

    await store.commit(Point.SESSION, work)
    return session


async def test_of_two_the_older_one_stays_current_and_all_of_the_younger_one_is_its(store: Store) -> None:
    account = await bot(store)
    group = await place(store, account, OLD)
    first = await filled(store, account, group, "aaaaaa")
    young = await place(store, account, NEW)
    second = await filled(store, account, young, "bbbbbb")

    async def settle(unit: Unit) -> None:
        await unit.places.set(group.id, {"v": 1, "gap": 5})
        await unit.places.set(young.id, {"v": 1, "gap": 9, "queue": "steer"})
        await unit.places.block(group.id, 77)

    await store.commit(Point.SESSION, settle)
    tables = await referring(store, young.id)
    assert set(tables) == {"session", "inbox", "outbox", "button", "turn", "usage"}
    counts = {table: await rows(store, f"SELECT count(*) FROM {table}") for table in tables}

    assert await move(store, account) == [(group.id, young.id)]

    assert await referring(store, young.id) == []
    assert {table: await rows(store, f"SELECT count(*) FROM {table}") for table in tables} == counts
    assert await rows(store, "SELECT id, chat_id, current_session, blocked FROM conversation") == [
        (group.id, NEW, first.id, None)
    ]
    assert (await get(store, group.id)).settings == {"v": 1, "gap": 5, "queue": "steer"}
    assert await rows(store, "SELECT id, state, close_reason FROM session ORDER BY id") == [
        (first.id, "open", None), (second.id, "closed", "moved"),
    ]  # fmt: skip
    # What ran in the younger one has lost its lease: it is taken up again, and no crash is counted for it.
    assert await rows(store, "SELECT state FROM turn ORDER BY id") == [("running",), ("parked",)]
    assert await rows(store, "PRAGMA foreign_key_check") == []
    assert await move(store, account) == []


async def test_a_session_of_the_younger_one_goes_on_where_the_older_one_has_none(store: Store) -> None:
    account = await bot(store)
    group, young = await place(store, account, OLD), await place(store, account, NEW)
    session = await with_session(store, young, "bbbbbb")
    await move(store, account)
    assert (await get(store, group.id)).current_session == session.id
    assert await rows(store, "SELECT state FROM session") == [("open",)]


async def test_what_a_job_makes_later_under_the_old_id_takes_nothing_over(store: Store) -> None:
    account = await bot(store)
    group = await place(store, account, OLD)
    session = await with_session(store, group, "aaaaaa")
    await move(store, account)
    again = await place(store, account, OLD)
    await with_session(store, again, "bbbbbb")
    assert await move(store, account) == [(group.id, again.id)]
    assert await rows(store, "SELECT id, chat_id, current_session FROM conversation") == [
        (group.id, NEW, session.id)
    ]


# -- on the path of a message ---------------------------------------------------------------------------------


async def says(p: Path, text: str, chat: str, user: str = ANN) -> None:
    await p.says(text, user=user, chat=chat, place=Place(chat_id=chat, kind="group"))


async def told(p: Path, old: str = OLD, new: str = NEW) -> None:
    """Of a move."""
    await p.says(new, kind=Kind.MIGRATION, place=Place(chat_id=old, kind="group"), sender=None)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_group_that_moved_goes_on_with_its_session(store: Store, clock: Clock, times: int) -> None:
    async with path(store, clock=clock, allow=frozenset({ANN, BOB, OLD})) as p:
        await says(p, "before", OLD)
        await p.channel.until(OLD, "You said: Ann: before")
        for _ in range(times):
            await told(p)
        await says(p, "after", NEW, BOB)
        await p.channel.until(NEW, "You said: Bob: after")
        assert await p.rows("SELECT count(*) FROM session") == [(1,)]
        assert await p.rows("SELECT chat_id FROM conversation") == [(NEW,)]
        assert await p.rows("SELECT DISTINCT state FROM inbox WHERE kind = 'migration'") == [("done",)]
        assert p.channel.texts(OLD) == ["You said: Ann: before"]
        assert p.troubles == []


async def test_a_group_that_was_let_in_or_blocked_by_hand_stays_so(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:

        async def by_hand(unit: Unit) -> None:
            for chat, state in ((OLD, "allowed"), ("-66", "blocked")):
                await unit.people.set_state(await unit.people.seen("telegram", chat), state)

        await store.commit(Point.PEOPLE, by_hand)
        await told(p)
        await told(p, "-66", "-1006")
        await told(p, "-67", "-1007")
        await says(p, "hello", NEW)
        await says(p, "hello", "-1006")
        await says(p, "hello", "-1007")
        await p.channel.until(NEW, "You said: Ann: hello")
        assert p.channel.texts("-1006") == p.channel.texts("-1007") == []
        assert await p.rows("SELECT state, count(*) FROM inbox WHERE kind = 'message' GROUP BY state") == [
            ("done", 1), ("refused", 2),
        ]  # fmt: skip


async def test_a_turn_that_runs_in_the_old_chat_is_answered_in_the_new_one(
    store: Store, clock: Clock
) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="at last", gate=gate)])
    async with path(store, clock=clock, model=model, allow=frozenset({ANN, OLD})) as p:
        await says(p, "take your time", OLD)
        await model_asked(model, 1)
        await told(p)
        gate.set()
        await p.channel.until(NEW, "at last")
        assert len(model.asked) == 1
        assert await p.rows("SELECT state FROM turn") == [("done",)]


async def test_a_turn_of_the_conversation_that_goes_is_answered_once_in_the_one_that_stays(
    store: Store, clock: Clock
) -> None:
    gate = asyncio.Event()
    model = ScriptedModel()
    async with path(store, clock=clock, model=model, allow=frozenset({ANN, BOB, OLD, NEW})) as p:
        await says(p, "before", OLD)
        await p.channel.until(OLD, "You said: Ann: before")
        model.queue = [Script(text="never heard", gate=gate), Script(text="answered once")]
        await says(p, "too early", NEW)
        await model_asked(model, 2)
        await told(p)
        await p.channel.until(NEW, "answered once")
        gate.set()
        await says(p, "and now", NEW)
        await p.channel.until(NEW, "answered once", "You said: Ann: and now")
        assert await p.rows("SELECT count(*) FROM conversation") == [(1,)]
        assert await p.rows("SELECT state, attempt FROM turn ORDER BY id") == [("done", 1)] * 3
        assert {state for (state,) in await p.rows("SELECT state FROM inbox")} == {"done"}
        # The session of before is the current one.
        assert await p.rows("SELECT session FROM turn ORDER BY id") == [(1,), (2,), (1,)]
        assert p.troubles == []


async def model_asked(model: ScriptedModel, times: int) -> None:
    async with asyncio.timeout(5):
        while len(model.asked) < times:
            await asyncio.sleep(0.005)


# -- who has thrown us out ------------------------------------------------------------------------------------


def membership(p: Path, word: str, chat: str, kind: PlaceKind = "group") -> Inbound:
    return p.message(word, kind=Kind.MEMBERSHIP, place=Place(chat_id=chat, kind=kind))


@pytest.mark.parametrize("word", ["blocked", "left"])
async def test_a_chat_that_put_us_out_is_known_with_all_its_topics_until_we_are_in_again(
    store: Store, clock: Clock, word: str
) -> None:
    async with path(store, clock=clock) as p:
        for thread in ("", "7"):
            await place(store, p.account, OLD, thread)
        await place(store, p.account, "-56")
        await p.core.dispatcher.accept(p.account, [membership(p, word, OLD)])
        marked = "SELECT chat_id, thread_id, blocked IS NOT NULL FROM conversation ORDER BY id"
        assert await p.rows(marked) == [(OLD, "", 1), (OLD, "7", 1), ("-56", "", 0)]
        await p.core.dispatcher.accept(p.account, [membership(p, "member", OLD)])
        assert await p.rows(marked) == [(OLD, "", 0), (OLD, "7", 0), ("-56", "", 0)]
        assert p.troubles == [] and p.channel.calls == []


async def test_who_writes_again_has_unblocked_us(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        await p.core.dispatcher.accept(p.account, [membership(p, "blocked", ANN, "direct")])
        assert await p.value("SELECT count(*) FROM conversation WHERE blocked IS NOT NULL") == 1
        await p.says("hello again")
        await p.channel.until(ANN, "You said: hello again")
        assert await p.value("SELECT count(*) FROM conversation WHERE blocked IS NOT NULL") == 0
