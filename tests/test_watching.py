"""Events of a conversation over HTTP: who watches, who comes back, and what they are told of what they missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway import hub
from gateway.hub import Hub, Seen
from gateway.manager import SessionManager
from gateway.manager import watching as manager_watching
from gateway.manager.watching import Happening
from gateway.web import feed
from tests.fakes.model import Script
from tests.test_web import Web, listening, settings


@dataclass
class Event:
    name: str
    data: dict[str, Any]
    id: str


@dataclass
class Stream:
    """An open stream, as an EventSource reads it."""

    lines: AsyncIterator[str]
    id: str = ""
    found: list[Event] = field(default_factory=list)

    async def next(self) -> Event:
        name = ""
        async with asyncio.timeout(10):
            async for line in self.lines:
                key, _, value = line.partition(": ")
                match key:
                    case "id":
                        self.id = value
                    case "event":
                        name = value
                    case "data":
                        self.found.append(Event(name, json.loads(value), self.id))
                        return self.found[-1]
        raise AssertionError("the stream has ended")

    async def until(self, name: str) -> Event:
        while (event := await self.next()).name != name:
            pass
        return event


@asynccontextmanager
async def watching(web: Web, last: str = "", **query: str) -> AsyncIterator[Stream]:
    headers = {"last-event-id": last} if last else {}
    async with web.local.stream("GET", "/v1/messages/events", params=query, headers=headers) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (
            200,
            "text/event-stream; charset=utf-8",
        )
        yield Stream(answer.aiter_lines())


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with listening(settings(tmp_path)) as found:
        yield found


async def test_whoever_watches_sees_what_others_ask(web: Web) -> None:
    web.scripted().queue.append(Script(text="one two", pause=0.02))
    async with watching(web, key="desk") as stream:
        await web.say("elsewhere", key="other")
        said = await web.say("hello", key="desk", event_id="e-1")
        done = await stream.until("done")
    assert [each.name for each in stream.found][:1] == ["started"]
    assert {tuple(each.data["messages"]) for each in stream.found} == {("e-1",)}
    assert (done.data["text"], done.data["session_id"]) == (said["text"], said["session_id"])
    assert done.data["usage"]["requests"] == 1


async def test_whoever_comes_back_is_told_what_they_missed(web: Web) -> None:
    async with watching(web) as stream:
        await web.say("one", event_id="1")
        last = await stream.until("done")
    await web.say("two", event_id="2")
    await web.local.post("/v1/send", json={"to": "main:main", "text": "The backup is done."})
    await web.say("/help", event_id="3")
    async with watching(web, last.id) as stream:
        await web.say("four", event_id="4")
        while stream.found[-1:] == [] or stream.found[-1].data.get("messages") != ["4"]:
            await stream.until("done")
    told = [(each.name, each.data["messages"]) for each in stream.found if each.name in ("done", "notice")]
    assert told == [("done", ["2"]), ("notice", []), ("done", ["3"]), ("done", ["4"])]
    ids = [tuple(map(int, each.id.split("."))) for each in stream.found]
    assert ids == sorted(ids)


async def test_an_answer_that_is_being_written_goes_on_where_it_was(web: Web) -> None:
    gate = asyncio.Event()
    web.scripted().queue.append(Script(text="the whole answer", gate=gate))
    async with watching(web) as stream:
        asking = asyncio.create_task(web.say("slow", event_id="s"))
        started = await stream.until("started")
    gate.set()
    await asking
    async with watching(web, started.id) as stream:
        done = await stream.until("done")
    assert (done.data["text"], done.data["messages"]) == ("the whole answer", ["s"])
    assert [each.name for each in stream.found].count("done") == 1


async def test_after_a_restart_the_answers_are_told_and_none_twice(tmp_path: Path) -> None:
    async with listening(settings(tmp_path)) as web:
        async with watching(web) as stream:
            await web.say("one", event_id="1")
            last = await stream.until("done")
        await web.say("two", event_id="2")
        await web.say("elsewhere", key="other", event_id="x")
    async with listening(settings(tmp_path)) as web:
        async with watching(web, last.id) as stream:
            two = await stream.until("done")
            await web.say("three", event_id="3")
            three = await stream.until("done")
        assert (two.data["messages"], three.data["messages"]) == (["2"], ["3"])
        assert "> two" in two.data["text"]
        assert [each.data["messages"] for each in stream.found if each.name == "done"] == [["2"], ["3"]]
        # And from where that left off nothing comes again.
        async with watching(web, two.id) as stream:
            again = await stream.until("done")
        assert again.data["messages"] == ["3"]


async def test_nothing_is_left_out_however_much_was_missed(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MOST_RECENT", 3)
    monkeypatch.setattr(manager_watching, "MOST_MISSED", 2)
    async with watching(web) as stream:
        await web.say("0", event_id="0")
        last = await stream.until("done")
    for number in range(1, 8):
        await web.say(str(number), event_id=str(number))
    async with watching(web, last.id) as stream:
        await web.say("8", event_id="8")
        while stream.found[-1:] == [] or stream.found[-1].data["messages"] != ["8"]:
            await stream.until("done")
    done = [each.data["messages"][0] for each in stream.found if each.name == "done"]
    assert done == [str(number) for number in range(1, 9)]
    assert [each.data["messages"] for each in stream.found if each.name == "started"] == [["8"]]


async def test_a_message_posted_before_the_crash_is_told_when_it_is_answered_after_it(tmp_path: Path) -> None:
    """Its turn began before whoever watches left."""
    gate = asyncio.Event()
    quick = settings(tmp_path, gateway={"data_dir": tmp_path / "data", "drain_seconds": 0.0})
    async with listening(quick) as web:
        web.scripted().queue.append(Script(text="never", gate=gate))
        async with watching(web) as stream:
            asking = asyncio.create_task(web.local.post("/v1/messages", json={"text": "x", "event_id": "p"}))
            started = await stream.until("started")
    await asyncio.gather(asking, return_exceptions=True)
    async with listening(quick) as web, watching(web, started.id) as stream:
        done = await stream.until("done")
    assert (done.data["messages"], done.data["state"]) == (["p"], "done")


@pytest.mark.parametrize("id", ["x", "1", "1.", ".1", "1.x", "-1.0", "1.2.3", "²." + "1"])
async def test_what_is_no_id_of_an_event_is_refused(tmp_path: Path, id: str) -> None:
    async with await SessionManager.open(str(tmp_path / "parley.db")) as manager:
        watched = manager.watch(after=id)
        with pytest.raises(Exception, match="is not the id of an event"):
            await anext(watched)


async def test_a_stream_ends_so_that_the_key_is_looked_at_again(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LONGEST", 0.05)
    async with watching(web) as stream:
        assert [line async for line in stream.lines] == []
    answer = await web.local.get("/v1/messages/events", headers={"last-event-id": "nonsense"})
    assert answer.status_code == 409


# -- what is kept ---------------------------------------------------------------------------------------------


def seen(text: str, *, kind: Any = "text", conversation: int = 1, turn: int = 1) -> Seen:
    return Seen(kind=kind, conversation=conversation, text=text, turn=turn)


def test_events_are_kept_of_what_was_watched_and_texts_only_the_newest() -> None:
    now = 100
    watched = Hub(lambda: now)
    watched.publish(seen("nobody watches"))
    with watched.listen(1) as queue:
        for text in ("a", "ab", "abc"):
            watched.publish(seen(text))
        assert [queue.get_nowait().text for _ in range(3)] == ["a", "ab", "abc"]
    watched.publish(seen("abc", kind="done"))
    with watched.listen(1, after=0) as queue:
        kept = [queue.get_nowait() for _ in range(queue.qsize())]
    assert [(each.kind, each.text) for each in kept] == [("text", "abc"), ("done", "abc")]
    # The clock may stand still or go back: no number comes twice.
    now = 1
    with watched.listen(1, after=kept[0].seq) as queue:
        watched.publish(seen("later", kind="notice"))
        rest = [queue.get_nowait() for _ in range(queue.qsize())]
    assert [each.text for each in rest] == ["abc", "later"] and rest[1].seq > rest[0].seq > kept[0].seq


def test_what_is_kept_has_a_bound_and_it_is_known_when_something_is_missing() -> None:
    kept = Hub()
    with kept.listen(1) as queue:
        kept.publish(seen("first", kind="notice"))
        first = queue.get_nowait().seq
        assert kept.knows(1, first)
        for number in range(hub.MOST_RECENT + 1):
            kept.publish(seen(str(number), kind="notice"))
        assert not kept.knows(1, first) and kept.knows(1, queue.get_nowait().seq)
    for conversation in range(2, hub.MOST_CONVERSATIONS + 3):
        with kept.listen(conversation):
            pass
    assert len(kept._recent) == hub.MOST_CONVERSATIONS and not kept.knows(1, first)
    assert not kept.watched(1)


async def test_the_python_api_watches_as_well(tmp_path: Path) -> None:
    async with await SessionManager.open(str(tmp_path / "parley.db")) as manager:
        found: list[Happening] = []

        async def watch() -> None:
            async for happening in manager.watch("desk"):
                found.append(happening)
                if happening.kind == "done":
                    return

        task = asyncio.create_task(watch())
        async with asyncio.timeout(10):
            while not manager.core.hub._listeners:
                await asyncio.sleep(0.01)
            async for _ in manager.say("Hello!", key="desk", event_id="e"):
                pass
            await task
    assert found[-1].answer is not None and found[-1].messages == ("e",)
