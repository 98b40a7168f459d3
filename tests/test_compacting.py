"""A session that gets long is shortened by itself, between two turns or when a request does not fit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import ModelError, Refused
from gateway.failpoints import Point
from gateway.hub import Seen
from gateway.manager import SessionManager
from gateway.progress import Options
from gateway.protocols.messages import ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.texts import say
from gateway.transcript import ToolUse
from storage import Store
from tests.compaction import Big, idle, manager_of, sized
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, Path, path

SMALL = Options(retries=0, context_window=1000, max_output_tokens=100)
TOO_MUCH = ModelError("prompt is too long", kind="context", status=400)
LONG = "word " * 240  # 300 tokens of the small window's 1000
LINE = say("window.auto")


def first(p: Path, number: int) -> str:
    """How the prompt of that request begins."""
    message = p.model.asked[number].messages[0]
    assert isinstance(message, UserMessage)
    return message.texts[0]


async def fill(p: Path, *, turns: int = 3) -> None:
    """Turns that say a lot, until the context is nearly full."""
    for number in range(turns):
        p.model.queue.append(Script(text=f"answer {number} {LONG}"))
        await p.says(f"question {number}")
        await idle(p)


def spoken(text: str) -> str:
    return "The notes." if "Now write the notes." in text else f"You said: {text}"


def counting() -> ScriptedModel:
    return ScriptedModel(counts=sized, reply=spoken)


# -- after a turn ---------------------------------------------------------------------------------------------


async def test_after_a_turn_that_filled_the_context_the_earlier_part_becomes_notes(
    store: Store, clock: Clock
) -> None:
    model = counting()
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        await fill(p, turns=2)
        model.queue += [Script(text=f"answer {LONG}")]
        await p.says("the last question")
        await p.channel.until(ANN, LINE)
        asked = await p.value("SELECT count(*) FROM usage WHERE purpose = 'compaction'")
        assert isinstance(asked, int) and asked > 1  # in pieces that fit
        assert await p.rows("SELECT cause, method, state, requests, model FROM compaction") == [
            ("auto", "notes", "on", asked, "fake:one")
        ]
        ((before, after, cost, messages),) = await p.rows(
            "SELECT before, after, cost, messages FROM compaction"
        )
        assert isinstance(before, int) and isinstance(after, int)
        assert before >= 800 > 500 > after and cost and messages == 6
        purposes = await p.rows("SELECT purpose, identity, session, trigger FROM usage ORDER BY id")
        assert purposes[-1][0] == "compaction" and purposes[-1][1:] == purposes[0][1:]
        assert await p.value("SELECT count(*) FROM usage WHERE state <> 'known'") == 0
        await p.says("and then?")
        await p.channel.until(ANN, "You said: and then?")
        assert first(p, -1).startswith("[Summary of the earlier conversation")
        assert await p.value("SELECT count(*) FROM entry WHERE kind = 'user'") == 4  # nothing is gone


async def test_at_four_fifths_and_not_a_token_before(store: Store, clock: Clock) -> None:
    used = [799]
    model = ScriptedModel(counts=lambda prompt: used[0] - 1)
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        for text in ("one", "two"):
            model.queue.append(Script(text="yes"))
            await p.says(text)
            await idle(p)
        assert await p.value("SELECT count(*) FROM compaction") == 0
        used[0] = 800
        model.queue.append(Script(text="yes"))
        await p.says("three")
        await idle(p)
        assert await p.value("SELECT count(*) FROM compaction") == 1


async def test_what_was_read_from_a_cache_fills_the_context_as_well(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        await p.says("one")
        await p.channel.until(ANN, "one")
        manager, code = await manager_of(p)
        await store.commit(Point.META, lambda unit: unit.tx.run("UPDATE usage SET tok_read = 790"))
        found = await manager.context_usage(code)
        assert found.used_tokens == 800 + 3 - 10 + 10 and await manager.is_near_limit(code)


async def test_at_a_terminal_the_line_comes_with_the_next_answer(store: Store, clock: Clock) -> None:
    model = counting()
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        manager = SessionManager(p.core)
        heard: list[str] = []
        for number in range(4):
            if number < 3:
                model.queue.append(Script(text=f"answer {number} {LONG}"))
            async for event in manager.say(f"question {number}"):
                if isinstance(event, Seen) and event.kind == "notice":
                    heard.append(f"{number} {event.text}")
            await idle(p)
        assert await p.value("SELECT count(*) FROM compaction") == 1
        assert heard == [f"3 {LINE}"]


async def test_the_line_can_be_switched_off(store: Store, clock: Clock) -> None:
    model = counting()
    async with path(store, clock=clock, options=replace(SMALL, compact_notice=False), model=model) as p:
        await fill(p)
        assert await p.value("SELECT count(*) FROM compaction") == 1
        assert LINE not in p.channel.texts(ANN)


async def test_with_room_nothing_happens(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        for number in range(3):
            await p.says(f"question {number}")
            await p.channel.until(ANN, f"question {number}")
        assert await p.rows("SELECT 1 FROM compaction") == []


async def test_newest_turns_stay_as_they_are(store: Store, clock: Clock) -> None:
    model = counting()
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        await fill(p, turns=2)
        model.queue += [Script(text=f"answer {LONG[:800]}")]
        await p.says("how much?")
        await idle(p)
        await p.says("the small one")
        await p.channel.until(ANN, LINE)
        await p.says("and then?")
        await p.channel.until(ANN, "You said: and then?")
        texts = model.asked[-1].messages
        assert isinstance(texts[0], UserMessage) and "The notes." in texts[0].texts[0]
        assert texts[0].texts[1] == "the small one" and len(texts) == 3


# -- when it does not fit -------------------------------------------------------------------------------------


async def test_a_request_that_would_not_fit_is_not_made_before_there_is_room(
    store: Store, clock: Clock
) -> None:
    model = counting()
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        await fill(p, turns=2)
        model.reply = lambda text: spoken(text)[:40]
        await p.says("very " * 300)
        await p.channel.until(ANN, "You said: very", LINE)
        assert await p.rows("SELECT cause FROM compaction") == [("overflow",)]
        assert [each.stable[:9] == "You write" for each in model.asked] == [False, False, True, True, False]
        assert all(sized(each) < 1000 for each in model.asked)


async def test_too_much_for_the_model_is_put_away_and_asked_again(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        for number in range(3):
            await p.says(f"question {number}")
            await p.channel.until(ANN, f"question {number}")
        p.model.queue += [Script(error=TOO_MUCH), Script(text="The notes."), Script(text="Here it is.")]
        await p.says("the question now")
        await p.channel.until(ANN, "Here it is.", LINE)
        assert await p.rows("SELECT cause FROM compaction") == [("overflow",)]
        last = p.model.asked[-1].messages
        assert (
            first(p, -1)
            == "[Summary of the earlier conversation, made by the gateway; context, not a request]\nThe notes."
        )
        assert isinstance(last[-1], UserMessage) and last[-1].texts[-1] == "the question now"
        assert await p.rows("SELECT state FROM turn ORDER BY id DESC LIMIT 1") == [("done",)]


@pytest.mark.parametrize("kind", ["context", "overloaded", "budget", "auth", "shape"])
async def test_notes_that_the_model_cannot_write_are_made_without_it(
    store: Store, clock: Clock, kind: str
) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        await p.says("question")
        await p.channel.until(ANN, "question")
        failing = ModelError("no", kind=kind)  # type: ignore[arg-type]
        p.model.queue += [Script(error=TOO_MUCH), Script(error=failing), Script(text="Here it is.")]
        await p.says("now")
        await p.channel.until(ANN, "Here it is.", say("window.auto_beginnings"))
        assert "The model could not write notes" in first(p, -1) and "PERSON: question" in first(p, -1)
        assert await p.rows("SELECT method, model FROM compaction") == [("beginnings", None)]


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


async def test_a_first_message_that_is_too_long_does_not_stand_in_the_way_of_the_next(
    store: Store, clock: Clock
) -> None:
    def answers(prompt: Prompt) -> int:
        if sized(prompt) > 1000:
            raise TOO_MUCH
        return sized(prompt)

    model = ScriptedModel(counts=answers, reply=lambda text: "short")
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        await p.says("far " * 2000)
        await p.channel.until(ANN, say("failed.context"))
        await p.says("and now?")
        await p.channel.until(ANN, "short", LINE)
        await p.says("on we go")
        await p.channel.until(ANN, "short")


async def test_results_of_the_running_turn_are_cut_when_nothing_else_helps(
    store: Store, clock: Clock
) -> None:
    def answers(prompt: Prompt) -> int:
        if sized(prompt) > 2000:
            raise TOO_MUCH
        return sized(prompt)

    model = ScriptedModel(
        counts=answers, queue=[Script(tool=ToolUse("c1", "big", "{}"))], reply=lambda t: "Read."
    )
    options = replace(SMALL, context_window=2000)
    async with path(store, clock=clock, options=options, model=model, tools={"big": Big(5_000_000)}) as p:
        await p.says("read it all")
        await p.channel.until(ANN, "Read.", say("window.auto_pruned"))
        assert await p.rows("SELECT cause, method FROM compaction") == [("overflow", "pruned")]
        last = model.asked[-1].messages[-1]
        assert isinstance(last, ResultsMessage) and "bytes left out" in last.results[0].text


# -- never round and round ------------------------------------------------------------------------------------


async def test_one_that_makes_no_room_is_told_once_and_repeated_after_growing_pauses(
    store: Store, clock: Clock
) -> None:
    model = ScriptedModel(counts=lambda prompt: 900, reply=spoken)
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        for number in range(18):
            await p.says(f"question {number}")
            await idle(p)
        turns = [row[0] for row in await p.rows("SELECT messages FROM compaction ORDER BY id")]
        asked = [each.stable[:9] == "You write" for each in model.asked]
        at = [sum(not notes for notes in asked[:n]) for n, notes in enumerate(asked) if notes]
        assert at == [1, 3, 7, 15] and len(turns) == 4  # after these turns
        assert p.channel.texts(ANN).count(say("window.stuck")) == 1


async def test_notes_that_always_fail_never_keep_anybody_waiting(store: Store, clock: Clock) -> None:
    busy = ModelError("busy", kind="overloaded", status=529)

    def answers(prompt: Prompt) -> int:
        if prompt.stable.startswith("You write"):
            raise busy
        if sized(prompt) > 1000:
            raise TOO_MUCH
        return sized(prompt)

    model = ScriptedModel(counts=answers, reply=lambda text: f"heard {text[:5]}")
    options = replace(SMALL, max_output_tokens=20)
    async with path(store, clock=clock, options=options, model=model) as p:
        for number in range(9):
            await p.says(f"no. {number} {'word ' * 160}")
            await idle(p)
        await p.channel.until(ANN, "heard no. 8")
        assert await p.rows("SELECT DISTINCT state FROM turn") == [("done",)]
        told = p.channel.texts(ANN)
        assert told.count(say("window.failed", why=busy.told())) == 1
        methods = [row[0] for row in await p.rows("SELECT method FROM compaction")]
        assert set(methods) == {"beginnings"}
        assert told.count(say("window.auto_beginnings")) == len(methods)
        failed = await p.value("SELECT count(*) FROM usage WHERE purpose = 'compaction'")
        assert isinstance(failed, int) and failed <= 2


async def test_with_no_budget_for_notes_the_session_stays_as_it_is_while_there_is_room(
    store: Store, clock: Clock
) -> None:
    model = ScriptedModel(counts=lambda prompt: 900)
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        model.queue += [
            Script(text="one two three"),
            Script(error=ModelError("no", kind="budget", sent=False)),
        ]
        await p.says("question")
        await p.channel.until(ANN, "one two three", say("window.failed", why="")[:60])
        await idle(p)
        assert await p.rows("SELECT 1 FROM compaction") == []
        model.counts = sized
        await p.says("and now?")
        await p.channel.until(ANN, "You said: and now?")
        assert first(p, -1) == "question"


# -- the switch -----------------------------------------------------------------------------------------------


async def test_it_can_be_switched_off(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock, options=replace(SMALL, auto_compact=False)) as p:
        await p.says("question")
        await p.channel.until(ANN, "question")
        p.model.queue += [Script(error=TOO_MUCH)]
        await p.says("now")
        await p.channel.until(ANN, say("failed.context"))
        assert await p.rows("SELECT 1 FROM compaction") == []


@pytest.mark.parametrize(("usual", "said"), [(True, False), (False, None)])
async def test_where_it_is_off_the_person_is_told_once_that_little_room_is_left(
    store: Store, clock: Clock, usual: bool, said: bool | None
) -> None:
    model = ScriptedModel(counts=lambda prompt: 900)
    async with path(store, clock=clock, options=replace(SMALL, auto_compact=usual), model=model) as p:
        model.counts = sized
        await p.says("first")
        await p.channel.until(ANN, "first")
        manager, code = await manager_of(p)
        if said is not None:
            await manager.set_auto_compact(code, said)
        model.counts = lambda prompt: 900
        for number in range(3):
            await p.says(f"question {number}")
            await idle(p)
        assert sum("fills 90." in text for text in p.channel.texts(ANN)) == 1
        assert await p.rows("SELECT 1 FROM compaction") == []


async def test_a_session_can_be_shortened_by_itself_where_that_is_not_usual(
    store: Store, clock: Clock
) -> None:
    model = counting()
    async with path(store, clock=clock, options=replace(SMALL, auto_compact=False), model=model) as p:
        await p.says("hello")
        await p.channel.until(ANN, "hello")
        manager, code = await manager_of(p)
        assert await manager.auto_compact(code) == (False, None)
        await manager.set_auto_compact(code, True)
        assert await manager.auto_compact(code) == (True, True)
        await fill(p)
        assert await p.value("SELECT count(*) FROM compaction") == 1
        await manager.set_auto_compact(code, None)
        assert await manager.auto_compact(code) == (False, None)


# -- one at a time --------------------------------------------------------------------------------------------


async def test_a_message_meanwhile_waits_and_is_answered(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock, options=SMALL) as p:
        await p.says("one")
        await p.channel.until(ANN, "one")
        manager, code = await manager_of(p)
        p.model.queue.append(Script(text="The notes.", gate=gate))
        compacting = asyncio.create_task(manager.compact(code))
        await until(lambda: p.model.running == 1)
        await p.says("two")
        with pytest.raises(Refused, match="compacted already"):
            await manager.compact(code)
        with pytest.raises(Refused):
            await manager.undo_compaction(code)
        await asyncio.sleep(0.05)
        assert p.model.most_running == 1 and len(p.model.asked) == 2
        gate.set()
        assert (await compacting).summary == "The notes."
        await p.channel.until(ANN, "You said: two")
        assert p.model.most_running == 1 and first(p, -1).endswith("The notes.")


async def test_while_a_turn_runs_nothing_is_put_away(store: Store, clock: Clock) -> None:
    gate = asyncio.Event()
    async with path(store, clock=clock, options=SMALL) as p:
        p.model.queue.append(Script(text="yes", gate=gate))
        await p.says("one")
        await until(lambda: p.model.running == 1)
        manager, code = await manager_of(p)
        for refused in (manager.compact(code), manager.undo_compaction(code)):
            with pytest.raises(Refused) as why:
                await refused
            assert str(why.value) == say("session.busy")
        gate.set()
        await p.channel.until(ANN, "yes")


@pytest.mark.parametrize("how", ["stop", "halt"])
async def test_it_can_be_stopped_and_is_on_the_bill(store: Store, clock: Clock, how: str) -> None:
    async with path(store, clock=clock, options=SMALL) as p:
        await p.says("one")
        await p.channel.until(ANN, "one")
        manager, code = await manager_of(p)
        p.model.queue.append(Script(text="The notes.", gate=asyncio.Event()))
        compacting = asyncio.create_task(manager.compact(code))
        await until(lambda: p.model.running == 1)
        place = await p.value("SELECT conversation FROM session")
        assert isinstance(place, int)
        if how == "stop":
            assert (await manager.stop_turn(place)).running
            with pytest.raises(Refused, match="stopped"):
                await compacting
        else:
            await manager.halt(by="cli")
            with pytest.raises(ModelError) as halted:
                await compacting
            assert halted.value.kind == "halted"
            await manager.unhalt(by="cli")
        assert await p.rows("SELECT purpose, state FROM usage ORDER BY id") == [
            ("chat", "known"),
            ("compaction", "estimated"),
        ]
        assert await p.rows("SELECT 1 FROM compaction") == []
        await p.says("two")
        await p.channel.until(ANN, "You said: two")
        assert first(p, -1) == "one"


async def test_one_that_is_being_made_by_itself_can_be_stopped(store: Store, clock: Clock) -> None:
    model = ScriptedModel(counts=lambda prompt: 900)
    async with path(store, clock=clock, options=SMALL, model=model) as p:
        model.queue += [Script(text="yes"), Script(text="notes", gate=asyncio.Event())]
        await p.says("one")
        await p.channel.until(ANN, "yes")
        await until(lambda: len(model.asked) == 2 and model.running == 1)
        await p.says("two")
        manager = SessionManager(p.core)
        place = await p.value("SELECT conversation FROM session")
        assert isinstance(place, int) and (await manager.stop_turn(place)).running
        await p.channel.until(ANN, "You said: two")
        assert await p.rows("SELECT 1 FROM compaction") == []


async def until(true: object) -> None:
    async with asyncio.timeout(5):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.005)
