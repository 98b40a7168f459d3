"""/job, as people write it: in their own chat, in a group, in the terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest

from gateway.texts import say
from storage import Store
from tests.chats import GROUP, ROOM, Chat, chatting
from tests.conftest import Clock
from tests.path import ANN, BOB


@pytest.fixture
async def chat(store: Store, clock: Clock) -> AsyncIterator[Chat]:
    async with chatting(store, clock) as found:
        yield found
        await found.manager.cron.stop()


async def names(chat: Chat) -> list[object]:
    return [
        row[0] for row in await chat.path.rows("SELECT name FROM job WHERE state != 'removed' ORDER BY id")
    ]


async def test_a_job_is_made_with_one_line_says_when_it_runs_and_is_tried_out_at_once(chat: Chat) -> None:
    text = await chat.told('/job add water "0 8 * * 1-5" Europe/Berlin Drink a glass of water.', "water")
    assert text.startswith("The job `water` runs every weekday at 08:00, Europe/Berlin. Next: ")
    assert text.endswith(" (UTC).") and set(chat.buttons()) == {"Run it now"}
    await chat.presses("Run it now")
    await chat.sees("`water` is running", "You said: Drink a glass of water.")
    text = await chat.told("/job history water", "**`water`**")
    assert text.count("\n- ") == 1 and "done" in text


async def test_a_run_that_nobody_has_opened_is_found_in_ones_own_chat_and_in_no_other(chat: Chat) -> None:
    await chat.told("/job add water every 90m Drink.", "water")
    await chat.presses("Run it now")
    await chat.sees("You said: Drink.")
    for line in ("/sessions unread", "/sessions job", "/sessions job:water"):
        assert "water" in await chat.told(line, "(unread)")
        await chat.told(line, "There is no such session.", user=BOB)


async def test_the_times_shown_are_those_of_the_persons_clock_and_so_is_the_schedule(chat: Chat) -> None:
    await chat.told("/zone Asia/Tokyo", "Asia/Tokyo")
    text = await chat.told("/job add tea daily at 16:00 Tea!", "tea")
    assert "every day at 16:00, Asia/Tokyo" in text and text.count("16:00") == 4
    other = await chat.told("/job add coffee daily 16:00 Europe/Berlin Coffee!", "coffee")
    assert "16:00, Europe/Berlin" in other and other.endswith(" (Asia/Tokyo).")


async def test_it_is_listed_shown_paused_resumed_and_removed(chat: Chat) -> None:
    await chat.told("/job", "You have no jobs here.")
    await chat.told("/job add water every 90m Drink.", "every 90 minutes")
    await chat.told("/jobs", "- `water`: every 90 minutes · ")
    text = await chat.told("/job show", "- asks: Drink.")
    assert "- delivers to: the chat it was made in" in text and "- of:" not in text
    assert set(chat.buttons()) == {"Run it now", "Pause", "History"}
    await chat.presses("Pause")
    await chat.sees("`water` is paused")
    await chat.told("/job list", "every 90 minutes · paused")
    assert set(chat.buttons()) == {"Resume"}
    await chat.told("/job resume", "The job `water` runs every 90 minutes.")
    await chat.told("/job history WATER", "It has not run yet.")
    await chat.told("/job rm watr", "There is no job named watr. Did you mean `water`?")
    await chat.told("/job rm", "Say which job: `water`. As in `/job rm water`.")
    await chat.told("/job rm water", "`water` is removed.")
    await chat.told("/job", "You have no jobs here.")
    await chat.told("/job history water", "It has not run yet.")


async def test_what_cannot_be_done_says_what_is_wrong_and_what_to_write(chat: Chat) -> None:
    await chat.told("/job add", "as in /job add every 90m Drink a glass of water.")
    await chat.told("/job add Drink water", "I find no schedule at the beginning of “Drink water”.")
    await chat.told("/job add every 90m", "Say what I am to be asked")
    await chat.told('/job add "99 * * * *" Drink', "minute: cannot be '99'; use 0-59")
    await chat.told("/job add at 2020-01-01 09:00 Drink", "2020-01-01 09:00 is over; choose a time to come")
    await chat.told("/job add every 1m Drink", "Jobs run once in 5 minutes at most.")
    await chat.told("/job add to=telegram:102 daily 8:00 Drink", "other chats only an admin can name")
    await chat.told("/job add mention=5 daily 8:00 Drink", "Only an admin can have a role called.")
    await chat.told("/job add model=dear:model daily 8:00 Drink", "dear:model is not offered")
    await chat.told("/job pawse", "Did you mean /job pause?")
    await chat.told("/job frobnicate", "There are: list, add, show")
    await chat.told("/job show nothing", "There is no job named nothing.")
    assert await names(chat) == []


async def test_a_job_without_the_word_add_is_understood(chat: Chat) -> None:
    await chat.told("/job every 90m Drink.", "every 90 minutes")
    assert await names(chat) == ["job-1"]


async def test_nobody_sees_or_touches_what_others_have(chat: Chat) -> None:
    await chat.told("/job add water every 90m Drink.", "water")
    await chat.told("/job", "You have no jobs here.", user=BOB)
    for what in ("show", "run", "pause", "resume", "rm", "history"):
        await chat.told(f"/job {what} water", "There is no job named water.", user=BOB)
    await chat.told("/job add water every 90m Drink.", "There is a job named water already", user=BOB)
    await chat.allow(BOB, "admin")
    await chat.told("/job", "- `water` (Ann): every 90 minutes", user=BOB)
    await chat.told("/job rm water", "is removed", user=BOB)
    assert await names(chat) == []


async def test_one_person_has_so_many_jobs_and_an_admin_as_many_as_they_like(chat: Chat) -> None:
    dispatcher = chat.path.core.dispatcher
    dispatcher.habits = dataclasses.replace(dispatcher.habits, jobs_each=2)
    for number in (1, 2):
        await chat.told(f"/job add job{number} every 90m Drink.", f"job{number}")
    await chat.told("/job add job3 every 90m Drink.", "You have 2 jobs already; remove one first.")
    await chat.told("/job add job3 every 90m Drink.", "job3", user=BOB)
    await chat.told("/job rm job1", "removed")
    await chat.told("/job add job4 every 90m Drink.", "job4")
    await chat.allow(ANN, "admin")
    await chat.told("/job add job5 every 1m Drink.", "job5")


async def test_in_a_group_only_its_administrators_have_it_say_something_there(chat: Chat) -> None:
    text = await chat.group("/job add water every 90m Drink.", "In a group only its administrators")
    assert "to=none" in text
    chat.path.channel.admins.add(ANN)
    text = await chat.group("/job add water every 90m Drink.", "water")
    assert text.startswith("By Ann: The job `water` runs every 90 minutes.")
    # Pressing it is giving the command: what is Ann's is not Bob's.
    await chat.presses("Run it now", user=BOB, place=ROOM)
    await chat.path.channel.until(GROUP, "There is no job named water.")
    await chat.presses("Run it now", place=ROOM)
    await chat.sees("`water` is running", "You said: Drink.", user=GROUP)


async def test_in_a_group_a_member_can_have_one_that_says_nothing_there(chat: Chat) -> None:
    await chat.group("/job add to=telegram:101 every 90m Drink.", "By Ann: The job `job-1` runs")
    text = await chat.group("/job", say("reply.private"))
    assert "Drink" not in text
    await chat.sees("- `job-1`: every 90 minutes")


async def test_in_the_terminal_it_is_kept_in_its_session(chat: Chat) -> None:
    assert "every 90 minutes" in await chat.local("/job add water every 90m Drink.")
    assert "- delivers to: its session, in the terminal" in await chat.local("/job show water")
    assert "delivers to that one chat" in await chat.local("/job add session=chat every 90m Drink.")
    assert "`water` is running" in await chat.local("/job run water")


async def test_it_speaks_the_language_of_who_asks(chat: Chat) -> None:
    await chat.told("/lang de", "Deutsch")
    text = await chat.told("/job add wasser every weekday at 8:00 Trink.", "wasser")
    assert text.startswith("Der Auftrag `wasser` läuft von Montag bis Freitag um 08:00, UTC.")
    assert set(chat.buttons()) == {"Jetzt ausführen"}
    await chat.told("/job show", "- fragt: Trink.")
