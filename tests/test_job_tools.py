"""The agent's own tools for jobs: what is asked first, and what is done after the yes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.models.demo import reply
from gateway.protocols.messages import ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.protocols.tool import Tool
from gateway.texts import say
from gateway.tools.jobs import CreateJob, ListJobs, RemoveJob, job_tools
from gateway.transcript import Text, ToolUse
from storage import Store
from tests.chats import GROUP, ROOM, Chat, chatting
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.path import ANN, BOB


def wish(tool: str, /, **args: str) -> Script:
    return Script(tool=ToolUse("c1", tool, json.dumps(args)))


@asynccontextmanager
async def agent(store: Store, clock: Clock, *scripts: Script) -> AsyncIterator[Chat]:
    """A gateway whose model has the tools."""
    there: list[Chat] = []
    listed = job_tools(
        lambda: there[0].manager.jobs, lambda place, who: there[0].manager.requester_in(place, who)
    )
    tools: dict[str, Tool] = {tool.spec.name: tool for tool in listed}
    async with chatting(store, clock, ScriptedModel(queue=list(scripts)), tools=tools) as chat:
        there.append(chat)
        yield chat
        await chat.manager.cron.stop()


def results(chat: Chat, ask: int = -1) -> list[tuple[str, bool]]:
    """What the tools gave the model, and whether that was an error."""
    last = chat.path.model.asked[ask].messages[-1]
    assert isinstance(last, ResultsMessage)
    return [(each.text, each.error) for each in last.results]


async def jobs(chat: Chat) -> list[tuple[object, ...]]:
    return await chat.path.rows("SELECT name, state FROM job ORDER BY id")


async def test_a_job_is_asked_for_in_words_and_made_by_the_yes(store: Store, clock: Clock) -> None:
    call = wish(
        "create_job", schedule="0 8 * * 1-5", zone="Europe/Berlin", prompt="What is new?", name="news"
    )
    async with agent(store, clock, call, Script("It waits for you.")) as chat:
        await chat.told("News every morning, please.", "Shall I do that?", "It waits for you.")
        (asked,) = [text for text in chat.path.channel.texts(ANN) if "Shall I" in text]
        assert asked.startswith(
            "Make the job `news`, which runs every weekday at 08:00, Europe/Berlin; next: "
        )
        assert "It asks: “What is new?”" in asked
        assert await jobs(chat) == []
        await chat.presses("Yes")
        await chat.sees("The job `news` runs every weekday at 08:00, Europe/Berlin. Next: ")
        (job,) = await chat.manager.jobs.list()
        assert (job.spec.deliver_to, job.owner, job.source) == (("chat",), f"telegram:{ANN}", "chat")


async def test_a_no_makes_nothing_and_buttons_go(store: Store, clock: Clock) -> None:
    call = wish("create_job", schedule="every 90m", prompt="Drink.")
    async with agent(store, clock, call, Script("Asked.")) as chat:
        await chat.told("Water.", "Shall I do that?", "Asked.")
        await chat.presses("No")
        await chat.sees(say("approval.denied"), "*Ann said no.*")
        assert await jobs(chat) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"schedule": "99 * * * *", "prompt": "x"}, "minute: cannot be '99'"),
        ({"schedule": "whenever", "prompt": "x"}, "is not five crontab fields"),
        ({"schedule": "at 2020-01-01 09:00", "prompt": "x"}, "is over"),
        ({"schedule": "every 1m", "prompt": "x"}, "Jobs run once in 5 minutes at most."),
        ({"schedule": "every 90m", "prompt": "x", "zone": "Mars/Base"}, "no such time zone"),
        ({"schedule": "every 90m", "prompt": "x", "name": "a b"}, "cannot be a job's name"),
        ({"schedule": "every 90m"}, "prompt is missing"),
    ],
)
async def test_what_cannot_be_is_told_to_the_model_and_nobody_is_asked(
    store: Store, clock: Clock, args: dict[str, str], said: str
) -> None:
    async with agent(store, clock, wish("create_job", **args), Script("Which time?")) as chat:
        await chat.told("Remind me.", "Which time?")
        ((text, error),) = results(chat)
        assert said in text and error
        assert not await chat.path.rows("SELECT 1 FROM approval") and not await jobs(chat)


async def test_an_admins_model_is_bounded_too_and_sees_only_what_is_theirs(
    store: Store, clock: Clock
) -> None:
    scripts = [
        wish("create_job", schedule="every 1m", prompt="x"),
        Script("Not that often."),
        wish("list_jobs"),
        Script("None of yours."),
        wish("remove_job", name="water"),
        Script("There is none."),
    ]
    async with agent(store, clock) as chat:
        await chat.told("/job add water every 90m Drink.", "water", user=BOB)
        await chat.told("hello", "You said: hello")
        chat.path.model.queue = list(scripts)
        await chat.allow(ANN, "admin")
        await chat.told("Every minute.", "Not that often.")
        await chat.told("Which?", "None of yours.")
        assert results(chat) == [("none", False)]
        await chat.told("Remove water.", "There is none.")
        assert results(chat) == [("There is no job named water.", True)]


async def test_they_are_listed_and_removed_by_the_yes(store: Store, clock: Clock) -> None:
    scripts = [wish("list_jobs"), Script("One."), wish("remove_job", name="water"), Script("Asked.")]
    async with agent(store, clock, *scripts) as chat:
        await chat.told("/job add water every 90m Drink.", "water")
        await chat.told("Which?", "One.")
        ((text, _),) = results(chat)
        assert text.startswith("`water`: every 90 minutes · ") and text.endswith(": Drink.")
        await chat.told("Remove it.", "Shall I do that?", "Asked.")
        await chat.sees("Remove the job `water`, which runs every 90 minutes. It asks: “Drink.”")
        assert await jobs(chat) == [("water", "on")]
        await chat.presses("Yes")
        await chat.sees("`water` is removed. What it did stays in `/job history water`.")
        assert await jobs(chat) == [("water", "removed")]


async def test_tomorrow_is_the_day_that_was_shown_however_late_the_yes_comes(
    store: Store, clock: Clock
) -> None:
    call = wish("create_job", schedule="tomorrow 23:30", prompt="Sleep.", name="sleep")
    async with agent(store, clock, call, Script("Asked.")) as chat:
        await chat.told("Sleep.", "Shall I do that?", "Asked.")
        (asked,) = [text for text in chat.path.channel.texts(ANN) if "Shall I" in text]
        clock.forward(minutes=23 * 60)
        await chat.presses("Yes")
        await chat.sees("The job `sleep` runs once, on ")
        (job,) = await chat.manager.jobs.list()
        words = asked.partition("runs ")[2].partition(";")[0]
        assert words.startswith("once, on") and f"runs {words}." in "".join(chat.path.channel.texts(ANN))
        assert job.spec.schedule.startswith("at ")


async def test_a_time_that_went_by_before_the_yes_is_told(store: Store, clock: Clock) -> None:
    call = wish("create_job", schedule="in 10m", prompt="Tea.")
    async with agent(store, clock, call, Script("Asked.")) as chat:
        await chat.told("Tea.", "Shall I do that?", "Asked.")
        clock.forward(minutes=30)
        await chat.presses("Yes")
        await chat.sees("That could not be done: I cannot follow that schedule. time: ")
        assert await jobs(chat) == []


async def test_in_a_group_it_is_for_its_administrators(store: Store, clock: Clock) -> None:
    calls = [wish("create_job", schedule="every 90m", prompt="Drink."), Script("I may not.")] * 2
    async with agent(store, clock, *calls) as chat:
        await chat.group("Water for all.", "I may not.")
        ((text, error),) = results(chat)
        assert error and text.startswith("In a group only its administrators")
        chat.path.channel.admins.add(ANN)
        await chat.group("Water for all.", "Shall I do that?", "I may not.")
        await chat.presses("Yes", place=ROOM)
        await chat.path.channel.until(GROUP, "The job `job-1` runs every 90 minutes.")


async def test_a_job_makes_no_jobs(store: Store, clock: Clock) -> None:
    scripts = [wish("create_job", schedule="every 90m", prompt="More."), Script("I may not.")]
    async with agent(store, clock) as chat:
        await chat.told("/job add water every 90m Drink.", "water")
        chat.path.model.queue = scripts
        await chat.told("/job run water", "running")
        await chat.sees("I may not.")
        ((text, error),) = results(chat)
        assert error and "nobody is here to give it" in text


# -- the demo ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "name", "args"),
    [
        (
            "Remind me tomorrow at nine to call Mum",
            "create_job",
            {"schedule": "tomorrow at nine", "prompt": "Reminder: call Mum"},
        ),
        (
            "please remind me to call Mum tomorrow at nine.",
            "create_job",
            {"schedule": "tomorrow at nine", "prompt": "Reminder: call Mum"},
        ),
        (
            "Remind me every weekday at 8:00 that I drink water",
            "create_job",
            {"schedule": "every weekday at 8:00", "prompt": "Reminder: I drink water"},
        ),
        ("What jobs do I have?", "list_jobs", {}),
        ("Cancel the reminder job-1.", "remove_job", {"name": "job-1"}),
    ],
)
def test_the_demo_uses_them_as_a_model_would(asked: str, name: str, args: dict[str, str]) -> None:
    specs = (ListJobs.spec, CreateJob.spec, RemoveJob.spec)
    said = reply(Prompt(stable="", messages=(UserMessage((asked,)),), tools=specs))
    assert isinstance(said, ToolUse) and (said.name, json.loads(said.args)) == (name, args)
    without = reply(Prompt(stable="", messages=(UserMessage((asked,)),)))
    assert isinstance(without, Text)


def test_what_the_demo_was_asked_at_a_reminders_time_makes_no_reminder() -> None:
    asked = Prompt(stable="", messages=(UserMessage(("Reminder: call Mum",)),), tools=(CreateJob.spec,))
    assert isinstance(reply(asked), Text)
