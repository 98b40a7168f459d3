"""Notes of what is put away: in pieces that fit, by the model of choice, on the bill and within the budgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.errors import ModelError
from gateway.message_size import bytes_of
from gateway.progress import Options
from gateway.protocols.messages import UserMessage
from gateway.protocols.prompt import Prompt
from gateway.types.measures import DOLLAR
from storage import Store
from tests.compaction import idle, manager_of
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, Path, path
from tests.test_budgets import hold, rules

WINDOW, OUTPUT = 4000, 500
OPTIONS = Options(retries=0, auto_compact=False, context_window=WINDOW, max_output_tokens=OUTPUT)
TOO_MUCH = ModelError("prompt is too long", kind="context", status=400)
WORDS = "whale " * 400  # 2,400 bytes


def dense(bytes: float) -> Callable[[Prompt], int]:
    """A tokenizer whose tokens have so many bytes."""
    return lambda prompt: int((len(prompt.stable.encode()) + bytes_of(prompt.messages)) / bytes)


def is_notes(prompt: Prompt) -> bool:
    return prompt.stable.startswith("You write the notes")


def text_of(prompt: Prompt) -> str:
    (message,) = prompt.messages
    assert isinstance(message, UserMessage)
    return message.texts[0]


def writer(ref: str = "fake:one", **more: object) -> ScriptedModel:
    return ScriptedModel(
        ref=ref,
        model=ref.partition(":")[2],
        reply=lambda text: "Noted." if "Now write the notes." in text else "Yes.",
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("bytes", [4.2, 3.0, 2.0, 1.2])
async def test_no_request_for_notes_is_longer_than_the_window_whatever_language_is_spoken(
    store: Store, clock: Clock, bytes: float
) -> None:
    """As long as one turn in the window could be measured; not the first one alone is put away."""
    counts = dense(bytes)
    model = writer(counts=counts)
    async with path(store, clock=clock, options=OPTIONS, model=model) as p:
        for number in range(8):
            await p.says(f"question {number} {WORDS}")
            await idle(p)
        manager, code = await manager_of(p)
        done = await manager.compact(code)
        asked = [each for each in model.asked if is_notes(each)]
        assert len(asked) == done.requests > 1
        assert all(counts(each) + OUTPUT <= WINDOW for each in asked), [counts(each) for each in asked]
        # Every question is in one of them, or stays; and none in two.
        left = str(await p.core.store.read(lambda unit: unit.transcript.live(1)))
        for number in range(8):
            noted = sum(text_of(each).count(f"question {number} ") for each in asked)
            assert noted + left.count(f"question {number} ") == 1
        assert "(This is part 1 of a conversation" in text_of(asked[0])


async def test_a_piece_that_is_too_long_after_all_is_halved(store: Store, clock: Clock) -> None:
    model = writer(counts=lambda prompt: 150)  # too few to measure by

    def refusing(prompt: Prompt) -> int:
        if is_notes(prompt) and bytes_of(prompt.messages) > 4000:
            raise TOO_MUCH
        return 150

    model.counts = refusing
    async with path(store, clock=clock, options=OPTIONS, model=model) as p:
        for number in range(4):
            await p.says(f"question {number} {WORDS}")
            await idle(p)
        manager, code = await manager_of(p)
        done = await manager.compact(code)
        asked = [each for each in model.asked if is_notes(each)]
        assert bytes_of(asked[0].messages) > 4000 > max(bytes_of(each.messages) for each in asked[2:])
        assert done.method == "notes" and done.requests < len(asked)  # what was refused used nothing


async def test_notes_that_are_long_beside_each_other_become_one(store: Store, clock: Clock) -> None:
    model = writer(counts=dense(4))
    options = replace(OPTIONS, max_output_tokens=300)

    def reply(text: str) -> str:
        if "Notes of the parts" in text:
            return "All of it in short."
        return "noted " * 300 if "Now write the notes." in text else "Yes."

    model.reply = reply
    async with path(store, clock=clock, options=options, model=model) as p:
        for number in range(12):
            await p.says(f"question {number} {WORDS}")
            await idle(p)
        manager, code = await manager_of(p)
        done = await manager.compact(code)
        assert done.summary == "All of it in short."
        merging = [each for each in model.asked if is_notes(each) and "Notes of the parts" in text_of(each)]
        assert len(merging) == 1 and "(2 of " in text_of(merging[0])


# -- whose model ----------------------------------------------------------------------------------------------


async def test_the_model_of_choice_writes_them(store: Store, clock: Clock) -> None:
    one, cheap = writer(), writer("fake:cheap")
    options = replace(OPTIONS, summary_model="fake:cheap")
    async with path(store, clock=clock, options=options, model=one, others=(cheap,)) as p:
        await p.says("question")
        await idle(p)
        manager, code = await manager_of(p)
        assert (await manager.compact(code)).model == "fake:cheap"
        assert not any(map(is_notes, one.asked)) and is_notes(cheap.asked[0])
        assert await p.rows("SELECT model_asked FROM usage WHERE purpose = 'compaction'") == [("cheap",)]
        await p.says("and now?")
        await idle(p)
        assert await p.value("SELECT model_asked FROM usage ORDER BY id DESC LIMIT 1") == "one"


async def test_where_that_one_fails_the_session_s_own_goes_on_where_it_left_off(
    store: Store, clock: Clock
) -> None:
    one, cheap = writer(counts=dense(4)), writer("fake:cheap")
    cheap.queue += [
        Script(text="Cheap notes."),
        Script(error=ModelError("no", kind="overloaded", status=529)),
    ]
    options = replace(OPTIONS, summary_model="fake:cheap")
    async with path(store, clock=clock, options=options, model=one, others=(cheap,)) as p:
        for number in range(9):
            await p.says(f"question {number} {WORDS}")
            await idle(p)
        manager, code = await manager_of(p)
        done = await manager.compact(code)
        assert done.method == "notes" and done.model == "fake:one"
        assert (
            done.summary.startswith("(1 of ") and "Cheap notes." in done.summary and "Noted." in done.summary
        )
        asked = [text_of(each) for each in (*cheap.asked, *one.asked) if is_notes(each)]
        assert sum(each.count("question 0 ") for each in asked) == 1
        states = await p.rows("SELECT model_asked, state FROM usage WHERE purpose = 'compaction' ORDER BY id")
        assert states[:2] == [("cheap", "known"), ("cheap", "failed")] and {*states[2:]} == {("one", "known")}


# -- on the bill ----------------------------------------------------------------------------------------------


async def test_a_compaction_costs_what_its_requests_in_the_ledger_cost(store: Store, clock: Clock) -> None:
    model = writer(counts=dense(4))
    async with path(store, clock=clock, options=OPTIONS, model=model) as p:
        for number in range(8):
            await p.says(f"question {number} {WORDS}")
            await idle(p)
        manager, code = await manager_of(p)
        identity = await p.value("SELECT identity FROM usage LIMIT 1")
        assert isinstance(identity, int)
        done = await manager.compact(code, identity=identity)
        ((cost, requests, who, session),) = await p.rows(
            "SELECT sum(cost), count(*), max(identity), max(session) FROM usage WHERE purpose = 'compaction'"
        )
        assert (done.cost, done.requests) == (cost, requests) and done.requests > 1 and done.cost
        assert who == identity and session == await p.value("SELECT id FROM session")
        assert await p.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0
        summary = await manager.session_usage(code)
        assert summary.cost == await p.value("SELECT sum(cost) FROM usage")
        assert (await manager.compactions(code))[0].cost == cost


async def spent(p: Path) -> int:
    found = await p.value("SELECT coalesce(sum(cost), 0) FROM usage")
    assert isinstance(found, int)
    return found


async def test_whoever_asks_for_notes_is_told_that_the_budget_is_used_up(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=OPTIONS, model=writer()) as p:
        await p.says("question")
        await idle(p)
        manager, code = await manager_of(p)
        hold(p, rules(gateway_day=await spent(p) + DOLLAR // 1000))
        with pytest.raises(ModelError) as why:
            await manager.compact(code)
        assert why.value.kind == "budget" and len(p.model.asked) == 1
        assert await p.value("SELECT count(*) FROM compaction") == 0
        assert await p.value("SELECT count(*) FROM usage WHERE state = 'open'") == 0


async def test_with_room_left_notes_wait_for_the_budget(store: Store, clock: Clock) -> None:
    model = writer(counts=lambda prompt: 3500)
    options = replace(OPTIONS, auto_compact=True)
    # One answer may cost 1.1 cents, and 3,500 tokens do: too little is left for a request.
    caps = rules(gateway_day=11 * DOLLAR // 1000)
    async with path(store, clock=clock, options=options, model=model, budgets=caps) as p:
        await p.says("question")
        await idle(p)
        assert len(model.asked) == 1 and await p.value("SELECT count(*) FROM compaction") == 0
        assert await p.value("SELECT sum(cost) <= 11000000 FROM usage")
        told = p.channel.texts(ANN)
        assert told[0].startswith("Yes.") and any("could not put the earlier part" in each for each in told)


async def test_without_room_and_budget_the_notes_are_made_without_a_model(store: Store, clock: Clock) -> None:
    model = writer()
    options = replace(OPTIONS, auto_compact=True)
    async with path(store, clock=clock, options=options, model=model) as p:
        await p.says(f"question {WORDS}")
        await idle(p)
        # Enough for the question, not for a request that has to take all of the first one in.
        cap = await spent(p) + 15 * DOLLAR // 1000
        hold(p, rules(gateway_day=cap))
        model.queue += [Script(error=TOO_MUCH), Script(text="Here it is.")]
        await p.says("and now?")
        await idle(p)
        assert await p.rows("SELECT method, cost FROM compaction") == [("beginnings", 0)]
        assert not any(map(is_notes, model.asked)) and await spent(p) <= cap
        assert "Here it is." in p.channel.texts(ANN)[-2] + p.channel.texts(ANN)[-1]
