"""The HTTP API over real sockets: who may come in, what is answered, and what a mistake is told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import __version__, log
from gateway.app import App, start
from gateway.backup import archive
from gateway.budgets import Rules
from gateway.core import system_clock
from gateway.errors import ModelError, StoreError
from gateway.manager import UsageRecord
from gateway.models.catalogue import DEMO
from gateway.price import Rates
from gateway.protocols.clock import Clock
from gateway.settings import Settings, load
from gateway.socket_path import socket_path
from gateway.texts import say
from gateway.types.usage import Tokens
from gateway.web.admission import MOST_WRONG, WRONG_WINDOW, Attempts, served
from gateway.web.encoding import plain
from gateway.web.guard import LARGEST_BODY
from gateway.web.server import serve
from gateway.web.span import BadField, moment
from tests.fakes.exports import Request, anthropic_cost
from tests.fakes.model import Script, ScriptedModel

TOKEN = "correct-horse-battery"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@dataclass
class Web:
    """A gateway that listens. *tcp* is its address there; None when it has none."""

    app: App
    local: httpx.AsyncClient
    task: asyncio.Task[None]
    tcp: str = ""

    def scripted(self) -> ScriptedModel:
        """From now on this answers instead of the demo."""
        model = ScriptedModel(ref=DEMO, provider="demo", kind="demo", model="demo")
        self.app.core.catalogue._models[DEMO] = model  # type: ignore[assignment]
        return model

    async def say(self, text: str, **more: Any) -> dict[str, Any]:
        answer = await self.local.post("/v1/messages", json={"text": text, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    @asynccontextmanager
    async def remote(self, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            base_url=self.tcp, headers=headers, trust_env=False, verify=False
        ) as client:
            yield client


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def listening(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[Web]:
    app = await start(settings, environ={}, clock=clock)
    task = asyncio.create_task(serve(app))
    path = socket_path(settings.gateway.data_dir)
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://parley", timeout=20) as local:
            web = Web(app, local, task, f"http://127.0.0.1:{settings.web.port}" if settings.web.port else "")
            await up(web)
            yield web
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await app.stop()


async def up(web: Web) -> None:
    async with asyncio.timeout(20):
        while True:
            assert not web.task.done(), web.task
            with suppress(httpx.TransportError):
                await web.local.get("/healthz")
                if web.tcp:
                    async with web.remote() as client:
                        await client.get("/healthz")
                return
            await asyncio.sleep(0.02)


def settings(tmp_path: Path, **tables: Any) -> Settings:
    return Settings.model_validate({"gateway": {"data_dir": tmp_path / "data"}, **tables})


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    async with listening(settings(tmp_path)) as found:
        yield found


@pytest.fixture
async def open_tcp(tmp_path: Path) -> AsyncIterator[Web]:
    async with listening(settings(tmp_path, web={"port": free_port()})) as found:
        yield found


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Web]:
    async with listening(settings(tmp_path, web={"port": free_port(), "token": TOKEN})) as found:
        yield found


async def events(answer: httpx.Response) -> list[tuple[str, Any]]:
    """(name, data) of a whole event stream."""
    found: list[tuple[str, Any]] = []
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            found.append((name, json.loads(line.removeprefix("data: "))))
    return found


# -- sockets --------------------------------------------------------------------------------------------------


async def test_the_socket_is_this_users_alone_and_goes_away_with_the_server(web: Web) -> None:
    path = socket_path(web.app.settings.gateway.data_dir)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    web.task.cancel()
    await asyncio.gather(web.task, return_exceptions=True)
    assert not path.exists()


async def test_a_socket_that_a_killed_process_left_behind_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "data" / "parley.sock"))
    async with listening(settings(tmp_path)) as web:
        assert (await web.local.get("/healthz")).status_code == 200


@pytest.mark.parametrize("taken", ["file", "listener"])
async def test_what_belongs_to_somebody_else_is_not_removed_and_tcp_is_served_all_the_same(
    tmp_path: Path, taken: str
) -> None:
    config = settings(tmp_path, web={"port": free_port()})
    path = tmp_path / "data" / "parley.sock"
    path.parent.mkdir(mode=0o700)
    other = socket.socket(socket.AF_UNIX)
    if taken == "file":
        path.write_text("mine")
    else:
        other.bind(str(path))
        other.listen()
    inode = path.stat().st_ino
    app = await start(config, environ={})
    task = asyncio.create_task(serve(app))
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(20):
            while True:
                with suppress(httpx.TransportError):
                    answer = await client.get(f"http://127.0.0.1:{config.web.port}/healthz")
                    break
                await asyncio.sleep(0.02)
        assert answer.status_code == 200
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await app.stop()
        other.close()
    assert path.stat().st_ino == inode


async def test_a_port_that_is_taken_leaves_the_socket_working(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        app_settings = settings(tmp_path, web={"port": other.getsockname()[1]})
        app = await start(app_settings, environ={})
        task = asyncio.create_task(serve(app))
        transport = httpx.AsyncHTTPTransport(uds=str(socket_path(app_settings.gateway.data_dir)))
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://parley") as local:
                await up(Web(app, local, task))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await app.stop()


def test_a_path_too_long_for_a_socket_moves_to_a_folder_of_this_users(tmp_path: Path) -> None:
    short, long = tmp_path / "d", tmp_path / ("d" * 100)
    assert socket_path(short) == short / "parley.sock"
    moved = socket_path(long)
    assert len(os.fsencode(moved)) < 100 and moved.parent.name == f"parley-{os.getuid()}"
    assert moved == socket_path(long) != socket_path(tmp_path / ("e" * 100))


async def test_a_data_folder_with_a_long_name_is_served_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = Settings.model_validate({"gateway": {"data_dir": tmp_path / ("long" * 25)}})
    async with listening(config) as web:
        assert (await web.local.get("/healthz")).status_code == 200
        folder = socket_path(config.gateway.data_dir).parent
        assert folder.parent == tmp_path and stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_shared_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"parley-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    app = await start(
        Settings.model_validate({"gateway": {"data_dir": tmp_path / ("long" * 25)}}), environ={}
    )
    try:
        async with asyncio.timeout(20):
            await serve(app)
        assert list(folder.iterdir()) == []
    finally:
        await app.stop()


def test_neither_fastapi_nor_uvicorn_is_loaded_with_the_application() -> None:
    code = "import sys, gateway.app, gateway.web.server; print({'fastapi','uvicorn','starlette'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


async def test_signals_stay_with_the_gateway(tmp_path: Path) -> None:
    def handlers() -> list[Any]:
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    before = handlers()
    async with listening(settings(tmp_path)):
        assert handlers() == before
    assert handlers() == before


# -- who may come in ------------------------------------------------------------------------------------------


async def test_the_socket_needs_no_token_even_where_tcp_does(guarded: Web) -> None:
    assert (await guarded.local.get("/v1/status")).status_code == 200


@pytest.mark.parametrize(
    "headers, query, status",
    [
        pytest.param({}, "", 401, id="no-token"),
        pytest.param({"authorization": "Bearer wrong"}, "", 401, id="wrong-token"),
        pytest.param({"authorization": f"Bearer {TOKEN}x"}, "", 401, id="longer-token"),
        pytest.param({"authorization": f"Basic {TOKEN}"}, "", 401, id="wrong-scheme"),
        pytest.param({"authorization": b"Bearer \xff\xfe"}, "", 401, id="not-ascii"),
        pytest.param({}, f"?token={TOKEN}&access_token={TOKEN}", 401, id="token-in-the-url"),
        pytest.param({"cookie": f"token={TOKEN}"}, "", 401, id="token-in-a-cookie"),
        pytest.param({"host": "evil.example", **BEARER}, "", 421, id="rebound-host"),
        pytest.param({"host": "localhost.evil.example", **BEARER}, "", 421, id="host-that-begins-well"),
        pytest.param({"host": "evil@localhost:x", **BEARER}, "", 421, id="host-that-is-none"),
        pytest.param({"origin": "https://evil.example", **BEARER}, "", 403, id="foreign-origin"),
        pytest.param({"origin": "http://localhost:1", **BEARER}, "", 403, id="another-port"),
        pytest.param({"origin": "null", **BEARER}, "", 403, id="origin-null"),
        pytest.param(BEARER, "", 200, id="right"),
        pytest.param({"authorization": f"bearer  {TOKEN}"}, "", 200, id="scheme-in-small-letters"),
        pytest.param({"host": "LOCALHOST:99", **BEARER}, "", 200, id="localhost"),
        pytest.param({"host": "[::1]", **BEARER}, "", 200, id="loopback-6"),
    ],
)
async def test_the_door_of_tcp(guarded: Web, headers: dict[str, Any], query: str, status: int) -> None:
    async with guarded.remote() as client:
        answer = await client.post(
            "/v1/people/allow" + query, json={"address": "telegram:7", "role": "owner"}, headers=headers
        )
    assert (answer.status_code, answer.json().get("error") is None) == (status, status == 200)
    assert bool((await guarded.local.get("/v1/people")).json()) == (status == 200)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert TOKEN not in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/status", "/nothing"])
async def test_a_token_that_is_set_is_asked_for_everywhere_on_tcp(guarded: Web, path: str) -> None:
    async with guarded.remote() as client:
        assert (await client.get(path)).status_code == 401


@pytest.mark.parametrize(
    "token, length, status",
    [("wrong", 1000, b"401"), (TOKEN, LARGEST_BODY + 1, b"413")],
)
async def test_a_refusal_does_not_wait_for_the_body(
    guarded: Web, token: str, length: int, status: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.app.settings.web.port)
    head = ["POST /v1/messages HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
    writer.write("\r\n".join([*head, f"Content-Length: {length}", "", ""]).encode())
    async with asyncio.timeout(5):
        line = await reader.readline()
    writer.close()
    assert line.split()[1] == status


async def test_without_a_token_a_page_of_this_machine_comes_in_and_a_foreign_one_does_not(
    open_tcp: Web,
) -> None:
    port = open_tcp.app.settings.web.port
    async with open_tcp.remote() as client:
        same = await client.post("/v1/sessions", json={}, headers={"origin": f"http://127.0.0.1:{port}"})
        foreign = await client.post(
            "/v1/sessions", json={}, headers={"origin": f"https://127.0.0.1:{port + 1}"}
        )
        rebound = await client.get("/v1/sessions", headers={"host": "evil.example"})
    assert (same.status_code, foreign.status_code, rebound.status_code) == (201, 403, 421)
    assert len((await open_tcp.local.get("/v1/sessions")).json()) == 1


async def test_no_other_page_is_told_that_it_may_read(open_tcp: Web) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    async with open_tcp.remote() as client:
        answers = [
            await client.options("/v1/messages", headers=asked),
            await client.get("/healthz", headers=asked),
        ]
    assert not any(name.startswith("access-control") for each in answers for name in each.headers)


async def test_a_form_of_a_web_page_is_not_taken_for_json(open_tcp: Web) -> None:
    async with open_tcp.remote() as client:
        answer = await client.post(
            "/v1/messages", content=b'{"text": "hi"}', headers={"content-type": "text/plain"}
        )
    assert answer.status_code == 422
    assert "content-type: application/json" in answer.json()["error"]
    assert (await open_tcp.local.get("/v1/sessions")).json() == []


async def test_a_body_over_a_mebibyte_is_refused_with_and_without_a_length(web: Web) -> None:
    large = json.dumps({"text": "x" * LARGEST_BODY}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(large), 65536):
            yield large[at : at + 65536]

    for content in (large, pieces()):
        answer = await web.local.post(
            "/v1/messages", content=content, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, str(LARGEST_BODY) in answer.json()["error"]) == (413, True)
    assert (await web.local.get("/v1/sessions")).json() == []


async def test_guessing_tokens_is_slowed_down_even_for_the_right_one(guarded: Web) -> None:
    async with guarded.remote() as client:
        wrong = [
            (await client.get("/healthz", headers={"authorization": f"Bearer {n}"})).status_code
            for n in range(MOST_WRONG)
        ]
        late = await client.get("/healthz", headers=BEARER)
    assert set(wrong) == {401}
    assert (late.status_code, late.headers["retry-after"]) == (429, "60")
    assert (await guarded.local.get("/healthz")).status_code == 200


def test_wrong_tokens_are_forgotten_after_a_minute_and_counted_by_address() -> None:
    now = 0.0
    attempts = Attempts(clock=lambda: now)
    for _ in range(MOST_WRONG):
        assert not attempts.too_many("10.0.0.1")
        attempts.count("10.0.0.1")
    assert attempts.too_many("10.0.0.1") and not attempts.too_many("10.0.0.2")
    now = WRONG_WINDOW
    assert not attempts.too_many("10.0.0.1")
    for n in range(3000):
        attempts.count(str(n))
    assert len(attempts.wrong) <= 1000


@pytest.mark.parametrize(
    "listens, host, known",
    [
        ("0.0.0.0", "192.168.1.5:8080", True),
        ("::", "[2001:db8::1]:8080", True),
        ("0.0.0.0", "evil.example", False),
        ("127.0.0.1", "192.168.1.5", False),
        ("bot.example.org", "bot.example.org:8443", True),
        ("bot.example.org", "192.168.1.5", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "[::1", False),
    ],
)
def test_which_hosts_are_ours(listens: str, host: str, known: bool) -> None:
    assert served(host, listens) == known


# -- messages -------------------------------------------------------------------------------------------------


async def test_a_message_is_answered_with_its_session_and_its_usage(web: Web) -> None:
    found = await web.say("hello")
    assert (found["state"], found["error"]) == ("done", None)
    assert "hello" in found["text"]
    assert found["usage"]["requests"] == 1 and found["usage"]["tokens"]["input"] > 0
    session = (await web.local.get(f"/v1/sessions/{found['session_id']}")).json()
    assert (session["channel"], session["key"], session["title"]) == ("main", "main", "hello")


async def test_each_key_is_a_conversation_of_its_own_and_a_session_can_be_named(web: Web) -> None:
    first = await web.say("one", key="a")
    second = await web.say("two", key="b")
    assert first["session_id"] != second["session_id"]
    again = await web.say("three", key="a", session=first["session_id"].lower())
    assert again["session_id"] == first["session_id"]
    missing = await web.local.post("/v1/messages", json={"text": "x", "session": "NOSUCHONE1"})
    assert (missing.status_code, "NOSUCHONE1" in missing.json()["error"]) == (404, True)


async def test_a_repeat_with_the_same_event_id_is_answered_once(web: Web) -> None:
    model = web.scripted()
    same = {"text": "pay the bill", "event_id": "e-1"}
    both = await asyncio.gather(web.say(**same), web.say(**same))
    later = await web.say(**same)
    assert {each["text"] for each in (*both, later)} == {"You said: pay the bill"}
    assert len(model.asked) == 1
    assert later["session_id"] == both[0]["session_id"]


async def test_a_streamed_answer_grows_and_ends_with_the_whole(web: Web) -> None:
    web.scripted().queue.append(Script(text="one two\nthree", pause=0.05))
    async with web.local.stream("POST", "/v1/messages", json={"text": "count", "stream": True}) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = await events(answer)
    names = [name for name, _ in found]
    assert (names[0], names[-1]) == ("started", "done") and names.count("done") == 1
    texts = [data["text"] for name, data in found if name == "text"]
    assert texts and all("one two\nthree".startswith(text) for text in texts)
    assert texts == sorted(texts, key=len)
    assert (found[-1][1]["text"], found[-1][1]["state"]) == ("one two\nthree", "done")


async def test_a_command_is_answered_like_in_a_chat(web: Web) -> None:
    found = await web.say("/help")
    assert (found["state"], "/new" in found["text"]) == ("command", True)


async def test_a_client_that_leaves_does_not_stop_the_turn(web: Web) -> None:
    gate = asyncio.Event()
    web.scripted().queue.append(Script(text="the whole answer", gate=gate))
    asking = {"text": "slow", "stream": True, "event_id": "e-9"}
    async with web.local.stream("POST", "/v1/messages", json=asking) as answer:
        async for line in answer.aiter_lines():
            if line == "event: started":
                break
    async with asyncio.timeout(5):
        while web.app.core.hub._listeners:
            await asyncio.sleep(0.01)
    gate.set()
    found = await web.say("slow", event_id="e-9")
    assert (found["text"], found["state"]) == ("the whole answer", "done")


async def test_what_is_refused_at_once_has_a_status_even_when_streaming(web: Web) -> None:
    asking = {"text": "x", "session": "NOSUCHONE1", "stream": True}
    assert (await web.local.post("/v1/messages", json=asking)).status_code == 404
    assert (await web.local.post("/v1/messages", json={"text": " \n", "stream": True})).status_code == 409


async def test_a_reader_that_lags_gets_the_newest_text_only(web: Web) -> None:
    from gateway.hub import Seen
    from gateway.web.feed import Feed

    async def writing() -> Any:
        for length in range(1, 500):
            yield Seen(kind="text", conversation=1, text="x" * length)

    response = await Feed(writing(), stopping=web.app.stopping).response()
    whole = b"".join([bytes(part) async for part in response.body_iterator])  # type: ignore[arg-type]
    assert whole == b'event: text\ndata: {"text": "' + b"x" * 499 + b'"}\n\n'


@pytest.mark.parametrize(
    "fault, text", [(StoreError("disk on fire"), "disk on fire"), (RuntimeError("x"), None)]
)
async def test_trouble_after_the_first_words_ends_the_stream_with_an_error(
    web: Web, fault: Exception, text: str | None
) -> None:
    from gateway.hub import Seen
    from gateway.web.feed import Feed

    async def failing() -> Any:
        yield Seen(kind="text", conversation=1, text="begun")
        await asyncio.sleep(0.05)
        raise fault

    response = await Feed(failing(), stopping=web.app.stopping).response()
    whole = b"".join([bytes(part) async for part in response.body_iterator])  # type: ignore[arg-type]
    assert whole.count(b"event: ") == 2
    assert json.loads(whole.split(b"event: error\ndata: ")[1]) == {"error": text or say("message.internal")}


async def test_a_gateway_that_stops_tells_who_is_waiting_and_the_repeat_is_answered(tmp_path: Path) -> None:
    config = settings(tmp_path)
    gate = asyncio.Event()
    async with listening(config) as web:
        web.scripted().queue += [Script(text="late", gate=gate)] * 2
        whole = asyncio.create_task(web.local.post("/v1/messages", json={"text": "a", "event_id": "e-a"}))
        body = {"text": "b", "key": "other", "event_id": "e-b", "stream": True}
        async with web.local.stream("POST", "/v1/messages", json=body) as answer:
            async with asyncio.timeout(5):
                while web.app.core.dispatcher.turns_running < 2:
                    await asyncio.sleep(0.01)
            web.app.stopping.set()
            web.task.cancel()
            streamed = await events(answer)
        waited = await whole
        gate.set()
    assert (waited.status_code, "event_id" in waited.json()["error"]) == (503, True)
    assert streamed[-1][0] == "error" and "event_id" in streamed[-1][1]["error"]
    async with listening(config) as web:
        assert (await web.say("a", event_id="e-a"))["text"] == "late"
        assert (await web.say("b", key="other", event_id="e-b"))["text"] == "late"


# -- sessions and costs ---------------------------------------------------------------------------------------


async def test_the_life_of_a_session(web: Web) -> None:
    made = await web.local.post("/v1/sessions", json={"key": "work"})
    id = made.json()["id"]
    assert (made.status_code, made.json()["key"]) == (201, "work")
    again = await web.local.post("/v1/sessions", json={"key": "work", "fresh": False})
    assert (again.status_code, again.json()["id"]) == (200, id)
    await web.say("hello", key="work")
    await web.say("and more", key="work")
    listed = (await web.local.get("/v1/sessions", params={"channel": "main", "limit": 1})).json()
    assert [each["id"] for each in listed] == [id]
    assert (await web.local.get("/v1/sessions", params={"skip": 1})).json() == []
    messages = (await web.local.get(f"/v1/sessions/{id}/messages")).json()
    assert [each["role"] for each in messages] == ["user", "assistant"] * 2
    assert (await web.local.get(f"/v1/sessions/{id}/messages", params={"limit": 1})).json() == messages[-1:]
    assert (await web.local.get(f"/v1/sessions/{id}/usage")).json()["turns"] == 2
    unread = await web.local.post(f"/v1/sessions/{id}/read", json={"read": False})
    assert unread.json()["is_read"] is False
    assert (await web.local.post(f"/v1/sessions/{id}/read")).json()["is_read"] is True
    assert (await web.local.post(f"/v1/sessions/{id}/title", json={"title": "x"})).json()["title"] == "hello"
    assert (await web.local.post(f"/v1/sessions/{id}/cancel")).json() == {"cancelled": False}
    assert (await web.local.post(f"/v1/sessions/{id}/clear")).status_code == 200
    closed = await web.local.post(f"/v1/sessions/{id}/close", json={"summary": "whales"})
    assert closed.json() == {"closed": True}
    assert (await web.local.post(f"/v1/sessions/{id}/close")).json() == {"closed": False}
    found = (await web.local.get(f"/v1/sessions/{id}")).json()
    assert (found["is_closed"], found["summary"]) == (True, "whales")


async def test_a_running_turn_can_be_cancelled_and_is_not_cleared_under_its_feet(web: Web) -> None:
    web.scripted().queue.append(Script(text="never", gate=asyncio.Event()))
    id = (await web.local.post("/v1/sessions", json={})).json()["id"]
    waiting = asyncio.create_task(web.say("think"))
    async with asyncio.timeout(5):
        while web.app.core.dispatcher.turns_running == 0:
            await asyncio.sleep(0.01)
    assert (await web.local.post(f"/v1/sessions/{id}/clear")).status_code == 409
    assert (await web.local.get("/v1/status")).json()["turns_running"] == 1
    assert (await web.local.post(f"/v1/sessions/{id}/cancel")).json() == {"cancelled": True}
    assert (await waiting)["state"] == "cancelled"


async def test_a_session_is_compacted_and_a_model_that_fails_is_a_502_in_plain_words(web: Web) -> None:
    model = web.scripted()
    id = (await web.say("one"))["session_id"]
    await web.say("two")
    model.queue.append(Script(error=ModelError("upstream 529: key sk-secret", kind="overloaded")))
    failed = await web.local.post(f"/v1/sessions/{id}/compact")
    assert (failed.status_code, failed.json()) == (
        502,
        {"error": say("failed.overloaded"), "kind": "overloaded"},
    )
    model.queue.append(Script(text="they counted"))
    done = (await web.local.post(f"/v1/sessions/{id}/compact")).json()
    assert done["messages"] >= 4 and done["summary"] == "they counted"
    assert (done["trigger"], done["method"], done["cost"] is None, done["undone"]) == (
        "api",
        "notes",
        done["cost_usd"] is None,
        False,
    )


async def test_what_was_put_away_is_listed_taken_back_and_put_back(web: Web) -> None:
    model = web.scripted()
    id = (await web.say("one"))["session_id"]
    await web.say("two")
    model.queue.append(Script(text="they counted"))
    path = f"/v1/sessions/{id}"
    full = (await web.local.get(f"{path}/context")).json()
    done = (await web.local.post(f"{path}/compact", json={"focus": "the numbers"})).json()
    assert done["focus"] == "the numbers"
    assert (await web.local.get(f"{path}/compactions")).json() == [done]
    short = (await web.local.get(f"{path}/context")).json()
    assert short["estimated"] and short["used_tokens"] == done["after"] and not full["estimated"]
    undone = await web.local.post(f"{path}/compactions/undo")
    assert (undone.status_code, undone.json()["undone"]) == (200, True)
    assert (await web.local.post(f"{path}/compactions/undo")).status_code == 409
    assert (await web.local.post(f"{path}/compactions/redo")).json() == done
    assert (await web.local.post(f"{path}/compactions/redo")).status_code == 409
    switch = f"{path}/compactions/automatic"
    assert (await web.local.get(switch)).json() == {"automatic": True, "said": None}
    assert (await web.local.post(switch, json={"automatic": "off"})).json() == {
        "automatic": False,
        "said": False,
    }
    assert (await web.local.post(switch, json={"automatic": "default"})).json()["said"] is None
    assert (await web.local.post(switch, json={"automatic": "maybe"})).status_code == 422


async def test_a_budget_in_the_way_is_a_402_that_says_what_is_left_and_until_when(tmp_path: Path) -> None:
    async with listening(settings(tmp_path, budgets={"channel_day": "0.5", "session": "0.000001"})) as web:
        web.app.core.pricing.overrides = {"fake/*": Rates(uncached=Decimal(3), output=Decimal(15))}
        model = ScriptedModel(ref=DEMO)
        web.app.core.catalogue._models[DEMO] = model  # type: ignore[assignment]
        refused = await web.local.post("/v1/messages", json={"text": "why?", "event_id": "e1"})
        told = refused.json()
        assert (refused.status_code, told["state"], told["kind"]) == (402, "failed", "budget")
        assert say("budget.session_total") in told["error"]
        code, budget = told["session_id"], told["budget"]
        assert (budget["scope"], budget["id"], budget["period"]) == ("session", code, "total")
        assert (budget["spent"], budget["reserved"], budget["left"], budget["resets_at"]) == (
            0,
            0,
            1000,
            None,
        )
        assert told["worst"] > 1000 and told["usage"]["requests"] == 0
        again = await web.local.post("/v1/messages", json={"text": "why?", "event_id": "e1"})
        assert (again.status_code, again.json()["budget"]) == (402, budget)
        stream = await web.local.post("/v1/messages", json={"text": "why?", "stream": True})
        assert '"left": 1000' in stream.text and stream.status_code == 200

        # An operator lets it pass, and whoever asks with the same event is given the answer.
        (first, *_) = reversed((await web.local.get("/v1/budgets/refused")).json())
        assert (first["session_id"], first["over"]["budget"]["cap"]) == (code, 1000)
        both = {"turn": first["turn"], "session": code}
        assert (await web.local.post("/v1/budgets/allow", json=both)).status_code == 422
        done = await web.local.post("/v1/budgets/allow", json={"turn": first["turn"]})
        assert done.json() == {"turn": first["turn"], "decision": "allow", "cap": None}
        assert (await web.local.post("/v1/budgets/allow", json={"turn": first["turn"]})).status_code == 404
        answer = await web.local.post("/v1/messages", json={"text": "why?", "event_id": "e1"})
        assert (answer.status_code, answer.json()["text"]) == (200, "You said: why?")
        raised = (await web.local.post("/v1/budgets/allow", json={"session": code, "raise": True})).json()
        assert raised["cap"] > 1000
        async with asyncio.timeout(10):  # it is asked now, and a session that answers is not shortened
            while (
                len(model.asked) < 2
                or (await web.local.get(f"/v1/sessions/{code}/details")).json()["running"]
            ):
                await asyncio.sleep(0.01)

        web.app.core.dispatcher.habits = replace(
            web.app.core.dispatcher.habits, budgets=Rules(caps={("channel", "day"): 1})
        )
        compacted = await web.local.post(f"/v1/sessions/{code}/compact")
        found = compacted.json()
        assert (compacted.status_code, found["budget"]["scope"]) == (402, "channel")
        assert found["budget"]["left"] == 0 < found["budget"]["spent"]
        assert found["budget"]["resets_at"] > web.app.clock()


@pytest.mark.parametrize("action", ["", "/messages", "/usage", "/compactions", "/context"])
async def test_an_unknown_session_is_not_found(web: Web, action: str) -> None:
    answer = await web.local.get(f"/v1/sessions/NOSUCHONE1{action}")
    assert (answer.status_code, "NOSUCHONE1" in answer.json()["error"]) == (404, True)


@pytest.mark.parametrize(
    "action", ["close", "read", "title", "clear", "compact", "compactions/undo", "compactions/redo", "cancel"]
)
async def test_nothing_can_be_done_to_an_unknown_session(web: Web, action: str) -> None:
    body = {"title": "x"} if action == "title" else None
    assert (await web.local.post(f"/v1/sessions/NOSUCHONE1/{action}", json=body)).status_code == 404


async def test_the_bill_has_money_as_nano_dollars_and_as_decimal_dollars(web: Web) -> None:
    id = (await web.local.post("/v1/sessions", json={})).json()["id"]
    record = UsageRecord(input_tokens=10, output_tokens=5, cost_usd=Decimal("0.000000001"), model="m")
    await web.app.manager.record_usage(id, record)
    bill = (await web.local.get("/v1/costs")).json()
    assert (bill["total"]["cost"], bill["total"]["cost_usd"]) == (1, "0.000000001")
    assert bill["total"]["tokens"]["input"] == 10
    (day,) = bill["by_day"]
    assert (day["date"], day["cost_usd"]) == (datetime.now(UTC).date().isoformat(), "0.000000001")
    (model,) = day["by_model"]
    assert (model["cost"], model["cost_usd"]) == (1, "0.000000001")
    assert {"by_user", "by_model", "by_channel", "by_trigger", "by_purpose", "by_tool"} < set(bill)
    only = (await web.local.get("/v1/costs", params={"since": "today", "by": ["model", "day"]})).json()
    assert {name for name in only if name.startswith("by_")} == {"by_model", "by_day"}
    assert only["total"]["requests"] == 1
    past = (await web.local.get("/v1/costs", params={"until": "2020-01-01"})).json()
    assert past["total"]["requests"] == 0 and past["by_tool"] == past["by_day"] == []


@pytest.mark.parametrize(
    "query, field",
    [
        ({"since": "yesterdayish"}, "since"),
        ({"until": "1774735200"}, "until"),
        ({"by": "colour"}, "by.0"),
    ],
)
async def test_a_bill_nobody_can_make_names_the_parameter(
    web: Web, query: dict[str, str], field: str
) -> None:
    answer = await web.local.get("/v1/costs", params=query)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, field)


async def test_a_provider_s_export_is_compared_over_http(web: Web) -> None:
    id = (await web.say("hello"))["session_id"]
    record = UsageRecord(
        input_tokens=10, cost_usd=Decimal("0.000000007"), model="claude-sonnet-5", provider="anthropic"
    )
    await web.app.manager.record_usage(id, record)
    theirs = anthropic_cost([Request(web.app.clock(), "claude-sonnet-5", Tokens(10), 7)])
    found = (await web.local.post("/v1/costs/reconcile", json={"export": theirs})).json()
    assert found["agrees"] and found["lines"][0]["theirs"]["cost_usd"] == "0.000000007"
    assert found["lines"][0]["theirs"]["tokens"] is None
    odd = await web.local.post("/v1/costs/reconcile", json={"export": "day,tokens"})
    assert (odd.status_code, odd.json()["fields"][0]["field"]) == (422, "export")
    zone = await web.local.post("/v1/costs/reconcile", json={"export": theirs, "zone": "Mars"})
    assert zone.status_code == 409 and "time zone" in zone.json()["error"]


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    "text, at",
    [
        ("2026-03-29", "2026-03-28T23:00:00+00:00"),
        ("2026-03-30", "2026-03-29T22:00:00+00:00"),
        ("20260330", "2026-03-29T22:00:00+00:00"),
        ("today", "2026-03-29T22:00:00+00:00"),
        ("1d", "2026-03-29T22:00:00+00:00"),
        ("7d", "2026-03-23T23:00:00+00:00"),
        ("1774735200000000", "2026-03-28T22:00:00+00:00"),
    ],
)
def test_days_begin_at_midnight_in_the_zone_of_the_reports_also_when_the_clocks_change(
    text: str, at: str
) -> None:
    now = micros("2026-03-30T10:00:00+00:00")
    assert moment(text, field="since", zone="Europe/Berlin", now=now) == micros(at)


@pytest.mark.parametrize(
    "text", ["", "0d", "7", "1774735200", "1774735200000", "2026-02-30", "-1d", "9" * 30, "٣d"]
)
def test_times_that_can_be_misread_are_refused(text: str) -> None:
    with pytest.raises(BadField, match="since"):
        moment(text, field="since", zone="UTC", now=micros("2026-03-30T10:00:00+00:00"))


# -- people and jobs ------------------------------------------------------------------------------------------


async def test_people_are_let_in_given_roles_and_blocked(web: Web) -> None:
    allowed = await web.local.post("/v1/people/allow", json={"address": "telegram:12345"})
    assert allowed.json() == {"address": "telegram:12345", "name": "", "state": "allowed", "role": "user"}
    raised = await web.local.post("/v1/people/role", json={"address": "telegram:12345", "role": "admin"})
    assert raised.json()["role"] == "admin"
    blocked = await web.local.post("/v1/people/block", json={"address": "telegram:12345"})
    assert blocked.json()["state"] == "blocked"
    assert blocked.json() in (await web.local.get("/v1/people")).json()


async def test_people_who_cannot_be_named_are_refused(web: Web) -> None:
    name = await web.local.post("/v1/people/allow", json={"address": "telegram:@ann"})
    assert (name.status_code, "number" in name.json()["error"]) == (409, True)
    stranger = await web.local.post("/v1/people/role", json={"address": "telegram:9", "role": "user"})
    assert stranger.status_code == 404
    role = await web.local.post("/v1/people/allow", json={"address": "telegram:9", "role": "king"})
    assert (role.status_code, role.json()["fields"][0]["field"]) == (422, "role")


async def test_a_job_is_listed_run_and_remembered(tmp_path: Path) -> None:
    job = {"name": "morning", "schedule": "0 9 * * *", "prompt": "What is new?", "zone": "Europe/Berlin"}
    async with listening(settings(tmp_path, jobs=[job])) as web:
        (listed,) = (await web.local.get("/v1/jobs")).json()
        assert (listed["name"], listed["schedule"], listed["zone"]) == (
            "morning",
            "0 9 * * *",
            "Europe/Berlin",
        )
        assert listed["next_at"] > web.app.clock() and listed["last_run"] is None
        run = (await web.local.post("/v1/jobs/morning/run")).json()["run"]
        async with asyncio.timeout(10):
            while True:
                (found,) = (await web.local.get("/v1/jobs/morning/runs")).json()
                if found["state"] == "done":
                    break
                await asyncio.sleep(0.02)
        assert found["id"] == run and found["session_id"] and found["error"] is None
        (again,) = (await web.local.get("/v1/jobs")).json()
        assert again["last_run"]["id"] == run
        assert (await web.local.get("/v1/jobs/next", params={"expr": "morning", "count": 1})).json()[0][
            "at"
        ] == listed["next_at"]


async def test_a_digest_is_set_made_and_switched_off(web: Web) -> None:
    stranger = await web.local.post("/v1/digests", json={"to": "telegram:1", "at": "8:00"})
    assert (stranger.status_code, "telegram:1" in stranger.json()["error"]) == (409, True)
    await web.say("What is new?")
    wrong = await web.local.post("/v1/digests", json={"to": "main", "at": "25:00"})
    assert (wrong.status_code, wrong.json()["fields"][0]["field"]) == (422, "at")
    nowhere = await web.local.post("/v1/digests", json={"to": "main", "zone": "Nowhere"})
    assert (nowhere.status_code, "Nowhere" in nowhere.json()["error"]) == (409, True)
    asked = {"to": "main", "at": "7:30", "zone": "Europe/Berlin", "bill": True}
    found = (await web.local.post("/v1/digests", json=asked)).json()
    assert (found["name"], found["owner"], found["schedule"]) == ("digest", "main:local", "30 7 * * *")
    assert (found["zone"], found["bill"], found["state"]) == ("Europe/Berlin", True, "on")
    assert (await web.local.get("/v1/digests")).json() == [found]
    run = (await web.local.post("/v1/digests/now", json={"to": "main"})).json()["run"]
    async with asyncio.timeout(10):
        while (await web.local.get("/v1/jobs/digest/runs")).json()[0]["state"] != "done":
            await asyncio.sleep(0.02)
    (made,) = (await web.local.get("/v1/jobs/digest/runs")).json()
    said = (await web.local.get(f"/v1/sessions/{made['session_id']}/messages")).json()
    assert (
        made["id"] == run and "“What is new?”" in said[-1]["text"] and "Everybody's bill" in said[-1]["text"]
    )
    for expected in (True, False):
        assert (await web.local.post("/v1/digests/off", json={"to": "main"})).json() == {"was_on": expected}


async def test_an_unknown_job_is_not_found(web: Web) -> None:
    assert (await web.local.post("/v1/jobs/nope/run")).status_code == 404
    assert (await web.local.get("/v1/jobs/nope/runs")).status_code == 404


async def test_a_schedule_can_be_tried_out(web: Web) -> None:
    query = {"expr": "30 2 * * *", "zone": "Europe/Berlin", "after": "2026-03-27", "count": "3"}
    times = (await web.local.get("/v1/jobs/next", params=query)).json()
    assert [each["local"] for each in times] == [
        "2026-03-27T02:30:00+01:00",
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
    ]
    assert times[0]["at"] == micros("2026-03-27T01:30:00+00:00")


@pytest.mark.parametrize(
    "query, field",
    [
        ({"expr": "61 * * * *"}, "expr"),
        ({"expr": "@daily", "zone": "Mars/Base"}, "zone"),
        ({"expr": "@daily", "count": "0"}, "count"),
        ({"expr": "@daily", "after": "soon"}, "after"),
        ({}, "expr"),
    ],
)
async def test_a_schedule_nobody_can_follow_names_the_parameter(
    web: Web, query: dict[str, str], field: str
) -> None:
    answer = await web.local.get("/v1/jobs/next", params=query)
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, field)


# -- operations -----------------------------------------------------------------------------------------------


async def test_health_says_that_it_lives_and_readiness_what_is_missing(web: Web) -> None:
    assert (await web.local.get("/healthz")).json() == {"status": "ok", "version": __version__}
    assert (await web.local.get("/readyz")).status_code == 200
    from gateway.platforms import ChannelState

    log.hide(["hunter22"])
    state = ChannelState(name="telegram", channel=None, state="down", text="no route, hunter22")  # type: ignore[arg-type]
    web.app.platforms.channels.append(state)
    try:
        unready = await web.local.get("/readyz")
        shown = (await web.local.get("/v1/status")).json()["channels"]
        assert (await web.local.get("/healthz")).status_code == 200
    finally:
        web.app.platforms.channels.remove(state)
    assert (unready.status_code, unready.json()["reason"]) == (503, "telegram: down (no route, ***)")
    assert [(each["name"], each["state"], each["text"]) for each in shown] == [
        ("telegram", "down", "no route, ***")
    ]


async def test_a_gateway_that_stops_is_not_ready(web: Web) -> None:
    web.app.stopping.set()
    answer = await web.local.get("/readyz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "stopping")


async def test_status_says_what_runs_here(guarded: Web) -> None:
    found = (await guarded.local.get("/v1/status")).json()
    assert (found["version"], found["model"], found["ready"]) == (__version__, DEMO, None)
    assert found["data_dir"] == str(guarded.app.settings.gateway.data_dir)
    assert found["uptime_seconds"] >= 0 and found["outage_since"] is None
    assert found["on"]["tcp"] is True and found["on"]["token"] is True and found["on"]["model"] is False
    assert TOKEN not in json.dumps(found)


async def test_a_reload_takes_over_what_it_can_and_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    head = f'[gateway]\ndata_dir = "{tmp_path}/data"\n'
    file.write_text(head + "[agent]\nmax_output_tokens = 100\n")
    async with listening(load(file, environ={})) as web:
        file.write_text(head + "[agent]\nmax_output_tokens = 200\n[web]\nport = 9\n")
        changed = await web.local.post("/v1/reload")
        assert changed.json() == {"now": ["agent.max_output_tokens"], "restart": ["web.port"]}
        assert web.app.core.runner.options.max_output_tokens == 200
        before = web.app.settings
        file.write_text(head + '[agent]\nmax_output_tokens = "many"\ncolour = 1\n')
        bad = await web.local.post("/v1/reload")
        assert (bad.status_code, len(bad.json()["problems"])) == (422, 2)
        assert "max_output_tokens" in bad.json()["error"]
        assert web.app.settings is before and web.app.core.runner.options.max_output_tokens == 200


async def test_a_halted_gateway_says_so_and_whoever_asks_is_told_that_it_is_kept(web: Web) -> None:
    halted = await web.local.post("/v1/halt", json={"why": "the bill"})
    assert halted.json() == {"halted": "cli: the bill", "stopped": 0}
    assert (await web.local.post("/v1/halt")).status_code == 409
    assert (await web.local.get("/v1/status")).json()["halted"] == "cli: the bill"
    assert (await web.local.get("/readyz")).json()["reason"] == "halted by cli: the bill"
    kept = await web.say("hello", event_id="a")
    assert kept["state"] == "kept" and "kept" in kept["text"]
    assert (await web.local.post("/v1/unhalt")).json() == {"halted": None}
    assert (await web.say("hello", event_id="a"))["state"] == "done"
    assert (await web.local.post("/v1/unhalt")).status_code == 409


async def test_a_post_is_known_by_its_id_or_its_header(web: Web) -> None:
    body = {"to": "main:desk", "text": "look here"}
    first = await web.local.post("/v1/send", json=body, headers={"idempotency-key": "a"})
    assert first.json() == {"id": "a", "messages": 1, "state": "sent", "error": None}
    assert (await web.local.post("/v1/send", json={**body, "id": "a"})).json() == first.json()
    assert (await web.local.get("/v1/send/a")).json() == first.json()
    both = await web.local.post("/v1/send", json={**body, "id": "a"}, headers={"idempotency-key": "b"})
    assert (both.status_code, both.json()["fields"][0]["field"]) == (422, "id")
    assert (await web.local.get("/v1/send/b")).status_code == 404
    elsewhere = await web.local.post("/v1/send", json={"to": "telegram:1", "text": "x"})
    assert (elsewhere.status_code, "switched off" in elsewhere.json()["error"]) == (409, True)
    empty = await web.local.post("/v1/send", json={"to": "main:desk", "text": " "})
    assert empty.status_code == 409
    (session,) = (await web.local.get("/v1/sessions")).json()
    assert session["key"] == "desk" and not session["is_read"]


async def test_the_store_tells_how_it_is(web: Web) -> None:
    await web.say("hello")
    found = (await web.local.get("/v1/store")).json()
    assert (found["ok"], found["engine"], found["sessions"]) == (True, "sqlite", 1)


async def test_a_backup_is_whole_private_and_where_backups_are(web: Web) -> None:
    id = (await web.say("hello"))["session_id"]
    usual = os.umask(0o022)
    try:
        answer = await web.local.post("/v1/backup", json={})
    finally:
        os.umask(usual)
    assert answer.status_code == 200, answer.text
    folder = web.app.settings.gateway.data_dir / "backups"
    (file,) = folder.iterdir()
    assert (answer.json()["path"], answer.json()["bytes"]) == (str(file), file.stat().st_size)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    archive.unpack(file, folder)
    with closing(sqlite3.connect(folder / "parley.db")) as connection:
        assert connection.execute("SELECT code FROM session").fetchall() == [(id,)]


async def torn(target: Path) -> None:
    target.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)


async def inconsistent(target: Path) -> None:
    """Opens and reads well, but holds what its schema forbids."""
    connection = sqlite3.connect(target, isolation_level=None)
    for statement in (
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES (NULL)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a NOT NULL)'",
    ):
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "spoil, why",
    [
        pytest.param(torn, "the backup failed", id="torn"),
        pytest.param(inconsistent, "NULL value in t.a", id="inconsistent"),
    ],
)
async def test_a_backup_that_is_not_sound_is_not_kept(
    web: Web,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], Awaitable[None]],
    why: str,
) -> None:
    monkeypatch.setattr(web.app.core.store.database, "backup", spoil)
    answer = await web.local.post("/v1/backup", json={})
    assert (answer.status_code, why in answer.json()["error"]) == (503, True)
    assert list((web.app.settings.gateway.data_dir / "backups").iterdir()) == []


async def test_a_backup_goes_nowhere_else_and_writes_over_nothing(web: Web, tmp_path: Path) -> None:
    answer = await web.local.post("/v1/backup", json={"path": str(tmp_path / "b.db")})
    assert (answer.status_code, "path" in answer.json()["error"]) == (422, True)
    made = [(await web.local.post("/v1/backup", json={})).json()["path"] for _ in range(3)]
    assert len(set(made)) == 3 and all(Path(each).exists() for each in made)


async def test_the_model_can_be_chosen_and_an_unknown_one_is_refused(web: Web) -> None:
    assert (await web.local.post("/v1/model", json={"ref": DEMO})).json() == {"model": DEMO}
    refused = await web.local.post("/v1/model", json={"ref": "nobody:gpt"})
    assert (refused.status_code, "nobody" in refused.json()["error"]) == (409, True)
    assert (await web.local.get("/v1/status")).json()["model"] == DEMO


# -- mistakes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body, field",
    [
        (b'{"txt": "hi", "text": "x"}', "txt"),
        (b"{}", "text"),
        (b'{"text": 5}', "text"),
        (b'{"text": ""}', "text"),
        (b'{"text": "\\ud800"}', "text"),
        (b'{"text": "x", "stream": "maybe"}', "stream"),
        (b'{"text": "x", "key": ""}', "key"),
        (b"{not json", "body"),
        (b"[]", "body"),
        (b"", "body"),
    ],
)
async def test_a_message_that_makes_no_sense_names_the_field(web: Web, body: bytes, field: str) -> None:
    answer = await web.local.post("/v1/messages", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["fields"]] == [field]
    assert answer.json()["error"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    "method, path, status", [("GET", "/nothing", 404), ("DELETE", "/v1/sessions", 405), ("GET", "/docs", 404)]
)
async def test_what_is_not_there_is_told_as_json(web: Web, method: str, path: str, status: int) -> None:
    answer = await web.local.request(method, path)
    assert answer.status_code == status and answer.json()["error"]


@pytest.mark.parametrize(
    "fault, status, text",
    [
        (StoreError("database hunter22 is locked"), 503, "database *** is locked"),
        (ModelError("raw", kind="auth"), 502, say("failed.auth")),
        (RuntimeError("a secret detail"), 500, say("message.internal")),
    ],
)
async def test_trouble_is_told_without_a_trace(
    web: Web, monkeypatch: pytest.MonkeyPatch, fault: Exception, status: int, text: str
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise fault

    log.hide(["hunter22"])
    monkeypatch.setattr(web.app.manager, "list", broken)
    answer = await web.local.get("/v1/sessions")
    assert (answer.status_code, answer.json()["error"]) == (status, text)
    assert (await web.local.get("/healthz")).status_code == 200


async def test_a_providers_words_come_without_secrets(web: Web) -> None:
    log.hide(["hunter22"])
    web.scripted().queue.append(Script(error=ModelError("bad key hunter22", kind="refused")))
    found = await web.say("hello")
    assert (found["state"], found["text"]) == ("failed", say("failed.refused"))
    assert "hunter22" not in json.dumps(found)


def test_what_has_no_json_form_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(TypeError, match="object"):
        plain({"a": [object()]})
