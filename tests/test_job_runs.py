"""What becomes of a run: tried again, timed, silent, in a chat's own session; and who hears of its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import DeliveryError, ModelError
from gateway.failpoints import Point
from gateway.jobs import silence
from gateway.jobs.ends import MOST_FAILED
from gateway.jobs.reasons import STILL_RUNNING, TOO_MANY
from gateway.jobs.slots import MOST_QUEUED
from gateway.progress import Options
from gateway.types.measures import DAY, HOUR, MINUTE, SECOND
from storage import Store
from tests.fakes.model import Script
from tests.jobs import ANN, BOB, EIGHT, NINE, Office, office, spec, until


@pytest.fixture
async def here(store: Store) -> AsyncIterator[Office]:
    async with office(store) as found:
        yield found


def broken(kind: str = "overloaded") -> Script:
    return Script(error=ModelError("the server is on fire", kind=kind))  # type: ignore[arg-type]


# -- tried again ----------------------------------------------------------------------------------------------


async def test_a_run_that_failed_is_tried_again_after_30_seconds_60_and_five_minutes(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",)), await here.by())
    here.path.model.queue = [broken() for _ in range(4)]
    (run,) = await here.fired("a", NINE)
    waited = []
    for attempt in (2, 3, 4):
        assert (run.state, run.attempt, run.reason) == ("waiting", attempt, "the server is on fire")
        assert run.again is not None
        waited.append((run.again - here.clock.now) // SECOND)
        (run,) = await here.fired("a", run.again - SECOND)
        assert run.attempt == attempt and len(here.path.model.asked) == attempt  # the greeting was one
        (run,) = await here.fired("a", here.clock.now + SECOND)
    assert waited == [30, 60, 300]
    assert (run.state, run.attempt, run.again) == ("failed", 4, None)
    assert len(await here.path.rows("SELECT 1 FROM turn WHERE job_run IS NOT NULL")) == 4
    await here.path.channel.until(ANN, "`a` has failed: the model is overloaded.")


async def test_an_attempt_that_succeeds_is_delivered_once_and_what_failed_is_forgotten(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",)), await here.by())
    here.path.model.queue = [broken(), Script(text="la la")]
    (run,) = await here.fired("a", NINE)
    (run,) = await here.fired("a", NINE + 30 * SECOND)
    assert (run.state, run.attempt, run.reason) == ("done", 2, None)
    await here.delivered("a", "sent")
    assert here.texts()[1:] == ["la la"]
    assert (await here.jobs.show("a")).failures == 0


async def test_another_attempt_goes_on_in_the_session_of_the_first(here: Office) -> None:
    """What the first one did already stands there, so that the model need not do it twice."""
    await here.cron.sync([spec()])
    here.path.model.queue = [broken()]
    await here.fired("a", NINE)
    await here.fired("a", NINE + 30 * SECOND)
    assert await here.path.rows("SELECT count(*) FROM session") == [(1,)]
    assert await here.path.rows("SELECT event_id FROM inbox ORDER BY id") == [
        (f"a@{NINE}",),
        (f"a@{NINE}/2",),
    ]


@pytest.mark.parametrize("kind", ["refused", "not_found", "shape"])
async def test_what_asking_again_would_not_mend_is_not_asked_again(here: Office, kind: str) -> None:
    await here.cron.sync([spec()])
    here.path.model.queue = [broken(kind)]
    (run,) = await here.fired("a", NINE)
    assert (run.state, run.attempt) == ("failed", 1)


async def test_a_job_may_do_without_further_attempts(here: Office) -> None:
    await here.cron.sync([spec(retries=0)])
    here.path.model.queue = [broken()]
    assert [run.state for run in await here.fired("a", NINE)] == ["failed"]


async def test_a_run_that_waits_for_its_next_attempt_is_still_running(here: Office) -> None:
    await here.cron.sync([spec(schedule="* * * * *")])
    here.path.model.queue = [broken()]
    await here.fired("a", NINE)
    runs = await here.fired("a", NINE + 20 * SECOND)
    here.clock.now = NINE + MINUTE
    await here.cron.fire()
    assert [run.reason for run in await here.settled("a")][-1] == STILL_RUNNING
    assert runs[-1].again == NINE + 30 * SECOND


async def test_the_next_attempt_is_woken_for(store: Store) -> None:
    """And not left to the look that is taken once a minute."""
    async with office(store) as here:
        await here.cron.sync([spec()])
        here.path.model.queue = [broken()]
        here.clock.now = NINE
        await here.cron.start()
        await until(lambda: _again(here))
        armed = await here.path.store.read(lambda unit: unit.jobs.next_at(now=here.clock.now))
        assert armed == NINE + 30 * SECOND
        here.clock.now += 30 * SECOND
        here.cron.wake()
        await until(lambda: _is(here, "done"))


async def _again(here: Office) -> bool:
    return [run.again for run in await here.runs("a")] == [NINE + 30 * SECOND]


async def _is(here: Office, state: str) -> bool:
    return [run.state for run in await here.runs("a")] == [state]


async def test_a_clock_that_went_back_leaves_no_attempt_waiting_for_long(here: Office) -> None:
    await here.cron.sync([spec()])
    here.path.model.queue = [broken()]
    await here.fired("a", NINE)
    (run,) = await here.fired("a", NINE - 40 * MINUTE)
    assert run.again == NINE - 35 * MINUTE


async def test_of_a_job_that_was_removed_no_further_attempt_is_made(here: Office) -> None:
    await here.met()
    by = await here.by()
    await here.jobs.add(spec(deliver_to=("chat",)), by)
    here.path.model.queue = [broken()]
    await here.fired("a", NINE)
    await here.jobs.remove("a", by)
    (run,) = await here.fired("a", NINE + MINUTE)
    assert (run.state, run.reason) == ("skipped", "the job was removed")


# -- disabled -------------------------------------------------------------------------------------------------


async def failing(here: Office, count: int) -> None:
    """So many of its planned times, one after the other, in vain."""
    for number in range(count):
        here.path.model.queue = [broken("refused")]
        await here.fired("a", NINE + number * HOUR)


async def test_ten_failed_runs_in_a_row_disable_a_job_and_its_maker_is_told(here: Office) -> None:
    await here.met()
    by = await here.by()
    await here.jobs.add(spec(deliver_to=("chat",)), by)
    await failing(here, MOST_FAILED - 1)
    assert (await here.jobs.show("a")).state == "on"
    here.path.model.queue = [broken("refused")]
    await here.fired("a", NINE + (MOST_FAILED - 1) * HOUR)
    found = await here.jobs.show("a", by)
    assert (found.state, found.next_at, found.failures) == ("disabled", None, MOST_FAILED)
    await here.path.channel.until(ANN, "10 times in a row, so I have disabled it")
    assert len(await here.fired("a", NINE + 20 * HOUR)) == MOST_FAILED

    resumed = await here.jobs.resume("a", by)
    assert (resumed.state, resumed.failures, resumed.next_at) == ("on", 0, NINE + 21 * HOUR)


async def test_one_success_ends_the_row(here: Office) -> None:
    await here.cron.sync([spec()])
    await failing(here, MOST_FAILED - 1)
    await here.fired("a", NINE + 9 * HOUR)
    here.path.model.queue = [broken("refused")]
    await here.fired("a", NINE + 10 * HOUR)
    found = await here.jobs.show("a")
    assert (found.state, found.failures) == ("on", 1)


async def test_a_job_of_the_configuration_tells_the_operator_and_stays_disabled_over_a_restart(
    here: Office,
) -> None:
    await here.cron.sync([spec()])
    await failing(here, MOST_FAILED)
    assert ("job:a", "The job a has failed: the server is on fire") in here.path.troubles
    assert any(
        cause == "job:a:disabled" and "parley jobs resume a" in text for cause, text in here.path.troubles
    )
    await here.cron.sync([spec()])
    assert (await here.jobs.show("a")).state == "disabled"
    await here.cron.sync([spec(prompt="Hum.")])
    assert (await here.jobs.show("a")).state == "on"


# -- timed and stopped ----------------------------------------------------------------------------------------


async def test_a_run_that_takes_too_long_is_really_stopped_and_tried_again(here: Office) -> None:
    await here.cron.sync([spec(timeout=0.05)])
    here.path.model.queue = [Script(text="never", gate=asyncio.Event())]
    (run,) = await here.fired("a", NINE)
    assert (run.state, run.attempt, run.reason) == ("waiting", 2, "it took too long")
    assert here.path.model.running == 0  # the request is not left to itself
    (run,) = await here.fired("a", NINE + 30 * SECOND)
    assert run.state == "done"


async def test_without_a_timeout_of_its_own_that_of_any_turn_holds(store: Store) -> None:
    async with office(store, options=Options(retries=0, turn_timeout=0.05)) as here:
        await here.cron.sync([spec(retries=0)])
        here.path.model.queue = [Script(text="never", gate=asyncio.Event())]
        assert [run.reason for run in await here.fired("a", NINE)] == ["it took too long"]


async def test_a_run_that_a_person_stops_is_no_failure_and_not_tried_again(here: Office) -> None:
    await here.met()
    by = await here.by()
    await here.jobs.add(spec(deliver_to=("chat",), session="chat"), by)
    here.path.model.queue = [Script(text="never", gate=asyncio.Event())]
    here.clock.now = NINE
    await here.cron.fire()
    await until(lambda: _is(here, "running"))
    assert by.conversation is not None and await here.path.core.dispatcher.cancel(by.conversation)
    (run,) = await here.settled("a")
    assert (run.state, run.reason) == ("failed", "stopped")
    assert (await here.jobs.show("a")).failures == 0
    assert not any("failed" in text for text in here.texts())


# -- overlap --------------------------------------------------------------------------------------------------


async def test_runs_that_queue_go_one_after_another(here: Office) -> None:
    await here.cron.sync([spec(overlap="queue")])
    gate = asyncio.Event()
    here.path.model.queue = [Script(text="one", gate=gate)]
    for hour in range(3):
        here.clock.now = NINE + hour * HOUR
        assert await here.cron.fire() == 1
    gate.set()
    runs = await here.settled("a")
    assert [run.state for run in runs] == ["done"] * 3
    assert here.path.model.most_running == 1


async def test_only_so_many_queue_and_the_others_say_why_they_are_skipped(here: Office) -> None:
    await here.cron.sync([spec(overlap="queue")])
    gate = asyncio.Event()
    here.path.model.queue = [Script(text="one", gate=gate)]
    for hour in range(MOST_QUEUED + 2):
        here.clock.now = NINE + hour * HOUR
        await here.cron.fire()
    gate.set()
    runs = await here.settled("a")
    assert [run.state for run in runs] == ["done"] * MOST_QUEUED + ["skipped"] * 2
    assert {run.reason for run in runs[MOST_QUEUED:]} == {TOO_MANY}


# -- nothing to report ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "silent"),
    [
        (silence.MARKER, True),
        ("**Nothing to report.**", True),
        ("`NOTHING_TO_REPORT`\n", True),
        (" \n", True),
        ("", True),
        ("Nothing to report, but the door is open.", False),
        ("There is nothing to report.", False),
        ("Ärger", False),
    ],
)
def test_an_answer_that_says_so_and_nothing_else_is_silence(said: str, silent: bool) -> None:
    assert silence.nothing(said) is silent


async def test_of_nothing_nobody_hears_where_the_job_says_so(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",), silent=True), await here.by())
    here.path.model.queue = [Script(text="Nothing to report."), Script(text="The door is open.")]
    (run,) = await here.fired("a", NINE)
    assert (run.state, run.delivery) == ("done", "silent")
    assert await here.path.rows("SELECT unread FROM session WHERE triggered_by = 'a'") == [(0,)]
    assert silence.MARKER in here.path.model.asked[-1].messages[-1].texts[-1]  # type: ignore[union-attr]
    await here.fired("a", NINE + HOUR)
    await here.delivered("a", "sent")
    assert here.texts()[1:] == ["The door is open."]


async def test_the_model_that_says_nothing_at_all_is_silent_too(here: Office) -> None:
    await here.cron.sync([spec(silent=True)])
    here.path.model.queue = [Script(text="")]
    assert [run.delivery for run in await here.fired("a", NINE)] == ["silent"]


async def test_a_job_that_is_not_silent_delivers_whatever_it_says(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",)), await here.by())
    here.path.model.queue = [Script(text="Nothing to report.")]
    await here.fired("a", NINE)
    await here.path.channel.until(ANN, "Nothing to report.")
    assert here.path.model.asked[-1].messages[-1].texts[-1] == "Sing."  # type: ignore[union-attr]


# -- in a chat's own session ----------------------------------------------------------------------------------


async def test_a_run_in_the_chats_session_knows_what_was_said_there_and_is_tagged(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",), session="chat"), await here.by())
    (run,) = await here.fired("a", NINE)
    await here.delivered("a", "sent")
    assert await here.path.rows("SELECT count(*), min(unread) FROM session") == [(1, 0)]
    assert await here.path.rows("SELECT trigger FROM turn ORDER BY id") == [(None,), ("a",)]
    assert await here.path.rows("SELECT trigger FROM usage ORDER BY id") == [(None,), ("a",)]
    assert len(here.path.model.asked[-1].messages) == 3  # hello, its answer, the job
    assert here.texts() == ["You said: hello", "You said: Sing."]
    assert await here.path.rows("SELECT event_id FROM inbox WHERE kind = 'job'") == [(f"a@{NINE}",)]
    assert run.session is not None


async def test_it_waits_for_the_answer_that_is_being_written_there(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",), session="chat"), await here.by())
    gate = asyncio.Event()
    here.path.model.queue = [Script(text="slowly", gate=gate)]
    await here.path.says("and now?")
    here.clock.now = NINE
    await here.cron.fire()
    gate.set()
    await here.path.channel.until(ANN, "slowly", "You said: Sing.")


async def test_a_configured_job_joins_the_session_of_the_chat_it_names(here: Office) -> None:
    await here.met()
    await here.cron.sync([spec(deliver_to=(f"telegram:{ANN}",), session="chat")])
    await here.fired("a", NINE)
    await here.path.channel.until(ANN, "You said: Sing.")
    assert await here.path.rows("SELECT count(*) FROM session") == [(1,)]


async def test_a_run_for_a_chat_that_is_not_connected_waits_for_it(store: Store) -> None:
    async with office(store, connect=False) as here:
        await here.cron.sync([spec(deliver_to=(f"telegram:{ANN}",), session="chat")])
        here.clock.now = NINE
        await here.cron.fire()
        (run,) = await here.runs("a")
        assert (run.state, run.reason) == ("waiting", "its chat could not be found yet")
        here.path.core.delivery.register(here.path.account, here.path.channel)
        (run,) = await here.fired("a", NINE + MINUTE)
        assert run.state == "done"
        await here.path.channel.until(ANN, "You said: Sing.")


async def test_a_run_whose_chat_does_not_come_for_a_day_has_failed(store: Store) -> None:
    async with office(store, connect=False) as here:
        await here.cron.sync(
            [spec(schedule="at 2026-03-02 09:00", deliver_to=("telegram:1",), session="chat")]
        )
        here.clock.now = NINE
        await here.cron.fire()
        (run,) = await here.fired("a", NINE + DAY)
        assert run.state == "failed" and "could not be found" in str(run.reason)


async def test_a_run_that_stop_takes_away_before_it_began_holds_nothing_up(here: Office) -> None:
    await here.met()
    by = await here.by()
    await here.jobs.add(spec(deliver_to=("chat",), session="chat"), by)
    gate = asyncio.Event()
    here.path.model.queue = [Script(text="slowly", gate=gate)]
    await here.path.says("and now?")
    here.clock.now = NINE
    await here.cron.fire()
    conversation = by.conversation
    assert conversation is not None
    await here.path.store.commit(Point.CONTROL, lambda unit: unit.inbox.drop_waiting(conversation))
    gate.set()
    await here.cron.start()
    await until(lambda: _is(here, "failed"))


# -- delivery -------------------------------------------------------------------------------------------------


async def test_an_answer_for_a_chat_that_cannot_be_found_is_owed_and_comes_later(store: Store) -> None:
    async with office(store, connect=False) as here:
        await here.cron.sync([spec(deliver_to=("main", f"telegram:{ANN}"))])
        await here.fired("a", NINE)
        assert [run.delivery for run in await here.runs("a")] == ["owed"]
        await here.cron.start()
        assert await here.path.rows("SELECT count(*) FROM outbox") == [(0,)]
        here.path.core.delivery.register(here.path.account, here.path.channel)
        here.cron.wake()
        await here.path.channel.until(ANN, "You said: Sing.")
        await here.delivered("a", "sent")
        here.cron.wake()
        await here.cron.stop()
        assert here.texts() == ["You said: Sing."]
        assert len(here.path.model.asked) == 1  # the run itself was not repeated


async def test_an_answer_whose_chat_does_not_come_for_a_day_is_given_up(store: Store) -> None:
    async with office(store, connect=False) as here:
        await here.cron.sync([spec(deliver_to=("telegram:1",), schedule="at 2026-03-02 09:00")])
        await here.fired("a", NINE)
        here.clock.now = NINE + DAY
        await here.cron.start()
        await here.delivered("a", "dead")


async def test_a_run_is_done_while_its_delivery_is_tried_again(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",)), await here.by())
    here.path.channel.fail["send"] = [DeliveryError("no route", kind="connect")]
    (run,) = await here.fired("a", NINE)
    assert (run.state, run.delivery) == ("done", "waiting")


async def test_the_first_message_of_a_delivery_has_the_real_opening(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",)), await here.by())
    long = "The first words are what the phone shows. " * 20
    here.path.model.queue = [Script(text=long)]
    await here.fired("a", NINE)
    await here.delivered("a", "sent")
    sent = [text for method, _, text in here.path.channel.calls if method == "send"][1:]
    assert sent[0] == long[:80] and len(sent) == 3
    assert "".join(here.texts()[1:]) == long.strip()


async def test_a_failure_is_told_where_the_job_was_made_and_nowhere_else(here: Office) -> None:
    await here.met(ANN, BOB)
    by = await here.by(ANN, admin=True)
    await here.jobs.add(spec(deliver_to=(f"telegram:{BOB}",)), by)
    here.path.model.queue = [broken("refused")]
    await here.fired("a", NINE)
    await here.path.channel.until(ANN, "The job `a` has failed: the model refused it.")
    assert here.texts(BOB) == ["You said: hello"] and here.path.troubles == []


async def test_who_answers_a_delivery_goes_on_with_the_session_of_that_run(here: Office) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",)), await here.by())
    for hour in range(2):
        await here.fired("a", NINE + hour * HOUR)
        await here.delivered("a", "sent")
    first, _ = await here.runs("a")
    ids = list(here.path.channel.messages[ANN])
    await here.path.says("Louder.", reply_to=ids[1])
    await here.path.channel.until(ANN, "You said: Louder.")
    ((code, unread),) = await here.path.rows(
        "SELECT s.code, s.unread FROM turn t JOIN session s ON s.id = t.session ORDER BY t.id DESC LIMIT 1"
    )
    assert (code, unread) == (first.session, 0)


async def test_a_member_with_a_session_of_their_own_goes_on_with_it_too(store: Store) -> None:
    """What is delivered to a group was said to the whole of it."""
    import dataclasses

    from gateway.types.places import Place

    async with office(store) as here:
        dispatcher = here.path.core.dispatcher
        dispatcher.habits = dataclasses.replace(
            dispatcher.habits,
            each_member=True,
            policy=dataclasses.replace(dispatcher.habits.policy, allow={"telegram": frozenset({ANN, "-5"})}),
        )
        await here.cron.sync([spec(deliver_to=("telegram:-5",))])
        await here.fired("a", NINE)
        await here.delivered("a", "sent")
        (message,) = here.path.channel.messages["-5"]
        await here.path.says("Louder.", place=Place(chat_id="-5", kind="group"), reply_to=message)
        await here.path.channel.until("-5", "You said: Ann: Louder.")
        assert await here.path.rows("SELECT count(*) FROM session") == [(1,)]


# -- whose it is ----------------------------------------------------------------------------------------------


async def test_who_made_a_job_pays_for_it(here: Office) -> None:
    await here.met()
    by = await here.by()
    await here.jobs.add(spec(deliver_to=("chat",)), by)
    await here.fired("a", NINE)
    assert await here.path.rows("SELECT identity, trigger FROM usage ORDER BY id DESC LIMIT 1") == [
        (by.identity, "a")
    ]


@pytest.mark.parametrize("joins", ["isolated", "chat"])
async def test_the_jobs_of_somebody_who_is_blocked_do_not_run(here: Office, joins: str) -> None:
    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",), session=joins), await here.by())
    who = await here.who()
    await here.path.store.commit(Point.PEOPLE, lambda unit: unit.people.set_state(who, "blocked"))
    runs = await here.fired("a", NINE)
    assert [run.state for run in runs] == ["failed"] or [run.state for run in runs] == ["skipped"]
    assert len(here.path.model.asked) == 1
    assert here.clock.now > EIGHT


async def test_the_jobs_of_somebody_who_is_on_no_list_any_more_do_not_run(here: Office) -> None:
    import dataclasses

    await here.met()
    await here.jobs.add(spec(deliver_to=("chat",)), await here.by())
    dispatcher = here.path.core.dispatcher
    policy = dataclasses.replace(dispatcher.habits.policy, allow={})
    dispatcher.habits = dataclasses.replace(dispatcher.habits, policy=policy)
    (run,) = await here.fired("a", NINE)
    assert (run.state, len(here.path.model.asked)) == ("skipped", 1)
