"""What is too old is archived, deleted, emptied; the bill and the audit trail stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.ageing import Aged, Keep, Keeping
from gateway.app import start
from gateway.chores import keeping
from gateway.errors import DeliveryError
from gateway.settings import Settings
from gateway.types.measures import DAY, HOUR, MINUTE
from storage import Store
from tests.fakes.model import Script
from tests.jobs import ANN, BOB, EIGHT, HandClock, Office, at, office, spec, until

NEVER = Keeping()
MONTH = 30 * DAY


@pytest.fixture
async def here(store: Store) -> AsyncIterator[Office]:
    async with office(store) as found:
        yield found


async def tidied(here: Office, keeping: Keeping) -> Aged:
    """What was done; it is what had been announced, and nothing is left to do."""
    announced = await here.manager.too_old(keeping)
    done = await here.manager.tidy(keeping)
    assert announced == done
    assert (await here.manager.too_old(keeping)).nothing
    return done


async def test_a_session_is_archived_then_deleted_by_its_channel(here: Office) -> None:
    await here.met(ANN)
    await here.cron.sync([spec()])
    await here.fired("a", EIGHT + HOUR)
    kept = Keeping(channels={"job": Keep(archive=10 * DAY, delete=20 * DAY)}, other=Keep(archive=15 * DAY))
    here.clock.now += 11 * DAY
    assert await tidied(here, kept) == Aged(archived={"job": 1})
    here.clock.now += 5 * DAY
    assert await tidied(here, kept) == Aged(archived={"telegram": 1})
    here.clock.now += 5 * DAY
    assert await tidied(here, kept) == Aged(deleted={"job": 1})
    texts = await here.path.rows("SELECT count(*) FROM entry WHERE kind = 'user'")
    assert texts == [(1,)]  # that of the person
    assert await here.path.rows("SELECT count(*) FROM usage") == [(2,)]
    ((line,),) = await here.path.rows("SELECT actor || ': ' || action FROM audit WHERE action LIKE 'delete%'")
    assert line.startswith("retention: delete session ")


async def test_one_that_is_not_old_enough_and_one_that_is_paused_stay(here: Office) -> None:
    await here.met(ANN)
    (old,) = await here.manager.list_sessions()
    await here.manager.pause_session(old.id)
    here.clock.now += 20 * DAY
    await here.met(BOB)
    assert (await here.manager.tidy(Keeping(other=Keep(archive=15 * DAY, delete=15 * DAY)))).nothing


async def test_who_writes_after_it_was_archived_begins_anew(here: Office) -> None:
    await here.met(ANN)
    here.clock.now += 20 * DAY
    await here.manager.tidy(Keeping(other=Keep(archive=15 * DAY)))
    await here.path.says("again", user=ANN)
    await here.path.channel.until(ANN, "You said: again")
    assert await here.path.rows("SELECT count(*), count(archived) FROM session") == [(2, 1)]


async def test_a_message_loses_its_text_and_is_still_known_when_it_comes_again(here: Office) -> None:
    await here.path.says("hello")
    await here.path.channel.until(ANN, "You said: hello")
    here.clock.now += 31 * DAY
    await here.path.says("new")
    await here.path.channel.until(ANN, "You said: new")
    assert await tidied(here, replace(NEVER, inbox=MONTH)) == Aged(inbox=1)
    bodies = await here.path.rows("SELECT body LIKE '%hello%', body LIKE '%new%' FROM inbox ORDER BY id")
    assert bodies == [(0, 0), (0, 1)]
    asked = len(here.path.model.asked)
    ((event_id,),) = await here.path.rows("SELECT event_id FROM inbox ORDER BY id LIMIT 1")
    (receipt,) = await here.path.says("hello", event_id=event_id)
    assert receipt.state == "duplicate"
    assert len(here.path.model.asked) == asked


async def test_what_the_platform_sent_word_for_word_goes_as_soon_as_it_is_done_with(here: Office) -> None:
    gate = asyncio.Event()
    here.path.model.queue = [Script(text="la la", gate=gate)]
    await here.path.says("hello", raw='{"update_id": 1}')
    assert await here.path.rows("SELECT raw FROM inbox") == [('{"update_id": 1}',)]
    gate.set()
    await here.path.channel.until(ANN, "la la")
    await until(lambda: _is(here, "sent"))
    assert await here.path.rows("SELECT state, raw FROM inbox") == [("done", None)]


async def test_what_waits_keeps_its_text(here: Office) -> None:
    await here.path.core.dispatcher.stop(0.0)
    await here.path.says("hello")
    here.clock.now += 31 * DAY
    assert (await here.manager.tidy(replace(NEVER, inbox=MONTH))).nothing
    assert await here.path.rows("SELECT body LIKE '%hello%' FROM inbox") == [(1,)]


async def test_what_was_sent_is_forgotten_and_what_could_not_be_loses_its_text(here: Office) -> None:
    await here.met(ANN)
    here.path.channel.fail["send"] = [DeliveryError("no such chat", kind="rejected")] * 5
    await here.path.says("and", user=ANN)
    await until(lambda: _is(here, "dead"))
    kept = replace(NEVER, outbox=2 * MONTH, undelivered=MONTH)
    here.clock.now += MONTH - DAY
    assert await tidied(here, kept) == Aged()
    here.clock.now += 2 * DAY
    assert await tidied(here, kept) == Aged(undelivered=1)
    assert await here.path.rows("SELECT state, payload FROM outbox ORDER BY id") == [
        ("sent", None),
        ("dead", None),
    ]
    here.clock.now += MONTH
    assert await tidied(here, kept) == Aged(outbox=2)
    assert await here.path.rows("SELECT count(*) FROM outbox") == [(0,)]


async def _is(here: Office, state: str) -> bool:
    return await here.path.rows(f"SELECT 1 FROM outbox WHERE state = '{state}'") != []


async def test_by_default_no_session_is_touched_ever(here: Office) -> None:
    await here.met(ANN)
    await until(lambda: _is(here, "sent"))
    here.clock.now += 10_000 * DAY
    done = await here.manager.tidy(keeping(Settings()))
    assert (done.archived, done.deleted) == ({}, {})
    assert done.inbox and done.outbox


async def test_many_go_in_bites(here: Office) -> None:
    await here.cron.sync([spec(schedule="every 1m", overlap="queue")])
    for _ in range(7):
        here.clock.now += MINUTE
        here.path.model.queue = [Script(text="la la")]
        await here.fired("a")
    here.clock.now += 11 * DAY
    kept = Keeping(other=Keep(delete=10 * DAY), inbox=10 * DAY)
    assert await tidied(here, kept) == Aged(deleted={"job": 7}, inbox=7)


async def test_the_gateway_does_it_by_itself_as_it_is_configured(tmp_path) -> None:  # type: ignore[no-untyped-def]
    clock = HandClock(at("2026-03-01 12:00"))
    settings = Settings.model_validate(
        {
            "gateway": {"data_dir": tmp_path / "data", "timezone": "Europe/Berlin"},
            "backup": {"at": ""},
            "retention": {"at": "05:00", "archive_days": 90, "channels": {"main": {"delete_days": 1}}},
        }
    )
    found = keeping(settings)
    assert found.of("main") == Keep(archive=90 * DAY, delete=DAY)
    assert found.of("telegram") == Keep(archive=90 * DAY)
    assert (found.inbox, found.outbox, found.undelivered) == (30 * DAY, 90 * DAY, 30 * DAY)
    app = await start(settings, environ={}, clock=clock)
    try:
        id = await app.manager.create_session("main", "x")
        await app.nightly.look()
        clock.now = at("2026-03-03 03:59")
        assert await app.nightly.look() == 1  # that of the day before
        assert await app.manager.get_session(id) is None
        clock.now = at("2026-03-03 04:00")
        assert await app.nightly.look() == 1
    finally:
        await app.stop()
