"""A session that gets long is shortened by itself, between two turns or when the model says that it is too much."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway import compaction, transcript
from gateway.errors import ModelError
from gateway.progress import Options
from gateway.protocols import UserMessage
from gateway.texts import say
from gateway.transcript import Text, ToolResult, ToolUse
from gateway.types import Entry, Json
from storage import Store
from tests.conftest import Clock
from tests.fakes.model import Script
from tests.path import ANN, Path, path

SMALL = Options(retries=0, context_window=1000, max_output_tokens=100)
TOO_MUCH = ModelError("prompt is too long", kind="context", status=400)


def first(p: Path, number: int) -> str:
    """How the prompt of that request begins."""
    message = p.model.asked[number].messages[0]
    assert isinstance(message, UserMessage)
    return message.texts[0]


async def test_after_a_turn_that_filled_the_context_the_earlier_part_becomes_notes(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock, options=replace(SMALL, context_window=13)) as p:
        for number in range(6):
            await p.says(f"question {number}")
            await p.channel.until(ANN, f"question {number}", within=10)
            while p.core.dispatcher.under_way:
                await asyncio.sleep(0.01)
            if await p.value("SELECT count(*) FROM compaction"):
                break
        assert await p.rows("SELECT cause, state FROM compaction") == [("auto", "on")]
        await p.channel.until(ANN, say("window.auto"))
        purposes = [row[0] for row in await p.rows("SELECT purpose FROM usage ORDER BY id")]
        assert purposes[-1] == "compaction" and await p.rows("SELECT DISTINCT state FROM usage") == [
            ("known",)
        ]
        p.core.runner.options = SMALL
        await p.says("and then?")
        await p.channel.until(ANN, "You said: and then?")
        assert first(p, -1).startswith("[Summary of the earlier conversation")
        assert (
            await p.value("SELECT count(*) FROM entry WHERE kind = 'user'") == number + 2
        )  # nothing is gone


async def test_with_room_nothing_happens(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        for number in range(3):
            await p.says(f"question {number}")
            await p.channel.until(ANN, f"question {number}")
        assert await p.rows("SELECT 1 FROM compaction") == []


async def test_too_much_for_the_model_is_put_away_and_asked_again(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        for number in range(3):
            await p.says(f"question {number}")
            await p.channel.until(ANN, f"question {number}")
        p.model.queue += [Script(error=TOO_MUCH), Script(text="The notes."), Script(text="Here it is.")]
        await p.says("the question now")
        await p.channel.until(ANN, "Here it is.")
        assert await p.rows("SELECT cause FROM compaction") == [("overflow",)]
        last = p.model.asked[-1].messages
        assert (
            first(p, -1)
            == "[Summary of the earlier conversation, made by the gateway; context, not a request]\nThe notes."
        )
        assert isinstance(last[-1], UserMessage) and last[-1].texts[-1] == "the question now"
        assert await p.rows("SELECT state FROM turn ORDER BY id DESC LIMIT 1") == [("done",)]


@pytest.mark.parametrize("kind", ["context", "overloaded"])
async def test_notes_that_the_model_cannot_write_are_made_without_it(
    store: Store, clock: Clock, kind: str
) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        await p.says("question")
        await p.channel.until(ANN, "question")
        failing = ModelError("no", kind=kind)  # type: ignore[arg-type]
        p.model.queue += [Script(error=TOO_MUCH), Script(error=failing), Script(text="Here it is.")]
        await p.says("now")
        await p.channel.until(ANN, "Here it is.")
        assert "The model could not write notes" in first(p, -1) and "PERSON: question" in first(p, -1)


async def test_what_is_too_much_by_itself_ends_after_one_attempt(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        await p.says("question")
        await p.channel.until(ANN, "question")
        p.model.queue += [Script(error=TOO_MUCH), Script(text="Notes."), Script(error=TOO_MUCH)]
        await p.says("far too much")
        await p.channel.until(ANN, say("failed.context"))
        assert await p.value("SELECT count(*) FROM compaction") == 1
        await p.says("and now?")
        await p.channel.until(ANN, "You said: and now?")


async def test_with_no_budget_for_notes_the_session_stays_as_it_is_while_there_is_room(
    store: Store, clock: Clock
) -> None:
    async with path(store, clock=clock, options=replace(SMALL, context_window=13)) as p:
        p.model.queue += [
            Script(text="one two three"),
            Script(error=ModelError("no", kind="budget", sent=False)),
        ]
        await p.says("question")
        await p.channel.until(ANN, "one two three")
        async with asyncio.timeout(5):
            while len(p.model.asked) < 2 or p.core.dispatcher.under_way:
                await asyncio.sleep(0.01)
        assert await p.rows("SELECT 1 FROM compaction") == []
        p.core.runner.options = SMALL
        await p.says("and now?")
        await p.channel.until(ANN, "You said: and now?")
        assert first(p, -1) == "question"


async def test_it_can_be_switched_off(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=replace(SMALL, auto_compact=False, context_window=12)) as p:
        await p.says("question")
        await p.channel.until(ANN, "question")
        p.model.queue += [Script(error=TOO_MUCH)]
        await p.says("now")
        await p.channel.until(ANN, say("failed.context"))
        assert await p.rows("SELECT 1 FROM compaction") == []


def entries(*turns: int, size: int = 10) -> list[Entry]:
    rows: list[tuple[int, str, Json]] = []
    for turn in turns:
        rows += [
            (turn, "user", transcript.user("x" * size)),
            (turn, "assistant", transcript.assistant([ToolUse(f"c{turn}", "look", "{}")])),
            (turn, "results", transcript.results([ToolResult(f"c{turn}", "look", "y" * size)])),
            (turn, "assistant", transcript.assistant([Text("z" * size)])),
        ]
    return [
        Entry(seq=seq, turn=turn, kind=kind, body=body, created=0)  # type: ignore[arg-type]
        for seq, (turn, kind, body) in enumerate(rows)
    ]


def test_whole_turns_are_kept_and_no_more_than_fit() -> None:
    assert compaction.keep_from(entries(1, 2, 3, 4, 5, 6), most=10_000) == 8  # the newest four
    assert compaction.keep_from(entries(1, 2, 3, size=100), most=500) == 8  # one of them
    assert compaction.keep_from(entries(1, 2, size=1000), most=500) == 8  # none: it ends behind the last
    assert compaction.keep_from([], most=500) == 0
