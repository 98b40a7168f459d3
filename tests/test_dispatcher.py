"""The path of a message: accepted, leased, run, finished, delivered; and what happens when that goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import DeliveryError, ModelError
from gateway.failpoints import Point
from gateway.habits import Habits
from gateway.progress import Options
from gateway.protocols.messages import ResultsMessage, UserMessage
from gateway.protocols.tool import ToolContext, ToolSpec
from gateway.texts import say
from gateway.transcript import ToolUse
from gateway.types.inbound import Kind
from gateway.types.json import Json
from gateway.types.measures import HOUR
from storage import Store, Unit
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, Path, path

LONG = (
    "Here is a first sentence that is longer than the eighty characters which an opening may have, and more. "
    * 2
)


async def test_a_message_is_answered_once_and_leaves_one_bill_line(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        await p.says("hello")
        await p.channel.until(ANN, "You said: hello")
        assert await p.rows("SELECT state, tok_in, tok_out, cost FROM usage") == [
            ("known", 10, 3, 10 * 3_000 + 3 * 15_000)
        ]
        assert await p.rows("SELECT state FROM inbox") == [("done",)]
        assert await p.rows("SELECT state, n FROM turn") == [("done", 0)]


async def test_a_repeated_event_changes_nothing(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        event = p.message("hello")
        first = await p.core.dispatcher.accept(p.account, [event])
        await p.channel.until(ANN, "You said: hello")
        again = await p.core.dispatcher.accept(p.account, [event, event])
        assert [receipt.state for receipt in (*first, *again)] == ["waiting", "duplicate", "duplicate"]
        await asyncio.sleep(0.05)
        assert await p.value("SELECT count(*) FROM turn") == 1
        assert p.channel.texts(ANN) == ["You said: hello"]


async def test_messages_that_arrive_during_a_turn_wait_and_are_answered_together(
    store: Store, clock: Clock
) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first answer", gate=gate)])
    async with path(store, clock=clock, model=model) as p:
        await p.says("one")
        await asyncio.sleep(0.05)
        await p.says("two")
        await p.says("three")
        gate.set()
        await p.channel.until(ANN, "first answer", "You said: three")
        assert model.most_running == 1
        last = model.asked[-1].messages[-1]
        assert isinstance(last, UserMessage) and last.texts == ("two", "three")
        assert await p.value("SELECT count(*) FROM session") == 1


async def test_two_first_messages_at_once_open_one_session(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        await asyncio.gather(*(p.says(f"m{n}") for n in range(20)))
        async with asyncio.timeout(5):
            while await p.value("SELECT count(*) FROM inbox WHERE state = 'done'") != 20:
                await asyncio.sleep(0.01)
        assert await p.value("SELECT count(*) FROM session") == 1
        assert p.model.most_running == 1


async def test_chats_do_not_wait_for_each_other(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="slow", gate=gate)])
    async with path(store, clock=clock, model=model) as p:
        await p.says("wait", user=ANN)
        await asyncio.sleep(0.02)
        await p.says("quick", user=BOB)
        await p.channel.until(BOB, "You said: quick")
        assert p.channel.texts(ANN) == []
        gate.set()
        await p.channel.until(ANN, "slow")


async def test_a_long_answer_goes_out_as_an_opening_that_is_completed_by_an_edit(
    store: Store, clock: Clock
) -> None:
    model = ScriptedModel(reply=lambda text: LONG.strip())
    async with path(store, clock=clock, model=model) as p:
        await p.says("tell me")
        await p.channel.until(ANN, LONG.strip())
        assert [method for method, _, _ in p.channel.calls] == ["send", "edit"]
        assert len(p.channel.calls[0][2]) <= 80


async def test_placeholder_mode_never_sends_text_but_by_edit(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, placing="placeholder") as p:
        await p.says("hello")
        await p.channel.until(ANN, "You said: hello")
        assert [text for method, _, text in p.channel.calls if method == "send"] == ["…"]


async def test_a_slow_answer_is_shown_while_it_grows_and_ends_exact(store: Store, clock: Clock) -> None:
    text = "This is the opening sentence of it all. " + "word " * 60 + "end"
    model = ScriptedModel(queue=[Script(text=text, pause=0.02)])
    async with path(store, clock=clock, model=model) as p:
        await p.says("tell me")
        await p.channel.until(ANN, "end", within=10)
        sends = [said for method, _, said in p.channel.calls if method == "send"]
        assert len(sends) == 1 and text.startswith(sends[0])
        assert sum(method == "edit" for method, _, _ in p.channel.calls) >= 2
        assert p.channel.texts(ANN) == [text]
        assert any(method == "typing" for method, _, _ in p.channel.calls)


async def test_a_pause_of_the_gap_closes_the_session_and_says_so_with_a_way_back(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as p:
        await p.says("about whales")
        await p.channel.until(ANN, "You said: about whales")
        clock.forward(minutes=359)
        await p.says("still here")
        await p.channel.until(ANN, "You said: still here")
        clock.forward(minutes=360)
        await p.says("good morning")
        texts = await p.channel.until(ANN, "/resume", "You said: good morning")
        assert len(texts) == 4
        assert await p.rows("SELECT state, close_reason FROM session ORDER BY id") == [
            ("closed", "idle"),
            ("open", None),
        ]
        # The model is told what came before, so that it does not invent.
        assert "about whales" in str(p.model.asked[-1].messages)
        assert "Continue the previous one" in p.channel.buttons["3"]


async def test_the_sweeper_closes_idle_sessions_and_the_next_message_tells_of_it(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as p:
        await p.says("about whales")
        await p.channel.until(ANN, "You said: about whales")
        assert await p.core.dispatcher.sweep() == 0
        clock.forward(minutes=361)
        assert await p.core.dispatcher.sweep() == 1
        await p.says("good morning")
        await p.channel.until(ANN, "/resume", "You said: good morning")


async def test_a_stranger_is_told_their_id_once_an_hour_and_nothing_is_kept(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as p:
        await p.says("let me in", "please", user="666")
        texts = await p.channel.until("666", "666")
        assert len(texts) == 1 and p.strangers == ["666"]
        assert await p.value("SELECT count(*) FROM session") == 0
        assert await p.value("SELECT count(*) FROM inbox WHERE body LIKE '%please%' OR raw IS NOT NULL") == 0
        clock.forward(minutes=61)
        await p.says("hello?", user="666")
        await p.channel.until("666", "666", "666")
        assert p.model.asked == []


async def test_who_is_blocked_while_waiting_is_not_answered(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="one", gate=gate)])
    async with path(store, clock=clock, model=model) as p:
        await p.says("first")
        await asyncio.sleep(0.05)
        await p.says("second")
        from gateway.roster import Roster

        await Roster(store=store, clock=clock).block(f"telegram:{ANN}")
        gate.set()
        await p.channel.until(ANN, "one")
        await asyncio.sleep(0.05)
        assert p.channel.texts(ANN) == ["one"]
        assert await p.rows("SELECT state, body FROM inbox ORDER BY id DESC LIMIT 1") == [
            ("refused", '{"v":1}')
        ]


async def test_stop_ends_the_turn_keeps_the_text_and_charges_an_estimate(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(text="word " * 200, pause=0.01)])
    async with path(store, clock=clock, model=model) as p:
        (receipt,) = await p.says("go on")
        await asyncio.sleep(0.3)
        assert receipt.conversation is not None
        assert await p.core.dispatcher.cancel(receipt.conversation)
        await p.channel.until(ANN, say("turn.stopped"))
        assert await p.rows("SELECT state FROM turn") == [("cancelled",)]
        ((state, tokens_in, tokens_out),) = await p.rows("SELECT state, tok_in, tok_out FROM usage")
        assert state == "estimated" and tokens_in == 10 and int(str(tokens_out)) >= 10
        assert not await p.core.dispatcher.cancel(receipt.conversation)


async def test_a_refusing_provider_keeps_messages_and_they_are_answered_later(
    store: Store, clock: Clock
) -> None:
    refusal = ModelError("invalid x-api-key", kind="auth", status=401)
    model = ScriptedModel(queue=[Script(error=refusal)])
    async with path(store, clock=clock, model=model) as p:
        await p.says("hello")
        await p.channel.until(ANN, say("turn.kept"))
        assert p.troubles[0][0] == "provider:fake"
        await p.says("are you there?", user=BOB)
        clock.forward(seconds=61)
        await p.channel.until(ANN, say("turn.kept"), "You said: hello")
        await p.channel.until(BOB, "You said: are you there?")
        assert p.core.dispatcher.outage_since is None
        assert await p.rows("SELECT state, cost FROM usage ORDER BY id LIMIT 1") == [("failed", 0)]
        assert p.troubles[-1] == ("provider:fake-over", f"{model.ref} answers again.")
        assert len(p.troubles) == 2


async def test_what_was_kept_for_six_hours_is_given_up_with_a_word(store: Store, clock: Clock) -> None:
    refusal = ModelError("no credit", kind="credit", status=402)
    model = ScriptedModel(queue=[Script(error=refusal), Script(error=refusal)])
    async with path(store, clock=clock, model=model) as p:
        await p.says("hello")
        await p.channel.until(ANN, say("turn.kept"))
        clock.forward(minutes=6 * 60 + 1)
        await p.channel.until(ANN, say("turn.kept"), say("turn.gave_up"))


async def test_a_failed_model_falls_back_and_each_attempt_is_on_the_bill(store: Store, clock: Clock) -> None:
    broken = ScriptedModel(queue=[Script(error=ModelError("busy", kind="overloaded", status=529))] * 2)
    second = ScriptedModel(ref="fake:two", model="two", reply=lambda text: "from the second")
    async with path(store, clock=clock, model=broken, others=(second,), options=Options(retries=1)) as p:
        await p.says("hello")
        await p.channel.until(ANN, "from the second")
        assert await p.rows("SELECT model_asked, state, step, attempt FROM usage ORDER BY id") == [
            ("one", "failed", 0, 0),
            ("one", "failed", 0, 1),
            ("two", "known", 0, 2),
        ]


class Counter:
    """A tool that counts how often it ran."""

    spec = ToolSpec(name="count", description="counts", parameters={"type": "object", "properties": {}})

    def __init__(self) -> None:
        self.runs = 0

    async def call(self, args: Json, context: ToolContext) -> str:
        self.runs += 1
        return f"run {self.runs}"


async def test_a_tool_is_run_and_its_result_goes_back_to_the_model(store: Store, clock: Clock) -> None:
    tool = Counter()
    model = ScriptedModel(queue=[Script(text="Let me count.", tool=ToolUse("t1", "count", "{}"))])
    async with path(store, clock=clock, model=model, tools={"count": tool}) as p:
        await p.says("count")
        await p.channel.until(ANN, "Let me count.\n\nYou said: tool gave run 1")
        assert tool.runs == 1
        assert isinstance(model.asked[-1].messages[-1], ResultsMessage)
        assert await p.rows("SELECT name, state, is_error FROM tool_call") == [("count", "done", 0)]
        assert await p.value("SELECT count(*) FROM usage WHERE state = 'known'") == 2


async def test_a_model_that_calls_tools_for_ever_is_stopped(store: Store, clock: Clock) -> None:
    use = Script(tool=ToolUse("t1", "count", "{}"))
    model = ScriptedModel(queue=[use] * 10)
    async with path(
        store,
        clock=clock,
        model=model,
        tools={"count": Counter()},
        options=Options(retries=0, max_requests=4),
    ) as p:
        await p.says("count")
        await p.channel.until(ANN, say("turn.too_many"))
        assert len(model.asked) == 4


async def test_messages_written_while_we_were_away_are_offered_not_answered(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as p:
        await p.says("an old one", "another", sent=clock() - 3 * HOUR)
        await p.says("a new one")
        await p.channel.until(ANN, "a new one")
        texts = await p.channel.until(ANN, "you wrote 2 messages")
        assert len(p.model.asked) == 1 and len(texts) == 2
        assert set(p.channel.buttons["2"]) == {"Answer", "Drop"}


async def test_a_platform_that_asks_us_to_wait_gets_no_call_until_then(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        p.channel.fail["send"] = [DeliveryError("flood", kind="flood", retry_after=0.4)]
        await p.says("hello")
        await asyncio.sleep(0.3)
        assert [method for method, _, _ in p.channel.calls] == ["send"]
        await p.channel.until(ANN, "You said: hello")


async def test_formatting_that_is_refused_goes_out_plain(store: Store, clock: Clock) -> None:
    model = ScriptedModel(reply=lambda text: "*bold*")
    async with path(store, clock=clock, model=model) as p:
        p.channel.fail["send"] = [DeliveryError("can't parse entities", kind="format")]
        await p.says("hello")
        await p.channel.until(ANN, "bold")
        assert p.channel.texts(ANN) == ["bold"]


async def test_a_lost_answer_repeats_an_opening_never_the_whole(store: Store, clock: Clock) -> None:
    model = ScriptedModel(reply=lambda text: LONG.strip())
    async with path(store, clock=clock, model=model) as p:
        p.channel.fail["send"] = [DeliveryError("timed out", kind="lost")]
        await p.says("hello")
        await p.channel.until(ANN, LONG.strip())
        sends = [text for method, _, text in p.channel.calls if method == "send"]
        assert len(sends) == 2 and all(len(text) <= 80 for text in sends)


async def test_who_blocked_the_bot_is_not_tried_again(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        p.channel.fail["send"] = [DeliveryError("bot was blocked by the user", kind="gone")]
        await p.says("hello")
        async with asyncio.timeout(3):
            while await p.rows("SELECT state FROM outbox") != [("dead",)]:
                await asyncio.sleep(0.01)
        assert len(p.channel.calls) == 1 and p.troubles == []


@pytest.mark.parametrize("text", ["", "   \n", "\x00"])
async def test_a_message_without_text_gets_one_polite_line(store: Store, clock: Clock, text: str) -> None:
    async with path(store, clock=clock) as p:
        await p.says(text)
        await p.channel.until(ANN, say("message.no_text"))
        assert p.model.asked == []


async def test_what_cannot_be_stored_as_text_is_mended_on_the_way_in(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        await p.says("half \ud83d a pair\x00")
        await p.channel.until(ANN, "You said: half ? a pair")


async def test_an_unreadable_event_is_put_aside_and_the_rest_of_its_page_goes_on(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as p:
        broken = p.message("x", place=None, kind=Kind.UNKNOWN, error="no chat")
        receipts = await p.core.dispatcher.accept(p.account, [broken, p.message("hello")])
        assert [receipt.state for receipt in receipts] == ["dead", "waiting"]
        await p.channel.until(ANN, "You said: hello")


async def test_an_edit_before_the_turn_begins_replaces_the_text(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first", gate=gate)])
    async with path(store, clock=clock, model=model) as p:
        await p.says("one")
        await asyncio.sleep(0.02)
        await p.says("tpyo", message_id="77")
        await p.says("typo", message_id="77", kind=Kind.EDIT)
        gate.set()
        await p.channel.until(ANN, "first", "You said: typo")


async def test_the_next_process_finishes_what_this_one_parked(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(text="never", gate=gate)])) as p:
        await p.says("hello")
        await asyncio.sleep(0.05)
        await p.core.dispatcher.stop(0.0)
        assert await p.rows("SELECT state, attempt FROM turn") == [("parked", 1)]
    async with path(store, clock=clock) as p:
        await p.channel.until(ANN, "You said: hello")
        assert await p.rows("SELECT state, attempt FROM turn") == [("done", 1)]
        assert await p.rows("SELECT state FROM usage ORDER BY id") == [("estimated",), ("known",)]


async def test_an_account_that_is_not_connected_yet_keeps_its_messages(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, connect=False) as p:
        await p.says("hello")
        await asyncio.sleep(0.1)
        assert p.model.asked == []
        p.core.delivery.register(p.account, p.channel)
        await p.core.dispatcher.recovery.connected(p.account.id)
        await p.channel.until(ANN, "You said: hello")


async def test_rules_can_be_swapped_while_running(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, allow=frozenset()) as p:
        await p.says("hello")
        await p.channel.until(ANN, ANN)
        from gateway.access import Policy

        p.core.dispatcher.habits = Habits(
            policy=Policy(allow={"telegram": frozenset({ANN})}, owners={}), gap_minutes={"telegram": 360}
        )
        await p.says("hello again")
        await p.channel.until(ANN, "You said: hello again")


async def test_a_turn_that_took_the_process_down_three_times_is_put_aside(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(text="x", gate=gate)])) as p:
        await p.says("poison")
        await asyncio.sleep(0.05)
        await p.core.dispatcher.stop(0.0)
    # What a third kill in the middle of a request leaves behind.
    await store.commit(Point.META, _third_crash, "open")
    async with path(store, clock=clock) as p:
        await p.channel.until(ANN, say("turn.poison"))
        assert p.model.asked == [] and p.troubles[0][0] == "dead-letter"
        await p.says("and now?", event_id="later")
        await p.channel.until(ANN, "You said: and now?")


async def test_the_waiting_message_goes_back_to_the_previous_session(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock) as p:
        await p.says("about whales")
        await p.channel.until(ANN, "You said: about whales")
        clock.forward(minutes=400)
        p.model.queue.append(Script(text="never shown", gate=gate))
        (receipt,) = await p.says("how big are they?")
        await p.channel.until(ANN, "/resume")
        ((old,), (new,)) = await p.rows("SELECT id FROM session ORDER BY id")
        assert receipt.conversation is not None
        assert await p.core.dispatcher.move(receipt.conversation, int(str(new)), int(str(old)))
        await p.channel.until(ANN, "You said: how big are they?")
        assert await p.rows("SELECT state, close_reason FROM session ORDER BY id") == [
            ("open", None),
            ("closed", "moved"),
        ]
        assert "about whales" in str(p.model.asked[-1].messages)
        assert await p.rows("SELECT session, state FROM turn ORDER BY id") == [
            (old, "done"),
            (new, "cancelled"),
            (old, "done"),
        ]


async def test_commands_go_on_while_a_provider_refuses_us(store: Store, clock: Clock) -> None:
    from gateway.commands.table import Table
    from gateway.manager import SessionManager
    from gateway.roster import Roster

    refusal = ModelError("invalid x-api-key", kind="auth", status=401)
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(error=refusal)])) as p:
        p.core.dispatcher.commands = Table(
            manager=SessionManager(p.core), roster=Roster(store=store, clock=clock)
        )
        await p.says("hello")
        await p.channel.until(ANN, say("turn.kept"))
        await p.says("/new")
        async with asyncio.timeout(3):
            while len(p.channel.texts(ANN)) < 2:
                await asyncio.sleep(0.01)
        assert "new" in p.channel.texts(ANN)[-1].lower()


async def test_a_fault_nobody_foresaw_is_tried_again_and_never_silent(store: Store, clock: Clock) -> None:
    model = ScriptedModel(reply=lambda text: str(1 / 0))
    async with path(store, clock=clock, model=model) as p:
        await p.says("hello")
        await p.channel.until(ANN, say("turn.poison"), within=20)
        assert (p.troubles[0][0], p.troubles[-1][0]) == ("internal", "dead-letter")
        model.reply = lambda text: "well again"
        await p.says("and now?")
        await p.channel.until(ANN, "well again")


async def test_whoever_waits_at_a_terminal_hears_that_a_turn_was_put_aside(
    store: Store, clock: Clock
) -> None:
    from gateway.manager import Generated, SessionManager

    model = ScriptedModel(reply=lambda text: str(1 / 0))
    async with path(store, clock=clock, model=model) as p:
        async with asyncio.timeout(20):
            *_, answer = [event async for event in SessionManager(p.core).say("hello")]
        assert isinstance(answer, Generated)
        assert (answer.state, answer.text) == ("dead", say("turn.poison"))


async def _third_crash(unit: Unit, usage: str) -> None:
    await unit.tx.run("UPDATE turn SET state = 'running', attempt = 3")
    await unit.tx.run("UPDATE usage SET state = :state", state=usage)


async def test_a_turn_that_had_begun_nothing_is_not_blamed_for_a_crash(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(text="x", gate=gate)])) as p:
        await p.says("innocent")
        await asyncio.sleep(0.05)
        await p.core.dispatcher.stop(0.0)
    await store.commit(Point.META, _third_crash, "estimated")
    async with path(store, clock=clock) as p:
        await p.channel.until(ANN, "You said: innocent")
        assert await p.rows("SELECT state, attempt FROM turn") == [("done", 3)]


async def test_an_answer_takes_five_commits(store: Store, clock: Clock) -> None:
    """Accepted, begun, the request opened, finished, sent; each is a wait for the disk."""
    async with path(store, clock=clock) as p:
        await p.says("one")
        await p.channel.until(ANN, "You said: one")
        await idle(p)
        before = store.commits
        await p.says("two")
        await p.channel.until(ANN, "You said: two")
        await idle(p)
        assert store.commits - before == 5


async def idle(p: Path) -> None:
    async with asyncio.timeout(5):
        while p.core.dispatcher.under_way or not p.core.delivery.idle(1):
            await asyncio.sleep(0.005)
