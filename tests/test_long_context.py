"""Sessions that are too long for the model, with both vendors' own words for it, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.progress import Options
from gateway.texts import say
from storage import Store
from tests.compaction import Big, idle
from tests.conftest import Clock
from tests.fakes.llm import Ask, Call, Pace, Reply
from tests.path import ANN
from tests.wires import MINI, SONNET, CountingLLM, Wired, wired

both = pytest.mark.parametrize("model", [SONNET, MINI])
WINDOW = 3000  # tokens, of the server
WORDS = "whale " * 600  # 900 tokens
# The gateway believes in a window that is much larger: only the server's refusal tells it.
DECEIVED = Options(system_prompt="Be brief.", retries=0, max_output_tokens=200)
KNOWING = replace(DECEIVED, context_window=WINDOW)


def is_notes(body: dict[str, object]) -> bool:
    return "You write the notes" in json.dumps(body)


def answering(ask: Ask) -> Reply:
    return Reply(text="Noted." if is_notes(ask.body) else "Yes.")


def broken(ask: Ask) -> Reply:
    """A server whose model for notes never works."""
    return Reply(status=529, message="Overloaded") if is_notes(ask.body) else Reply(text="Yes.")


@pytest.fixture
async def llm() -> AsyncIterator[CountingLLM]:
    async with CountingLLM(pace=Pace(chunk=200), context_window=WINDOW) as server:
        server.script = answering
        yield server


async def told(p: Wired, text: str) -> list[str]:
    """What is said after it, when everybody is at rest again."""
    before = len(p.channel.texts(ANN))
    await p.says(text)
    await idle(p)
    await p.core.delivery.drain(5.0)
    return p.channel.texts(ANN)[before:]


@both
async def test_a_refusal_in_the_vendor_s_words_is_answered_by_making_room(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with wired(store, llm, clock=clock, default=model, options=DECEIVED, tools={}) as p:
        for number in range(6):
            answer, *lines = await told(p, f"question {number} {WORDS}")
            assert answer == "Yes.", (number, answer, lines)
        causes = await p.rows("SELECT cause, method, state FROM compaction")
        assert causes and {*causes} == {("overflow", "notes", "on")}
        assert {each.status for each in llm.requests} == {200, 400}
        assert await p.rows("SELECT DISTINCT state FROM turn") == [("done",)]
        assert await p.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0


@both
async def test_where_the_window_is_known_nothing_is_refused(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with wired(store, llm, clock=clock, default=model, options=KNOWING, tools={}) as p:
        for number in range(8):
            assert (await told(p, f"question {number} {WORDS}"))[0] == "Yes."
        assert await p.value("SELECT count(*) FROM compaction") >= 2  # type: ignore[operator]
        assert {each.status for each in llm.requests} == {200}


@both
async def test_three_times_too_long_with_a_huge_result_and_no_notes_there_is_an_answer_within_two_attempts(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with wired(store, llm, clock=clock, default=model, options=DECEIVED, tools={}) as p:
        # A history of three windows, made while the server took more.
        llm.context_window = None
        for number in range(10):
            await told(p, f"question {number} {WORDS}")
        llm.context_window, llm.script = WINDOW, broken
        seen = len(llm.requests)
        answer, line = await told(p, "and now?")
        assert answer == "Yes." and line == say("window.auto_beginnings")
        # The gateway takes the window for larger: the first attempt leaves too much, the second leaves the question.
        assert await p.rows("SELECT cause, method FROM compaction") == 2 * [("overflow", "beginnings")]
        asked = [(is_notes(each.body), each.status) for each in llm.requests[seen:]]
        assert asked == [(False, 400), (True, 400), (True, 529), (False, 400), (False, 200)]
        assert (await told(p, "and then?")) == ["Yes."]


@both
async def test_a_result_of_five_megabytes_is_cut_until_it_fits(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    def script(ask: Ask) -> Reply:
        if "use it" in json.dumps(ask.body["messages"][-1]):
            return Reply(text="", calls=(Call("big", {}),))
        return broken(ask)

    llm.script = script
    big = {"big": Big(5_000_000)}
    async with wired(store, llm, clock=clock, default=model, options=DECEIVED, tools=big) as p:
        await told(p, f"first {WORDS}")
        seen = len(llm.requests)
        answer, *lines = await told(p, "use it")
        assert answer == "Yes.", (answer, lines)
        assert await p.value("SELECT count(*) FROM compaction") <= 3  # type: ignore[operator]
        refused = [each for each in llm.requests[seen:] if each.status == 400]
        assert len(refused) <= 2
        assert "bytes left out" in json.dumps(llm.requests[-1].body, ensure_ascii=False)
        assert lines and (await told(p, "and then?"))[0] == "Yes."


@both
async def test_a_message_that_is_too_long_by_itself_ends_in_a_notice_and_the_next_one_works(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with wired(store, llm, clock=clock, default=model, options=DECEIVED, tools={}) as p:
        await told(p, f"first {WORDS}")
        (answer,) = await told(p, "far too much " * 3000)
        assert answer == say("failed.context")
        assert (await told(p, "and now?"))[0] == "Yes."
        assert (await told(p, "and then?"))[0] == "Yes."
