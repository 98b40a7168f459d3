"""Each person is spoken to in their own language, and everybody else in the operator's."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import ModelError, NotFound, Refused
from gateway.texts import say
from gateway.types.people import Sender
from gateway.types.places import Place
from storage import Store
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, Path, path

GERMAN = Sender(user_id=ANN, name="Ann", lang="de-AT")
KEPT, STOPPED = say("turn.kept", "de"), say("turn.stopped", "de")


async def german(p: Path, *texts: str) -> None:
    await p.says(*texts, sender=GERMAN)


async def test_a_stranger_is_told_their_id_in_their_language(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, allow=frozenset()) as p:
        await german(p, "hallo")
        await p.channel.until(ANN, say("message.stranger", "de", user_id=ANN, channel="telegram"))


async def test_what_is_kept_and_then_given_up_is_said_in_the_language_of_who_asked(
    store: Store, clock: Clock
) -> None:
    refusal = ModelError("invalid x-api-key", kind="auth", status=401)
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(error=refusal)])) as p:
        await german(p, "hallo")
        await p.channel.until(ANN, KEPT)
        clock.forward(minutes=6 * 60 + 1)
        p.model.queue.append(Script(error=refusal))
        await p.channel.until(ANN, KEPT, say("turn.gave_up", "de"))


async def test_a_stopped_turn_says_so_in_the_language_of_who_asked(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(text="one", gate=gate)])) as p:
        (receipt,) = await p.says("los", sender=GERMAN)
        while p.core.dispatcher.running(receipt.conversation or 0) is None:
            await asyncio.sleep(0.01)
        assert await p.core.dispatcher.cancel(receipt.conversation or 0)
        await p.channel.until(ANN, STOPPED)


@pytest.mark.parametrize("kind", ["overloaded", "context", "refused"])
async def test_a_failed_turn_says_why_in_the_language_of_who_asked(
    store: Store, clock: Clock, kind: str
) -> None:
    failure = ModelError("no", kind=kind)  # type: ignore[arg-type]
    async with path(store, clock=clock, model=ScriptedModel(queue=[Script(error=failure)])) as p:
        await german(p, "hallo")
        await p.channel.until(ANN, say(f"failed.{kind}", "de"))


async def test_the_way_back_from_a_new_session_is_offered_in_german(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        await german(p, "eins")
        await p.channel.until(ANN, "You said: eins")
        clock.forward(minutes=361)
        await german(p, "zwei")
        notice = say("reset.paused", "de", span="6 Stunden", title="„eins“")
        await p.channel.until(ANN, "You said: eins", notice, "You said: zwei")
        assert p.channel.buttons["2"].keys() == {"Die vorige fortsetzen"}


async def test_what_came_while_we_were_away_is_offered_in_the_language_of_who_wrote(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as p:
        await p.says("eins", "zwei", sender=GERMAN, sent=clock() - 3 * 3600 * 1_000_000)
        async with asyncio.timeout(10):
            while not p.channel.buttons:
                await asyncio.sleep(0.05)
        (text,) = p.channel.texts(ANN)
        assert "kamen 2 Nachrichten. Soll ich antworten?" in text
        (buttons,) = p.channel.buttons.values()
        assert set(buttons) == {"Antworten", "Verwerfen"}
        assert await p.rows("SELECT action FROM button ORDER BY action") == [("away-answer",), ("away-drop",)]


async def test_the_operators_language_is_for_those_whose_own_is_not_known(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        p.core.dispatcher.habits = replace(p.core.dispatcher.habits, language="de")
        await p.says("  ")
        await p.channel.until(ANN, say("message.no_text", "de"))
        await p.says("  ", user=BOB, sender=Sender(user_id=BOB, name="Bob", lang="en-GB"))
        await p.channel.until(BOB, say("message.no_text"))


async def test_a_stale_button_and_an_unknown_command_are_refused_in_german(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as p:
        await german(p, "/nothing")
        await p.channel.until(ANN, say("command.unknown", "de"))
        await p.presses("forged")
        async with asyncio.timeout(5):
            while not p.channel.acks:
                await asyncio.sleep(0.01)
        assert p.channel.acks == [("p1", say("button.stale", "de"))]


async def test_in_a_group_each_turn_speaks_to_who_asked(store: Store, clock: Clock) -> None:
    failure = ModelError("no", kind="refused")
    model = ScriptedModel(queue=[Script(error=failure), Script(error=failure)])
    async with path(store, clock=clock, model=model, allow=frozenset({ANN, BOB, "-5"})) as p:
        group = Place(chat_id="-5", kind="group")
        await p.says("hallo", sender=GERMAN, place=group)
        await p.channel.until("-5", say("failed.refused", "de"))
        await p.says("hello", user=BOB, place=group)
        await p.channel.until("-5", say("failed.refused", "de"), say("failed.refused"))


def test_a_refusal_is_told_in_every_language_and_is_english_to_programs() -> None:
    error = NotFound(key="message.stranger", user_id="7", channel="{0}")
    assert isinstance(error, Refused)
    assert str(error).startswith("I only talk with people I know. Your id is 7 ({0})")
    assert error.told("de").startswith("Ich spreche nur mit Leuten")
    assert Refused("as it is").told("de") == "as it is"
