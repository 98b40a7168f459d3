"""The heartbeat: asked only where its file says something, heard only where there is something to say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import heartbeat
from gateway.configured import job_specs
from gateway.errors import Refused
from gateway.heartbeat import NAME, TOO_BIG, hours, instructions
from gateway.jobs import silence
from gateway.jobs.reasons import ASLEEP, FILE_EMPTY, FILE_MISSING
from gateway.jobs.spec import JobSpec
from gateway.settings import Settings
from gateway.types.measures import DAY, HOUR, MINUTE
from storage import Store
from tests.fakes.model import Script
from tests.jobs import ANN, EIGHT, Office, at, office, spec

HALF = EIGHT + 30 * MINUTE


@pytest.fixture
async def here(store: Store) -> AsyncIterator[Office]:
    async with office(store) as found:
        await found.met()
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "heartbeat.md"
    path.write_text("# Look at\n\n- the door\n")
    return path


def beats(file: Path, **more: Any) -> JobSpec:
    """As the configuration has it; every half hour from eight o'clock on."""
    told = {"file": str(file), "deliver_to": f"telegram:{ANN}", **more}
    (found,) = job_specs(Settings.model_validate({"heartbeat": told}))
    return found


async def beaten(here: Office, when: int) -> tuple[str, str, str | None]:
    run = (await here.fired(NAME, when))[-1]
    return run.state, run.delivery, run.reason


# -- when nothing is asked ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\n\t",
        "# Heartbeat\n\n## Every morning\n",
        "<!-- nothing yet\n- the door -->",
        "# Look at\n<!-- later -->\n- [ ]\n- \n* [x]\n1.\n---\n",
        "<!-- never closed\n- the door",
    ],
)
def test_headings_comments_and_empty_items_ask_nothing(text: str) -> None:
    assert instructions(text) == ""


@pytest.mark.parametrize(
    "text", ["- the door", "Look.", "#hashtag", "# Look\n- [ ] the door", "1. door", "**door**"]
)
def test_anything_else_is_asked(text: str) -> None:
    assert instructions(text) == text


def test_comments_are_not_for_the_model() -> None:
    assert instructions("- the door <!-- it sticks -->\n<!-- not the window -->") == "- the door"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", FILE_EMPTY),
        (b"# Heartbeat\n", FILE_EMPTY),
        (None, FILE_MISSING),
        (b"x" * (heartbeat.LARGEST + 1), TOO_BIG),
    ],
)
async def test_without_anything_to_ask_no_model_is_and_the_slot_says_why(
    here: Office, file: Path, content: bytes | None, reason: str
) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    asked = len(here.path.model.asked)
    await here.cron.sync([beats(file)])
    assert await beaten(here, HALF) == ("skipped", "none", reason)
    assert len(here.path.model.asked) == asked
    assert await here.path.rows("SELECT count(*) FROM session WHERE triggered_by IS NOT NULL") == [(0,)]
    assert await here.path.rows("SELECT count(*) FROM usage WHERE trigger IS NOT NULL") == [(0,)]


async def test_a_folder_is_no_file(here: Office, tmp_path: Path) -> None:
    await here.cron.sync([beats(tmp_path)])
    state, _, reason = await beaten(here, HALF)
    assert state == "skipped" and str(reason).startswith("its file cannot be read")


async def test_the_file_is_read_anew_each_time(here: Office, file: Path) -> None:
    here.path.model.reply = lambda text: "NOTHING TO REPORT"
    await here.cron.sync([beats(file)])
    await beaten(here, HALF)
    assert "- the door" in _last_asked(here)
    file.write_text("- the window")
    await beaten(here, HALF + 30 * MINUTE)
    assert "- the window" in _last_asked(here) and "door" not in _last_asked(here)
    file.unlink()
    assert (await beaten(here, HALF + HOUR))[2] == FILE_MISSING
    file.write_text("- the roof")
    assert (await beaten(here, HALF + 90 * MINUTE))[:2] == ("done", "silent")


def _last_asked(here: Office) -> str:
    return here.path.model.asked[-1].messages[-1].texts[-1]  # type: ignore[union-attr]


# -- what it says ---------------------------------------------------------------------------------------------


async def test_it_is_silent_unless_there_is_something_to_say(here: Office, file: Path) -> None:
    await here.cron.sync([beats(file)])
    here.path.model.queue = [Script(text="Nothing to report."), Script(text="The door is open.")]
    assert await beaten(here, HALF) == ("done", "silent", None)
    assert here.texts() == ["You said: hello"]
    await beaten(here, HALF + 30 * MINUTE)
    await here.delivered(NAME, "sent")
    assert here.texts() == ["You said: hello", "The door is open."]
    assert _last_asked(here).count(silence.MARKER) == 1


async def test_what_it_said_last_is_not_said_again_and_again(here: Office, file: Path) -> None:
    await here.cron.sync([beats(file)])
    here.path.model.queue = [Script(text="The door is open."), Script(text="Nothing to report.")]
    await beaten(here, HALF)
    await here.delivered(NAME, "sent")
    await beaten(here, HALF + 30 * MINUTE)
    assert "What you reported last, 2026-03-02 08:30:\nThe door is open." in _last_asked(here)
    # The one before it had nothing to report, and does not take its place; the day after it is forgotten.
    here.path.model.queue = [Script(text="Nothing to report.")] * 2
    await beaten(here, HALF + HOUR)
    assert "The door is open." in _last_asked(here)
    await beaten(here, HALF + DAY + 30 * MINUTE)
    assert "reported last" not in _last_asked(here)


async def test_each_has_a_session_of_its_own_and_a_reply_goes_on_with_it(here: Office, file: Path) -> None:
    await here.cron.sync([beats(file)])
    here.path.model.queue = [Script(text="The door is open.")]
    await beaten(here, HALF)
    await here.delivered(NAME, "sent")
    message = list(here.path.channel.messages[ANN])[-1]
    await here.path.says("Close it.", reply_to=message)
    await here.path.channel.until(ANN, "You said: Close it.")
    sessions = await here.path.rows(
        "SELECT s.triggered_by, count(*) FROM turn t JOIN session s ON s.id = t.session GROUP BY s.id ORDER BY s.id"
    )
    assert sessions == [(None, 1), (NAME, 2)]
    assert await here.path.rows("SELECT trigger FROM usage ORDER BY id") == [(None,), (NAME,), (None,)]


async def test_it_keeps_no_session_alive_and_is_nobodys_activity(here: Office, file: Path) -> None:
    await here.cron.sync([beats(file)])
    before = await here.path.rows("SELECT last_person, last_active FROM session WHERE triggered_by IS NULL")
    for number in range(12):
        await beaten(here, HALF + number * 30 * MINUTE)
    assert before == await here.path.rows(
        "SELECT last_person, last_active FROM session WHERE triggered_by IS NULL"
    )
    assert await here.path.rows("SELECT count(last_person) FROM session WHERE triggered_by IS NOT NULL") == [
        (0,)
    ]
    # Six hours after the person's last word their session is over, whatever the heart did meanwhile.
    here.clock.now = EIGHT + 6 * HOUR
    assert await here.path.core.dispatcher.sweep() == 1


# -- when -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("active", "zone", "when", "expected"),
    [
        ("", "UTC", "2026-03-02 03:00", True),
        ("08:00-22:00", "UTC", "2026-03-02 08:00", True),
        ("08:00-22:00", "UTC", "2026-03-02 07:59", False),
        ("08:00-22:00", "UTC", "2026-03-02 21:59", True),
        ("08:00-22:00", "UTC", "2026-03-02 22:00", False),
        ("08:00-24:00", "UTC", "2026-03-02 23:59", True),
        ("22:00-06:00", "UTC", "2026-03-02 23:00", True),
        ("22:00-06:00", "UTC", "2026-03-02 05:59", True),
        ("22:00-06:00", "UTC", "2026-03-02 06:00", False),
        ("8:00-22:00", "Europe/Berlin", "2026-03-28 06:59", False),  # 07:59 there, in winter
        ("8:00-22:00", "Europe/Berlin", "2026-03-29 06:00", True),  # 08:00 there, in summer
    ],
)
def test_active_hours_are_those_of_the_clock_on_the_wall(
    active: str, zone: str, when: str, expected: bool, file: Path
) -> None:
    assert heartbeat.awake(at(when), beats(file, active_hours=active, zone=zone)) is expected


@pytest.mark.parametrize(
    "text", ["8-22", "08:00", "25:00-26:00", "08:00-08:00", "24:30-08:00", "08:00-24:30", "x"]
)
def test_hours_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        hours(text)
    with pytest.raises(ValueError, match="are no hours"):
        Settings.model_validate({"heartbeat": {"active_hours": text}})


async def test_outside_its_hours_nothing_is_asked_unless_somebody_wants_it(here: Office, file: Path) -> None:
    await here.cron.sync([beats(file, active_hours="09:00-22:00")])
    assert await beaten(here, HALF) == ("skipped", "none", ASLEEP)
    here.clock.now += MINUTE
    await here.jobs.run_now(NAME)
    (_, run) = await here.settled(NAME)
    assert run.state == "done"


async def test_what_was_missed_is_not_made_up_for(here: Office, file: Path) -> None:
    await here.cron.sync([beats(file)])
    here.clock.now = EIGHT + 3 * HOUR + MINUTE
    await here.cron.start()
    assert {run.state for run in await here.settled(NAME)} == {"skipped"}
    assert len(here.path.model.asked) == 1  # the greeting


# -- whose it is ----------------------------------------------------------------------------------------------


async def test_nobody_can_make_a_job_of_its_name(here: Office) -> None:
    for by in (await here.by(), await here.by(admin=True)):
        with pytest.raises(Refused, match="cannot be a job's name"):
            await here.jobs.add(spec(name=NAME, deliver_to=("chat",)), by)
    with pytest.raises(ValueError, match="is not a job's name"):
        Settings.model_validate({"jobs": [{"name": NAME, "schedule": "@daily", "prompt": "x"}]})
    with pytest.raises(Refused):
        await here.jobs.remove(NAME)


async def test_who_is_no_admin_neither_sees_nor_stops_it(here: Office, file: Path) -> None:
    await here.cron.sync([beats(file)])
    by = await here.by()
    assert await here.jobs.list(by) == []
    for work in (here.jobs.pause, here.jobs.run_now):
        with pytest.raises(Refused, match="no job named"):
            await work(NAME, by)


async def test_it_is_there_while_its_file_is_named(here: Office, file: Path) -> None:
    await here.cron.sync([beats(file)])
    assert (await here.jobs.show(NAME)).spec.kind == "heartbeat"
    await here.cron.sync(job_specs(Settings()))
    with pytest.raises(Refused, match="no job named"):
        await here.jobs.show(NAME)


def test_its_file_lies_beside_the_configuration(tmp_path: Path) -> None:
    from gateway.settings import load

    config = tmp_path / "parley.toml"
    config.write_text('[heartbeat]\nfile = "look.md"\nevery_minutes = 20\nactive_hours = "08:00-22:00"\n')
    (found,) = job_specs(load(config, environ={}))
    assert (found.prompt_file, found.schedule, found.silent) == (str(tmp_path / "look.md"), "every 20m", True)
