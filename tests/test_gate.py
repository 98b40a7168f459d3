"""Every door, end to end: whoever is refused costs nothing, hears nothing (but one line), and leaves nothing behind."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway.access import Policy
from gateway.floods import Limits
from gateway.types.inbound import Inbound, Kind
from gateway.types.people import Sender
from gateway.types.places import Place
from storage import Store
from tests.conftest import Clock
from tests.path import ANN, BOB, Path, path

SECRET = "what nobody is to keep"
STRANGER = Sender(user_id="666", name="Mallory")
DIRECT = Place(chat_id="666")
GROUP = Place(chat_id="-100", kind="group")
# Where each door leads, for somebody who is not let in. A new kind belongs here too.
EVENTS = {
    Kind.MESSAGE: Inbound(event_id="m", kind=Kind.MESSAGE, text=SECRET),
    Kind.EDIT: Inbound(event_id="e", kind=Kind.EDIT, text=SECRET, message_id="1"),
    Kind.COMMAND: Inbound(event_id="c", kind=Kind.COMMAND, text=f"/new {SECRET}"),
    Kind.BUTTON: Inbound(event_id="b", kind=Kind.BUTTON, button="token", press_id="p"),
    Kind.REACTION: Inbound(event_id="r", kind=Kind.REACTION, text="👍", message_id="1"),
    Kind.MEMBERSHIP: Inbound(event_id="j", kind=Kind.MEMBERSHIP, text="joined"),
    Kind.MIGRATION: Inbound(event_id="g", kind=Kind.MIGRATION, text="-100200"),
    Kind.JOB: Inbound(event_id="t", kind=Kind.JOB, text=SECRET),
    Kind.API: Inbound(event_id="a", kind=Kind.API, text=SECRET),
    Kind.UNKNOWN: Inbound(event_id="u", kind=Kind.UNKNOWN, error="cannot be read"),
}
SPOKEN = {Kind.MESSAGE, Kind.EDIT, Kind.COMMAND, Kind.BUTTON, Kind.REACTION}


def test_every_door_is_tried():
    assert set(EVENTS) == set(Kind)
    assert all(event.kind is kind for kind, event in EVENTS.items())


async def settled(p: Path) -> None:
    """Nothing is under way any more."""
    await p.core.dispatcher.stop(2.0)
    await p.core.delivery.drain(2.0)


async def nothing_came_of_it(p: Path) -> None:
    assert p.model.asked == []
    for table in ("turn", "session", "entry", "usage", "button"):
        assert await p.value(f"SELECT count(*) FROM {table}") == 0, table
    assert SECRET not in json.dumps(
        [[str(cell) for cell in row] for row in await p.rows("SELECT * FROM inbox")]
    )


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("state", ["new", "blocked"])
async def test_by_no_door_does_a_stranger_get_further_than_one_line(
    store: Store, clock: Clock, kind: Kind, state: str
) -> None:
    """S6."""
    async with path(store, clock=clock) as p:
        if state == "blocked":
            from gateway.roster import Roster

            await Roster(store=store, clock=clock).block("telegram:666")
        event = replace(EVENTS[kind], place=DIRECT, sender=STRANGER, raw=f'{{"text": "{SECRET}"}}')
        receipts = await p.core.dispatcher.accept(p.account, [event])
        await settled(p)
        assert receipts[0].state in ("refused", "dead", "done")
        await nothing_came_of_it(p)
        told = p.channel.texts("666")
        if kind in SPOKEN and state == "new":
            assert len(told) == 1
            assert "666" in told[0]
        else:
            assert told == []


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("addressed", [True, False])
async def test_by_no_door_is_a_stranger_heard_in_a_group(
    store: Store, clock: Clock, kind: Kind, addressed: bool
) -> None:
    """S4: no reply, even in a group that is listed, and to nobody at all in one that is not."""
    policy = Policy(allow={"telegram": frozenset({ANN, "-100"})}, owners={})
    async with path(store, clock=clock, policy=policy) as p:
        for number, place in enumerate((GROUP, replace(GROUP, chat_id="-666"))):
            event = replace(
                EVENTS[kind],
                event_id=f"{kind}{number}",
                place=place,
                sender=STRANGER,
                addressed=addressed,
                raw=f'{{"text": "{SECRET}"}}',
            )
            await p.core.dispatcher.accept(p.account, [event])
        await settled(p)
        await nothing_came_of_it(p)
        assert p.channel.messages == {}


async def test_a_member_who_is_let_in_is_answered_in_a_listed_group_and_nowhere_else(
    store: Store, clock: Clock
) -> None:
    policy = Policy(allow={"telegram": frozenset({ANN, "-100", "30"})}, owners={})
    async with path(store, clock=clock, policy=policy) as p:
        await p.says("One", place=GROUP)
        await p.channel.until("-100", "One")
        # The server is listed: each of its channels is, also when the turn begins.
        await p.says("Two", place=Place(chat_id="31", kind="group", server="30"))
        await p.channel.until("31", "Two")
        receipts = await p.says("Three", place=replace(GROUP, chat_id="-666"))
        assert [receipt.state for receipt in receipts] == ["refused"]


async def test_a_group_is_let_in_and_shut_out_by_hand(store: Store, clock: Clock) -> None:
    from gateway.roster import Roster

    async with path(store, clock=clock) as p:
        roster = Roster(store=store, clock=clock)
        assert [receipt.state for receipt in await p.says("One", place=GROUP)] == ["refused"]
        await roster.allow("telegram:-100")
        await p.says("Two", place=GROUP)
        await p.channel.until("-100", "Two")
        assert [r.state for r in await p.says("Three", place=GROUP, user="666")] == ["refused"]
        await roster.block("telegram:-100")
        assert [receipt.state for receipt in await p.says("Four", place=GROUP)] == ["refused"]


async def test_whoever_the_configuration_no_longer_lists_is_out(store: Store, clock: Clock) -> None:
    """What lets somebody in by configuration is not stored: neither the right to come in nor a role."""
    policy = Policy(allow={"telegram": frozenset({BOB})}, owners={"telegram": frozenset({ANN})})
    async with path(store, clock=clock, policy=policy) as p:
        await p.says("One")
        await p.channel.until(ANN, "You said: One")
        assert await p.rows("SELECT state FROM identity WHERE user_id = '101'") == [("new",)]
        assert await p.rows("SELECT DISTINCT role FROM person") == [("user",)]
        habits = p.core.dispatcher.habits
        p.core.dispatcher.habits = replace(habits, policy=replace(policy, owners={}))
        assert [receipt.state for receipt in await p.says("Two")] == ["refused"]


async def test_one_open_bot_opens_no_other_bot_of_its_platform(store: Store, clock: Clock) -> None:
    """S7, at the gate."""
    policy = Policy(allow={}, owners={}, access={"telegram.second": "open"})
    async with path(store, clock=clock, policy=policy) as p:
        second = replace(p.account, key="telegram.second")
        event = p.message("Hello", user="666")
        assert (await p.core.dispatcher.accept(second, [event]))[0].state == "waiting"
        assert [receipt.state for receipt in await p.says("Hello", user="666")] == ["refused"]


async def test_the_gate_is_passed_again_when_the_turn_begins(store: Store, clock: Clock) -> None:
    policy = Policy(allow={"telegram": frozenset({ANN, "30"})}, owners={})
    async with path(store, clock=clock, policy=policy, connect=False) as p:
        await p.says(SECRET, place=Place(chat_id="31", kind="group", server="30"))
        habits = p.core.dispatcher.habits
        shut = Policy(allow={"telegram": frozenset({ANN})}, owners={})
        p.core.dispatcher.habits = replace(habits, policy=shut)
        p.core.delivery.register(p.account, p.channel)
        await p.core.dispatcher.recovery.connected(p.account.id)
        await settled(p)
        assert await p.rows("SELECT state, error FROM inbox") == [("refused", "group not allowed")]
        await nothing_came_of_it(p)


# -- floods (S40, R22) ------------------------------------------------------------------------------------------

FEW = Limits(messages_per_minute=20, most_waiting=10)


async def test_a_flood_is_cut_off_with_one_line_and_the_others_are_answered(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock, limits=FEW) as p:
        p.channel.hold.clear()  # nothing can be answered while it rains
        states: list[str] = []
        for _ in range(50):
            states += [receipt.state for receipt in await p.says(*[SECRET] * 20)]
        assert states.count("waiting") == FEW.most_waiting
        assert states.count("refused") == 1000 - FEW.most_waiting
        await p.says("Hello", user=BOB)
        p.channel.hold.set()
        await p.channel.until(BOB, "You said: Hello")
        assert await p.value("SELECT count(*) FROM outbox WHERE origin LIKE 'flood:%'") == 1
        kept = (
            "SELECT count(*) FROM inbox WHERE state = 'refused' AND (raw IS NOT NULL OR body LIKE '%text%')"
        )
        assert await p.value(kept) == 0
        clock.forward(seconds=61)
        assert [receipt.state for receipt in await p.says("Again")] == ["waiting"]


async def test_whoever_flooded_can_still_stop_and_another_flood_is_told_anew(
    store: Store, clock: Clock
) -> None:
    from gateway.commands.table import Table
    from gateway.manager import SessionManager
    from gateway.roster import Roster

    limits = Limits(messages_per_minute=5, most_waiting=1000)
    async with path(store, clock=clock, limits=limits) as p:
        p.core.dispatcher.commands = Table(
            manager=SessionManager(p.core), roster=Roster(store=store, clock=clock)
        )
        await p.says(*["rain"] * 50)
        assert [receipt.state for receipt in await p.says("/stop all", "/new", "rain")] == [
            "waiting",
            "refused",
            "refused",
        ]
        # But not for ever: commands have a measure of their own.
        states = [receipt.state for receipt in await p.says(*["/status"] * 10)]
        assert states.count("waiting") < 5
        assert states[-1] == "refused"
        notices = "SELECT count(*) FROM outbox WHERE origin LIKE 'flood:%'"
        assert await p.value(notices) == 1
        clock.forward(seconds=61)
        await p.says(*["rain"] * 50)
        assert await p.value(notices) == 2


async def test_a_page_that_comes_again_is_no_flood(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, limits=FEW) as p:
        events = [p.message("Hello") for _ in range(5)]
        for _ in range(20):
            await p.core.dispatcher.accept(p.account, events)
        assert await p.value("SELECT count(*) FROM inbox") == 5
        assert await p.value("SELECT count(*) FROM outbox WHERE origin LIKE 'flood:%'") == 0


async def test_what_waited_for_us_is_no_flood(store: Store, clock: Clock) -> None:
    """A day's messages at once after an absence."""
    async with path(store, clock=clock, limits=FEW) as p:
        events = [p.message("Hello", sent=clock() - (3000 - number) * 10_000_000) for number in range(200)]
        receipts = await p.core.dispatcher.accept(p.account, events)
        assert {receipt.state for receipt in receipts} == {"held"}
        assert [receipt.state for receipt in await p.says("And now?")] == ["waiting"]
