"""A turn that goes round in circles is stopped at its limit, with one line, and the next message works."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gateway import transcript
from gateway.progress import Options
from gateway.protocols import ToolContext, ToolFailed, ToolSpec
from gateway.runaway import circling
from gateway.texts import say
from gateway.transcript import Text, ToolResult, ToolUse
from gateway.types import Entry, Json
from storage import Store
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, path


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


CIRCLES: list[tuple[list[tuple[str, Json]], int]] = [
    ([("look", {"at": 1})] * 40, 4),  # the same for ever
    ([("look", {"at": 1}), ("peek", {"at": 2})] * 20, 7),  # two by turns
    ([("look", {"fail": n}) for n in range(1, 41)], 5),  # errors for ever
]


@pytest.mark.parametrize(("calls", "made"), CIRCLES)
async def test_circles_end_at_the_limit(
    store: Store, clock: Clock, calls: list[tuple[str, Json]], made: int
) -> None:
    look, peek = Look("look"), Look("peek")
    model = ScriptedModel(queue=list(asking(*calls)))
    options = Options(retries=0, max_same_calls=3, max_errors=5, max_requests=100, max_tool_calls=100)
    async with path(
        store, clock=clock, model=model, tools={"look": look, "peek": peek}, options=options
    ) as p:
        await p.says("Go")
        await p.channel.until(ANN, say("turn.too_many"))
        assert look.calls + peek.calls == made == len(model.asked)
        assert p.channel.texts(ANN) == [say("turn.too_many")]
        assert await p.rows("SELECT state, error_kind FROM turn") == [("failed", "runaway")]
        model.queue.clear()
        await p.says("And now?")
        await p.channel.until(ANN, "You said: And now?")


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
