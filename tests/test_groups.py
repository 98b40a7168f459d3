"""In a group: what was overheard, who is answered, replies that go on with their session, private answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.calls import Call, Reply
from gateway.others_words import OVERHEARD, with_overheard
from gateway.protocols.messages import AssistantMessage, UserMessage
from gateway.texts import say
from gateway.transcript import Text
from gateway.types.inbound import Quote
from gateway.types.measures import MINUTE
from gateway.types.places import Place
from storage import Store
from tests.conftest import Clock
from tests.fakes.model import ScriptedModel
from tests.path import ANN, BOB, Path, path

CHAT = "-500"
GROUP = Place(chat_id=CHAT, kind="group")
ALLOW = frozenset({ANN, BOB, CHAT})


def listening(gw: Path, count: int) -> None:
    gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, overheard={"telegram": count})


async def chatter(gw: Path, *texts: str, user: str = BOB) -> None:
    await gw.says(*texts, user=user, place=GROUP, addressed=False)


async def test_the_last_overheard_messages_reach_the_model_with_who_said_them(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock, allow=ALLOW) as gw:
        listening(gw, 2)
        await chatter(gw, "one", "two", "three")
        await gw.says("what did they say?", place=GROUP)
        await gw.channel.until(CHAT, "You said")
        context, question = gw.model.asked[0].messages[0].texts
        assert context == OVERHEARD + "Bob: two\nBob: three"
        assert question == "Ann: what did they say?"


async def test_overheard_text_is_never_stored_beyond_its_number_nor_in_a_transcript(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock, allow=ALLOW) as gw:
        listening(gw, 3)
        await chatter(gw, *(f"secret{n}" for n in range(10)))
        await gw.says("hello", place=GROUP)
        await gw.channel.until(CHAT, "hello")
        kept = str(await gw.rows("SELECT body, raw FROM inbox"))
        assert [n for n in range(10) if f"secret{n}" in kept] == [7, 8, 9]
        assert "secret" not in str(await gw.rows("SELECT body FROM entry"))
        assert await gw.value("SELECT count(*) FROM turn") == 1


async def test_a_group_can_be_switched_off(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, allow=ALLOW) as gw:
        listening(gw, 3)
        await gw.says("hello", place=GROUP)
        await gw.channel.until(CHAT, "hello")
        ((id,),) = await gw.rows(f"SELECT id FROM conversation WHERE chat_id = '{CHAT}'")
        from gateway.failpoints import Point

        await store.commit(Point.SESSION, lambda unit: unit.places.set(int(id), {"v": 1, "context": 0}))
        await chatter(gw, "not kept")
        assert "not kept" not in str(await gw.rows("SELECT body, raw FROM inbox"))


async def test_nothing_is_overheard_where_the_account_says_so(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, allow=ALLOW) as gw:
        await chatter(gw, "not kept")
        assert "not kept" not in str(await gw.rows("SELECT body, raw FROM inbox"))


def test_what_was_overheard_comes_before_the_newest_question_only():
    messages = (UserMessage(("first",)), AssistantMessage((Text("answer"),)), UserMessage(("second",)))
    found = with_overheard(messages, [{"from": "Bob\nSYSTEM", "text": "a\nb"}])
    assert found[:2] == messages[:2]
    assert found[2] == UserMessage((OVERHEARD + "Bob SYSTEM: a b", "second"), fleeting=True)
    assert with_overheard(messages, []) == messages
    assert with_overheard((), [{"text": "a"}]) == ()


@pytest.mark.parametrize("body", [{}, {"text": 3}, {"from": None, "text": None}])
def test_a_broken_row_breaks_no_prompt(body):
    assert with_overheard((UserMessage(("q",)),), [body])[0].texts[1] == "q"


async def test_a_reply_to_an_earlier_message_goes_on_with_its_session(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as gw:
        await gw.says("about cats")
        await gw.channel.until(ANN, "about cats")
        (old,) = list(gw.channel.messages[ANN])
        clock.forward(minutes=400)
        await gw.says("about dogs")
        await gw.channel.until(ANN, "about dogs")
        current = await gw.value("SELECT current_session FROM conversation")
        await gw.says("and kittens?", reply_to=old, quotes=(Quote(origin="reply", text="…cats", ours=True),))
        await gw.channel.until(ANN, "and kittens?")
        prompt = str(gw.model.asked[-1].messages)
        assert "about cats" in prompt and "about dogs" not in prompt
        # The chat stays where it was: the next message goes on with the dogs.
        assert await gw.value("SELECT current_session FROM conversation") == current
        await gw.says("more")
        await gw.channel.until(ANN, "more")
        assert "about dogs" in str(gw.model.asked[-1].messages)


async def test_a_reply_to_a_message_that_is_not_ours_stays_in_the_current_session(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as gw:
        await gw.says("hello")
        await gw.channel.until(ANN, "hello")
        await gw.says(
            "this", reply_to="99999", quotes=(Quote(origin="reply", text="old news", author="Carl"),)
        )
        await gw.channel.until(ANN, "this")
        assert await gw.value("SELECT count(*) FROM session") == 1
        assert "In answer to Carl, who said: “old news”" in str(gw.model.asked[-1].messages[-1])


async def test_a_message_held_while_we_were_away_is_still_held_when_it_is_a_reply(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock) as gw:
        await gw.says("hello")
        await gw.channel.until(ANN, "hello")
        (ours,) = list(gw.channel.messages[ANN])
        (receipt,) = await gw.says("late", reply_to=ours, sent=clock() - 300 * MINUTE)
        assert receipt.state == "held"


class Private:
    """A table with one command whose answer is for who asked."""

    def mode(self, name: str) -> str:
        return "now"

    async def run(self, call: Call) -> Reply:
        return Reply(text="you have spent $1", private=True)


async def test_a_private_answer_goes_to_who_asked_and_the_group_hears_that_it_did(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock, allow=ALLOW, commands=Private()) as gw:  # type: ignore[arg-type]
        await gw.says("/cost", place=GROUP)
        await gw.channel.until(ANN, "you have spent $1")
        await gw.channel.until(CHAT, say("reply.private"))
        assert not any("spent" in text for text in gw.channel.texts(CHAT))


async def test_in_a_direct_chat_everything_is_private(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, commands=Private()) as gw:  # type: ignore[arg-type]
        await gw.says("/cost")
        await gw.channel.until(ANN, "you have spent $1")
        await asyncio.sleep(0.05)
        assert gw.channel.texts(ANN) == ["you have spent $1"]


async def test_a_thread_goes_on_however_old_it_is(store: Store, clock: Clock) -> None:
    thread = Place(chat_id=CHAT, thread_id="9", kind="thread")
    model = ScriptedModel()
    async with path(store, clock=clock, model=model, allow=ALLOW) as gw:
        await gw.says("one", place=thread)
        await gw.channel.until(CHAT, "one")
        clock.forward(minutes=60 * 24 * 30)
        assert await gw.core.dispatcher.sweep() == 0
        await gw.says("two", place=thread)
        await gw.channel.until(CHAT, "two")
        assert await gw.value("SELECT count(*) FROM session") == 1


@pytest.mark.parametrize(("gap", "sessions"), [(1, 2), ("never", 1), (24 * 60, 1), (None, 2)])
async def test_a_chats_own_gap_goes_before_the_accounts(
    store: Store, clock: Clock, gap: object, sessions: int
) -> None:
    from gateway.failpoints import Point

    async with path(store, clock=clock) as gw:
        await gw.says("one")
        await gw.channel.until(ANN, "one")
        if gap is not None:
            await store.commit(Point.SESSION, lambda unit: unit.places.set(1, {"v": 1, "gap": gap}))
        clock.forward(minutes=400)
        assert await gw.core.dispatcher.sweep() == sessions - 1
        await gw.says("two")
        await gw.channel.until(ANN, "You said: two")
        assert await gw.value("SELECT count(*) FROM session") == sessions
