"""What may be made by whom, and what holds for a job alone: its model, its budget, its maker's limits."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest

from gateway.errors import ModelError, NotFound, Refused
from gateway.jobs.book import OPERATOR, Requester
from gateway.roster import Roster
from gateway.types.measures import HOUR
from storage import Store
from tests.fakes.model import Script, ScriptedModel
from tests.jobs import ANN, BOB, NINE, Office, office, spec, until


@pytest.fixture
async def here(store: Store) -> AsyncIterator[Office]:
    async with office(store) as found:
        await found.met(ANN, BOB)
        yield found


# -- what it would be ----------------------------------------------------------------------------------------


async def test_a_check_tells_what_would_be_made_and_makes_nothing(here: Office) -> None:
    planned = await here.jobs.check(spec("", "tomorrow at nine", zone=""), await here.by())
    assert (planned.spec.name, planned.spec.schedule, planned.spec.zone) == (
        "job-1",
        "at 2026-03-03 09:00",
        "UTC",
    )
    assert planned.next_times == (NINE + 24 * HOUR,)
    with pytest.raises(Refused, match="once in 5 minutes"):
        await here.jobs.check(spec(schedule="every 1m"), await here.by())
    assert await here.jobs.list() == []


async def test_a_name_that_is_left_out_is_found(here: Office) -> None:
    made = [(await here.jobs.add(spec(""))).spec.name for _ in range(2)]
    assert made == ["job-1", "job-2"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"zone": "Mars/Base"}, "no such time zone: 'Mars/Base'"),
        ({"schedule": "every 90m", "zone": "Mars/Base"}, "no such time zone"),
        ({"name": "next"}, "cannot be a job's name"),
        ({"name": "a b"}, "cannot be a job's name"),
        ({"prompt": "  "}, "Say what I am to be asked"),
        ({"retries": 4}, "tried again 3 times at most"),
        ({"timeout": 90_000.0}, "up to 24 h"),
        ({"deliver_to": ("nowhere",)}, "'nowhere' is no target; write telegram:12345"),
        ({"deliver_to": ("discord:5",)}, "No bot of discord is set up here"),
        ({"deliver_to": ("main:desk",)}, "write main for the terminal"),
        ({"deliver_to": ("chat",)}, "There is no chat here to deliver to"),
        ({"session": "chat", "deliver_to": ("main",)}, "delivers to that one chat"),
        ({"model": "dear:model"}, "dear:model is not offered"),
        ({"schedule": "at 2026-03-02 07:00"}, "2026-03-02 07:00 is over"),
    ],
)
async def test_what_cannot_be_is_refused_also_for_the_operator(
    here: Office, wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(Refused) as refused:
        await here.jobs.add(dataclasses.replace(spec(), **wrong))  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert await here.jobs.list() == []


# -- limits --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "allowed"),
    [
        ("every 5m", True),
        ("every 4m", False),
        ("*/5 * * * *", True),
        ("*/4 * * * *", False),
        ("58,2 * * * *", False),  # four minutes apart, over the hour
        ("0 8,20 * * *", True),
        ("59 23 31 12 *", True),
        ("at 2026-03-02 08:01", True),
    ],
)
async def test_people_have_it_run_no_more_often_than_is_allowed(
    here: Office, schedule: str, allowed: bool
) -> None:
    if allowed:
        await here.jobs.add(spec(schedule=schedule), await here.by())
    else:
        with pytest.raises(Refused, match="once in 5 minutes at most"):
            await here.jobs.add(spec(schedule=schedule), await here.by())
    await here.jobs.add(spec("admins", schedule), await here.by(admin=True))
    await here.jobs.add(spec("operators", schedule), OPERATOR)


async def test_so_many_jobs_are_of_one_person_whatever_they_write_by(here: Office) -> None:
    dispatcher = here.path.core.dispatcher
    dispatcher.habits = dataclasses.replace(dispatcher.habits, jobs_each=2)
    roster = Roster(store=here.path.store, clock=here.clock)
    await roster.allow("discord:9", "user")
    await roster.link("discord:9", f"telegram:{ANN}")
    other = await here.path.store.read(lambda unit: unit.people.identity("discord", "9"))
    assert other is not None
    elsewhere = Requester(identity=other.id)
    for number in range(2):
        await here.jobs.add(spec(f"a{number}"), await here.by() if number else elsewhere)
    for by in (await here.by(), elsewhere):
        with pytest.raises(Refused, match="You have 2 jobs already"):
            await here.jobs.add(spec("more"), by)
    await here.jobs.add(spec("b"), await here.by(BOB))
    # It is one person: what was made there is shown, and removed, here.
    assert [job.spec.name for job in await here.jobs.list(await here.by())] == ["a0", "a1"]
    await here.jobs.remove("a0", await here.by())
    await here.jobs.add(spec("more"), elsewhere)


async def test_people_deliver_to_themselves_on_any_platform_and_to_nobody_else(here: Office) -> None:
    by = await here.by()
    await here.jobs.add(spec("own", deliver_to=("chat", f"telegram:{ANN}")), by)
    for target in (f"telegram:{BOB}", "telegram:-5", "main"):
        with pytest.raises(Refused, match="other chats only an admin can name"):
            await here.jobs.add(spec("other", deliver_to=(target,)), by)
    await here.jobs.add(spec("admins", deliver_to=(f"telegram:{BOB}", "main")), await here.by(admin=True))


async def test_the_name_of_a_removed_job_is_its_makers_alone(here: Office) -> None:
    await here.jobs.add(spec(), await here.by())
    await here.jobs.remove("a", await here.by())
    with pytest.raises(Refused, match="There is a job named a already"):
        await here.jobs.add(spec(), await here.by(BOB))
    await here.jobs.add(spec(), await here.by())


async def test_what_is_somebody_elses_is_as_if_it_were_not_there(here: Office) -> None:
    await here.jobs.add(spec(), await here.by())
    other = await here.by(BOB)
    assert await here.jobs.list(other) == []
    for work in (here.jobs.show, here.jobs.pause, here.jobs.resume, here.jobs.remove, here.jobs.run_now):
        with pytest.raises(NotFound):
            await work("a", other)
    with pytest.raises(NotFound):
        await here.jobs.history("a", by=other)


# -- of its own ----------------------------------------------------------------------------------------------


async def test_a_job_has_a_model_of_its_own(store: Store) -> None:
    second = ScriptedModel(ref="fake:two", model="two")
    async with office(store, others=(second,)) as here:
        await here.met()
        await here.jobs.add(spec(model="fake:two"), await here.by())
        await here.fired("a", NINE)
        assert len(second.asked) == 1 and len(here.path.model.asked) == 1  # the greeting
        found = await here.path.rows("SELECT model, trigger FROM usage ORDER BY id DESC LIMIT 1")
        assert found == [("two", "a")]


async def test_a_job_has_a_budget_of_its_own_and_what_it_refuses_is_told(here: Office) -> None:
    await here.jobs.add(spec(deliver_to=("chat",), budget_day=1), await here.by())
    await here.jobs.add(spec("b", deliver_to=("chat",)), await here.by())
    asked = len(here.path.model.asked)
    (run,) = await here.fired("a", NINE)
    assert run.state == "failed"
    await here.settled("b")
    assert len(here.path.model.asked) == asked + 1  # that of the other one

    async def told() -> bool:
        return any("The job `a` has failed: a budget is used up." in text for text in here.texts())

    await until(told)
    (budget,) = await here.manager.budgets("job", "a")
    assert (budget.period, budget.cap, budget.spent) == ("day", 1, 0)


async def test_a_failure_of_a_job_that_was_made_in_no_chat_is_told_in_its_makers_own(here: Office) -> None:
    by = dataclasses.replace(await here.by(), conversation=None)
    await here.jobs.add(spec(), by)
    here.path.model.queue = [Script(error=ModelError("no", kind="refused"))]
    await here.fired("a", NINE)
    await here.path.channel.until(ANN, "The job `a` has failed: the model refused it.")
    assert here.path.troubles == []


async def test_a_failure_that_can_be_told_to_nobody_is_told_to_the_operator(store: Store) -> None:
    async with office(store) as here:
        async for _ in here.manager.say("hello"):
            pass
        who = await here.path.store.read(lambda unit: unit.people.identity("main", "local"))
        assert who is not None
        await here.jobs.add(spec(), Requester(identity=who.id, conversation=1, admin=True))
        here.path.model.queue = [Script(error=ModelError("no", kind="refused"))]
        await here.fired("a", NINE)
        assert here.path.troubles == [("job:a", "The job a has failed: no")]
