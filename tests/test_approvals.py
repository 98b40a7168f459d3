"""What a model wants to do and a person must say yes to: who may, once, in time, whatever crashes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path as FilePath

import pytest

from gateway.commands.table import Table
from gateway.failpoints import ENVIRONMENT
from gateway.manager import SessionManager
from gateway.protocols.messages import ResultsMessage, UserMessage
from gateway.roster import Roster
from gateway.texts import say
from gateway.transcript import ToolUse
from gateway.types.inbound import Kind
from storage import Store, open_store
from tests.chats import GROUP, ROOM, Chat, chatting
from tests.conftest import Clock
from tests.fakes.model import Script, ScriptedModel
from tests.fakes.wishes import Paint
from tests.path import ANN, BOB, path

RED = '{"colour": "red"}'


def wish(args: str = RED, id: str = "c1") -> Script:
    return Script(tool=ToolUse(id, "paint", args))


@pytest.fixture
def paint(tmp_path: FilePath) -> Paint:
    return Paint(tmp_path / "painted")


@asynccontextmanager
async def asked(store: Store, clock: Clock, paint: Paint, *scripts: Script) -> AsyncIterator[Chat]:
    """A gateway whose model wishes to paint."""
    model = ScriptedModel(queue=list(scripts) or [wish(), Script(text="It waits for you.")])
    async with chatting(store, clock, model, tools={"paint": paint}) as chat:
        yield chat


async def acked(chat: Chat, count: int) -> None:
    async with asyncio.timeout(5):
        while len(chat.path.channel.acks) < count:
            await asyncio.sleep(0.005)


async def states(chat: Chat) -> list[object]:
    return [row[0] for row in await chat.path.rows("SELECT state FROM approval ORDER BY id")]


async def test_it_asks_with_buttons_and_does_nothing_before_the_yes(
    store: Store, clock: Clock, paint: Paint
) -> None:
    async with asked(store, clock, paint) as chat:
        await chat.told("Paint it.", "Shall I do that?", "It waits for you.")
        assert "Paint the shed red." in "".join(chat.path.channel.texts(ANN))
        result = chat.path.model.asked[1].messages[-1]
        assert isinstance(result, ResultsMessage)
        assert "NOT DONE YET" in result.results[0].text and not result.results[0].error
        assert paint.painted == [] and set(chat.buttons()) == {"Yes", "No"}
        await chat.presses("Yes")
        await chat.sees("The shed is red.")
        assert paint.painted == ["red"] and await states(chat) == ["done"]
        await chat.told("And now?", "You said")
        note = chat.path.model.asked[-1].messages[-1]
        assert isinstance(note, UserMessage) and "done: The shed is red." in note.texts[0]


def question(chat: Chat, place: str = ANN) -> tuple[str, dict[str, str]]:
    """The message that asks, and its buttons, as they are now."""
    messages = chat.path.channel.messages[place]
    ((id, text),) = [(id, text) for id, text in messages.items() if "Shall I do that?" in text]
    return text, chat.path.channel.buttons[id]


async def shows(chat: Chat, told: str, place: str = ANN) -> None:
    """Wait until the message that asked says so; it has no buttons then."""
    async with asyncio.timeout(5):
        while told not in question(chat, place)[0]:
            await asyncio.sleep(0.005)
    assert question(chat, place)[1] == {}


async def test_what_is_decided_can_be_pressed_no_more_and_says_by_whom(
    store: Store, clock: Clock, paint: Paint
) -> None:
    async with asked(store, clock, paint) as chat:
        await chat.told("Paint it.", "Shall I do that?", "It waits for you.")
        assert set(question(chat)[1]) == {"Yes", "No"}
        await chat.presses("Yes")
        await chat.sees("The shed is red.")
        await shows(chat, "Paint the shed red.\n\nShall I do that?\n\n*Ann said yes.*")


async def test_what_is_decided_by_text_or_too_late_can_be_pressed_no_more_either(
    store: Store, clock: Clock, paint: Paint
) -> None:
    scripts = [wish(), Script("Asked."), wish('{"colour": "blue"}', "c2"), Script("Asked again.")]
    async with asked(store, clock, paint, *scripts) as chat:
        await chat.group("Paint it.", "Shall I do that?", "Asked.")
        await chat.group("/deny", say("approval.denied"))
        await shows(chat, "*Ann said no.*", GROUP)
        await chat.told("Or blue.", "Shall I do that?", "Asked again.")
        clock.forward(minutes=24 * 60)
        await chat.presses("Yes")
        await chat.sees(say("approval.expired"))
        await shows(chat, "*Nobody answered within a day.*")


async def test_a_no_is_a_no(store: Store, clock: Clock, paint: Paint) -> None:
    async with asked(store, clock, paint) as chat:
        await chat.told("Paint it.", "Shall I do that?", "It waits for you.")
        later = chat.buttons()["Yes"]
        await chat.presses("No")
        await chat.sees(say("approval.denied"))
        await chat.path.presses(later)
        await acked(chat, 2)
        assert chat.path.channel.acks[-1][1] == say("approval.decided")
        assert paint.painted == [] and await states(chat) == ["denied"]


async def test_pressing_twice_paints_once(store: Store, clock: Clock, paint: Paint) -> None:
    async with asked(store, clock, paint) as chat:
        await chat.told("Paint it.", "Shall I do that?", "It waits for you.")
        token = chat.buttons()["Yes"]
        for _ in range(3):
            await chat.path.presses(token)
        await chat.sees("The shed is red.")
        await acked(chat, 3)
        assert sorted(text for _, text in chat.path.channel.acks) == ["", *[say("approval.decided")] * 2]
        assert paint.painted == ["red"]


async def test_only_who_asked_or_an_admin_decides(store: Store, clock: Clock, paint: Paint) -> None:
    async with asked(store, clock, paint) as chat:
        await chat.group("Paint it.", "Shall I do that?", "It waits for you.")
        assert say("approval.who") in "".join(chat.path.channel.texts(GROUP))
        await chat.presses("Yes", user=BOB, place=ROOM)
        await chat.group("/approve", say("approval.not_yours"), user=BOB)
        assert chat.path.channel.acks == [("p1", say("approval.not_yours"))]
        assert paint.painted == [] and await states(chat) == ["waiting"]
        await chat.allow(BOB, "admin")
        await chat.presses("Yes", user=BOB, place=ROOM)
        await chat.path.channel.until(GROUP, "The shed is red.")
        assert paint.painted == ["red"]


async def test_a_button_of_another_chat_decides_nothing(store: Store, clock: Clock, paint: Paint) -> None:
    async with asked(store, clock, paint) as chat:
        await chat.told("Paint it.", "Shall I do that?", "It waits for you.")
        await chat.path.presses(chat.buttons()["Yes"], user=BOB)
        await acked(chat, 1)
        assert chat.path.channel.acks[-1][1] == say("button.stale")
        assert await states(chat) == ["waiting"]


async def test_a_day_later_it_is_too_late(store: Store, clock: Clock, paint: Paint) -> None:
    async with asked(store, clock, paint) as chat:
        await chat.told("Paint it.", "Shall I do that?", "It waits for you.")
        clock.forward(minutes=24 * 60)
        await chat.presses("Yes")
        await chat.sees(say("approval.expired"))
        assert paint.painted == [] and await states(chat) == ["expired"]
        await chat.told("/approve", say("approval.nothing"))


async def test_it_can_be_decided_by_text(store: Store, clock: Clock, paint: Paint) -> None:
    scripts = [wish(), Script("Asked."), wish('{"colour": "blue"}', "c2"), Script("Asked again.")]
    async with asked(store, clock, paint, *scripts) as chat:
        first = await chat.local("Paint it.")
        (code,) = [word for word in first.split("`") if word.startswith("/approve ")]
        assert "Paint the shed red." in first and "/deny" in first and first.startswith("Asked.")
        second = await chat.local("Or blue.")
        assert "blue" in second and "red" not in second
        both = await chat.local("/approve")
        assert "red" in both and "blue" in both
        assert await chat.local(code.lower()) == "The shed is red."
        assert await chat.local("/approve NOSUCH") == say("approval.none_such")
        assert await chat.local("/deny") == say("approval.denied")
        assert await chat.local("/approve") == say("approval.nothing")
        assert paint.painted == ["red"] and await states(chat) == ["done", "denied"]


async def test_the_same_wish_is_asked_once(store: Store, clock: Clock, paint: Paint) -> None:
    scripts = [wish(), wish(id="c2"), Script("Asked.")]
    async with asked(store, clock, paint, *scripts) as chat:
        await chat.told("Paint it.", "Shall I do that?", "Asked.")
        assert await states(chat) == ["waiting"]


async def test_what_makes_no_sense_is_not_asked_and_what_fails_is_said(
    store: Store, clock: Clock, paint: Paint
) -> None:
    scripts = [wish("{}"), Script("Which colour?"), wish('{"colour": "plaid"}'), Script("Asked.")]
    async with asked(store, clock, paint, *scripts) as chat:
        await chat.told("Paint it.", "Which colour?")
        assert await states(chat) == []
        await chat.told("Plaid.", "Shall I do that?", "Asked.")
        await chat.presses("Yes")
        await chat.sees(say("approval.failed", outcome="no brush paints plaid"))
        assert await states(chat) == ["failed"]


async def test_a_yes_counts_after_a_restart(store: Store, clock: Clock, paint: Paint) -> None:
    async with asked(store, clock, paint) as chat:
        await chat.told("Paint it.", "Shall I do that?", "It waits for you.")
        token = chat.buttons()["Yes"]
    async with asked(store, clock, paint, Script("unused")) as chat:
        await chat.path.says("", kind=Kind.BUTTON, button=token, press_id="p1", event_id="later")
        await chat.sees("The shed is red.")
        assert paint.painted == ["red"]


@contextmanager
def killed(folder: FilePath, point: str) -> Iterator[None]:
    """A process that is asked, gets its yes and is killed at that point."""
    environ = os.environ | {ENVIRONMENT: point}
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.consent", str(folder)], env=environ, check=False
    )
    assert done.returncode == -signal.SIGKILL
    yield


@pytest.mark.parametrize(
    ("point", "painted", "state"),
    [
        ("notice:before:1", 0, None),  # nothing was asked: the turn asks when it is taken up
        ("notice:after:1", 0, "waiting"),
        ("results:before:1", 0, "waiting"),
        ("control:before:1", 1, "done"),  # the yes was not on disk
        ("control:after:1", 0, "unknown"),
        ("tool:before:2", 0, "unknown"),
        ("tool:after:2", 1, "unknown"),
        ("control:before:2", 1, "unknown"),
        ("control:after:2", 1, "done"),
        ("control:before:3", 1, "done"),
    ],
)
async def test_killed_anywhere_it_is_asked_once_and_done_at_most_once(
    tmp_path: FilePath, point: str, painted: int, state: str | None
) -> None:
    with killed(tmp_path, point):
        store, clock = await open_store(tmp_path / "parley.db"), Clock()
    paint = Paint(tmp_path / "painted")
    async with path(store, clock=clock, model=ScriptedModel(), tools={"paint": paint}, connect=False) as p:
        manager = SessionManager(p.core)
        p.core.dispatcher.commands = Table(manager=manager, roster=Roster(store=store, clock=clock))
        p.core.delivery.register(p.account, p.channel)
        await p.core.dispatcher.recovery.connected(p.account.id)
        said = {"done": "The shed is red.", "unknown": say("approval.unknown")}.get(state or "", "Shall I")
        if state in ("done", "unknown"):
            await p.channel.until(ANN, said)
        else:
            await p.channel.until(ANN, "Shall I do that?", "tool gave NOT DONE YET")
        assert len(paint.painted) == painted
        rows = await p.rows("SELECT state FROM approval")
        assert rows == [(state or "waiting",)]
        assert await p.value("SELECT count(*) FROM outbox WHERE origin LIKE 'approval:%'") == 1
    await store.close()
