"""What becomes of a question that a budget refused: who is asked, who may let it pass, and that it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path as FilePath

import pytest

from gateway.access import Policy
from gateway.budgets import Budget, raised
from gateway.commands.table import Table
from gateway.errors import NotFound
from gateway.failpoints import Point
from gateway.manager import SessionManager
from gateway.progress import Options
from gateway.protocols.messages import ResultsMessage, UserMessage
from gateway.protocols.tool import ToolContext, ToolSpec
from gateway.roster import Roster
from gateway.texts import say
from gateway.texts.forms import money
from gateway.transcript import ToolUse
from gateway.types.inbound import Kind
from gateway.types.json import Json
from gateway.types.places import Place
from storage import Store, open_store
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, Path, path
from tests.test_budgets import CENT, hold, rules

GROUP = "-500"
ALLOW = say("button.budget-allow")
OPTIONS = Options(retries=0, max_output_tokens=256)


@asynccontextmanager
async def staffed(
    store: Store, clock: Clock, model: ScriptedModel | None = None
) -> AsyncIterator[tuple[Path, SessionManager]]:
    """Ann is an owner, Bob is not; the group is open to both."""
    policy = Policy(allow={"telegram": frozenset({ANN, BOB, GROUP})}, owners={"telegram": frozenset({ANN})})
    async with path(store, clock=clock, policy=policy, options=OPTIONS, model=model) as gw:
        manager = SessionManager(gw.core)
        gw.core.dispatcher.commands = Table(manager=manager, roster=Roster(store=store, clock=clock))
        yield gw, manager


def buttons(gw: Path, chat: str) -> dict[str, str]:
    """Label and token of what can be pressed in a chat now."""
    there = gw.channel.messages.get(chat, {})
    return {label: token for id in there for label, token in gw.channel.buttons.get(id, {}).items()}


async def offered(gw: Path, chat: str) -> dict[str, str]:
    async with asyncio.timeout(5):
        while not buttons(gw, chat):
            await asyncio.sleep(0.005)
    return buttons(gw, chat)


async def told(gw: Path, text: str) -> None:
    """Until whoever pressed last was told so, and nobody else."""
    async with asyncio.timeout(5):
        while not gw.channel.acks or gw.channel.acks[-1][1] != text:
            await asyncio.sleep(0.005)


async def refused(gw: Path, text: str = "why?", *, user: str = BOB) -> None:
    """Somebody's question that does not fit into what a person may spend in a day."""
    hold(gw, rules(person_day=CENT // 1000))
    await gw.says(text, user=user)
    await gw.channel.until(user, say("budget.person_day"))


async def actions(store: Store) -> list[tuple[str, str]]:
    return [
        (each.actor, each.action) for each in reversed(await store.read(lambda unit: unit.audit.recent(10)))
    ]


async def test_an_admin_allows_a_refused_question_once_and_it_is_answered(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, _):
        await refused(gw)
        assert buttons(gw, BOB) == {}  # nobody in that chat could press one
        found = await offered(gw, ANN)
        assert next(iter(found)) == ALLOW
        (asked,) = gw.channel.texts(ANN)
        assert f"telegram:{BOB}" in asked and money(CENT // 1000) in asked
        await gw.presses(found[ALLOW])
        await gw.channel.until(BOB, say("budget.person_day"), "You said: why?")
        await gw.channel.until(ANN, say("appeal.allow", name="Ann"))
        assert buttons(gw, ANN) == {}
        assert gw.channel.acks[-1] == ("p1", say("appeal.allowed"))
        assert await actions(store) == [
            (f"telegram:{ANN}", f"budget allow person telegram:{BOB} day for turn 1")
        ]
        # It was reserved and is counted as any other, and the question stands in the transcript once.
        assert await gw.rows("SELECT turn, state, reserved > 0, cost > 0 FROM usage") == [(2, "known", 1, 1)]
        assert await gw.rows("SELECT kind, turn FROM entry ORDER BY seq") == [("user", 2), ("assistant", 2)]
        assert await gw.value("SELECT message_count FROM session") == 1
        # That one turn, nothing else.
        await gw.says("and now?", user=BOB)
        await gw.channel.until(BOB, "You said: why?", say("budget.person_day"))
        await gw.presses(found[ALLOW])
        await told(gw, say("button.stale"))
        assert len(gw.model.asked) == 1
        assert await store.read(lambda unit: unit.budgets.caps()) == []


async def test_an_admin_raises_the_budget_by_a_press(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, manager):
        await refused(gw)
        found = await offered(gw, ANN)
        (refusal,) = await manager.refusals()
        label = say("button.budget-raise", cap=money(refusal.raised))
        await gw.presses(found[label])
        await gw.channel.until(BOB, say("budget.person_day"), "You said: why?")
        await gw.channel.until(ANN, say("appeal.raise", name="Ann", cap=money(refusal.raised)))
        assert await store.read(lambda unit: unit.budgets.caps()) == [
            ("person", f"telegram:{BOB}", "day", refusal.raised)
        ]
        ((actor, action),) = await actions(store)
        assert actor == f"telegram:{ANN}" and action.startswith(f"budget raise person telegram:{BOB} day 0.0")
        assert await manager.refusals() == []


async def test_a_budget_that_was_raised_further_meanwhile_is_not_lowered(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, manager):
        await refused(gw)
        found = await offered(gw, ANN)
        await manager.set_budget("person", f"telegram:{BOB}", "day", "50", by="cli")
        await gw.presses(found[next(label for label in found if label != ALLOW)])
        await gw.channel.until(BOB, say("budget.person_day"), "You said: why?")
        assert [each.cap for each in await manager.budgets("person", f"telegram:{BOB}")] == [5000 * CENT]


async def test_who_is_no_admin_is_told_so_and_uses_nothing_up(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, _):
        hold(gw, rules(chat_day=CENT // 1000))
        place = Place(chat_id=GROUP, kind="group")
        await gw.says("why?", user=BOB, place=place)
        found = await offered(gw, GROUP)
        await gw.says("", user=BOB, place=place, kind=Kind.BUTTON, button=found[ALLOW], press_id="p2")
        await gw.channel.until(GROUP, say("budget.chat_day"), say("budget.admins"))
        assert gw.model.asked == [] and buttons(gw, GROUP) == found
        assert await actions(store) == []
        await gw.says("", user=ANN, place=place, kind=Kind.BUTTON, button=found[ALLOW], press_id="p3")
        (first, *_) = await gw.channel.until(GROUP, say("budget.admins"), "You said: Bob: why?")
        assert first.endswith(f"*{say('appeal.allow', name='Ann')}*")
        async with asyncio.timeout(5):  # so does the line in her own chat
            while buttons(gw, GROUP) or buttons(gw, ANN):
                await asyncio.sleep(0.005)
        assert gw.channel.texts(ANN)[0].endswith(f"*{say('appeal.allow', name='Ann')}*")


async def test_in_a_group_of_single_sessions_an_admin_may_press_too(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, _):
        gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, each_member=True)
        hold(gw, rules(chat_day=CENT // 1000))
        place = Place(chat_id=GROUP, kind="group")
        await gw.says("why?", user=BOB, place=place)
        found = await offered(gw, GROUP)
        await gw.says("", user=ANN, place=place, kind=Kind.BUTTON, button=found[ALLOW], press_id="p3")
        await gw.channel.until(GROUP, "You said: Bob: why?")
        # A button of another chat works nowhere else.
        await gw.says("what?", user=BOB, place=place)
        async with asyncio.timeout(5):
            while not buttons(gw, GROUP):
                await asyncio.sleep(0.005)
        await gw.presses(buttons(gw, GROUP)[ALLOW])
        await told(gw, say("button.stale"))
        assert len(gw.model.asked) == 1


async def test_another_budget_still_holds_and_can_be_allowed_in_turn(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, manager):
        hold(gw, rules(person_day=CENT // 1000, gateway_day=CENT // 500))
        await gw.says("why?", user=BOB)
        await gw.channel.until(BOB, say("budget.person_day"))
        (first,) = await manager.refusals()
        await manager.decide(first.turn, "allow", by="cli", name="")
        await gw.channel.until(BOB, say("budget.person_day"), say("budget.gateway_day"))
        (second,) = await manager.refusals()
        await manager.decide(second.turn, "allow", by="cli", name="")
        await gw.channel.until(BOB, say("budget.gateway_day"), "You said: why?")
        assert await gw.rows("SELECT over FROM turn ORDER BY id") == [
            ("",),
            ("person:day",),
            ("person:day gateway:day",),
        ]
        allowed = say("appeal.allow", name=say("appeal.operator"))
        await gw.channel.until(ANN, allowed, allowed)


async def test_admins_hear_of_a_budget_once_until_they_decide(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, manager):
        await refused(gw)
        await offered(gw, ANN)
        await gw.says("again", user=BOB)
        await gw.channel.until(BOB, say("budget.person_day"), say("budget.person_day"))
        assert len(gw.channel.texts(ANN)) == 1
        for each in await manager.refusals():
            await manager.decide(each.turn, "allow", by="cli", name="")
        await gw.channel.until(BOB, "You said: why?")
        await gw.says("more", user=BOB)
        await gw.channel.until(ANN, say("appeal.allow", name=say("appeal.operator")), f"telegram:{BOB}")
        clock.forward(minutes=120)
        await gw.says("still?", user=BOB)
        await gw.channel.until(ANN, f"telegram:{BOB}", f"telegram:{BOB}")


async def test_an_admin_who_asks_decides_under_the_refusal(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, _):
        await refused(gw, user=ANN)
        found = await offered(gw, ANN)
        assert len(gw.channel.texts(ANN)) == 1
        await gw.presses(found[ALLOW])
        await gw.channel.until(ANN, say("appeal.allow", name="Ann"), "You said: why?")
        await gw.says("/budget allow")
        await gw.channel.until(ANN, say("appeal.none"))
        await gw.says("and?")
        await gw.channel.until(ANN, say("budget.person_day"))
        await gw.says("/budget allow")
        await gw.channel.until(ANN, say("appeal.allowed"), "You said: and?")


async def test_a_question_that_others_came_after_is_said_again_at_the_end(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, manager):
        await refused(gw, "first")
        (refusal,) = await manager.refusals()
        hold(gw, rules())
        await gw.says("second", user=BOB)
        await gw.channel.until(BOB, "You said: second")
        await manager.decide(refusal.turn, "allow", by="cli", name="")
        await gw.channel.until(BOB, "You said: first")
        last = gw.model.asked[-1].messages[-1]
        assert isinstance(last, UserMessage) and last.texts == ("first",)


async def test_a_turn_that_stopped_on_its_way_goes_on_with_what_its_tools_gave(
    store: Store, clock: Clock
) -> None:
    model = ScriptedModel(queue=[Script(tool=ToolUse("c1", "spend", "{}"))])
    policy = Policy(allow={}, owners={"telegram": frozenset({ANN})})
    tool = Spending()
    async with path(
        store, clock=clock, policy=policy, options=OPTIONS, model=model, tools={"spend": tool}
    ) as gw:
        tool.then = lambda: hold(gw, rules(gateway_day=1))  # nothing is left after its call
        manager = SessionManager(gw.core)
        await gw.says("spend it")
        await gw.channel.until(ANN, say("budget.gateway_day"))
        (refusal,) = await manager.refusals()
        await manager.decide(refusal.turn, "allow", by="cli", name="")
        await gw.channel.until(ANN, "tool gave spent")
        assert tool.calls == 1
        results = [each for each in model.asked[-1].messages if isinstance(each, ResultsMessage)]
        assert [each.text for each in results[0].results] == ["spent"]


class Spending:
    """A tool after whose call something happens."""

    spec = ToolSpec(name="spend", description="Spends.", parameters={"type": "object"})

    def __init__(self) -> None:
        self.calls = 0
        self.then: Callable[[], None] = lambda: None

    async def call(self, args: Json, context: ToolContext) -> str:
        self.calls += 1
        self.then()
        return "spent"


async def test_a_jobs_run_is_made_when_it_is_allowed(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, manager):
        account = await store.commit(Point.PEOPLE, lambda unit: unit.people.account("job", "job", ""))
        hold(gw, rules(job_day=1))
        place = Place(chat_id="report", kind="job")
        event = gw.message("go", kind=Kind.JOB, trigger="report", sender=None, place=place)
        await gw.core.dispatcher.accept(account, [event])
        found = await offered(gw, ANN)
        assert "`report`" in gw.channel.texts(ANN)[0]
        await gw.presses(found[ALLOW])
        async with asyncio.timeout(5):
            while await gw.rows("SELECT state, trigger FROM turn ORDER BY id") != [
                ("failed", "report"),
                ("done", "report"),
            ]:
                await asyncio.sleep(0.01)
        assert await manager.refusals() == []


async def test_what_is_older_than_a_day_is_not_asked_again(store: Store, clock: Clock) -> None:
    async with staffed(store, clock) as (gw, manager):
        await refused(gw)
        found = await offered(gw, ANN)
        (refusal,) = await manager.refusals()
        clock.forward(minutes=24 * 60)
        assert await manager.refusals() == []
        with pytest.raises(NotFound):
            await manager.decide(refusal.turn, "allow", by="cli", name="")
        await gw.presses(found[ALLOW])
        await told(gw, say("button.stale"))
        assert gw.model.asked == []


async def test_buttons_outlive_a_restart_and_two_presses_at_once_are_one(
    store: Store, clock: Clock, tmp_path: FilePath
) -> None:
    async with staffed(store, clock) as (gw, _):
        await refused(gw)
        found, messages = await offered(gw, ANN), gw.channel.messages
    await store.close()
    again = await open_store(tmp_path / "parley.db")
    try:
        async with staffed(again, clock) as (gw, _):
            hold(gw, rules(person_day=1))
            gw.channel.messages = messages
            await asyncio.gather(
                *(
                    gw.says("", kind=Kind.BUTTON, button=token, press_id="p1", event_id=token)
                    for token in found.values()
                )
            )
            await gw.channel.until(BOB, "You said: why?")
            await gw.channel.until(ANN, say("button.stale"))
            assert await gw.value("SELECT count(*) FROM turn") == 2
            assert await gw.value("SELECT count(*) FROM appeal WHERE decision IS NOT NULL") == 1
    finally:
        await again.close()


async def test_what_is_not_known_to_cost_anything_cannot_be_allowed(store: Store, clock: Clock) -> None:
    model = ScriptedModel(ref="other:one", provider="other")
    async with staffed(store, clock, model) as (gw, manager):
        hold(gw, rules(person_day=CENT))
        await gw.says("why?")
        await gw.channel.until(ANN, say("budget.unpriced", model="other:one"))
        assert buttons(gw, ANN) == {} and await manager.refusals() == []


def test_one_press_doubles_a_cap_or_makes_room_for_the_question() -> None:
    held = Budget(scope="person", id="telegram:1", period="day", cap=100 * CENT, spent=90 * CENT)
    assert raised(held) == 200 * CENT
    assert raised(held, 50 * CENT) == 200 * CENT
    assert raised(held, 156 * CENT) == 250 * CENT  # 2.46 is needed: two figures that count
    small = replace(held, cap=1, spent=0)
    assert raised(small, 163_200_123) == 170_000_000
    assert raised(replace(small, cap=0), 7) == 7
    for worst in range(1, 3_000, 7):
        assert raised(small, worst) >= worst
