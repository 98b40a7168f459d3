"""Each person is answered by a clock of their own, named as they name it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from gateway import zones
from gateway.failpoints import Point
from gateway.texts import say
from gateway.tools.now import Now
from gateway.transcript import ToolUse
from gateway.types.measures import HOUR, SECOND
from gateway.types.people import Sender
from storage import Store
from tests.chats import Chat, chatting
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, path

TOKYO, LOS_ANGELES = "Asia/Tokyo", "America/Los_Angeles"
GERMAN = Sender(user_id=ANN, name="Ann", lang="de")


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    half_past = int(datetime(2026, 7, 1, 20, 30, 5, tzinfo=UTC).timestamp()) * SECOND
    clock.forward(seconds=(half_past - clock()) / SECOND)
    async with chatting(store, clock, tools={"now": Now()}) as found:
        yield found


async def zone_of(chat: Chat, user: str = ANN) -> object:
    return await chat.path.value(
        f"SELECT p.zone FROM person p JOIN identity i ON i.person = p.id WHERE i.user_id = '{user}'"
    )


# -- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [("Europe/Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("Berlin", "Europe/Berlin"),
     ("NEW YORK", "America/New_York"), ("new_york", "America/New_York"), ("Zürich", "Europe/Zurich"),
     ("são paulo", "America/Sao_Paulo"), ("Port au Prince", "America/Port-au-Prince"), ("Wien", "Europe/Vienna"),
     ("Kyiv", "Europe/Kyiv"), ("kolkata", "Asia/Kolkata"), ("Buenos Aires", "America/Argentina/Buenos_Aires"),
     ("utc", "UTC"), ("Etc/GMT+2", "Etc/GMT+2"), ("Etc/GMT-2", "Etc/GMT-2")],
)  # fmt: skip
def test_a_zone_is_found_by_its_name_or_its_city(text: str, name: str) -> None:
    assert zones.meant(text) == (name,)


@pytest.mark.parametrize("text", ["", "/", "xyzzy", "GMT+2", "UTC+2", "Factory", "../../etc/passwd", "."])
def test_what_is_no_zone_is_not_taken_for_one(text: str) -> None:
    assert zones.meant(text) == ()


def test_a_city_of_two_clocks_does_not_decide() -> None:
    assert zones.meant("Central") == ("Canada/Central", "US/Central")


@pytest.mark.parametrize(
    ("text", "first"),
    [("Berln", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("Londn", "Europe/London"),
     ("New Yrok", "America/New_York")],
)  # fmt: skip
def test_a_misspelt_one_has_near_ones(text: str, first: str) -> None:
    assert zones.near(text)[0] == first


@pytest.mark.parametrize("text", ["GMT+2", "UTC+2", "xyzzy", ""])
def test_nothing_that_means_another_clock_is_near(text: str) -> None:
    assert zones.near(text) == ()


# -- the command ----------------------------------------------------------------------------------------------


async def test_a_zone_is_shown_set_and_given_back(chat: Chat) -> None:
    text = await chat.told("/zone", "of this gateway, `UTC`; it is 20:30 there")
    assert "/zone Berlin" in text
    await chat.told("/zone tokyo", "`Asia/Tokyo`; it is 05:30 there")
    assert await zone_of(chat) == TOKYO
    await chat.told("/timezone", "I answer you by the clock of `Asia/Tokyo`; it is 05:30 there")
    await chat.told("/zone default", "`Europe/Berlin`; it is 22:30 there")
    assert await zone_of(chat) is None


async def test_a_misspelt_zone_is_offered_as_a_button(chat: Chat) -> None:
    await chat.told("/zone Tokio", "`Asia/Tokyo`; it is")  # as German has it
    await chat.told("/zone Londn", "Did you mean one of these? `Europe/London`")
    assert await zone_of(chat) == TOKYO
    await chat.presses("Europe/London")
    await chat.sees("`Europe/London`; it is 21:30 there")
    assert await zone_of(chat) == "Europe/London"


async def test_a_zone_that_nobody_knows_changes_nothing(chat: Chat) -> None:
    await chat.told("/zone nowhere at all", "I know no city or time zone nowhere at all. Write a bigger city")
    await chat.told("/zone Central", "more than one Central, and their clocks differ")
    await chat.told(f"/zone {'x' * 3000}", "I know no city or time zone xxx")
    assert await zone_of(chat) is None


async def test_the_zone_is_spoken_of_in_the_language_of_who_asks(chat: Chat) -> None:
    await chat.told("/zone Wien", "`Europe/Vienna`; dort ist es 22:30", sender=GERMAN)


# -- where it counts ------------------------------------------------------------------------------------------


async def test_sessions_are_listed_by_the_clock_of_who_asks(chat: Chat, clock: Clock) -> None:
    await chat.told("hello", "You said: hello")
    await chat.told("/sessions", "today 20:30")
    await chat.told("/zone Tokyo", "05:30")
    await chat.told("/sessions", "today 05:30")
    await chat.told("/zone Los Angeles", "13:30")
    clock.forward(minutes=11 * 60)
    await chat.told("/sessions", "yesterday 13:30")


async def test_the_day_of_ones_own_bill_begins_at_ones_own_midnight(chat: Chat, clock: Clock) -> None:
    await chat.told("hello", "You said: hello")
    clock.forward(minutes=60)  # 21:30 UTC: 14:30 in Los Angeles, 23:30 in Berlin, the next day in Tokyo
    await chat.told("/zone Los Angeles", "14:30")
    await chat.told("/cost today", "1 request")
    await chat.told("/cost 7d by day", "| 2026-07-01 |")
    clock.forward(minutes=8 * 60)  # 22:30 in Los Angeles, the next day in Berlin
    await chat.told("/cost today", "1 request")
    clock.forward(minutes=2 * 60)
    await chat.told("/cost today", "Nothing was used.")


async def test_the_bill_of_everybody_is_of_the_days_of_the_gateway(chat: Chat, clock: Clock) -> None:
    await chat.allow(ANN, "admin")
    await chat.told("hello", "You said: hello")
    await chat.told("/zone Los Angeles", "13:30")
    clock.forward(minutes=2 * 60)  # 00:30 in Berlin
    await chat.told("/cost today", "Nothing was used.")


async def test_the_zone_of_one_is_not_that_of_another(chat: Chat) -> None:
    await chat.told("/zone Tokyo", "05:30")
    await chat.told("/zone", "of this gateway", user=BOB)


async def test_the_model_is_told_the_time_of_who_asks(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(tool=ToolUse("c1", "now", "{}"))])
    async with chatting(store, clock, model, tools={"now": Now()}) as chat:
        await chat.told("hi", "(UTC)")
        await chat.told("/zone Tokyo", "Asia/Tokyo")
        model.queue.append(Script(tool=ToolUse("c2", "now", "{}")))
        await chat.told("hi", "JST (Asia/Tokyo)")


async def test_our_absence_is_told_by_the_clock_of_who_wrote(chat: Chat, clock: Clock) -> None:
    await chat.told("/zone Kathmandu", "02:15")
    await chat.path.says("are you there?", sent=clock() - 3 * HOUR)
    async with asyncio.timeout(10):
        while say("away.told", since="02:15", until="02:15", count=1) not in chat.path.channel.texts(ANN):
            await asyncio.sleep(0.05)


async def test_a_zone_is_the_persons_on_every_platform(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        await p.says("hello")
        await p.channel.until(ANN, "You said: hello")

        async def work(unit):
            one = await unit.people.identity("telegram", ANN)
            other = await unit.people.seen("discord", "77")
            await unit.people.join(other, one.person, let_in=True)
            await unit.people.set_zone(one.person, TOKYO)
            return await unit.people.identity("discord", "77")

        assert (await p.store.commit(Point.PEOPLE, work)).zone == TOKYO
