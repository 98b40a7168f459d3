"""SessionManager: the names readers of the source systems know, and what each of them does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from gateway import SessionManager
from gateway.errors import Locked, NotFound, Refused
from gateway.hub import Seen
from gateway.manager import Generated, UsageRecord
from gateway.sessions import Continue, New
from gateway.types.measures import MINUTE

NAMES = (
    "open",
    "from_store",
    "resolve_session",
    "resolve_session_for_user",
    "open_session",
    "create_session",
    "create_session_for_user",
    "create_session_full",
    "close_session",
    "mark_read",
    "touch_session",
    "set_title_if_empty",
    "save_message",
    "get_messages",
    "record_usage",
    "session_usage",
    "cost_overview",
    "record_compaction",
    "list_sessions",
    "get_session",
    "generate",
    "generate_streaming",
    "cancel_operation",
    "context_usage",
    "is_near_limit",
    "history",
    "clear",
    "compact",
    "session_count",
    "store_health",
    "set_default_llm",
    "get_llm_for_session",
)


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[SessionManager]:
    async with await SessionManager.open(f"sqlite:///{tmp_path}/p.db") as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
def test_the_public_name_is_there_and_says_what_it_does(name: str) -> None:
    found = getattr(SessionManager, name)
    assert callable(found)
    assert found.__doc__ or name in ("create_session_for_user", "mark_read", "session_count")


async def test_the_first_message_of_a_place_is_new_and_closes_nothing(manager: SessionManager) -> None:
    assert await manager.resolve_session("telegram", "42", gap_minutes=360) == New(None, None)


async def test_less_than_the_gap_continues_and_the_gap_itself_closes(manager: SessionManager) -> None:
    id = await manager.create_session("telegram", "42")
    await manager.touch_session(id)
    meta = await manager.get_session(id)
    assert meta is not None and meta.last_message_at is not None
    now = meta.last_message_at + 360 * MINUTE
    real = manager.core.clock
    object.__setattr__(manager.core, "clock", lambda: now - 1)
    assert await manager.resolve_session("telegram", "42", gap_minutes=360) == Continue(id)
    object.__setattr__(manager.core, "clock", lambda: now)
    assert await manager.resolve_session("telegram", "42", gap_minutes=360) == New(id, "idle")
    object.__setattr__(manager.core, "clock", real)
    closed = await manager.get_session(id)
    assert closed is not None and closed.is_closed and closed.close_reason == "idle"


async def test_an_explicit_place_continues_however_old(manager: SessionManager) -> None:
    id = await manager.create_session("main", "work")
    object.__setattr__(manager.core, "clock", lambda: 4_000_000_000_000_000)
    assert await manager.resolve_session("main", "work") == Continue(id)


async def test_each_user_of_a_place_has_a_session_of_their_own(manager: SessionManager) -> None:
    ann = await manager.create_session_for_user("telegram", "-100", "1")
    assert await manager.resolve_session_for_user("telegram", "-100", 360, "2") == New(None, None)
    assert await manager.resolve_session_for_user("telegram", "-100", 360, "1") == Continue(ann)


async def test_opening_at_once_from_many_sides_gives_one_session(manager: SessionManager) -> None:
    metas = await asyncio.gather(*(manager.open_session("main", "k") for _ in range(20)))
    assert len({meta.id for meta in metas}) == 1
    assert await manager.session_count() == 1


async def test_a_new_session_closes_the_one_before_it(manager: SessionManager) -> None:
    first = await manager.create_session("main", "k")
    second = await manager.create_session_full("main", "k", triggered_by="nightly")
    old, new = await manager.get_session(first), await manager.get_session(second)
    assert old is not None and old.is_closed
    assert new is not None and new.triggered_by == "nightly" and new.origin == "job"


async def test_closing_twice_is_true_once_and_an_unknown_session_is_an_error(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    assert await manager.close_session(id, "we talked of whales") is True
    assert await manager.close_session(id) is False
    meta = await manager.get_session(id)
    assert meta is not None and meta.summary == "we talked of whales"
    with pytest.raises(NotFound):
        await manager.close_session("NOSUCHCODE")
    assert await manager.get_session("NOSUCHCODE") is None


async def test_messages_are_kept_in_order_and_the_first_gives_the_title(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    await manager.save_message(id, "user", "What is a whale?")
    await manager.save_message(id, "assistant", "A mammal.")
    await manager.set_title_if_empty(id, "another title")
    assert [(m.role, m.text) for m in await manager.get_messages(id)] == [
        ("user", "What is a whale?"),
        ("assistant", "A mammal."),
    ]
    assert [m.text for m in await manager.get_messages(id, limit=1)] == ["A mammal."]
    meta = await manager.get_session(id)
    assert meta is not None and meta.title == "What is a whale?"
    with pytest.raises(Refused):
        await manager.save_message(id, "wizard", "no")  # type: ignore[arg-type]


async def test_reading_and_touching_are_told_apart(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    await manager.mark_read(id, False)
    await manager.touch_session(id)
    meta = await manager.get_session(id)
    assert meta is not None and not meta.is_read and meta.message_count == 1
    await manager.mark_read(id)
    again = await manager.get_session(id)
    assert again is not None and again.is_read


async def test_usage_measured_elsewhere_is_summed_exactly(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    zero = await manager.session_usage(id)
    assert (zero.total_input_tokens, zero.cost, zero.requests) == (0, 0, 0)
    record = UsageRecord(
        input_tokens=10,
        output_tokens=7,
        cache_read=100,
        cache_write=50,
        cost_usd=Decimal("0.000000001"),
        model="m",
    )
    await manager.record_usage(id, record, turn=1)
    await manager.record_usage(id, UsageRecord(input_tokens=1, model="unheard-of"), turn=2)
    usage = await manager.session_usage(id)
    assert usage.total_input_tokens == 161 and usage.total_output_tokens == 7
    assert (usage.total_cache_read, usage.total_cache_write) == (100, 50)
    assert usage.cost == 1 and usage.unpriced == 1 and usage.requests == 2
    with pytest.raises(Refused):
        await manager.record_usage(id, UsageRecord(input_tokens=-1))


async def test_the_overview_adds_up_in_every_grouping_and_since_is_inclusive(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    for n, user in enumerate(["1", "2", "1"]):
        at = 1_000_000 * n
        object.__setattr__(manager.core, "clock", lambda at=at: at)
        await manager.record_usage(
            id, UsageRecord(input_tokens=1, cost_usd=Decimal(1), model=f"m{n}", user_id=user), turn=n
        )
    overview = await manager.cost_overview()
    assert overview.total.total_cost_usd == 3
    for shares in (
        overview.by_user,
        overview.by_model,
        overview.by_channel,
        overview.by_trigger,
        overview.by_purpose,
    ):
        assert sum(share.usage.cost for share in shares) == overview.total.cost
    assert [(share.name, share.usage.total_cost_usd) for share in overview.by_user] == [
        ("main:1 (main:1)", 2),
        ("main:2 (main:2)", 1),
    ]
    assert sum(day.cost for day in overview.by_day) == overview.total.cost
    assert (await manager.cost_overview(since=1_000_000)).total.total_cost_usd == 2
    assert (await manager.cost_overview(until=1_000_000)).total.total_cost_usd == 1


async def test_an_answer_is_generated_booked_and_kept(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    answer = await manager.generate(id, "hello")
    assert answer.state == "done" and "hello" in answer.text and answer.session_id == id
    assert answer.usage.requests == 1
    assert [m.role for m in await manager.get_messages(id)] == ["user", "assistant"]


async def test_streaming_gives_the_growing_text_and_then_the_whole(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    events = [event async for event in manager.generate_streaming(id, "hello")]
    texts = [event.text for event in events if isinstance(event, Seen) and event.kind == "text"]
    assert len(texts) > 3 and all(later.startswith(earlier) for earlier, later in pairwise(texts))
    last = events[-1]
    assert isinstance(last, Generated) and last.text.startswith(texts[-1].strip())


async def test_the_same_event_twice_is_answered_once_and_told_twice(manager: SessionManager) -> None:
    first = [event async for event in manager.say("hello", event_id="e1")][-1]
    again = [event async for event in manager.say("hello", event_id="e1")][-1]
    assert isinstance(first, Generated) and isinstance(again, Generated)
    assert again.text == first.text
    assert (await manager.cost_overview()).total.requests == 1


async def test_cancelling_is_false_when_nothing_runs(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    assert await manager.cancel_operation(id) is False


async def test_a_compaction_is_what_the_next_prompt_starts_from_also_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/p.db"
    async with await SessionManager.open(url) as manager:
        id = await manager.create_session("main", "k")
        with pytest.raises(Refused):
            await manager.compact(id)
        await manager.generate(id, "remember the number 7421")
        done = await manager.compact(id)
        assert done.before > 0
        assert [m.role for m in await manager.history(id)] == ["summary"]
        overview = await manager.cost_overview()
        assert {share.name for share in overview.by_purpose} == {"chat", "compaction"}
    async with await SessionManager.open(url) as manager:
        assert [m.role for m in await manager.history(id)] == ["summary"]
        await manager.generate(id, "go on")
        assert [m.role for m in await manager.history(id)] == ["summary", "user", "assistant"]
        assert len(await manager.get_messages(id)) == 5


async def test_a_compaction_made_elsewhere_counts_as_well(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    await manager.save_message(id, "user", "hello")
    await manager.record_compaction(id, "manual", 1000, "they said hello", 1)
    assert [(m.role, m.text) for m in await manager.history(id)] == [("summary", "they said hello")]


async def test_clearing_forgets_for_the_model_and_keeps_the_record(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    await manager.generate(id, "hello")
    await manager.clear(id)
    assert await manager.history(id) == []
    assert len(await manager.get_messages(id)) == 2
    assert (await manager.session_usage(id)).requests == 1


async def test_the_context_is_measured_by_the_last_request(manager: SessionManager) -> None:
    id = await manager.create_session("main", "k")
    assert (await manager.context_usage(id)).used_tokens == 0
    await manager.generate(id, "hello")
    context = await manager.context_usage(id)
    assert 0 < context.used_tokens < context.max_tokens and context.turns == 1
    assert await manager.is_near_limit(id) is False


async def test_the_default_model_can_be_changed_and_an_unknown_one_is_refused(
    manager: SessionManager,
) -> None:
    id = await manager.create_session("main", "k")
    assert await manager.get_llm_for_session(id) == "demo:demo"
    with pytest.raises(Refused):
        await manager.set_default_llm("nobody:knows")
    assert await manager.get_llm_for_session(id) == "demo:demo"


async def test_the_store_tells_how_it_is(manager: SessionManager) -> None:
    await manager.create_session("main", "k")
    health = await manager.store_health()
    assert health.ok and health.engine == "sqlite" and health.sessions == 1


async def test_a_database_has_one_owner(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/p.db"
    async with await SessionManager.open(url):
        with pytest.raises(Locked, match="in use by process"):
            await SessionManager.open(url)
    async with await SessionManager.open(url):
        pass


EXAMPLES = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parent.parent / "docs/api.md").read_text("utf-8"), re.DOTALL
)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_documentation_run(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/api.md", "exec"), {"__name__": "__main__"})


def test_there_is_an_example_for_each_family() -> None:
    assert len(EXAMPLES) >= 4
