"""The same of sessions by every door: Python, a chat, the command line, HTTP; and what a key of somebody opens."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli import app as command_line
from gateway.errors import ParleyError
from gateway.manager import Generated, SessionDetails, SessionManager
from gateway.web.api import FAMILIES
from tests.test_web import Web, free_port, listening, settings

Check = Callable[[SessionDetails], bool]


class Door(ABC):
    """Each operation by its name; what is said of it, also when it is refused."""

    def __init__(self, web: Web) -> None:
        self.web = web

    @property
    def manager(self) -> SessionManager:
        return self.web.app.manager

    @abstractmethod
    async def do(self, what: str, id: str, *words: str) -> str: ...


class Python(Door):
    async def do(self, what: str, id: str, *words: str) -> str:
        m = self.manager
        does: Mapping[str, Callable[[], Any]] = {
            "title": lambda: m.rename(id, words[0]),
            "tag": lambda: m.tag(id, words),
            "untag": lambda: m.untag(id, words or None),
            "unread": lambda: m.mark_read(id, False),
            "pause": lambda: m.pause_session(id),
            "unpause": lambda: m.resume_session(id),
            "rewind": lambda: m.rewind(id, int(words[0])),
            "undo": lambda: m.undo(id),
            "redo": lambda: m.redo(id),
            "retry": lambda: m.retry(id),
            "fork": lambda: m.fork(id, int(words[0]), words[1]),
            "archive": lambda: m.archive(id),
            "unarchive": lambda: m.unarchive(id),
            "close": lambda: m.close_with_summary(id, words[0]),
            "export": lambda: m.export_session(id, words[0]),  # type: ignore[arg-type]
            "search": lambda: m.search(words[0]),
            "session": lambda: m.show(id),
            "history": lambda: m.last_messages(id, int(words[0])),
            "delete": lambda: m.delete(id),
        }
        try:
            return str(await does[what]())
        except ParleyError as error:
            return str(error)


class InChat(Door):
    OF_ANY = ("session", "archive", "unarchive", "unread", "delete")

    async def do(self, what: str, id: str, *words: str) -> str:
        told = [id] if what in self.OF_ANY else []
        line = " ".join([f"/{what}", *told, *words, *(["yes"] if what == "delete" else [])])
        async for event in self.manager.say(line):
            if isinstance(event, Generated):
                return event.text
        raise AssertionError("no answer")


class CommandLine(Door):
    """Through the gateway that runs, by its socket."""

    WORDS: Mapping[str, Callable[[str, tuple[str, ...]], list[str]]] = {
        "title": lambda id, words: ["rename", id, *words],
        "unread": lambda id, words: ["mark", id, "--unread"],
        "fork": lambda id, words: ["fork", id, "--turns", words[0], "--name", words[1]],
        "close": lambda id, words: ["close", id, "--summary", words[0]],
        "export": lambda id, words: ["export", id, "--form", words[0]],
        "search": lambda id, words: ["search", *words],
        "session": lambda id, words: ["show", id],
        "history": lambda id, words: ["show", id, "-n", words[0]],
        "delete": lambda id, words: ["delete", id, "--yes"],
    }

    async def do(self, what: str, id: str, *words: str) -> str:
        made = self.WORDS.get(what, lambda id, words: [what, id, *words])(id, words)
        env = {"PARLEY_GATEWAY__DATA_DIR": str(self.web.app.settings.gateway.data_dir), "COLUMNS": "200"}
        done = await asyncio.to_thread(CliRunner().invoke, command_line, ["sessions", *made], env=env)
        return done.output


class OverHttp(Door):
    BODIES: Mapping[str, Callable[[tuple[str, ...]], dict[str, Any]]] = {
        "title": lambda words: {"title": words[0]},
        "tag": lambda words: {"tags": list(words)},
        "untag": lambda words: {"tags": list(words)},
        "unread": lambda words: {"read": False},
        "rewind": lambda words: {"turns": int(words[0])},
        "fork": lambda words: {"turns": int(words[0]), "name": words[1]},
        "close": lambda words: {"summary": words[0]},
    }
    PATHS: Mapping[str, str] = {"title": "rename", "unread": "read"}
    READS: Mapping[str, Callable[[str, tuple[str, ...]], str]] = {
        "export": lambda id, words: f"{id}/{'export' if words[0] == 'json' else words[0]}",
        "search": lambda id, words: f"search?q={words[0]}",
        "session": lambda id, words: f"{id}/details",
        "history": lambda id, words: f"{id}/last?count={words[0]}",
    }

    async def do(self, what: str, id: str, *words: str) -> str:
        local = self.web.local
        if what == "delete":
            return self._said(await local.delete(f"/v1/sessions/{id}"))
        if what in self.READS:
            return self._said(await local.get(f"/v1/sessions/{self.READS[what](id, words)}"))
        body = self.BODIES[what](words) if what in self.BODIES else None
        path = f"/v1/sessions/{id}/{self.PATHS.get(what, what)}"
        return self._said(await local.post(path, json=body))

    def _said(self, answer: httpx.Response) -> str:
        return answer.text if answer.status_code < 400 else str(answer.json()["error"])


STEPS: tuple[tuple[str, tuple[str, ...], Check], ...] = (
    ("title", ("Whales",), lambda d: d.session.title == "Whales"),
    ("tag", ("sea", "#Biology"), lambda d: d.session.tags == ("sea", "biology")),
    ("untag", ("sea",), lambda d: d.session.tags == ("biology",)),
    ("unread", (), lambda d: not d.session.is_read),
    ("pause", (), lambda d: d.session.is_paused),
    ("unpause", (), lambda d: not d.session.is_paused),
    ("undo", (), lambda d: d.turns == 2 and d.turns_run == 3),
    ("redo", (), lambda d: d.turns == 3),
    ("rewind", ("1",), lambda d: d.turns == 1),
    ("redo", (), lambda d: d.turns == 3),
    ("retry", (), lambda d: d.turns == 3 and d.turns_run == 4),
    ("close", ("They are large.",), lambda d: d.session.is_closed and d.session.summary == "They are large."),
    ("archive", (), lambda d: d.session.archived_at is not None),
    ("unarchive", (), lambda d: d.session.archived_at is None),
)
REFUSED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("rewind", ("9",), "There is no turn 9"),
    ("redo", (), "There is nothing to bring back"),
    ("tag", ("no/good!",), "is no tag"),
)


@pytest.mark.parametrize("kind", [Python, InChat, CommandLine, OverHttp])
async def test_every_door_does_the_same_and_refuses_the_same(tmp_path: Path, kind: type[Door]) -> None:
    async with listening(settings(tmp_path)) as web:
        door, manager = kind(web), web.app.manager
        said = ("What do blue whales eat?", "And orcas?", "How large are they?")
        for each in said:
            async for event in manager.say(each):
                answer = event
        assert isinstance(answer, Generated) and answer.session_id
        id, bill = answer.session_id, (await manager.cost_overview()).total.requests
        for what, words, text in REFUSED:
            assert text in await door.do(what, id, *words), what
        assert "orcas" in await door.do("search", id, "orca*")
        assert id in await door.do("session", id)
        assert "How large are they?" in await door.do("history", id, "2")
        for what, words, check in STEPS:
            told = await door.do(what, id, *words)
            async with asyncio.timeout(10):  # what a chat asks again is answered by and by
                while not check(await manager.show(id)):
                    assert told, what
                    await asyncio.sleep(0.02)
        assert "And orcas?" in await manager.export_session(id)
        if kind is not InChat:  # there it is the current session that is written out
            assert json.loads(await door.do("export", id, "json"))["parley"] == "session"
            assert "And orcas?" in await door.do("export", id, "markdown")
        assert "4" in await door.do("delete", id)  # requests stay on the bill
        assert await manager.get_session(id) is None
        assert "no s" in await door.do("session", id)
        assert (await manager.cost_overview()).total.requests == bill + 1


@pytest.mark.parametrize("kind", [Python, InChat, CommandLine, OverHttp])
async def test_every_door_forks_into_a_copy(tmp_path: Path, kind: type[Door]) -> None:
    async with listening(settings(tmp_path)) as web:
        door, manager = kind(web), web.app.manager
        for each in ("one", "two"):
            async for event in manager.say(each):
                answer = event
        assert isinstance(answer, Generated) and answer.session_id
        assert "Aside" in await door.do("fork", answer.session_id, "1", "Aside")
        (copy,) = (await manager.show(answer.session_id)).forks
        found = await manager.show(copy)
        assert (found.turns, found.usage.requests, found.session.title) == (1, 0, "Aside")
        assert (await manager.show(answer.session_id)).turns == 2


BODIES: Mapping[str, dict[str, Any]] = {
    "title": {"title": "x"}, "rename": {"title": "x"}, "tag": {"tags": ["x"]}, "rewind": {"turns": 0},
    "automatic": {"automatic": "on"}, "configure": {"thinking": "off"},
}  # fmt: skip


async def test_a_key_of_somebody_else_finds_nothing_of_it_by_any_route(tmp_path: Path) -> None:
    tables = {"web": {"port": free_port()}}
    async with listening(settings(tmp_path, **tables)) as web:
        app = web.app
        app.core.dispatcher.expected.add("telegram")  # as if a bot were configured
        for number in ("5", "6"):
            await app.roster.allow(f"telegram:{number}", "user")
        keys = {
            number: (
                await web.local.post("/v1/keys", json={"scope": "operate", "who": f"telegram:{number}"})
            ).json()
            for number in ("5", "6")
        }
        async with web.remote(authorization=f"Bearer {keys['5']['secret']}") as theirs:
            said = (await theirs.post("/v1/messages", json={"text": "A secret of whales."})).json()
            id = said["session_id"]
            assert (await theirs.get(f"/v1/sessions/{id}")).json()["title"] == "A secret of whales."
            before = await app.manager.show(id)
        async with web.remote(authorization=f"Bearer {keys['6']['secret']}") as other:
            assert (await other.get("/v1/sessions")).json() == []
            # Who has ever written is not told either.
            for whose in ("telegram:5", "telegram:999"):
                for path in ("/v1/sessions?limit=5", "/v1/sessions/search?q=whales"):
                    asked = await other.get(f"{path}&person={whose}")
                    assert (asked.status_code, asked.json()) == (200, [])
            assert (await other.get("/v1/sessions/search", params={"q": "whales"})).json() == []
            assert (await other.get("/v1/sessions/find", params={"code": id})).status_code == 404
            assert (await other.get("/v1/data", params={"address": "telegram:5"})).status_code == 409
            assert (await other.delete("/v1/data", params={"address": "telegram:5"})).status_code == 409
            declared = [each for family in FAMILIES for each in family.routes(app).declared]
            about_one = [each for each in declared if each.path.startswith("/v1/sessions/{id}")]
            assert len(about_one) > 25
            for each in about_one:
                path = each.path.replace("{id}", id)
                body = BODIES.get(path.rpartition("/")[2])
                answer = await other.request(each.method, path, json=body)
                wanted = 403 if each.needs.who != "user" else 404
                assert answer.status_code == wanted, (each.method, path, answer.text)
                assert "whales" not in answer.text
            answer = await other.post("/v1/messages", json={"text": "hello", "session": id})
            assert answer.status_code == 404
        after = await app.manager.show(id)
        assert after == replace(before, duration=after.duration)
