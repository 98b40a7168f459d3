"""A session is never bricked: whatever its history does to a provider, somebody is told and the next message works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway import transcript
from gateway.commands.table import Table
from gateway.errors import ModelError
from gateway.failpoints import Point
from gateway.progress import Options
from gateway.roster import Roster
from gateway.texts import say
from gateway.transcript import Text, ToolResult, ToolUse
from gateway.types.json import Json
from storage import Store
from tests.conftest import Clock
from tests.fakes.llm import Call, Pace, Reply
from tests.path import ANN
from tests.wires import LONG, MINI, SONNET, CountingLLM, Wired, wired

both = pytest.mark.parametrize("model", [SONNET, MINI])


@pytest.fixture
async def llm() -> AsyncIterator[CountingLLM]:
    async with CountingLLM(pace=Pace(chunk=20)) as server:
        yield server


async def works(p: Wired, text: str = "and now?") -> None:
    def answers() -> int:
        return sum(each.startswith("You said: ") and text in each for each in p.channel.texts(ANN))

    before = answers()
    await p.says(text)
    # One vendor's last text is the message, the other's is everything since the last answer.
    # A line about a conversation that was shortened may come behind it.
    async with asyncio.timeout(20):
        while answers() <= before:
            await asyncio.sleep(0.005)
        while await p.value("SELECT count(*) FROM inbox WHERE state IN ('waiting', 'taken')"):
            await asyncio.sleep(0.01)
    assert await p.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0
    assert await p.value("SELECT count(*) FROM session") == 1


# As it was before sessions were shortened by themselves, and is where that is switched off.
BY_HAND = Options(system_prompt=LONG, retries=1, max_output_tokens=2000, auto_compact=False)


@both
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(status=400, code="context_length_exceeded"), "context"),
        (Reply(status=413), "context"),
        (
            Reply(status=400, message="messages.1: `tool_use` ids were found without `tool_result` blocks"),
            "shape",
        ),
        (Reply(status=400, message="messages: roles must alternate between user and assistant"), "shape"),
        (Reply(status=400, message="no"), "refused"),
        (Reply(status=422, message="cannot be processed"), "refused"),
    ],
)
async def test_a_history_that_is_refused_is_told_of_and_the_next_message_works(
    store: Store, llm: CountingLLM, clock: Clock, model: str, reply: Reply, kind: str
) -> None:
    async with wired(store, llm, clock=clock, default=model, fallbacks=[SONNET, MINI], options=BY_HAND) as p:
        await works(p, "before")
        llm.reply(reply)
        await p.says("too much")
        await p.channel.until(ANN, say(f"failed.{kind}"))  # type: ignore[index]
        assert len(llm.requests) == 2  # no other model would do better with it
        assert await p.rows("SELECT state, error_kind FROM turn ORDER BY id") == [
            ("done", None),
            ("failed", kind),
        ]
        await works(p)


@both
async def test_a_conversation_too_long_for_the_model_can_be_shortened_and_goes_on(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with wired(store, llm, clock=clock, default=model, options=BY_HAND) as p:
        p.core.dispatcher.commands = Table(manager=p.manager, roster=Roster(store=store, clock=clock))
        await works(p, "before")
        for number in range(4):
            await p.manager.save_message(await p.session(), "user", f"part {number}")
            await p.manager.save_message(await p.session(), "assistant", "word " * 1200)
        llm.context_window = 8000  # tokens; what is there by now has grown past it
        failure = say("failed.context")
        await p.says("more")
        await p.channel.until(ANN, failure)
        await p.says("more")
        await p.channel.until(ANN, failure, failure)
        llm.context_window = 12_000
        llm.say("They talked of parts.")
        await p.says("/compact")
        async with asyncio.timeout(5):
            while not await p.value("SELECT count(*) FROM compaction"):
                await asyncio.sleep(0.01)
        llm.context_window = 8000
        await works(p)
        assert "They talked of parts." in str(llm.requests[-1].body["messages"])


@both
async def test_a_conversation_too_long_for_the_model_is_shortened_by_itself(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with wired(store, llm, clock=clock, default=model) as p:
        await works(p, "before")
        for number in range(4):
            await p.manager.save_message(await p.session(), "user", f"part {number}")
            await p.manager.save_message(await p.session(), "assistant", "word " * 1200)
        llm.context_window = 8000
        llm.say("They talked of parts.")
        await works(p)
        assert "They talked of parts." in str(llm.requests[-1].body["messages"])
        assert await p.rows("SELECT cause FROM compaction") == [("overflow",)]
        assert await p.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0
        await works(p, "and on")


@both
@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=400, code="context_length_exceeded"),
        Reply(status=529),
        Reply(status=401),
        Reply(text="notes " * 50, cut_after=4),
        Reply(text="notes " * 50, stall_after=4),
        Reply(text=""),
        Reply(text="", calls=(Call("now", {}),)),
    ],
)
async def test_a_compaction_that_fails_changes_nothing_and_is_told_of(
    store: Store, llm: CountingLLM, clock: Clock, model: str, reply: Reply
) -> None:
    async with wired(store, llm, clock=clock, default=model, silence=0.3) as p:
        p.core.dispatcher.commands = Table(manager=p.manager, roster=Roster(store=store, clock=clock))
        await works(p, "before")
        before = await p.rows("SELECT seq, kind, body FROM entry")
        llm.reply(reply)
        await p.says("/compact")
        async with asyncio.timeout(5):
            while len(p.channel.texts(ANN)) < 2:
                await asyncio.sleep(0.01)
        assert p.channel.texts(ANN)[-1] and not p.channel.texts(ANN)[-1].startswith("You said")
        assert await p.rows("SELECT seq, kind, body FROM entry") == before
        assert await p.value("SELECT count(*) FROM compaction") == 0
        assert await p.value("SELECT count(*) FROM usage") == len(llm.requests) == 2
        await works(p)
        assert "before" in str(llm.requests[-1].body["messages"])


@both
async def test_a_compaction_that_is_called_off_is_on_the_bill(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with wired(store, llm, clock=clock, default=model) as p:
        await works(p, "before")
        llm.reply(Reply(text="notes " * 50, between=0.05))
        task = asyncio.create_task(p.manager.compact(await p.session()))
        await llm.arrived(2)
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await p.rows("SELECT purpose, state FROM usage ORDER BY id") == [
            ("chat", "known"),
            ("compaction", "estimated"),
        ]
        await works(p)


async def test_a_failing_compaction_raises_what_the_provider_said(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with wired(store, llm, clock=clock) as p:
        await works(p, "before")
        llm.reply(Reply(status=529))
        with pytest.raises(ModelError) as failed:
            await p.manager.compact(await p.session())
        assert failed.value.kind == "overloaded"


USE = ToolUse("toolu_1", "now", "{}")
RUINS: dict[str, list[tuple[str, Json]]] = {
    "a call without a result": [("assistant", transcript.assistant((Text("Let me look."), USE)))],
    "a result without a call": [("results", transcript.results((ToolResult("nobody", "now", "noon"),)))],
    "two calls of one id": [("assistant", transcript.assistant((USE, USE)))],
    "an id that no provider takes": [
        ("assistant", transcript.assistant((ToolUse("a b/ü" * 30, "no such tool!", "{broken"),)))
    ],
    "answers in a row": [("assistant", transcript.assistant((Text("One."),)))] * 3,
    "an empty answer": [
        ("assistant", transcript.assistant(())),
        ("assistant", transcript.assistant((Text(" "),))),
    ],
    "a body nobody can read": [
        ("assistant", {"v": 99}),
        ("user", {"v": 1, "text": 7}),
        ("results", {"v": 1, "results": "x"}),
        ("summary", {"v": 1, "upto": "soon"}),
        ("mark", {"v": 1, "op": "rewind", "seq": "x"}),
    ],
    "a half-written answer": [
        ("assistant", transcript.assistant((Text("I was"), ToolUse("t", "now", '{"zo')), interrupted=True))
    ],
}


@both
@pytest.mark.parametrize("ruin", RUINS)
async def test_a_broken_history_is_sent_mended(
    store: Store, llm: CountingLLM, clock: Clock, model: str, ruin: str
) -> None:
    async with wired(store, llm, clock=clock, default=model) as p:
        await works(p, "before")
        session = int(str(await p.value("SELECT id FROM session")))
        for kind, body in RUINS[ruin]:
            await store.commit(
                Point.META, lambda unit, k=kind, b=body: unit.transcript.add(session, k, b, now=clock())
            )
        await works(p)
        assert [record.status for record in llm.requests] == [200, 200]
