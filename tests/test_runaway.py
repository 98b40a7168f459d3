"""A turn that goes round in circles is stopped at its limit, with one line, and the next message works."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway import configured, transcript
from gateway.progress import Options
from gateway.protocols.tool import ToolContext, ToolFailed, ToolSpec
from gateway.runaway import circling
from gateway.settings import Settings
from gateway.texts import say
from gateway.transcript import Text, ToolResult, ToolUse
from gateway.types.json import Json
from gateway.types.turns import Entry
from storage import Store
from tests.conftest import Clock
from tests.fakes.llm import Call, Reply
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB, path
from tests.wires import CountingLLM, wired


class Look:
    """Counts; fails when told to."""

    def __init__(self, name: str) -> None:
        self.spec = ToolSpec(name=name, description="Looks.", parameters={"type": "object"})
        self.calls = 0

    async def call(self, args: Json, context: ToolContext) -> str:
        self.calls += 1
        if args.get("fail"):
            raise ToolFailed("no")
        return "nothing"


def asking(*calls: tuple[str, Json]) -> Iterator[Script]:
    for number, (name, args) in enumerate(calls):
        yield Script(tool=ToolUse(f"c{number}", name, json.dumps(args)))


LIMITS = Options(retries=0, max_same_calls=3, max_errors=5, max_requests=100, max_tool_calls=100)
# The calls, the limits, how many are made, and how often the model is asked.
CIRCLES: list[tuple[list[tuple[str, Json]], Options, int, int]] = [
    ([("look", {"at": 1})] * 40, LIMITS, 3, 4),  # the same for ever
    ([("look", {"at": 1}), ("peek", {"at": 2})] * 20, LIMITS, 6, 7),  # two by turns
    ([("look", {"fail": n}) for n in range(1, 41)], LIMITS, 5, 5),  # errors for ever
    ([("look", {"at": n}) for n in range(40)], replace(LIMITS, max_tool_calls=6), 6, 7),
    ([("look", {"at": n}) for n in range(40)], replace(LIMITS, max_requests=6), 6, 6),
    ([("look", {"at": 1})] * 40, Options(retries=0), 5, 6),  # by default
    ([("look", {"fail": n}) for n in range(1, 41)], Options(retries=0), 6, 6),
    ([("look", {"at": n}) for n in range(40)], Options(retries=0), 25, 25),
]


@pytest.mark.parametrize(("calls", "options", "made", "asked"), CIRCLES)
async def test_circles_end_at_the_limit(
    store: Store, clock: Clock, calls: list[tuple[str, Json]], options: Options, made: int, asked: int
) -> None:
    """Neither a call nor a request more than may be; one notice; and the next message works."""
    look, peek = Look("look"), Look("peek")
    model = ScriptedModel(queue=list(asking(*calls)))
    async with path(
        store, clock=clock, model=model, tools={"look": look, "peek": peek}, options=options
    ) as p:
        await p.says("Go")
        await p.channel.until(ANN, say("turn.too_many"))
        assert look.calls + peek.calls == made
        assert len(model.asked) == asked == await p.value("SELECT count(*) FROM usage")
        assert p.channel.texts(ANN) == [say("turn.too_many")]
        assert await p.rows("SELECT state, error_kind FROM turn") == [("failed", "runaway")]
        assert await p.value("SELECT count(*) FROM tool_call WHERE state = 'intent'") == 0
        model.queue.clear()
        await p.says("And now?")
        await p.channel.until(ANN, "You said: And now?")


async def test_an_answer_that_asks_for_more_than_is_left_runs_nothing(store: Store, clock: Clock) -> None:
    look = Look("look")
    many = tuple(Call("look", {"at": number}) for number in range(21))
    options = Options(retries=0, max_tool_calls=20)
    async with (
        CountingLLM() as llm,
        wired(store, llm, clock=clock, tools={"look": look}, options=options) as p,
    ):
        llm.reply(Reply(text="", calls=many[:20]), Reply(text="", calls=many[20:]))
        await p.says("Go")
        await p.channel.until(ANN, say("turn.too_many"), within=30)  # the first one loads the SDK
        assert look.calls == 20
        llm.reply(Reply(text="", calls=many))
        await p.says("Go", user=BOB)
        await p.channel.until(BOB, say("turn.too_many"))
        assert look.calls == 20
        llm.say("Here I am.")
        await p.says("And now?", user=BOB)
        await p.channel.until(BOB, "Here I am.")


async def test_a_turn_ends_when_its_time_is_up_whatever_it_waits_for(store: Store, clock: Clock) -> None:
    model = ScriptedModel(queue=[Script(text="never", gate=asyncio.Event())])
    async with path(store, clock=clock, model=model, options=Options(retries=0, turn_timeout=0.2)) as p:
        await p.says("Go")
        await p.channel.until(ANN, say("turn.timed_out"))
        assert await p.rows("SELECT state FROM usage") == [("estimated",)]
        await p.says("And now?")
        await p.channel.until(ANN, "You said: And now?")


def test_every_guard_is_on_unless_somebody_says_otherwise() -> None:
    set_up = configured.options(Settings())
    for name in ("max_requests", "max_tool_calls", "max_same_calls", "max_errors", "turn_timeout"):
        assert 0 < getattr(set_up, name) == getattr(Options(), name) < 1000


def entry(seq: int, kind: str, body: Json, turn: int = 1) -> Entry:
    return Entry(seq=seq, turn=turn, kind=kind, body=body, created=0)  # type: ignore[arg-type]


def test_only_its_own_turn_counts_and_a_success_ends_a_row_of_errors() -> None:
    use = ToolUse("a", "look", "{}")
    rows = [entry(n, "assistant", transcript.assistant([Text("x"), use]), turn=n) for n in range(9)]
    assert not circling(rows, 1, same=1, errors=3)
    results = [
        entry(n, "results", transcript.results([ToolResult("a", "look", "", error)]))
        for n, error in enumerate([True, True, False, True, True])
    ]
    assert not circling(results, 1, same=1, errors=3)
    assert circling(results, 1, same=1, errors=2)
