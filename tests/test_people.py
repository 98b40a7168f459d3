"""Persons: one on several platforms, their roles, blocks, languages and bills, and the trail of who changed what."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.access import Policy
from gateway.codes import ALPHABET
from gateway.commands.table import Table
from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.floods import Limits
from gateway.manager import SessionManager
from gateway.roster import Roster, parse
from gateway.texts import say
from gateway.types.inbound import Kind
from gateway.types.people import Identity
from gateway.types.places import Place
from storage import Store
from tests.conftest import Clock
from tests.fakes.channel import FakeChannel
from tests.path import ANN, BOB, Path, path

OWNER = "100"
POLICY = Policy(
    allow={"telegram": frozenset({ANN, BOB}), "discord": frozenset({"905"})},
    owners={"telegram": frozenset({OWNER})},
)
CODE = re.compile(rf"/link ([{ALPHABET}]{{8}})")
WRONG = say("code.wrong")


class Discord(FakeChannel):
    name = "discord"


@pytest.fixture
async def p(store: Store, clock: Clock) -> AsyncIterator[Path]:
    """Telegram; see `discord` for the other platform."""
    async with path(store, clock=clock, policy=POLICY, placing="exact") as found:
        roster = Roster(
            store=store,
            clock=clock,
            delivery=found.core.delivery,
            policy=lambda: found.core.dispatcher.habits.policy,
        )
        found.core.dispatcher.commands = Table(manager=SessionManager(found.core), roster=roster)
        yield found


@pytest.fixture
async def discord(p: Path) -> Path:
    """The same gateway by its other platform."""
    account = await p.store.commit(Point.PEOPLE, lambda unit: unit.people.account("discord", "43", "bot"))
    channel = Discord()
    p.core.delivery.register(account, channel)
    return replace(p, account=account, channel=channel)


def roster(p: Path) -> Roster:
    return p.core.dispatcher.commands.roster  # type: ignore[union-attr]


async def identity(p: Path, channel: str, user_id: str) -> Identity:
    found = await p.store.read(lambda unit: unit.people.identity(channel, user_id))
    assert found is not None
    return found


async def code(p: Path, user: str = ANN) -> str:
    """What /link gives."""
    before = len(p.channel.texts(user))
    await p.says("/link", user=user)
    async with asyncio.timeout(5):
        while True:
            found = [each for text in p.channel.texts(user)[before:] for each in CODE.findall(text)]
            if found:
                return str(found[-1])
            await asyncio.sleep(0.005)


# -- linking ------------------------------------------------------------------------------------------------------


async def test_a_linked_person_is_let_in_has_one_bill_and_keeps_their_sessions(
    p: Path, discord: Path
) -> None:
    await p.says("Hello")
    await p.channel.until(ANN, "You said: Hello")
    given = await code(p)
    await discord.says(f"/link {given}", user="901")
    await discord.channel.until("901", "From now on you are Ann here too")
    await discord.says("Me again", user="901")
    await discord.channel.until("901", "You said: Me again")
    one, other = await identity(p, "telegram", ANN), await identity(p, "discord", "901")
    assert one.person == other.person
    assert await p.rows("SELECT DISTINCT owner FROM session") == [(one.person,)]
    rows = await p.store.read(lambda unit: unit.costs.by("user"))
    assert [row[0] for row in rows] == ["Ann (telegram:101, discord:901)"]
    assert rows[0][7] == 2  # requests
    mine = await p.store.read(lambda unit: unit.costs.within(person=one.person).total())
    assert mine == rows[0][1:]


async def test_a_link_can_be_undone_and_everything_is_as_it_was(p: Path, discord: Path) -> None:
    await p.says("Hello")
    await p.channel.until(ANN, "You said: Hello")
    await discord.says(f"/link {await code(p)}", user="901")
    await discord.channel.until("901", "From now on")
    await discord.says("Me again", user="901")
    await discord.channel.until("901", "You said: Me again")
    await discord.says("/link remove", user="901")
    await discord.channel.until("901", "a person of its own again")
    one, other = await identity(p, "telegram", ANN), await identity(p, "discord", "901")
    assert (other.state, one.person == other.person) == ("new", False)
    assert [r.state for r in await discord.says("Still here?", user="901")] == ["refused"]
    owners = (
        "SELECT s.owner FROM session s JOIN conversation c ON c.id = s.conversation WHERE c.chat_id = '{}'"
    )
    assert await p.rows(owners.format(ANN)) == [(one.person,)]
    assert await p.rows(owners.format("901")) == [(other.person,)]
    names = [row[0] for row in await p.store.read(lambda unit: unit.costs.by("user"))]
    assert sorted(names) == ["Ann (telegram:101)", "Bob (discord:901)"]


async def test_somebody_let_in_already_keeps_that_and_their_old_sessions_follow(
    p: Path, discord: Path
) -> None:
    await discord.says("First", user="905")
    await discord.channel.until("905", "You said: First")
    await p.says("Hello")
    await p.channel.until(ANN, "You said: Hello")
    await discord.says(f"/link {await code(p)}", user="905")
    await discord.channel.until("905", "From now on")
    one, other = await identity(p, "telegram", ANN), await identity(p, "discord", "905")
    assert (one.person, other.state) == (other.person, "new")
    assert await p.rows("SELECT DISTINCT owner FROM session") == [(one.person,)]
    assert len(await p.store.read(lambda unit: unit.costs.by("user"))) == 1


async def test_a_code_links_once_within_an_hour_and_on_another_platform_only(
    p: Path, discord: Path, clock: Clock
) -> None:
    given = await code(p)
    await p.says(f"/link {given}", user=BOB)
    await p.channel.until(BOB, "your account on another platform")
    await p.says(f"/link {given}", user="666")
    await p.channel.until("666", "your account on another platform")
    assert (await identity(p, "telegram", "666")).state == "new"
    await discord.says(f"/link {given}", user="901")
    await discord.channel.until("901", "From now on")
    await discord.says(f"/link {given}", user="902")
    await discord.channel.until("902", WRONG)
    late = await code(p)
    clock.forward(minutes=61)
    await discord.says(f"/link {late}", user="903")
    await discord.channel.until("903", WRONG)
    first, second = await code(p), await code(p)
    await discord.says(f"/link {first}", user="903")
    await discord.channel.until("903", WRONG, WRONG)
    await discord.says(f"/link {second}", user="903")
    await discord.channel.until("903", "From now on")


async def test_a_stranger_who_guesses_is_locked_out_and_nobody_elses_code_is(p: Path, discord: Path) -> None:
    given = await code(p)
    for number in range(100):
        await discord.says(f"/link {number:08d}", user="666")
    await discord.says(f"/link {given}", user="666")
    await p.core.delivery.drain(2.0)
    texts = discord.channel.texts("666")
    assert texts.count(WRONG) == 5
    assert len(texts) == 6  # and the line that strangers are told
    assert (await identity(p, "discord", "666")).state == "new"
    assert await p.value("SELECT count(*) FROM audit WHERE actor = 'discord:666'") == 6
    await discord.says(f"/link {given}", user="901")
    await discord.channel.until("901", "From now on")


async def test_who_came_through_an_open_door_lets_nobody_in_elsewhere(p: Path, discord: Path) -> None:
    """S7: an open bot on one platform does not open another."""
    policy = replace(POLICY, access={"telegram": "open"})
    p.core.dispatcher.habits = replace(p.core.dispatcher.habits, policy=policy)
    given = await code(p, "666")
    await discord.says(f"/link {given}", user="901")
    await discord.channel.until("901", WRONG)
    assert (await identity(p, "discord", "901")).state == "new"
    # Where they are known, they may be one person.
    await discord.says(f"/link {given}", user="905")
    await discord.channel.until("905", "From now on")


async def test_a_blocked_person_links_nobody_and_is_linked_by_nobody(p: Path, discord: Path) -> None:
    given = await code(p)
    await roster(p).block("telegram:101")
    await discord.says(f"/link {given}", user="901")
    await discord.channel.until("901", WRONG)
    again = await code(p, BOB)
    await roster(p).block("discord:902")
    assert [r.state for r in await discord.says(f"/link {again}", user="902")] == ["refused"]
    await p.core.delivery.drain(2.0)
    assert discord.channel.texts("902") == []
    assert (await identity(p, "discord", "902")).state == "blocked"


async def test_a_role_is_neither_lost_nor_taken_by_linking(p: Path, discord: Path) -> None:
    await roster(p).allow("discord:901", "admin")
    await discord.says(f"/link {await code(p)}", user="901")
    await discord.channel.until("901", "more rights here than there")
    assert (await identity(p, "discord", "901")).role == "admin"
    assert (await identity(p, "telegram", ANN)).role == "user"
    # An owner of the configuration is one where it says so, and there alone.
    await discord.says(f"/link {await code(p, OWNER)}", user="905")
    await discord.channel.until("905", "From now on")
    await discord.says("/people", user="905")
    await discord.channel.until("905", "/people is for admins")


async def test_the_operator_links_and_unlinks(p: Path, discord: Path) -> None:
    await p.says("Hello")
    await discord.says("Hello", user="901")
    await discord.channel.until("901", "I only talk")
    done = await roster(p).link("discord:901", "telegram:101")
    assert (done.address, done.state) == ("discord:901", "allowed")
    done = await roster(p).unlink("discord:901")
    assert done.state == "new"
    with pytest.raises(Refused, match="not linked"):
        await roster(p).unlink("discord:901")
    with pytest.raises(NotFound):
        await roster(p).link("discord:999", "telegram:101")


# -- blocking and roles -------------------------------------------------------------------------------------------


async def test_an_admin_blocks_whoever_wrote_the_message_they_answer(p: Path) -> None:
    group = Place(chat_id="-100", kind="group")
    await roster(p).allow("telegram:-100")
    await p.says("Spam", place=group, user=BOB, message_id="77")
    await p.channel.until("-100", "Spam")
    await p.says("/block", place=group, user=ANN, reply_to="77")
    await p.channel.until("-100", "/block is for admins")
    await roster(p).set_role("telegram:101", "admin")
    await p.says("/block", place=group, user=ANN, reply_to="77")
    async with asyncio.timeout(5):
        while (await identity(p, "telegram", BOB)).state != "blocked":
            await asyncio.sleep(0.005)
    assert [r.state for r in await p.says("More", place=group, user=BOB)] == ["refused"]
    await p.says("/people allow telegram:102", user=ANN)
    await p.channel.until(ANN, "is let in")
    assert [r.state for r in await p.says("Sorry", place=group, user=BOB)] == ["waiting"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("/block", "Answer one of their messages"),
        ("/block @bob", "is not an address"),
        ("/block telegram:101", "cannot do that to yourself"),
        ("/block telegram:100", "Only an owner"),
        ("/people role telegram:102 admin", "Only an owner"),
        ("/people role telegram:102 god", "Send /people"),
        ("/people sing", "Send /people"),
        ("/people allow telegram:77", "is let in, as user"),
        ("/block telegram:102", "is not answered any more"),
    ],
)
async def test_what_an_admin_may(p: Path, words: str, told: str) -> None:
    await roster(p).allow("telegram:101", "admin")
    await p.says("Hi", user=BOB)
    await p.says(words)
    await p.channel.until(ANN, told)


async def test_what_an_owner_may(p: Path) -> None:
    await roster(p).allow("telegram:101", "admin")
    await p.says("/people role telegram:101 user", user=OWNER)
    await p.channel.until(OWNER, "is user now")
    await p.says("/block telegram:101", user=OWNER)
    await p.channel.until(OWNER, "is not answered any more")
    await p.says("/people", user=OWNER)
    await p.channel.until(OWNER, "`telegram:101`  — blocked")


async def test_a_block_holds_on_every_platform_and_against_the_list(p: Path, discord: Path) -> None:
    await discord.says(f"/link {await code(p)}", user="901")
    await discord.channel.until("901", "From now on")
    await roster(p).block("telegram:101")
    for way, user in ((p, ANN), (discord, "901")):
        assert [r.state for r in await way.says("Hello", user=user)] == ["refused"]
    # Nor does the end of the link open anything.
    await roster(p).unlink("discord:901")
    assert (await identity(p, "discord", "901")).state == "blocked"


async def test_the_list_shows_people_as_the_gate_sees_them(p: Path) -> None:
    for user in (ANN, OWNER, "666"):
        await p.says("Hello", user=user)
    await roster(p).allow("telegram:-100")
    shown = {each.address: (each.state, each.role) for each in await roster(p).list()}
    assert shown == {
        "telegram:101": ("allowed", "user"),
        "telegram:100": ("allowed", "owner"),
        "telegram:666": ("new", None),
        "telegram:-100": ("allowed", None),
    }


@pytest.mark.parametrize("address", ["telegram:-100123", "telegram:5", " discord:9 "])
def test_an_address_is_a_channel_and_a_number(address: str) -> None:
    channel, user_id = parse(address)
    assert f"{channel}:{user_id}" == address.strip()


@pytest.mark.parametrize(
    "address", ["telegram:@ann", "telegram:", "5", ":5", "telegram:１２", "telegram:--5"]
)
def test_a_name_is_no_address(address: str) -> None:
    """S3: names change hands."""
    with pytest.raises(Refused):
        parse(address)


async def test_somebody_with_an_old_name_is_not_who_had_it(p: Path) -> None:
    """S3: only the number counts, whatever a name says."""
    from gateway.types.people import Sender

    await p.says("Hello", user=ANN, sender=Sender(user_id=ANN, name="Renamed"))
    taken = Sender(user_id="666", name="Ann")
    assert [r.state for r in await p.says("It is me", user="666", sender=taken)] == ["refused"]


async def test_another_persons_session_is_not_found(p: Path) -> None:
    """S37, for what is reached by a session's code."""
    await p.says("A secret")
    await p.channel.until(ANN, "You said: A secret")
    theirs = await p.value("SELECT code FROM session")
    await p.says(f"/resume {theirs}", user=BOB)
    first = (await p.channel.until(BOB, "no such session"))[-1]
    await p.says("/resume 7K2M9QX4TD", user=BOB)
    assert (await p.channel.until(BOB, "no such session", "no such session"))[-1] == first


async def test_a_language_that_was_chosen_goes_before_the_platforms(p: Path) -> None:
    await p.says("Hello")
    one = await identity(p, "telegram", ANN)
    assert one.person is not None
    person = one.person
    await p.store.commit(Point.PEOPLE, lambda unit: unit.people.set_lang(person, "de"))
    assert (await identity(p, "telegram", ANN)).lang == "de"
    await p.store.commit(Point.PEOPLE, lambda unit: unit.people.set_lang(person, ""))
    assert (await identity(p, "telegram", ANN)).lang == ""


async def test_presses_without_end_are_cut_off_too(p: Path) -> None:
    """S45: nobody is kept busy by somebody's thumb."""
    states: list[str] = []
    for _ in range(10):
        events = [p.message("", kind=Kind.BUTTON, button="x" * 64, press_id="p") for _ in range(100)]
        states += [r.state for r in await p.core.dispatcher.accept(p.account, events)]
    assert states.count("refused") == 1000 - Limits().messages_per_minute
    assert await p.value("SELECT count(*) FROM outbox WHERE origin LIKE 'flood:%'") == 1
    await p.says("Hello", user=BOB)
    await p.channel.until(BOB, "You said: Hello")


# -- the trail ------------------------------------------------------------------------------------------------------


async def test_the_trail_tells_who_did_what_and_shows_that_nobody_touched_it(p: Path, clock: Clock) -> None:
    await roster(p).allow("telegram:101", "admin")
    await p.says("/people allow telegram:77")
    await p.channel.until(ANN, "is let in")
    await p.says("/block telegram:77")
    await p.channel.until(ANN, "is not answered any more")
    rows = await p.store.read(lambda unit: unit.audit.recent(10))
    assert [(row.actor, row.action, row.outcome) for row in reversed(rows)] == [
        ("cli", "allow telegram:101", "admin"),
        ("telegram:101", "allow telegram:77", "user"),
        ("telegram:101", "block telegram:77", "blocked"),
    ]
    assert await p.store.read(lambda unit: unit.audit.verify()) is None


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE audit SET outcome = 'refused' WHERE id = 2", 2),
        ("UPDATE audit SET actor = 'telegram:5' WHERE id = 1", 1),
        ("DELETE FROM audit WHERE id = 2", 3),
        ("DELETE FROM audit WHERE id = 1", 2),
        ("DELETE FROM audit WHERE id = 3", 0),
        ("DELETE FROM audit", 0),
        ("UPDATE audit SET at = at + 1 WHERE id = 3", 3),
    ],
)
async def test_a_trail_that_was_touched_is_found_out(store: Store, sql: str, found: int) -> None:
    async def work(unit, number):  # type: ignore[no-untyped-def]
        await unit.audit.add(at=number, actor="cli", action=f"allow telegram:{number}", outcome="user")

    for number in range(3):
        await store.commit(Point.PEOPLE, work, number)
    assert await store.read(lambda unit: unit.audit.verify()) is None
    await store.commit(Point.PEOPLE, lambda unit: unit.tx.run(sql))
    assert await store.read(lambda unit: unit.audit.verify()) == found


async def test_no_two_entries_read_the_same(store: Store) -> None:
    """What stands in one field cannot pass for the next one's."""

    async def work(unit, actor, action):  # type: ignore[no-untyped-def]
        await unit.audit.add(at=1, actor=actor, action=action, outcome="o")

    await store.commit(Point.PEOPLE, work, "a", "b c")
    first = await store.read(lambda unit: unit.tx.one("SELECT hash FROM audit"))
    await store.commit(Point.PEOPLE, lambda unit: unit.tx.run("DELETE FROM audit"))
    await store.commit(Point.PEOPLE, work, 'a", "b', "c")
    assert await store.read(lambda unit: unit.tx.one("SELECT hash FROM audit")) != first
