"""The daily digest: when it comes, whose it is, what it tells, and what it never tells."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from gateway.commands.digest import Asked, asked
from gateway.digest import summaries
from gateway.digest.facts import span_of
from gateway.digest.talks import Talk
from gateway.errors import ModelError, Refused
from gateway.failpoints import Point
from gateway.jobs.reasons import ONLY_DIGEST
from gateway.moments import local
from gateway.types.measures import DAY, HOUR, MINUTE
from gateway.types.people import Sender, Viewer
from gateway.types.places import Place
from storage import Store
from tests.chats import GROUP
from tests.digests import ANN, BERLIN, BOB, MONDAY, SATURDAY, SUNDAY, Readers, berlin, readers, until
from tests.fakes.model import Script, ScriptedModel
from tests.jobs import spec

EIGHT = f"{SUNDAY} 08:00"


@pytest.fixture
async def here(store: Store) -> AsyncIterator[Readers]:
    async with readers(store) as found:
        await found.talk("hello", f"{SATURDAY} 08:30")
        await found.chat.told("/digest on 8:00 Berlin", "Your digest comes here every day at 08:00")
        yield found


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("- ")]


# -- what is asked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("", Asked(what="show")),
        ("off", Asked(what="off")),
        ("NOW", Asked(what="now")),
        ("on", Asked(what="on")),
        ("on 8:00 Europe/Berlin", Asked(what="on", at=(8, 0), zone="europe/berlin")),
        ("on 8", Asked(what="on", at=(8, 0))),
        ("on 7.05", Asked(what="on", at=(7, 5))),
        ("on 12am", Asked(what="on", at=(0, 0))),
        ("on 12:30 pm New York", Asked(what="on", at=(12, 30), zone="new york")),
        ("on 8 Uhr quiet", Asked(what="on", at=(8, 0), quiet=True)),
        ("on 8:00 --bill", Asked(what="on", at=(8, 0), bill=True)),
        ("on 8:00 —bill —quiet", Asked(what="on", at=(8, 0), bill=True, quiet=True)),
        ("on Berlin 23:59", Asked(what="on", at=(23, 59), zone="berlin")),
    ],
)
def test_what_can_stand_behind_the_command(args: str, expected: Asked) -> None:
    assert asked(args) == expected


@pytest.mark.parametrize(
    "args", ["on 24:00", "on 8:60", "on 13pm", "on 0am", "on 8:0x", "off now", "at 8:00", "8:00"]
)
def test_what_makes_no_sense_is_answered_with_examples(args: str) -> None:
    with pytest.raises(Refused, match="/digest on 8:00"):
        asked(args)


# -- when it comes --------------------------------------------------------------------------------------------


async def test_it_comes_at_its_time_once_and_tells_of_yesterday(here: Readers) -> None:
    await here.talk("How do I prune roses?", f"{SATURDAY} 15:12", answer="You said: How do I")
    await here.fired("digest", berlin(f"{SUNDAY} 07:59"))
    assert await here.runs("digest") == []
    text = await here.digested(EIGHT)
    assert text.startswith("**Saturday, 28 March** · 2 conversations · $0.0002\n")
    assert lines(text)[1] == "- 15:12 “How do I prune roses?” – You said: How do I prune roses?"
    for minutes in (1, 3, 60):
        await here.fired("digest", berlin(EIGHT) + minutes * MINUTE)
    assert [run.planned for run in await here.runs("digest")] == [berlin(EIGHT)]
    assert await here.path.rows("SELECT event_id FROM inbox WHERE kind = 'job'") == [
        (f"digest@{berlin(EIGHT)}",)
    ]
    assert sum("Saturday" in text for text in here.texts()) == 1


@pytest.mark.parametrize("late", [3 * MINUTE, 5 * HOUR, 23 * HOUR])
async def test_one_that_was_missed_comes_however_late_and_tells_of_its_own_yesterday(
    here: Readers, late: int
) -> None:
    """Other jobs are made up for within two hours."""
    await here.talk("Is it summer time?", f"{SATURDAY} 23:30", answer="You said: Is it")
    here.clock.now = berlin(EIGHT) + late
    await here.cron.start()  # as after a stop over eight o'clock
    await here.settled("digest")
    await here.delivered("digest", "sent")
    text = next(each for each in here.texts() if each.startswith("**"))
    assert text.startswith("**Saturday, 28 March**") and "Is it summer time?" in text


async def test_after_days_only_the_latest_comes_and_the_others_say_why(here: Readers) -> None:
    here.clock.now = berlin(EIGHT) + 3 * DAY + HOUR
    await here.cron.start()
    runs = await here.settled("digest")
    assert [run.state for run in runs] == ["skipped", "skipped", "skipped", "done"]
    assert {run.reason for run in runs[:-1]} == {ONLY_DIGEST}
    await here.delivered("digest", "sent")
    text = next(each for each in here.texts() if each.startswith("**Tuesday, 31 March**"))
    assert "- No digest tells of the 3 days from Saturday, 28 March to Monday, 30 March: I was away" in text
    assert "No digest tells" not in await here.digested("2026-04-02 08:00")


async def test_one_that_waits_for_its_platform_holds_the_next_one_not_up(here: Readers) -> None:
    await here.talk("one", f"{SATURDAY} 10:00", answer="You said: one")
    dispatcher, lines = here.path.core.dispatcher, here.path.core.delivery._lines
    dispatcher.expected.add("telegram")
    line = lines.pop(here.path.account.id)
    here.clock.now = berlin(EIGHT)
    await here.cron.fire()
    here.clock.now = berlin(f"{MONDAY} 08:00")
    await here.cron.fire()
    assert [run.state for run in await here.runs("digest")] == ["waiting", "waiting"]
    lines[here.path.account.id] = line
    await dispatcher.recovery.connected(here.path.account.id)
    await here.path.channel.until(ANN, "**Saturday", "", "**Sunday, 29 March**: nothing happened.")


@pytest.mark.parametrize(
    ("planned", "hours", "day"),
    [
        ("2026-03-30 08:00", 23, date(2026, 3, 29)),  # the day on which the clock goes forward
        ("2026-03-29 08:00", 24, date(2026, 3, 28)),
        ("2026-03-29 03:00", 24, date(2026, 3, 28)),  # right after the gap
        ("2026-10-26 08:00", 25, date(2026, 10, 25)),  # and back
        ("2026-10-25 02:30", 24, date(2026, 10, 24)),
        ("2027-01-01 00:00", 24, date(2026, 12, 31)),
    ],
)
def test_yesterday_is_the_whole_local_day_before_the_planned_time(
    planned: str, hours: int, day: date
) -> None:
    span = span_of(berlin(planned), BERLIN, manual=False)
    assert (span.day, (span.until - span.since) / HOUR) == (day, hours)
    assert local(span.since, BERLIN).time() == local(span.until, BERLIN).time() == local(0, "UTC").time()


async def test_what_was_said_at_midnight_is_in_one_digest_and_only_there(here: Readers) -> None:
    await here.talk("before midnight", f"{SATURDAY} 23:59", answer="You said: before")
    await here.talk("at midnight", f"{SUNDAY} 00:00", answer="You said: at")
    first = await here.digested(EIGHT)
    second = await here.digested(f"{MONDAY} 08:00")
    assert "before midnight" in first and "at midnight" not in first
    assert "at midnight" in second and "before midnight" not in second


# -- how it is set --------------------------------------------------------------------------------------------


async def test_it_can_be_looked_at_changed_and_switched_off(here: Readers) -> None:
    assert "at 08:00 (Europe/Berlin)" in await here.chat.told("/digest", "Next: tomorrow 08:00")
    # The zone stays as it was said; the other words hold as they are said last.
    await here.chat.told("/digest on 9:30 quiet", "09:30 (Europe/Berlin)")
    assert (await here.jobs.show("digest")).spec.silent
    await here.chat.told("/digest on 9:45", "09:45 (Europe/Berlin). Next: today 09:45.")
    assert not (await here.jobs.show("digest")).spec.silent
    await here.chat.told("/digest off", "No digest comes here any more.")
    await here.chat.told("/digest", "No digest comes here. /digest on 8:00")
    assert await here.fired("digest", berlin(f"{SUNDAY} 12:00")) == []
    await here.chat.told("/digest on", "09:45 (Europe/Berlin)")
    assert len(await here.path.rows("SELECT 1 FROM job")) == 1


async def test_without_a_zone_it_goes_by_the_persons_own_clock(here: Readers) -> None:
    await here.talk("hi", f"{SATURDAY} 08:40", user=BOB)
    await here.chat.told("/zone New York", "America/New_York", user=BOB)
    await here.chat.told("/digest on 8:00", "08:00 (America/New_York)", user=BOB)


async def test_a_zone_that_nobody_knows_is_told_and_nothing_is_set(here: Readers) -> None:
    await here.chat.told("/digest on 8:00 Atlantis", "I know no time zone atlantis")
    assert (await here.jobs.show("digest")).spec.zone == BERLIN


async def test_one_that_was_paused_as_a_job_comes_again_when_it_is_switched_on(here: Readers) -> None:
    await here.jobs.pause("digest")
    await here.chat.told("/digest", "No digest comes here.")
    await here.chat.told("/digest on", "08:00 (Europe/Berlin)")
    assert (await here.jobs.show("digest")).next_at == berlin(EIGHT)


async def test_the_button_under_it_makes_one_at_once_with_today_so_far(here: Readers) -> None:
    await here.talk("How are you?", f"{SATURDAY} 10:00", answer="You said: How")
    await here.chat.told("/digest", "Next:")
    await here.chat.presses("Now")
    await until(lambda: _come(here))
    text = next(each for each in here.texts() if each.startswith("**"))
    assert text.startswith("**Friday, 27 March, and today so far** · 1 conversation")
    assert lines(text)[0].startswith("- today 08:30 “hello” … “How are you?”")
    assert await here.fired("digest", berlin(f"{SUNDAY} 07:00")) != []


async def _come(here: Readers) -> bool:
    return any(each.startswith("**") for each in here.texts())


async def test_one_at_once_is_made_also_where_none_comes_by_itself(here: Readers) -> None:
    await here.talk("Good morning!", f"{SATURDAY} 08:40", user=BOB)
    await here.chat.told("/digest now", "I am making it.", user=BOB)
    await here.chat.sees("**Friday, 27 March, and today so far** · 1 conversation", user=BOB)
    await here.chat.told("/digest", "No digest comes here.", user=BOB)


async def test_at_the_terminal_one_at_once_is_the_answer(here: Readers) -> None:
    await here.chat.local("What is new?")
    text = await here.chat.local("/digest now")
    assert "“What is new?” – You said: What is new?" in text
    found = re.search(r"📎 `(.+\.png)`", text)
    assert found and Path(found[1]).read_bytes().startswith(b"\x89PNG")
    assert await here.path.rows("SELECT unread FROM session WHERE triggered_by IS NOT NULL") == [(0,)]


async def test_who_asks_elsewhere_has_it_there_and_nobody_gets_two(here: Readers) -> None:
    await here.chat.local("hello")
    await joined(here, "main", "local")
    await here.chat.local("/digest on 7:00")
    jobs = await here.path.rows("SELECT name, conversation FROM job WHERE state = 'on'")
    main = await here.path.value("SELECT id FROM conversation WHERE kind = 'client'")
    assert jobs == [("digest", main)]


async def test_one_at_once_comes_to_where_it_is_asked_for(here: Readers) -> None:
    """And the one that comes every day goes on coming to where it was set."""
    await here.chat.local("hello")
    await joined(here, "main", "local")
    text = await here.chat.local("/digest now")
    assert text.startswith("**Friday, 27 March, and today so far** · 2 conversations")
    assert not any(each.startswith("**") for each in here.texts())
    assert await here.path.rows("SELECT name, state FROM job ORDER BY id") == [
        ("digest", "on"),
        ("digest-2", "paused"),
    ]
    assert "08:00 (Europe/Berlin)" in await here.chat.local("/digest")
    assert (await here.digested(EIGHT)).startswith("**Saturday, 28 March**")
    assert await here.chat.local("/digest off") == "No digest comes here any more."
    assert "No digest comes here" in await here.chat.local("/digest")


async def joined(here: Readers, channel: str, user: str) -> None:
    """Somebody is Ann as well from now on, as by /link."""
    ann = await here.who(ANN)
    other = await here.path.store.read(lambda unit: unit.people.identity(channel, user))
    assert ann.person is not None and other is not None
    person = ann.person
    await here.path.store.commit(Point.PEOPLE, lambda unit: unit.people.join(other, person, let_in=True))


async def test_two_that_were_joined_after_each_had_one_get_the_older(here: Readers) -> None:
    await here.talk("hi", f"{SATURDAY} 08:40", user=BOB)
    await here.chat.told("/digest on 8:00 Berlin", "Your digest", user=BOB)
    await joined(here, "telegram", BOB)
    text = await here.digested(EIGHT)
    assert text.startswith("**Saturday, 28 March** · 2 conversations")
    (run,) = await here.settled("digest-2")
    assert (run.state, run.delivery) == ("done", "silent")
    assert not any(each.startswith("**") for each in here.texts(BOB))


# -- what it tells --------------------------------------------------------------------------------------------


async def test_a_day_on_which_nothing_happened_is_told_in_a_line_or_passed_over(here: Readers) -> None:
    await here.digested(EIGHT)
    assert await here.digested(f"{MONDAY} 08:00") == "**Sunday, 29 March**: nothing happened."
    await here.chat.told("/digest on quiet", "A day on which nothing happened is passed over.")
    run = await here.digest("2026-03-31 08:00")
    assert (run.state, run.delivery) == ("done", "silent")
    assert not any("30 March" in text for text in here.texts())


async def test_without_a_model_of_its_own_nothing_is_asked(here: Readers) -> None:
    before = len(here.path.model.asked)
    await here.digested(EIGHT)
    assert len(here.path.model.asked) == before


async def test_a_long_conversation_is_told_by_its_first_and_last_question(here: Readers) -> None:
    await here.talk("And what of the apple tree?", f"{SATURDAY} 08:35", answer="You said: And what")
    text = await here.digested(EIGHT)
    assert "- 08:30 “hello” … “And what of the apple tree?” – You said: And what of the apple tree?" in text


async def test_of_a_turn_that_was_taken_back_nothing_is_told(here: Readers) -> None:
    await here.talk("And my secret wish?", f"{SATURDAY} 08:35")
    await here.talk("/undo", f"{SATURDAY} 08:36", answer="taken back")
    text = await here.digested(EIGHT)
    assert "- 08:30 “hello” – You said: hello" in text and "wish" not in text


async def test_what_was_brought_back_is_told(here: Readers) -> None:
    await here.talk("And the apple tree?", f"{SATURDAY} 08:35")
    await here.talk("/undo", f"{SATURDAY} 08:36", answer="taken back")
    await here.talk("/redo", f"{SATURDAY} 08:37", answer="stand")
    assert "apple tree" in await here.digested(EIGHT)


async def test_a_conversation_that_was_taken_back_whole_is_not_told(here: Readers) -> None:
    await here.talk("/undo", f"{SATURDAY} 08:36", answer="taken back")
    text = await here.digested(EIGHT)
    assert "hello" not in text and "conversation" not in text


async def test_other_peoples_words_are_no_formatting(here: Readers) -> None:
    here.path.model.queue = [Script(text="**Yes**, see [this](http://x) | `code`")]
    await here.talk("*bold* [link](http://evil) | pipe", f"{SATURDAY} 14:30", answer="Yes")
    text = await here.digested(EIGHT)
    assert "“\\*bold\\* \\[link](http://evil) \\| pipe”" in text
    assert "Yes, see \\[this](http://x) \\| code" in text


async def test_unread_results_and_what_ran_are_told(here: Readers) -> None:
    by = await here.by()
    await here.jobs.add(
        spec(name="news", schedule="0 9 * * *", prompt="News?", zone=BERLIN, deliver_to=("chat",)), by
    )
    await here.jobs.add(spec(name="calm", schedule="0 9 * * *", zone=BERLIN, silent=True), by)
    await here.jobs.add(spec(name="bad", schedule="0 10 * * *", zone=BERLIN, retries=0), by)
    here.path.model.reply = lambda text: "Nothing to report" if "exactly" in text else f"You said: {text}"
    await here.fired("news", berlin(f"{SATURDAY} 09:00"))
    await here.settled("calm")
    here.path.model.queue = [Script(error=ModelError("on fire", kind="overloaded"))]
    await here.fired("bad", berlin(f"{SATURDAY} 10:00"))
    text = await here.digested(EIGHT)
    assert "1 unread result" in text.splitlines()[0]
    found = lines(text)
    assert "- `news`, yesterday 09:00: You said: News?" in found
    assert any(line.startswith("- `news`: 1 run, <$0.0001") for line in found)
    assert any(line.startswith("- `calm`: 1 run, 1 with nothing to report, <$0.0001") for line in found)
    assert any("`bad`: 1 failed (on fire)" in line for line in found)
    # What was opened is unread no longer; what was not is named, not repeated.
    later = await here.digested(f"{MONDAY} 08:00")
    assert "1 older result" in later


async def test_what_waits_for_a_yes_and_what_was_put_aside_is_told_first(here: Readers) -> None:
    here.path.model.queue = [Script(error=ModelError("no key", kind="auth"))]
    await here.path.says("Will you answer?")
    await until(lambda: _parked(here))
    await here.path.rows("SELECT 1")
    who = await here.who()
    turn, session, place = (
        await here.path.rows("SELECT id, session, conversation FROM turn ORDER BY id LIMIT 1")
    )[0]

    async def wants(unit):  # type: ignore[no-untyped-def]
        return await unit.approvals.add(
            token="k3f7", turn=turn, step=0, call_id="c", session=session, conversation=place, identity=who.id,
            tool="job_add", args={}, action="Make a job **news** every day at 9", action_hash="", lang="", zone="",
            now=here.clock.now, expires=here.clock.now + 30 * DAY,
        )  # fmt: skip

    await here.path.store.commit(Point.CONTROL, wants)
    text = await here.digested(EIGHT)
    assert text.splitlines()[0].startswith("**Saturday, 28 March** · 2 things wait for you")
    assert lines(text)[:2] == [
        "- A yes or no (yesterday 08:30): Make a job news every day at 9",
        "- To be answered as soon as I can (yesterday 08:30): Will you answer?",
    ]


async def test_an_admin_is_told_who_asks_to_be_let_in_and_nobody_else_is(here: Readers) -> None:
    async def asks(unit):  # type: ignore[no-untyped-def]
        who = await unit.people.seen("telegram", "999", "Eve")
        await unit.pairings.add(
            kind="pair", identity=who.id, account=here.path.account.id, code_hash="x", now=here.clock.now,
            expires=here.clock.now + 30 * DAY,
        )  # fmt: skip

    await here.path.store.commit(Point.CONTROL, asks)
    assert "let in" not in await here.digested(EIGHT)
    await here.chat.allow(ANN, "admin")
    text = await here.digested(f"{MONDAY} 08:00")
    assert text.startswith("**Sunday, 29 March** · 1 thing waits for you")
    assert "- 1 person asks to be let in: /pair" in text


async def _parked(here: Readers) -> bool:
    return bool(await here.path.rows("SELECT 1 FROM turn WHERE state = 'parked'"))


async def test_a_digest_that_nobody_answered_is_no_unread_result_and_runs_not_without_you(
    here: Readers,
) -> None:
    await here.digested(EIGHT)
    assert await here.digested(f"{MONDAY} 08:00") == "**Sunday, 29 March**: nothing happened."


async def test_the_bill_is_by_model_and_drawn_for_the_week(here: Readers) -> None:
    text = await here.digested(EIGHT)
    assert "**What it cost: <$0.0001**\n\n- fake:one: <$0.0001, 1 request" in text
    ((name, picture),) = here.path.channel.sent_files.values()
    assert name == "digest.png" and picture.startswith(b"\x89PNG")


async def test_earlier_parts_put_into_notes_are_told(here: Readers) -> None:
    session = await here.path.value("SELECT id FROM session")

    async def shortened(unit):  # type: ignore[no-untyped-def]
        for cause in ("auto", "manual"):
            await unit.compactions.add(
                session, entry_seq=1, cause=cause, method="notes", from_seq=0, upto=1, messages=1, before=9, after=1,
                requests=1, cost=1, model="one", focus="", usage_uid=None, now=here.clock.now,
            )  # fmt: skip

    await here.path.store.commit(Point.COMPACT, shortened)
    assert "1 conversation had grown long" in await here.digested(EIGHT)


async def test_it_is_in_the_persons_language(here: Readers) -> None:
    await here.chat.told("/lang de", "Deutsch")
    text = await here.digested(EIGHT)
    assert text.startswith("**Samstag, 28. März** · 1 Unterhaltung · <0,0001\xa0$")
    assert "- 08:30 „hello“ – You said: hello" in text


# -- a model's lines ------------------------------------------------------------------------------------------


async def summed(store: Store, script: Script, *, budget: bool = False) -> tuple[str, Readers]:
    cheap = ScriptedModel(ref="fake:cheap", model="cheap", queue=[script])
    async with readers(store, others=(cheap,)) as here:
        dispatcher = here.path.core.dispatcher
        dispatcher.habits = replace(dispatcher.habits, digest_model="fake:cheap")
        await here.talk("How do I prune roses?", f"{SATURDAY} 09:12")
        await here.chat.told("/digest on 8:00 Berlin", "Your digest")
        if budget:
            await here.path.store.commit(
                Point.CONTROL, lambda unit: unit.budgets.put("job", "digest", "day", 1)
            )
        text = await here.digested(EIGHT)
        assert here.path.model.asked and len(cheap.asked) == (0 if budget else 1)
        return text, here


async def test_a_cheap_model_writes_a_line_for_each_on_the_digests_bill(store: Store) -> None:
    text, here = await summed(store, Script(text="1. Pruning roses: in late winter."))
    assert "- 09:12 Pruning roses: in late winter." in text
    assert await here.path.rows(
        "SELECT trigger, purpose, model, state, cost > 0 FROM usage ORDER BY id DESC LIMIT 1"
    ) == [("digest", "summary", "cheap", "known", 1)]
    assert (await here.path.rows("SELECT identity FROM usage ORDER BY id"))[0] == (
        await here.path.rows("SELECT identity FROM usage ORDER BY id")
    )[1]


@pytest.mark.parametrize(
    "script",
    [
        Script(text="I would rather not."),
        Script(error=ModelError("down", kind="overloaded")),
        Script(text="1. Pruning", error=ModelError("cut", kind="cut"), error_after=1),
    ],
)
async def test_where_it_fails_the_conversations_are_quoted(store: Store, script: Script) -> None:
    text, here = await summed(store, script)
    assert "- 09:12 “How do I prune roses?” – You said: How do I prune roses?" in text
    assert await here.path.rows("SELECT count(*) FROM usage WHERE state = 'open'") == [(0,)]


async def test_what_the_budget_does_not_allow_is_not_asked(store: Store) -> None:
    text, _ = await summed(store, Script(text="1. never"), budget=True)
    assert "“How do I prune roses?”" in text


def test_lines_are_read_whatever_they_are_dressed_in() -> None:
    said = "Here you are:\n1. Roses\n**2)** Bread: baked\n7. none such\n2. again\n3:Tax"
    assert summaries.read(said, 3) == {0: "Roses", 1: "Bread: baked", 2: "Tax"}


def test_what_is_shown_of_a_conversation_is_bounded() -> None:
    talk = Talk(
        title="",
        channel="",
        shared=False,
        at=0,
        turns=2,
        opened="a" * 9999,
        asked="b" * 9999,
        answered="c" * 9999,
    )
    (message,) = summaries.prompt([talk], "de").messages
    assert len(message.texts[0]) < 1400  # type: ignore[union-attr]
    assert "Deutsch" in summaries.prompt([talk], "de").stable


# -- whose it is ----------------------------------------------------------------------------------------------


async def test_nobody_elses_conversations_are_in_it(here: Readers) -> None:
    await here.talk("Bob's secret", f"{SATURDAY} 12:00", user=BOB, answer="You said: Bob")
    text = await here.digested(EIGHT)
    assert "secret" not in text and "1 conversation" in text and "1 request" in text


async def test_a_groups_digest_tells_of_the_group_alone(here: Readers) -> None:
    """Whoever sets it up: nothing of any private session, and no one else's jobs or bills."""
    here.path.channel.admins.add(ANN)
    await here.talk("Ann's private matter", f"{SATURDAY} 12:00", answer="You said: Ann's")
    await here.group("What is for lunch?", f"{SATURDAY} 12:30", user=BOB)
    by = await here.by()
    await here.jobs.add(spec(name="private", schedule="0 13 * * *", prompt="Private?", zone=BERLIN), by)
    await here.fired("private", berlin(f"{SATURDAY} 13:00"))
    await here.chat.group("/digest on 8:00 Berlin", "The digest of this chat comes every day at 08:00")
    text = await here.digested(EIGHT, user=GROUP, name="digest-2")
    assert "What is for lunch?" in text
    assert "rivate" not in text and "hello" not in text
    assert text.splitlines()[0].startswith("**Saturday, 28 March** · 1 conversation · $0.000")
    assert "1 request" in text


async def test_of_a_private_session_that_was_taken_into_a_group_nothing_is_told_there(here: Readers) -> None:
    here.path.channel.admins.add(ANN)
    await here.group("hello all", f"{SATURDAY} 12:30")
    private = await here.path.value("SELECT code FROM session ORDER BY id LIMIT 1")
    group = await here.path.value(f"SELECT id FROM conversation WHERE chat_id = '{GROUP}'")
    await here.manager.resume(group, private, viewer=Viewer(everything=True))  # type: ignore[arg-type]
    await here.group("and on with it", f"{SATURDAY} 12:40")
    await here.chat.group("/digest on 8:00 Berlin", "The digest of this chat")
    text = await here.digested(EIGHT, user=GROUP, name="digest-2")
    assert "hello all" in text and "and on with it" not in text and "“hello”" not in text


async def test_in_a_group_its_administrators_set_it(here: Readers) -> None:
    await here.group("hi", f"{SATURDAY} 12:30")
    await here.chat.group("/digest on 8:00", "administrators")
    assert await here.path.rows("SELECT count(*) FROM job") == [(1,)]
    await here.chat.group("/digest", "No digest comes here.")


async def test_another_topic_is_another_chat(here: Readers) -> None:
    here.path.channel.admins.add(ANN)
    topic = Place(chat_id=GROUP, thread_id="7", kind="group")
    await here.group("In the main room", f"{SATURDAY} 12:30")
    await here.path.says("In the topic", place=topic, sender=Sender(user_id=ANN, name="Ann"))
    await here.path.channel.until(GROUP, "In the topic")
    await here.path.says("/digest on 8:00 Berlin", place=topic, sender=Sender(user_id=ANN, name="Ann"))
    await here.path.channel.until(GROUP, "The digest of this chat")
    text = await here.digested(EIGHT, user=GROUP, name="digest-2")
    assert "In the topic" in text and "main room" not in text


# -- everybody's bill -----------------------------------------------------------------------------------------


async def test_an_admin_may_have_everybodys_bill_in_private(here: Readers) -> None:
    await here.talk("Bob's secret", f"{SATURDAY} 12:00", user=BOB, answer="You said: Bob")
    await here.chat.allow(ANN, "admin")
    await here.chat.told("/digest on 8:00 --bill", "With everybody's bill.")
    text = await here.digested(EIGHT)
    bill = text.split("**Everybody's bill: $0.0002**")[1]
    assert (
        "Ann (telegram:101): <$0.0001, 1 request" in bill
        and "Bob (telegram:102)" in bill
        and "fake:one" in bill
    )
    assert "secret" not in text


async def test_who_is_no_admin_any_more_gets_it_no_more(here: Readers) -> None:
    await here.chat.allow(ANN, "admin")
    await here.chat.told("/digest on 8:00 bill", "With everybody's bill.")
    who = await here.who()
    assert who.person is not None
    person = who.person
    await here.path.store.commit(Point.PEOPLE, lambda unit: unit.people.set_role(person, "user"))
    assert "Everybody" not in await here.digested(EIGHT)


async def test_nobody_else_may_and_in_no_group(here: Readers) -> None:
    await here.chat.told("/digest on 8:00 bill", "Only an admin can have everybody's bill.")
    await here.group("hi", f"{SATURDAY} 12:30")
    await here.chat.allow(ANN, "admin")
    await here.chat.group("/digest on 8:00 bill", "to a private chat only")


# -- what follows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [0, 1], ids=["its text", "its picture"])
async def test_a_reply_goes_on_with_it_and_the_model_knows_what_it_said(here: Readers, which: int) -> None:
    text = await here.digested(EIGHT)
    await here.delivered("digest", "sent")
    ids = [id for id, said in here.path.channel.messages[ANN].items() if said in (text, "")]
    await here.path.says("Tell me more.", reply_to=ids[which])
    await here.path.channel.until(ANN, "You said: Tell me more.")
    prompt = json.dumps([str(each) for each in here.path.model.asked[-1].messages])
    assert "Saturday, 28 March" in prompt and "due 2026-03-29 08:00 (Europe/Berlin)" in prompt
    ((code, unread),) = await here.path.rows(
        "SELECT s.code, s.unread FROM turn t JOIN session s ON s.id = t.session ORDER BY t.id DESC LIMIT 1"
    )
    assert (code, unread) == ((await here.runs("digest"))[-1].session, 0)
    # The chat's own session is where it was.
    assert await here.path.rows("SELECT count(*) FROM session") == [(2,)]
    assert await here.path.rows("SELECT count(*) FROM conversation WHERE current_session = 1") == [(1,)]


async def test_it_is_no_sign_that_a_provider_answers_again(here: Readers) -> None:
    here.path.model.queue = [Script(error=ModelError("no key", kind="auth"))]
    await here.path.says("Will you answer?")
    await until(lambda: _parked(here))
    since = here.path.core.dispatcher.outage_since
    await here.digested(EIGHT)
    assert since is not None and here.path.core.dispatcher.outage_since == since


# -- the operator's -------------------------------------------------------------------------------------------


async def test_the_configuration_can_set_one_for_somebody(here: Readers) -> None:
    await here.talk("hi", f"{SATURDAY} 08:40", user=BOB)
    job = spec(
        name="bobs",
        schedule="0 8 * * *",
        zone=BERLIN,
        prompt="",
        kind="digest",
        deliver_to=(f"telegram:{BOB}",),
    )
    await here.cron.sync([job])
    text = await here.digested(EIGHT, user=BOB, name="bobs")
    assert "“hi” – You said: hi" in text and "hello" not in text
    await here.chat.told("/digest on 9:00", "is in the configuration, as bobs", user=BOB)
    refusal = "is in the configuration, as bobs"
    await here.chat.told("/digest off", refusal, refusal, user=BOB)  # the one before, and its own
    await here.chat.told("/digest", "08:00 (Europe/Berlin)", user=BOB)


async def test_the_configuration_can_set_one_for_a_group(here: Readers) -> None:
    await here.group("What is for lunch?", f"{SATURDAY} 12:30", user=BOB)
    job = spec(
        name="room",
        schedule="0 8 * * *",
        zone=BERLIN,
        prompt="",
        kind="digest",
        deliver_to=(f"telegram:{GROUP}",),
        bill=True,
    )
    await here.cron.sync([job])
    text = await here.digested(EIGHT, user=GROUP, name="room")
    assert "What is for lunch?" in text and "hello" not in text and "Everybody" not in text


async def test_the_operator_sets_one_for_who_has_written(here: Readers) -> None:
    digests = here.manager.digests
    await here.talk("hi", f"{SATURDAY} 08:40", user=BOB)
    by = await digests.of(f"telegram:{BOB}")
    view = await digests.turn_on(by, at=(8, 0), zone=BERLIN)
    assert (view.owner, view.next_at) == (f"telegram:{BOB}", berlin(EIGHT))
    await here.chat.told("/digest", "08:00 (Europe/Berlin)", user=BOB)
    assert [each.spec.name for each in await digests.list()] == ["digest", "digest-2"]
    assert await digests.turn_off(by) and not await digests.turn_off(by)
    with pytest.raises(Refused, match="telegram:999"):
        await digests.of("telegram:999")
    await here.group("hi", f"{SATURDAY} 12:30")
    group = await digests.of(f"telegram:{GROUP}")
    assert (await digests.turn_on(group, at=(8, 0))).owner is None
