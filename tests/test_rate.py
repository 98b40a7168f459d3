"""The outbound gate, in time that passes only when a test says so."""

import asyncio
import heapq
import inspect
import timeit
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.rate import FEW, PENALTY, Priority, RateGate
from gateway.types.abilities import Limits

FINAL, APPROVAL, EDIT, TYPING, BULK = Priority
LIMITS = Limits()
STRICT = replace(LIMITS, strict=True)


class FakeTime:
    """A clock, and a sleep that ends when the clock is moved past it."""

    def __init__(self):
        self.now = 1000.0
        self.alarms = []
        self.sleeps = 0

    def clock(self):
        return self.now

    async def sleep(self, seconds):
        self.sleeps += 1
        rung = asyncio.get_running_loop().create_future()
        heapq.heappush(self.alarms, (self.now + seconds, self.sleeps, rung))
        await rung

    async def settle(self):
        for _ in range(40):
            await asyncio.sleep(0)

    async def pass_(self, seconds):
        end = self.now + seconds
        await self.settle()
        while self.alarms and self.alarms[0][0] <= end:
            at, _, rung = heapq.heappop(self.alarms)
            self.now = max(self.now, at)
            if not rung.done():
                rung.set_result(None)
            await self.settle()
        self.now = end


class Desk:
    """Callers at one gate; *log* is what went out: (seconds since the start, chat, label)."""

    def __init__(self, limits=LIMITS):
        self.time = FakeTime()
        self.gate = RateGate(limits, clock=self.time.clock, sleep=self.time.sleep)
        self.log = []
        self.tasks = []

    @property
    def at(self):
        return self.time.now - 1000.0

    async def call(self, chat="a", priority=FINAL, *, label=None, kind="direct"):
        if await self.gate.admit(chat, kind=kind, priority=priority):
            self.log.append((self.at, chat, priority if label is None else label))
            return True
        return False

    def ask(self, *args, **kwargs):
        task = asyncio.ensure_future(self.call(*args, **kwargs))
        self.tasks.append(task)
        return task

    def times(self, chat=None):
        return [round(at, 6) for at, name, _ in self.log if chat in (None, name)]

    def labels(self, chat=None):
        return [label for _, name, label in self.log if chat in (None, name)]

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def desk():
    desk = Desk()
    yield desk
    await desk.close()


@pytest.fixture
async def strict():
    desk = Desk(STRICT)
    yield desk
    await desk.close()


def busiest(times, span):
    """The most calls that any *span* seconds saw; a call exactly *span* later is outside."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= span - 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


# The burst


async def test_answers_go_out_at_once_until_the_burst_is_used_up_and_then_at_the_pace(desk):
    for _ in range(23):
        desk.ask()
    await desk.time.pass_(10)
    assert desk.times() == [0.0] * 20 + [1.0, 2.0, 3.0]


async def test_a_group_gets_its_burst_back_at_twenty_a_minute(desk):
    for _ in range(22):
        desk.ask(kind="group")
    await desk.time.pass_(10)
    assert desk.times() == [0.0] * 20 + [3.0, 6.0]


async def test_the_burst_of_one_chat_is_not_shared_with_another(desk):
    for chat in ("a", "b", "c"):
        for _ in range(20):
            assert await desk.call(chat)
    assert desk.times() == [0.0] * 60


@pytest.mark.parametrize("rest", [20.0, 5000.0])
async def test_a_rested_chat_has_its_whole_burst_again_and_no_more(desk, rest):
    for _ in range(20):
        await desk.call()
    await desk.time.pass_(rest)
    for _ in range(25):
        desk.ask()
    await desk.time.pass_(0)
    assert desk.times()[20:] == [rest] * 20


def test_a_call_with_nothing_in_its_way_never_gives_up_control(desk):
    step = desk.gate.admit("a", kind="direct", priority=FINAL)
    with pytest.raises(StopIteration) as done:
        step.send(None)
    assert done.value.value is True
    assert inspect.getcoroutinestate(step) == inspect.CORO_CLOSED
    assert desk.time.sleeps == 0


def test_a_call_with_nothing_in_its_way_costs_microseconds():
    gate = RateGate(replace(LIMITS, burst=10**6))

    def once():
        try:
            gate.admit("a", kind="direct", priority=FINAL).send(None)
        except StopIteration:
            return

    assert min(timeit.repeat(once, number=2000, repeat=5)) / 2000 < 50e-6


# Edits and typing


@pytest.mark.parametrize(("kind", "gap"), [("direct", 1.2), ("group", 3.5)])
async def test_an_edit_keeps_its_distance_from_the_last_send_and_the_last_edit(desk, kind, gap):
    assert await desk.call(kind=kind)
    assert not await desk.call(priority=EDIT, kind=kind)
    await desk.time.pass_(gap - 0.01)
    assert not await desk.call(priority=EDIT, kind=kind)
    await desk.time.pass_(0.02)
    assert await desk.call(priority=EDIT, kind=kind)
    await desk.time.pass_(gap - 0.01)
    assert not await desk.call(priority=EDIT, kind=kind)


async def test_typing_does_not_put_off_the_edit_after_it(desk):
    assert await desk.call(priority=TYPING)
    assert await desk.call(priority=EDIT)


async def test_an_answer_does_not_wait_for_the_distance_of_edits(desk):
    assert await desk.call(priority=EDIT)
    assert await desk.call()
    assert desk.times() == [0.0, 0.0]


@pytest.mark.parametrize("priority", [EDIT, TYPING])
async def test_what_is_for_show_is_refused_at_once_instead_of_waiting(desk, priority):
    desk.gate.flooded("a", 5)
    assert await desk.call(priority=priority) is False
    assert desk.time.sleeps == 0


async def test_show_leaves_a_quarter_of_the_burst_to_the_answer(desk):
    shown = [await desk.call(priority=TYPING) for _ in range(30)]
    assert shown == [True] * 15 + [False] * 15
    for _ in range(6):
        desk.ask()
    await desk.time.pass_(0.5)
    assert desk.labels() == [TYPING] * 15 + [FINAL] * 5


async def test_a_long_stream_in_a_group_does_not_hold_up_its_answer(desk):
    for _ in range(3000):
        await desk.call(priority=TYPING, kind="group")
        await desk.call(priority=EDIT, kind="group")
        await desk.time.pass_(0.1)
    finals = [desk.ask(kind="group") for _ in range(5)]
    await desk.time.pass_(0)
    assert all(final.done() for final in finals)


async def test_an_approval_may_use_the_whole_burst(desk):
    for _ in range(20):
        desk.ask(priority=APPROVAL)
    await desk.time.pass_(0)
    assert desk.labels() == [APPROVAL] * 20


# The penalty window


@pytest.mark.parametrize("seconds", [0.5, 35, 149, 1000, 7200])
async def test_nothing_goes_to_a_flooded_chat_until_its_time_is_up_and_then_the_answer_does(desk, seconds):
    await desk.call()
    desk.gate.flooded("a", seconds)
    desk.ask(label="answer")
    for _ in range(10):
        await desk.time.pass_(seconds / 10 - 0.001)
        assert not await desk.call(priority=EDIT)
        assert not await desk.call(priority=TYPING)
    assert desk.labels() == [FINAL]
    await desk.time.pass_(0.011)
    assert desk.labels() == [FINAL, "answer"]
    assert desk.times()[-1] == pytest.approx(seconds)


async def test_other_chats_do_not_notice_a_flooded_one(desk):
    desk.gate.flooded("a", 149)
    desk.ask("a")
    for n in range(10):
        assert await desk.call(f"other-{n}")
        assert await desk.call(f"other-{n}", TYPING)
    assert set(desk.times()) == {0.0}
    assert desk.labels("a") == []


async def test_what_nobody_waits_for_leaves_a_quarter_of_the_accounts_allowance(desk):
    shown = [await desk.call(f"chat-{n}", EDIT) for n in range(30)]
    assert shown == [True] * 23 + [False] * 7
    for n in range(50):
        assert await desk.call(f"other-{n}")  # answers go on: nothing says that it is too much
    assert set(desk.times()) == {0.0}


async def test_while_much_is_streamed_answers_keep_the_accounts_allowance(desk):
    for second in range(3):
        for n in range(30):
            await desk.call(f"chat-{second}-{n}", EDIT)
        await desk.time.pass_(1.0)
    for n in range(60):
        desk.ask(f"other-{n}", label=f"answer-{n}")
    await desk.time.pass_(0.5)
    assert sum(str(each).startswith("answer") for each in desk.labels()) == 30
    await desk.time.pass_(1.0)
    assert sum(str(each).startswith("answer") for each in desk.labels()) == 60
    await desk.time.pass_(10.0)
    for n in range(60):
        assert await desk.call(f"later-{n}")


async def test_a_shorter_second_penalty_does_not_shorten_the_first(desk):
    desk.gate.flooded("a", 60)
    desk.gate.flooded("a", 1)
    assert desk.gate.blocked_for("a") == 60


async def test_a_second_penalty_puts_off_those_who_wait_already(desk):
    desk.gate.flooded("a", 5)
    desk.ask()
    await desk.time.pass_(4)
    desk.gate.flooded("a", 10)
    await desk.time.pass_(20)
    assert desk.times() == [14.0]


async def test_the_seconds_left_of_a_penalty_run_down_to_none(desk):
    assert desk.gate.blocked_for("a") == 0
    desk.gate.flooded("a", 30)
    assert desk.gate.blocked_for("a") == 30
    assert desk.gate.blocked_for("b") == 0
    await desk.time.pass_(29)
    assert desk.gate.blocked_for("a") == pytest.approx(1)
    await desk.time.pass_(2)
    assert desk.gate.blocked_for("a") == 0


async def test_a_flooded_chat_keeps_one_a_second_for_ten_minutes_and_then_has_its_burst_again(desk):
    await desk.call()
    desk.gate.flooded("a", 5)
    for _ in range(100):
        desk.ask()
    await desk.time.pass_(600)
    assert desk.times()[1:] == [5.0 + n for n in range(100)]
    await desk.time.pass_(5.1)
    for _ in range(20):
        desk.ask()
    await desk.time.pass_(0)
    assert desk.times()[101:] == [pytest.approx(605.1)] * 20


async def test_a_flooded_group_goes_on_evenly_at_twenty_a_minute(desk):
    await desk.call(kind="group")
    desk.gate.flooded("a", 5)
    for _ in range(41):
        desk.ask(kind="group")
    await desk.time.pass_(200)
    assert desk.times()[1:] == [5.0 + 3 * n for n in range(41)]


async def test_a_chat_that_was_flooded_before_it_was_known_is_silent_too(desk):
    desk.gate.flooded("new", 5)
    desk.ask("new")
    await desk.time.pass_(10)
    assert desk.times() == [5.0]


# The account


async def test_two_flooded_chats_within_a_minute_slow_the_whole_account_to_thirty_a_second(desk):
    desk.gate.flooded("a", 1)
    await desk.time.pass_(59)
    desk.gate.flooded("b", 1)
    for n in range(100):
        desk.ask(f"c{n}")
    await desk.time.pass_(10)
    assert busiest(desk.times(), 1.0) == 30
    assert desk.times() == sorted([59.0, 60.0, 61.0] * 30 + [62.0] * 10)


async def test_what_the_account_sent_just_before_it_was_slowed_counts(desk):
    for n in range(30):
        await desk.call(f"c{n}")
    await desk.time.pass_(0.5)
    desk.gate.flooded("a", 1)
    desk.gate.flooded("b", 1)
    desk.ask("d")
    await desk.time.pass_(5)
    assert desk.times("d") == [1.0]


async def test_the_account_is_fast_again_after_ten_minutes(desk):
    desk.gate.flooded("a", 1)
    desk.gate.flooded("b", 1)
    await desk.time.pass_(PENALTY + 0.1)
    for n in range(100):
        desk.ask(f"c{n}")
    await desk.time.pass_(0)
    assert len(desk.log) == 100


@pytest.mark.parametrize("second", [pytest.param("a", id="the-same-chat"), pytest.param("b", id="too-late")])
async def test_the_account_is_not_slowed_by(desk, second):
    desk.gate.flooded("a", 1)
    await desk.time.pass_(2 if second == "a" else 61)
    desk.gate.flooded(second, 1)
    for n in range(100):
        desk.ask(f"c{n}")
    await desk.time.pass_(0)
    assert len(desk.log) == 100


# Bulk


async def test_bulk_is_spread_over_the_account_at_twenty_a_second(desk):
    for n in range(50):
        desk.ask(f"c{n}", BULK)
    await desk.time.pass_(10)
    assert desk.times() == [0.0] * 20 + [1.0] * 20 + [2.0] * 10


async def test_answers_pass_a_queue_of_bulk(desk):
    for n in range(200):
        desk.ask(f"c{n}", BULK)
    await desk.time.pass_(0.5)
    assert await desk.call("c150", label="answer")
    assert await desk.call("elsewhere", label="answer")
    assert desk.labels()[-2:] == ["answer", "answer"]
    await desk.time.pass_(20)
    assert len(desk.log) == 202


async def test_answers_pass_bulk_where_the_account_is_slowed(strict):
    for n in range(100):
        strict.ask(f"bulk-{n}", BULK)
    await strict.time.pass_(0.5)
    for n in range(60):
        strict.ask(f"person-{n}")
    await strict.time.pass_(1.5)
    finals = [at for at, _, label in strict.log if label is FINAL]
    assert len(finals) == 60
    assert max(finals) <= 2.0
    await strict.time.pass_(20)
    assert len(strict.log) == 160


# Strict


async def test_strict_is_one_a_second_from_the_first_message_on(strict):
    for _ in range(4):
        strict.ask()
    await strict.time.pass_(10)
    assert strict.times() == [0.0, 1.0, 2.0, 3.0]


async def test_strict_in_a_group_is_one_a_second_and_twenty_in_any_minute(strict):
    for _ in range(45):
        strict.ask(kind="group")
    await strict.time.pass_(300)
    times = strict.times()
    assert times[:22] == [float(n) for n in range(20)] + [60.0, 61.0]
    assert busiest(times, 60.0) == 20
    assert len(times) == 45


async def test_strict_is_thirty_a_second_over_all(strict):
    for n in range(61):
        strict.ask(f"c{n}")
    await strict.time.pass_(10)
    assert strict.times() == [0.0] * 30 + [1.0] * 30 + [2.0]


async def test_a_flood_while_strict_keeps_what_went_before_in_the_count(strict):
    for _ in range(20):
        strict.ask(kind="group")
    await strict.time.pass_(20)
    strict.gate.flooded("a", 1)
    strict.ask(kind="group")
    await strict.time.pass_(100)
    assert strict.times()[-1] == 60.0


# Order


async def test_where_all_wait_the_more_important_goes_first(desk):
    desk.gate.flooded("a", 5)
    for priority in (BULK, APPROVAL, FINAL, BULK, FINAL):
        desk.ask(priority=priority)
    await desk.time.pass_(60)
    assert desk.labels() == [FINAL, FINAL, APPROVAL, BULK, BULK]


async def test_an_edit_never_overtakes_an_answer_that_waits(strict):
    # The whole account is busy, so the chat itself would be free for the edit.
    for n in range(30):
        await strict.call(f"c{n}")
    strict.ask("a", label="answer")
    await strict.time.pass_(0.9)
    assert not await strict.call("a", EDIT)
    assert not await strict.call("a", TYPING)
    await strict.time.pass_(0.1)
    assert strict.labels("a") == ["answer"]


async def test_an_answer_that_comes_while_an_approval_waits_for_the_account_goes_first(strict):
    for n in range(30):
        await strict.call(f"c{n}")
    strict.ask("a", APPROVAL)
    await strict.time.pass_(0.5)
    strict.ask("a", FINAL)
    await strict.time.pass_(5)
    assert strict.labels("a") == [FINAL, APPROVAL]
    assert strict.times("a") == [1.0, 2.0]


async def test_an_approval_does_not_overtake_an_answer_of_another_chat(strict):
    for n in range(60):
        strict.ask(f"c{n}", label="answer")
    await strict.time.pass_(0.5)
    strict.ask("a", APPROVAL)
    await strict.time.pass_(5)
    assert strict.labels()[:60] == ["answer"] * 60
    assert strict.times("a") == [2.0]


async def test_a_newcomer_does_not_slip_in_before_one_whose_wait_is_just_over(desk):
    desk.gate.flooded("a", 5)
    desk.ask(label="first")
    await desk.time.settle()
    desk.time.now += 6  # the clock is past the window, the sleeper not yet awake
    desk.ask(label="second")
    await desk.time.pass_(5)
    assert desk.labels() == ["first", "second"]


async def test_a_newcomer_does_not_slip_in_before_another_chat_that_waited_for_the_account(strict):
    for n in range(30):
        await strict.call(f"c{n}")
    strict.ask("a", label="first")
    await strict.time.settle()
    strict.time.now += 1.5
    strict.ask("b", label="second")
    assert not await strict.call("d", EDIT)
    await strict.time.pass_(5)
    assert strict.labels()[30:] == ["first", "second"]


async def test_an_approval_that_wakes_between_two_answers_of_its_chat_lets_both_go_first(desk):
    # The account is slow, the chat itself has its burst: when the account opens there is room for all three.
    desk.gate.flooded("x", 1)
    desk.gate.flooded("y", 1)
    for n in range(30):
        await desk.call(f"c{n}")
    for priority in (APPROVAL, FINAL, FINAL):
        desk.ask("a", priority)
        await desk.time.settle()
    await desk.time.pass_(0.9)
    desk.time.now += 0.2
    for _, _, rung in desk.time.alarms:  # all of them in one go, the answer's before the approval's
        rung.set_result(None)
    desk.time.alarms.clear()
    await desk.time.pass_(5)
    assert desk.labels("a") == [FINAL, FINAL, APPROVAL]


async def test_a_flooded_chat_at_the_head_of_the_account_does_not_hold_up_the_rest(strict):
    for n in range(30):
        await strict.call(f"c{n}")
    strict.ask("a")
    strict.ask("b")
    await strict.time.pass_(0.5)
    strict.gate.flooded("a", 100)
    await strict.time.pass_(1)
    assert strict.times("b") == [1.0]
    await strict.time.pass_(100)
    assert strict.times("a") == [100.5]


# Cancellation


async def test_a_cancelled_waiter_takes_no_turn_from_the_others(desk):
    for _ in range(20):
        await desk.call()
    late = [desk.ask(label=n) for n in (100, 101, 102, 103)]
    await desk.time.settle()
    late[0].cancel()
    late[2].cancel()
    await desk.time.pass_(5)
    assert desk.labels()[20:] == [101, 103]
    assert desk.times()[20:] == [1.0, 2.0]


@pytest.mark.parametrize("victim", [0, 1, 2])
async def test_one_cancelled_while_the_account_is_busy_takes_no_turn_from_the_others(strict, victim):
    for n in range(30):
        await strict.call(f"c{n}")
    tasks = [strict.ask(f"d{n}", label=n) for n in range(60)]
    await strict.time.pass_(0.5)
    tasks[victim].cancel()
    await strict.time.pass_(1.0)
    assert sorted(strict.labels()[30:]) == sorted(set(range(31)) - {victim})
    await strict.time.pass_(1.0)
    assert len(strict.log) == 30 + 59


async def test_one_cancelled_in_the_moment_its_turn_comes_passes_the_turn_on(desk):
    desk.gate.flooded("a", 5)
    first, second, third = (desk.ask(label=n) for n in range(3))
    await desk.time.settle()
    first.cancel()
    await asyncio.sleep(0)  # *first* has left and called *second*, which has not run yet
    second.cancel()
    await desk.time.pass_(10)
    assert first.cancelled()
    assert second.cancelled()
    assert third.done()
    assert desk.log == [(5.0, "a", 2)]


# Memory


@pytest.fixture
def few(monkeypatch):
    """Look for idle chats from sixteen on."""
    monkeypatch.setattr("gateway.rate.FEW", 16)


async def crowd(desk):
    """So many new chats that the idle ones are looked for."""
    desk.crowds = getattr(desk, "crowds", 0) + 1
    for n in range(500):
        await desk.gate.admit(f"crowd-{desk.crowds}-{n}", kind="direct", priority=TYPING)


async def test_chats_that_have_been_idle_are_forgotten(desk):
    for n in range(3 * FEW):
        await desk.call(f"c{n}")
        await desk.time.pass_(1)
    assert len(desk.gate._chats) <= FEW


async def test_the_end_of_a_penalty_is_not_forgotten(few):
    desk = Desk()
    desk.gate.flooded("a", 7200)
    for _ in range(10):
        await desk.time.pass_(100)
        await crowd(desk)
    assert desk.gate.blocked_for("a") == pytest.approx(6200)


async def test_the_slow_pace_after_a_penalty_is_not_forgotten(few):
    desk = Desk()
    desk.gate.flooded("a", 5)
    await desk.time.pass_(5 + PENALTY - 10)
    await crowd(desk)
    for _ in range(3):
        desk.ask()
    await desk.time.pass_(5)
    assert desk.times("a") == [595.0, 596.0, 597.0]


async def test_a_chat_with_someone_waiting_is_not_forgotten(few, monkeypatch):
    monkeypatch.setattr("gateway.rate.BULK_PER_SECOND", 0.01)
    desk = Desk(STRICT)
    await desk.call("b", BULK)
    desk.ask("a", BULK)
    await desk.time.pass_(90)
    await crowd(desk)
    await desk.time.pass_(9.5)
    assert await desk.call("a", FINAL)
    await desk.time.pass_(5)
    assert desk.log[1:] == [(99.5, "a", FINAL), (100.5, "a", BULK)]


async def test_a_chat_whose_burst_is_not_back_yet_is_not_forgotten(few):
    desk = Desk(replace(LIMITS, burst=100))
    for _ in range(100):
        await desk.call()
    await desk.time.pass_(80.5)
    await crowd(desk)
    asked = [desk.ask() for _ in range(90)]
    await desk.time.pass_(0)
    assert sum(task.done() for task in asked) == 80
    await desk.close()


async def test_the_distance_of_edits_is_not_forgotten(few):
    desk = Desk()
    await desk.call(kind="group")
    await desk.time.pass_(3.2)
    await crowd(desk)
    assert not await desk.call(priority=EDIT, kind="group")


# Whatever happens

CHATS = {"a": "direct", "b": "group", "c": "direct"}
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("ask"), st.sampled_from(sorted(CHATS)), st.sampled_from(Priority), st.integers(1, 30)
        ),
        st.tuples(st.just("flood"), st.sampled_from(sorted(CHATS)), st.sampled_from([0.3, 2.0, 35.0])),
        st.tuples(st.just("cancel"), st.integers(0, 200)),
        st.tuples(st.just("pass"), st.sampled_from([0.0, 0.1, 0.7, 1.3, 20.0, 61.0])),
    ),
    min_size=3,
    max_size=25,
)


class Trial(Desk):
    """A desk that goes through *steps* and keeps what the promises are about."""

    def __init__(self, limits):
        super().__init__(limits)
        self.floods = []
        self.asked = []

    async def take(self, steps):
        for step in steps:
            match step:
                case "ask", chat, priority, times:
                    for _ in range(times):
                        label = (priority, len(self.asked))
                        self.asked.append(self.ask(chat, priority, label=label, kind=CHATS[chat]))
                case "flood", chat, seconds:
                    self.gate.flooded(chat, seconds)
                    self.floods.append((self.at, chat, seconds))
                case "cancel", n if self.asked:
                    self.asked[n % len(self.asked)].cancel()
                case "pass", seconds:
                    await self.time.pass_(seconds)
            await self.time.settle()
        await self.time.pass_(3600)


@settings(max_examples=120, deadline=None)
@given(steps=STEPS, strict=st.booleans())
def test_pace_silence_and_order_hold_whatever_comes(steps, strict):
    async def run():
        trial = Trial(STRICT if strict else LIMITS)
        await trial.take(steps)
        return trial

    trial = asyncio.run(run())
    for flooded, chat, seconds in trial.floods:
        # A call in the very moment of the flood may have gone out before it.
        times = [at for at in trial.times(chat) if at > flooded + 1e-6]
        assert not [at for at in times if at < flooded + seconds - 1e-6]
        slow = [at for at in times if at < flooded + seconds + PENALTY - 1e-6]
        assert busiest(slow, 1.0) <= 1
        assert CHATS[chat] == "direct" or busiest(slow, 60.0) <= 20
    for chat, kind in CHATS.items():
        labels = trial.labels(chat)
        for priority in Priority:
            serials = [serial for kind_, serial in labels if kind_ is priority]
            assert serials == sorted(serials)
        if strict:
            assert busiest(trial.times(chat), 1.0) <= 1
            assert kind == "direct" or busiest(trial.times(chat), 60.0) <= 20
    bulk = [round(at, 6) for at, _, (priority, _) in trial.log if priority is BULK]
    assert busiest(bulk, 1.0) <= 20
    assert all(task.done() for task in trial.asked)
    out = {serial for _, _, (_, serial) in trial.log}
    assert out == {n for n, task in enumerate(trial.asked) if not task.cancelled() and task.result()}
