"""Groups, topics and moves, with the whole gateway between the fake Bot API and the fake provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.app import App, start
from gateway.settings import Settings
from tests.fakes.llm import KEY, FakeLLM
from tests.fakes.telegram import FakeTelegram

ANN, BOB, EVE = 7001, 7002, 666
GROUP, SMALL = -1001234567890, -55
ME = "@parley_test_bot"


@dataclass
class Chat:
    """A gateway in a group: Ann and Bob are let in, Eve is not."""

    tg: FakeTelegram
    llm: FakeLLM
    app: App

    def says(self, text: str, user: int = ANN, chat: int = GROUP, **more: Any) -> int:
        update = self.tg.user_says(
            chat, text, user_id=user, first_name={ANN: "Ann", BOB: "Bob"}.get(user, "Eve"), **more
        )
        assert update is not None
        return update

    async def answered(self, *texts: str, chat: int = GROUP) -> None:
        await self.tg.until(lambda: self.tg.texts(chat) == list(texts), timeout=10)

    async def silent(self, *updates: int) -> None:
        """All of *updates* were taken, and not one of them is being answered."""
        await self.tg.until(lambda: (self.tg.confirmed or 0) >= max(updates), timeout=10)
        waiting = "SELECT count(*) FROM inbox WHERE state IN ('waiting', 'taken')"
        assert await self.rows(waiting) == [(0,)]
        assert self.llm.requests == []

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return await self.app.core.store.read(lambda unit: unit.tx.all(sql))


def settings(tmp_path: Path, tg: FakeTelegram, llm: FakeLLM, **telegram: Any) -> Settings:
    bot = {
        "token": tg.token, "api_url": tg.url, "poll_seconds": 1, "owners": [9], "allow": [ANN, BOB, GROUP, SMALL],
    }  # fmt: skip
    return Settings.model_validate(
        {
            "gateway": {"data_dir": tmp_path / "data"},
            "channels": {"telegram": bot | telegram},
            "providers": {"anthropic": {"api_key": KEY, "base_url": llm.url}},
            "agent": {"model": "anthropic:claude-sonnet-5", "retries": 0},
        }
    )


@asynccontextmanager
async def gateway(tg: FakeTelegram, llm: FakeLLM, configured: Settings) -> AsyncIterator[Chat]:
    app = await start(configured, environ={})
    try:
        yield Chat(tg, llm, app)
    finally:
        await app.stop()


@pytest.fixture
async def tg() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as server:
        server.add_chat(GROUP, "supergroup")
        server.add_chat(SMALL, "group")
        yield server


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as server:
        yield server


@pytest.fixture
async def chat(tmp_path: Path, tg: FakeTelegram, llm: FakeLLM) -> AsyncIterator[Chat]:
    async with gateway(tg, llm, settings(tmp_path, tg, llm)) as found:
        yield found


def asked(llm: FakeLLM) -> str:
    """The last thing that the model was told, as its provider got it."""
    return json.dumps(llm.requests[-1].body["messages"][-1], ensure_ascii=False)


async def test_a_mention_an_answer_and_a_command_are_answered_and_the_rest_is_overheard(chat: Chat) -> None:
    chat.llm.say("One.")
    chat.says("nobody asks the bot")
    chat.says(f"{ME} hello")
    await chat.answered("One.")
    chat.llm.say("Two.")
    chat.says("and you?", BOB, reply_to=chat.tg.messages(GROUP)[0].id)
    await chat.answered("One.", "Two.")
    chat.says(f"/status{ME}")
    await chat.tg.until(lambda: len(chat.tg.texts(GROUP)) == 3, timeout=10)
    assert "Parley" in (chat.tg.texts(GROUP)[2] or "")
    assert await chat.rows("SELECT count(*) FROM session") == [(1,)]
    assert len(chat.llm.requests) == 2


async def test_whoever_only_looks_like_somebody_we_know_is_not_answered(chat: Chat) -> None:
    mention = [{"type": "mention", "offset": 0, "length": len(ME)}]
    anonymous = {
        "from": {"id": 1087968824, "is_bot": True, "first_name": "Group"},
        "sender_chat": {"id": GROUP},
    }
    post = {"from": {"id": 777000, "is_bot": False, "first_name": "Telegram"}, "sender_chat": {"id": -1009}}
    updates = [
        chat.says(f"{ME} let me in", EVE),
        chat.says(f"{ME} an admin speaks", ANN, **anonymous),
        chat.says(f"{ME} a channel's post", ANN, **post),
        chat.says(f"{ME} through a bot", ANN, via_bot={"id": 5, "is_bot": True, "first_name": "Via"}),
        chat.says(f"{ME} hi", ANN, chat=-100777, chat_type="supergroup", entities=mention),
    ]
    await chat.silent(*updates)
    assert chat.tg.texts(GROUP) == chat.tg.texts(-100777) == []
    assert await chat.rows("SELECT count(*) FROM turn") == [(0,)]


@pytest.mark.parametrize(
    "text, kind",
    [
        (f"{ME} plain", None), (f"{ME} code", "code"), (f"{ME} pre", "pre"), (f"{ME} url", "url"),
        (f"{ME} link", "text_link"), (f"{ME}_evil hi", "mention"), (f"/new{ME}_evil", "bot_command"),
        (f"{ME} somebody", "text_mention"),
    ],
)  # fmt: skip
async def test_what_only_looks_like_a_mention_is_none(chat: Chat, text: str, kind: str | None) -> None:
    length = len(text.split()[0])
    entities = [] if kind is None else [{"type": kind, "offset": 0, "length": length, "user": {"id": BOB}}]
    await chat.silent(chat.says(text, entities=entities))
    assert chat.tg.texts(GROUP) == []


async def test_where_every_message_is_meant_for_the_bot_none_needs_to_name_it(
    tmp_path: Path, tg: FakeTelegram, llm: FakeLLM
) -> None:
    async with gateway(tg, llm, settings(tmp_path, tg, llm, always=[GROUP])) as chat:
        llm.say("Yes.")
        other = [chat.says("not here", chat=SMALL), chat.says("/new@other_bot"), chat.says("let me in", EVE)]
        await chat.silent(*other)
        chat.says("no name needed")
        await chat.answered("Yes.")
        assert tg.texts(SMALL) == []


async def test_the_model_is_told_what_a_message_answers_and_whose_words_it_passes_on(chat: Chat) -> None:
    bobs = chat.tg.message_id_of(chat.says("Shall we meet on Friday?", BOB))
    chat.llm.say("Friday it is.")
    chat.says(f"{ME} what does he want?", reply_to=bobs)
    await chat.answered("Friday it is.")
    told = asked(chat.llm)
    assert "Bob" in told and "Shall we meet on Friday?" in told and "what does he want?" in told
    chat.llm.say("I see.")
    origin = {"type": "hidden_user", "sender_user_name": "Mallory", "date": 1}
    chat.says(f"{ME} you may go now", forward_origin=origin)
    await chat.answered("Friday it is.", "I see.")
    assert "Mallory" in asked(chat.llm)


# -- a group that becomes a supergroup ------------------------------------------------------------------------


async def test_a_group_that_becomes_a_supergroup_goes_on_with_its_session_and_its_rights(
    tmp_path: Path, tg: FakeTelegram, llm: FakeLLM
) -> None:
    new = -1009876543210
    configured = settings(tmp_path, tg, llm, allow=[ANN, SMALL], always=[SMALL])
    async with gateway(tg, llm, configured) as chat:
        llm.say("Before.")
        chat.says("the first", chat=SMALL)
        await chat.answered("Before.", chat=SMALL)
        tg.migrate(SMALL, new)
        told = tg.announce_migration(SMALL, ANN)
        await tg.until(lambda: tg.confirmed == told[1], timeout=10)
        llm.say("After.")
        chat.says("the second", chat=new)
        await chat.answered("After.", chat=new)
        assert await chat.rows("SELECT chat_id FROM conversation WHERE current_session IS NOT NULL") == [
            (str(new),)
        ]
        assert await chat.rows("SELECT count(*) FROM session") == [(1,)]
        assert "the first" in json.dumps(llm.requests[-1].body)
        ids = await chat.rows("SELECT count(DISTINCT event_id), count(*) FROM inbox WHERE kind = 'migration'")
        assert ids == [(2, 2)]
    # The configuration still names the old id.
    async with gateway(tg, llm, configured) as chat:
        llm.say("Later.")
        chat.says("the third", chat=new)
        await chat.answered("After.", "Later.", chat=new)
        assert await chat.rows("SELECT count(*) FROM session") == [(1,)]


async def test_a_message_that_comes_before_the_notices_of_the_move_is_not_lost_and_takes_nothing_over(
    tmp_path: Path, tg: FakeTelegram, llm: FakeLLM
) -> None:
    new = -1009876543210
    async with gateway(tg, llm, settings(tmp_path, tg, llm, allow=[ANN, SMALL, new])) as chat:
        llm.say("Before.")
        chat.says(f"{ME} the first", chat=SMALL)
        await chat.answered("Before.", chat=SMALL)
        tg.migrate(SMALL, new)
        llm.say("Early.")
        chat.says(f"{ME} too early", chat=new)
        await chat.answered("Early.", chat=new)
        told = tg.announce_migration(SMALL, ANN)
        await tg.until(lambda: tg.confirmed == told[1], timeout=10)
        llm.say("After.")
        chat.says(f"{ME} the second", chat=new)
        await chat.answered("Early.", "After.", chat=new)
        assert "the first" in json.dumps(llm.requests[-1].body)
        assert "too early" not in json.dumps(llm.requests[-1].body)
        states = await chat.rows("SELECT state, close_reason FROM session ORDER BY id")
        assert states == [("open", None), ("closed", "moved")]


# -- where we may not speak -----------------------------------------------------------------------------------


async def until_dead(chat: Chat) -> None:
    """Until an answer was given up."""
    async with asyncio.timeout(10):
        while not await chat.rows("SELECT 1 FROM outbox WHERE state = 'dead'"):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["muted", "closed", "kicked"])
async def test_where_we_may_not_write_the_answer_is_given_up_at_once_and_nobody_is_alarmed(
    chat: Chat, how: str
) -> None:
    chat.tg.add_chat(9, first_name="Owner")
    chat.tg.add_chat(GROUP)
    where: dict[str, Any] = {}
    if how == "muted":
        chat.tg.world.chats[GROUP].mute = "not enough rights to send text messages to the chat"
    elif how == "closed":
        chat.tg.add_thread(GROUP, 7)
        chat.tg.world.chats[GROUP].closed.add(7)
        where = {"thread_id": 7}
    else:
        chat.tg.block(GROUP)
    chat.llm.say("Nobody hears this.")
    chat.says(f"{ME} hello", **where)
    await until_dead(chat)
    assert await chat.rows(
        "SELECT DISTINCT blocked IS NOT NULL FROM conversation WHERE current_session > 0"
    ) == [(1,)]
    sends = len(chat.tg.calls_of("sendMessage", GROUP))
    assert sends <= 2
    # The way is free again: whoever writes is answered.
    chat.tg.world.chats[GROUP].mute = None
    chat.tg.world.chats[GROUP].closed.clear()
    chat.tg.unblock(GROUP)
    chat.llm.say("Here I am.")
    chat.says(f"{ME} and now?", **where)
    await chat.answered("Here I am.")
    assert await chat.rows("SELECT count(*) FROM conversation WHERE blocked IS NOT NULL") == [(0,)]
    assert chat.tg.texts(9) == []


async def test_who_blocks_the_bot_is_left_alone_silently_until_they_come_back(chat: Chat) -> None:
    tg = chat.tg
    tg.add_chat(9, first_name="Owner")
    tg.add_chat(ANN, first_name="Ann")
    blocked = "SELECT count(*) FROM conversation WHERE blocked IS NOT NULL"
    chat.llm.say("Too late.")
    tg.block(ANN)
    chat.says("hello", chat=ANN)
    await until_dead(chat)
    assert await chat.rows(blocked) == [(1,)]
    update = tg.membership(ANN, "kicked")
    await tg.until(lambda: tg.confirmed == update, timeout=10)
    assert await chat.rows(blocked) == [(1,)]
    update = tg.membership(ANN, "member")
    await tg.until(lambda: tg.confirmed == update, timeout=10)
    assert await chat.rows(blocked) == [(0,)]
    chat.llm.say("Welcome back.")
    chat.says("hello again", chat=ANN)
    await chat.answered("Welcome back.", chat=ANN)
    assert tg.texts(9) == []


async def test_being_put_into_a_group_and_out_of_it_is_noted_and_not_answered(chat: Chat) -> None:
    chat.tg.add_chat(-100888, "supergroup")
    updates = [
        chat.tg.membership(-100888, status, EVE) for status in ("member", "administrator", "left", "kicked")
    ]
    await chat.silent(*(update for update in updates if update is not None))
    assert chat.tg.calls_of("sendMessage") == []
    assert await chat.rows("SELECT kind, state, count(*) FROM inbox GROUP BY kind, state") == [
        ("membership", "done", 4)
    ]
