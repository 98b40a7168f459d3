"""What becomes of a message that comes while an earlier one is being answered, and what the person sees of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.during import MODES, Busy, becomes, mode_of
from gateway.errors import DeliveryError
from gateway.failpoints import Point
from gateway.protocols.messages import ResultsMessage, UserMessage
from gateway.protocols.tool import ToolContext, ToolSpec
from gateway.texts import say
from gateway.transcript import ToolUse
from gateway.types.json import Json
from gateway.types.places import Conversation, Place
from storage import Store
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, Path, path

GROUP = Place(chat_id="-500", kind="group")
BUSY = Busy(turn=1, identity=7)


def place(**settings: object) -> Conversation:
    return Conversation(
        id=1, account=1, channel="telegram", chat_id="1", thread_id="", user_id="", kind="direct",
        current_session=None, settings=settings, fence=0,
    )  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_nothing_happens_to_a_message_that_comes_alone(mode):
    assert becomes(mode, busy=None, identity=7, admin=False) is None


@pytest.mark.parametrize(
    ("mode", "identity", "admin", "expected"),
    [
        ("queue", 7, False, "queue"),
        ("reject", 8, False, "reject"),
        ("steer", 7, False, "steer"),
        ("steer", 8, False, "queue"),
        ("steer", 8, True, "steer"),
        ("interrupt", 7, False, "interrupt"),
        ("interrupt", 8, False, "queue"),
        ("interrupt", None, False, "queue"),
        ("interrupt", 8, True, "interrupt"),
    ],
)
def test_only_who_asked_or_an_admin_changes_a_running_answers_course(mode, identity, admin, expected):
    assert becomes(mode, busy=BUSY, identity=identity, admin=admin) == expected


@pytest.mark.parametrize("setting", ["steer", "interrupt", "reject", "queue"])
def test_a_chats_own_choice_goes_before_the_accounts(setting):
    assert mode_of(place(queue=setting), "queue") == setting


@pytest.mark.parametrize("setting", [None, "", "nonsense", 3, ["steer"]])
def test_what_is_no_mode_leaves_the_accounts(setting):
    assert mode_of(place(queue=setting), "interrupt") == "interrupt"


class Gate:
    """A tool that waits until the test lets it go on."""

    spec = ToolSpec(name="look", description="Looks.", parameters={"type": "object", "properties": {}})

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.open = asyncio.Event()

    async def call(self, args: Json, context: ToolContext) -> str:
        self.started.set()
        await self.open.wait()
        return "seen"


async def set_mode(gw: Path, mode: str) -> None:
    gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, during={"telegram": mode})


async def running(gw: Path, chat: str = ANN) -> None:
    async with asyncio.timeout(5):
        while not gw.core.dispatcher.turns_running:
            await asyncio.sleep(0.005)


async def test_a_queued_message_is_marked_at_once_answered_next_and_unmarked(
    store: Store, clock: Clock
) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first", gate=gate)])
    async with path(store, clock=clock, model=model) as gw:
        await gw.says("one")
        await running(gw)
        (receipt,) = await gw.says("two")
        assert (receipt.state, receipt.during) == ("waiting", "queue")
        async with asyncio.timeout(5):
            while "2" not in gw.channel.reactions:
                await asyncio.sleep(0.005)
        gate.set()
        await gw.channel.until(ANN, "first", "You said: two")
        async with asyncio.timeout(5):
            while gw.channel.reactions["2"] != ["seen", None]:
                await asyncio.sleep(0.005)
        assert "1" not in gw.channel.reactions


async def test_where_no_emoji_can_be_had_one_line_says_that_it_waits(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first", gate=gate)])
    async with path(store, clock=clock, model=model) as gw:
        gw.channel.fail["react"] = [DeliveryError("REACTION_INVALID", kind="rejected")] * 9
        await gw.says("one")
        await running(gw)
        await gw.says("two")
        await gw.says("three")
        await gw.channel.until(ANN, say("during.queue"))
        gate.set()
        await gw.channel.until(ANN, "You said: three")
        assert gw.channel.texts(ANN).count(say("during.queue")) == 1


async def test_a_rejected_message_is_told_and_not_kept(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first", gate=gate)])
    async with path(store, clock=clock, model=model) as gw:
        await set_mode(gw, "reject")
        await gw.says("one")
        await running(gw)
        (receipt,) = await gw.says("secret two")
        assert (receipt.state, receipt.during) == ("refused", "reject")
        await gw.channel.until(ANN, say("during.reject"))
        gate.set()
        await gw.channel.until(ANN, "first")
        assert await gw.value("SELECT count(*) FROM turn") == 1
        assert "secret" not in str(await gw.rows("SELECT body, raw FROM inbox"))


async def test_an_interrupting_message_ends_the_answer_and_is_answered(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="never said", gate=gate)])
    async with path(store, clock=clock, model=model) as gw:
        await set_mode(gw, "interrupt")
        await gw.says("one")
        await running(gw)
        (receipt,) = await gw.says("two")
        assert receipt.during == "interrupt"
        await gw.channel.until(ANN, "You said: two")
        assert [row[0] for row in await gw.rows("SELECT state FROM turn ORDER BY id")] == [
            "cancelled",
            "done",
        ]
        assert not any("never said" in text for text in gw.channel.texts(ANN))
        # The cancelled request is on the bill, as an estimate.
        assert [row[0] for row in await gw.rows("SELECT state FROM usage ORDER BY id")] == [
            "estimated",
            "known",
        ]


async def test_what_was_said_before_an_interruption_stays_and_is_marked(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(text=" ".join(["word"] * 400), pause=0.01)])
    async with path(store, clock=clock, model=model) as gw:
        await set_mode(gw, "interrupt")
        await gw.says("one")
        await gw.channel.until(ANN, "word")
        await gw.says("two")
        await gw.channel.until(ANN, say("during.interrupted"), "You said: two")


async def test_somebody_else_does_not_interrupt(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first", gate=gate)])
    async with path(store, clock=clock, model=model, allow=frozenset({ANN, BOB, "-500"})) as gw:
        await set_mode(gw, "interrupt")
        await gw.says("one", place=GROUP)
        await running(gw)
        (receipt,) = await gw.says("two", place=GROUP, user=BOB)
        assert receipt.during == "queue"
        gate.set()
        await gw.channel.until("-500", "first", "two")


async def test_a_steering_message_reaches_the_next_request_of_the_same_turn(
    store: Store, clock: Clock
) -> None:
    tool = Gate()
    model = ScriptedModel(queue=[Script(tool=ToolUse("c1", "look", "{}")), Script(text="both answered")])
    async with path(store, clock=clock, model=model, tools={"look": tool}) as gw:
        await set_mode(gw, "steer")
        await gw.says("one")
        await tool.started.wait()
        (receipt,) = await gw.says("and two")
        assert receipt.during == "steer"
        tool.open.set()
        await gw.channel.until(ANN, "both answered")
        assert await gw.value("SELECT count(*) FROM turn") == 1
        messages = model.asked[-1].messages
        assert isinstance(messages[-2], ResultsMessage) and messages[-1] == UserMessage(("and two",))
        assert {row[0] for row in await gw.rows("SELECT state FROM inbox")} == {"done"}


async def test_a_steering_message_that_comes_too_late_is_the_next_turn(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first", gate=gate)])
    async with path(store, clock=clock, model=model) as gw:
        await set_mode(gw, "steer")
        await gw.says("one")
        await running(gw)
        await gw.says("two")
        gate.set()
        await gw.channel.until(ANN, "first", "You said: two")
        assert await gw.value("SELECT count(*) FROM turn") == 2


async def test_all_messages_are_marked_where_that_is_wanted(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, reactions={"telegram": "all"})
        await gw.says("one")
        await gw.channel.until(ANN, "You said: one")
        async with asyncio.timeout(5):
            while gw.channel.reactions.get("1") != ["seen", "done"]:
                await asyncio.sleep(0.005)


async def test_no_message_is_marked_where_that_is_switched_off(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first", gate=gate)])
    async with path(store, clock=clock, model=model) as gw:
        gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, reactions={"telegram": "off"})
        await gw.says("one")
        await running(gw)
        await gw.says("two")
        await gw.channel.until(ANN, say("during.queue"))
        gate.set()
        await gw.channel.until(ANN, "You said: two")
        assert gw.channel.reactions == {}


async def test_a_chats_choice_is_stored_with_it(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    model = ScriptedModel(queue=[Script(text="first", gate=gate)])
    async with path(store, clock=clock, model=model) as gw:
        await gw.says("one")
        await running(gw)
        await store.commit(Point.SESSION, lambda unit: unit.places.set(1, {"v": 1, "queue": "reject"}))
        (receipt,) = await gw.says("two")
        assert receipt.during == "reject"
        gate.set()
