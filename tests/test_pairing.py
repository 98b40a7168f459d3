"""Being let in by a code: what a stranger is told, who decides, and what guessing comes to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from gateway.access import Policy
from gateway.codes import ALPHABET, digest, matching, new_code
from gateway.commands.table import Table
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.roster import Roster
from gateway.texts import say
from gateway.types.inbound import Kind
from gateway.types.people import Sender
from gateway.types.places import Place
from storage import Store
from tests.conftest import Clock
from tests.path import ANN, BOB, Path, path

CODE = re.compile(rf"[{ALPHABET}]{{8}}")
POLICY = Policy(
    allow={"telegram": frozenset({BOB})},
    owners={"telegram": frozenset({ANN})},
    access={"telegram": "pairing"},
)
WRONG = say("code.wrong")
STALE = say("button.stale")


@pytest.fixture
async def p(store: Store, clock: Clock) -> AsyncIterator[Path]:
    async with path(store, clock=clock, policy=POLICY) as found:
        roster = Roster(
            store=store,
            clock=clock,
            delivery=found.core.delivery,
            policy=lambda: found.core.dispatcher.habits.policy,
        )
        found.core.dispatcher.commands = Table(manager=SessionManager(found.core), roster=roster)
        yield found


def roster(p: Path) -> Roster:
    return p.core.dispatcher.commands.roster  # type: ignore[union-attr]


async def knock(p: Path, user: str = "666") -> str:
    """The code that a stranger is told."""
    before = len(p.channel.texts(user))
    await p.says("Let me in", user=user)
    async with asyncio.timeout(5):
        while True:
            found = [code for text in p.channel.texts(user)[before:] for code in CODE.findall(text)]
            if found:
                return str(found[-1])
            await asyncio.sleep(0.005)


async def button(p: Path, label: str, about: str = "telegram:666", *, user: str = ANN) -> str:
    """The token of a button under the latest line about somebody."""
    async with asyncio.timeout(5):
        while True:
            for id, text in reversed(p.channel.messages.get(user, {}).items()):
                if about in text and label in p.channel.buttons[id]:
                    return p.channel.buttons[id][label]
            await asyncio.sleep(0.005)


async def audit(p: Path) -> list[tuple[object, ...]]:
    return await p.rows("SELECT actor, action, outcome FROM audit ORDER BY id")


# -- codes --------------------------------------------------------------------------------------------------------


def test_a_code_has_eight_characters_that_nobody_confuses():
    codes = {new_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert set("".join(codes)) == set(ALPHABET)
    assert not set(ALPHABET) & set("01OIL")
    assert {len(code) for code in codes} == {8}


def test_a_code_may_be_written_as_people_do():
    assert digest(" abcd-efgh ") == digest("ABCDEFGH")
    assert digest("ABCDEFGH") != digest("ABCDEFGJ")


def test_a_code_is_found_by_its_hash_alone():
    class Given:
        def __init__(self, code: str) -> None:
            self.code_hash = digest(code)

    one, two = Given("ABCDEFGH"), Given("JKMNPQRS")
    assert matching("jkmnpqrs", [one, two]) is two
    assert matching("ABCDEFGJ", [one, two]) is None
    assert matching(one.code_hash, [one, two]) is None


# -- asking -------------------------------------------------------------------------------------------------------


async def test_a_stranger_is_told_a_code_once_an_hour_and_nothing_else_happens(p: Path, clock: Clock) -> None:
    """S1."""
    code = await knock(p)
    await p.says("Hello?", "/start", "Hello!", user="666")
    clock.forward(minutes=59)
    await p.says("Hello?", user="666")
    await p.core.delivery.drain(2.0)
    assert len(p.channel.texts("666")) == 1
    assert p.model.asked == []
    for table in ("session", "turn", "usage"):
        assert await p.value(f"SELECT count(*) FROM {table}") == 0
    clock.forward(minutes=2)
    assert await knock(p) != code
    assert len(p.channel.texts("666")) == 2
    assert await p.rows("SELECT state FROM pairing ORDER BY id") == [("expired",), ("open",)]


async def test_a_code_is_kept_nowhere_but_as_its_hash(p: Path) -> None:
    code = await knock(p)
    await p.core.delivery.drain(2.0)
    for (table,) in await p.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
        for row in await p.rows(f"SELECT * FROM {table}"):
            assert code not in " ".join(map(str, row)), table


async def test_at_most_three_may_ask_at_once_and_the_others_are_told_what_strangers_are(p: Path) -> None:
    for user in ("601", "602", "603"):
        await knock(p, user)
    await p.says("Me too", user="604")
    await p.channel.until("604", "Your id is 604")
    assert await p.value("SELECT count(*) FROM pairing") == 3


async def test_where_pairing_is_not_on_nobody_is_told_a_code(store: Store, clock: Clock) -> None:
    closed = Policy(allow={}, owners=POLICY.owners)
    async with path(store, clock=clock, policy=closed) as p:
        await p.says("Let me in", user="666")
        await p.channel.until("666", "Your id is 666")
        assert await p.value("SELECT count(*) FROM pairing") == 0


async def test_a_group_gives_out_no_codes(p: Path) -> None:
    await p.says("Let me in", user="666", place=Place(chat_id="-100", kind="group"))
    await p.core.delivery.drain(2.0)
    assert p.channel.messages == {}
    assert await p.value("SELECT count(*) FROM pairing") == 0


async def test_a_strangers_name_is_not_formatting_in_the_line_about_them(p: Path) -> None:
    evil = Sender(user_id="666", name="[me](http://evil) *let in*")
    await p.says("Hello", user="666", sender=evil)
    await p.channel.until(ANN, "asks to be let in")
    assert "\\[me]" in p.channel.texts(ANN)[-1]


# -- deciding -----------------------------------------------------------------------------------------------------


async def test_an_owner_lets_somebody_in_by_a_button(p: Path) -> None:
    await knock(p)
    await p.presses(await button(p, "Let in"))
    await p.channel.until(ANN, "is let in")
    await p.channel.until("666", "You are let in")
    await p.says("Thank you", user="666")
    await p.channel.until("666", "You said: Thank you")
    assert await p.rows("SELECT state FROM pairing") == [("used",)]
    assert await audit(p) == [("telegram:101", "pair telegram:666", "let in")]


async def test_whoever_is_refused_hears_nothing_and_cannot_ask_again_today(p: Path, clock: Clock) -> None:
    await knock(p)
    await p.presses(await button(p, "Refuse"))
    await p.channel.until(ANN, "is not let in")
    clock.forward(minutes=23 * 60)
    await p.says("Please", user="666")
    await p.core.delivery.drain(2.0)
    assert len(p.channel.texts("666")) == 1
    clock.forward(minutes=2 * 60)
    await knock(p)


async def test_an_admin_lets_somebody_in_by_the_code_they_were_told(p: Path) -> None:
    await roster(p).allow("telegram:102", "admin")
    code = await knock(p)
    await p.says(f"/pair {code[:4].lower()}-{code[4:]}", user=BOB)
    await p.channel.until(BOB, "is let in")
    await p.channel.until("666", "You are let in")
    # It works once.
    await p.says(f"/pair {code}", user=BOB)
    await p.channel.until(BOB, WRONG)


async def test_a_user_may_not_decide(p: Path) -> None:
    code = await knock(p)
    await p.says(f"/pair {code}", user=BOB)
    await p.channel.until(BOB, "/pair is for admins")
    assert await p.rows("SELECT state, tries FROM pairing") == [("open", 0)]


async def test_who_waits_is_listed_with_buttons(p: Path) -> None:
    await p.says("/pair")
    await p.channel.until(ANN, "Nobody asks")
    await knock(p)
    await p.says("/pair")
    await p.presses(await button(p, "Let in: Bob"))
    await p.channel.until("666", "You are let in")


async def test_the_operator_approves_and_refuses_without_a_chat(p: Path) -> None:
    code = await knock(p)
    assert [each.address for each in await roster(p).requests()] == ["telegram:666"]
    done = await roster(p).approve(code)
    assert done.address == "telegram:666"
    await p.channel.until("666", "You are let in")
    await knock(p, "667")
    request = (await roster(p).requests())[0]
    await roster(p).decide(request.id, "refused")
    assert await roster(p).requests() == []
    with pytest.raises(Refused, match="decided already"):
        await roster(p).decide(request.id, "used")
    assert await p.rows("SELECT state FROM identity WHERE user_id = '667'") == [("new",)]


async def test_a_blocked_person_is_not_let_in_by_an_old_request(p: Path) -> None:
    code = await knock(p)
    token = await button(p, "Let in")
    await roster(p).block("telegram:666")
    with pytest.raises(Refused):
        await roster(p).approve(code)
    await p.presses(token)
    await p.channel.until(ANN, "decided already")
    assert await p.rows("SELECT state FROM identity WHERE user_id = '666'") == [("blocked",)]


# -- guessing -----------------------------------------------------------------------------------------------------


async def test_a_hundred_guesses_are_locked_after_five(p: Path, clock: Clock) -> None:
    """S2: whoever guesses is locked out, the request is too, and the answer never says which it was."""
    code = await knock(p)
    await p.channel.until(ANN, "asks to be let in")
    for number in range(100):
        await p.says(f"/pair {number:08d}")
        if number % 20 == 19:
            clock.forward(seconds=30)
    await p.says(f"/pair {code}")
    await p.channel.until(ANN, WRONG)
    answers = [text for text in p.channel.texts(ANN) if "asks to be let in" not in text]
    assert {text for text in answers if text != say("limit.fast")} == {WRONG}
    assert await p.rows("SELECT kind, state, tries FROM pairing ORDER BY id") == [
        ("pair", "locked", 5),
        ("guess", "locked", 5),
    ]
    assert await p.rows("SELECT state FROM identity WHERE user_id = '666'") == [("new",)]
    rows = await audit(p)
    assert rows.count(("telegram:101", "pair code", "wrong")) == 5
    assert ("telegram:101", "pair code", "locked") in rows
    assert ("telegram:101", "pair telegram:666", "locked") in rows
    assert len(rows) == 7  # whoever is locked out cannot fill the trail either


async def test_a_lock_ends_with_its_hour(p: Path, clock: Clock) -> None:
    for number in range(6):
        await p.says(f"/pair {number:08d}")
    await p.channel.until(ANN, WRONG, WRONG, WRONG, WRONG, WRONG, WRONG)
    clock.forward(minutes=61)
    code = await knock(p)
    await p.says(f"/pair {code}")
    await p.channel.until(ANN, "is let in")


async def test_a_wrong_a_late_a_used_and_a_locked_code_are_one_and_the_same(p: Path, clock: Clock) -> None:
    told: set[str] = set()

    async def tried(code: str) -> None:
        with pytest.raises(Refused) as caught:
            await roster(p).approve(code)
        told.add(str(caught.value))

    await tried("ABCDEFGH")
    await tried("")
    late = await knock(p, "601")
    clock.forward(minutes=61)
    await tried(late)
    used = await knock(p, "602")
    await roster(p).approve(used)
    await tried(used)
    locked = await knock(p, "603")
    for _ in range(5):
        await tried("ABCDEFGH")
    await tried(locked)
    assert told == {WRONG}


# -- buttons (S10, S11) ---------------------------------------------------------------------------------------------


async def toast(p: Path, token: str, *, user: str = ANN, chat: str | None = None) -> str:
    before = len(p.channel.acks)
    await p.says("", user=user, chat=chat, kind=Kind.BUTTON, button=token, press_id=f"p{before}")
    async with asyncio.timeout(5):
        while len(p.channel.acks) == before:
            await asyncio.sleep(0.005)
    return p.channel.acks[-1][1]


async def test_a_button_works_for_whom_it_is_where_it_is_once_and_in_time(p: Path, clock: Clock) -> None:
    await p.says("Hello")  # the owner is somebody by now
    await p.channel.until(ANN, "You said: Hello")
    await roster(p).allow("telegram:102", "admin")
    await knock(p)
    token = await button(p, "Let in")
    assert await p.value("SELECT count(*) FROM button WHERE for_person IS NOT NULL") == 4
    assert await toast(p, token, user=BOB, chat=ANN) == STALE  # by another, in the same chat
    assert await toast(p, token, chat="999") == STALE  # from a message copied elsewhere
    assert await toast(p, "x" * 64) == STALE
    assert await toast(p, "") == STALE
    assert await toast(p, "\ud800\x00" * 20) == STALE
    assert await p.rows("SELECT state FROM pairing") == [("open",)]
    assert await toast(p, token) == ""
    await p.channel.until(ANN, "is let in")
    assert await toast(p, token) == STALE  # twice
    await knock(p, "667")
    late = await button(p, "Let in", "telegram:667")
    clock.forward(minutes=61)
    assert await toast(p, late) == STALE
    assert await p.rows("SELECT state FROM pairing ORDER BY id") == [("used",), ("open",)]


async def test_who_is_no_admin_any_more_decides_nothing_by_an_old_button(p: Path) -> None:
    await roster(p).allow("telegram:102", "admin")
    await p.says("Hello", user=BOB)
    await p.channel.until(BOB, "You said: Hello")
    await knock(p)
    token = await button(p, "Let in", user=BOB)
    await roster(p).set_role("telegram:102", "user")
    await p.presses(token, user=BOB)
    await p.channel.until(BOB, "/pair is for admins")
    assert await p.rows("SELECT state FROM pairing") == [("open",)]


async def test_the_administrators_of_a_chat_are_nobody_to_us(p: Path) -> None:
    """S15: rights on the platform give none here."""
    p.channel.admins.add(BOB)
    code = await knock(p)
    for command in (f"/pair {code}", "/people", "/block telegram:101"):
        await p.says(command, user=BOB)
        await p.channel.until(BOB, f"{command.split()[0]} is for admins")
    assert await p.rows("SELECT state FROM pairing") == [("open",)]
