"""Webhook mode, over real HTTP from the server that delivers to the gateway that stores; and who else comes there."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from channels.telegram import Telegram
from channels.telegram.deliveries import Deliveries
from gateway.app import App, start
from gateway.config_file import SettingsError
from gateway.errors import DeliveryError
from gateway.failpoints import Point
from gateway.settings import Settings, load
from gateway.socket_path import socket_path
from gateway.types.places import Account
from gateway.web import webhooks
from gateway.web.server import serve
from tests.fakes.telegram import TOKEN, FakeTelegram

ANN = 7001
SECRET = "S3cret-of_the-tests"
HEADER = "X-Telegram-Bot-Api-Secret-Token"
WANTED = ["callback_query", "edited_message", "message", "my_chat_member"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Hooked:
    """A gateway that listens, with its bot's server."""

    tg: FakeTelegram
    app: App
    port: int
    url: str

    @property
    def state(self) -> str:
        return self.app.platforms.channels[0].state

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return await self.app.core.store.read(lambda unit: unit.tx.all(sql))

    async def run(self, sql: str) -> None:
        await self.app.core.store.commit(Point.META, lambda unit: unit.tx.run(sql))

    async def post(
        self, body: bytes, secret: str | None = SECRET, path: str = "/hooks/one", **more: Any
    ) -> int:
        headers = {} if secret is None else {HEADER: secret}
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{self.port}{path}"
            return (await client.post(url, content=body, headers=headers | more)).status_code


def settings(tmp_path: Path, tg: FakeTelegram, port: int, **telegram: Any) -> Settings:
    bot = {
        "token": tg.token,
        "api_url": tg.url,
        "owners": [ANN],
        "webhook_url": f"http://127.0.0.1:{port}/hooks/one",
        "webhook_secret": SECRET,
    }
    return Settings.model_validate(
        {
            "gateway": {"data_dir": tmp_path / "data"},
            "web": {"port": port, "token": "token-of-the-api"},
            "channels": {"telegram": bot | telegram},
        }
    )


@asynccontextmanager
async def running(tg: FakeTelegram, configured: Settings) -> AsyncIterator[Hooked]:
    app = await start(configured, environ={})
    task = asyncio.create_task(serve(app))
    port = configured.web.port
    try:
        found = Hooked(tg, app, port, configured.channels.telegram.webhook_url)
        await tg.until(lambda: found.state == "ok", timeout=10)
        async with asyncio.timeout(20):
            while True:
                with suppress(httpx.TransportError):
                    await found.post(b"", secret=None)
                    break
                await asyncio.sleep(0.02)
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await app.stop()


@pytest.fixture
async def tg() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram(local=True) as server:
        server.add_chat(ANN, first_name="Ann")
        yield server


@pytest.fixture
async def hooked(tmp_path: Path, tg: FakeTelegram) -> AsyncIterator[Hooked]:
    async with running(tg, settings(tmp_path, tg, free_port())) as found:
        yield found


# -- what is delivered ----------------------------------------------------------------------------------------


async def test_a_delivered_message_is_answered_and_nothing_is_polled(hooked: Hooked) -> None:
    tg = hooked.tg
    update = tg.user_says(ANN, "hello there")
    await tg.until(lambda: any("hello there" in text for text in tg.texts(ANN)), timeout=10)
    assert tg.confirmed == update and tg.pending == 0
    assert [(each.update_id, each.status) for each in tg.courier.tries] == [(update, 200)]
    assert tg.calls_of("getUpdates") == tg.calls_of("deleteWebhook") == []
    assert hooked.app.platforms.channels[0].channel.poll_age() is not None


async def test_the_server_is_told_where_with_the_secret_and_only_for_what_is_used(hooked: Hooked) -> None:
    (call,) = hooked.tg.calls_of("setWebhook")
    assert (call.params["url"], call.params["secret_token"]) == (hooked.url, SECRET)
    assert sorted(json.loads(call.params["allowed_updates"])) == WANTED
    assert int(call.params["max_connections"]) == 40
    assert "drop_pending_updates" not in call.params


async def test_what_waited_before_the_start_comes_in_order_and_once(tmp_path: Path, tg: FakeTelegram) -> None:
    ids = [tg.user_says(ANN, f"number {n}") for n in range(20)]
    async with running(tg, settings(tmp_path, tg, free_port())) as hooked:
        await tg.until(lambda: tg.pending == 0, timeout=10)
        stored = await hooked.rows("SELECT json_extract(body, '$.text') FROM inbox ORDER BY id")
        assert [text for (text,) in stored] == [f"number {n}" for n in range(20)]
        assert tg.confirmed == ids[-1]


async def test_what_cannot_be_stored_is_not_confirmed_and_comes_again(hooked: Hooked) -> None:
    tg = hooked.tg
    await hooked.run("CREATE TRIGGER full BEFORE INSERT ON inbox BEGIN SELECT RAISE(ABORT, 'no room'); END")
    tg.user_says(ANN, "do not lose me")
    await tg.until(lambda: len(tg.courier.tries) >= 2)
    assert {each.status for each in tg.courier.tries} == {503}
    assert (tg.confirmed, tg.pending) == (None, 1)
    assert hooked.state == "down"
    await hooked.run("DROP TRIGGER full")
    await tg.until(lambda: any("do not lose me" in text for text in tg.texts(ANN)), timeout=10)
    assert tg.pending == 0 and hooked.state == "ok"
    assert await hooked.rows("SELECT count(*) FROM inbox") == [(1,)]


async def test_an_answer_that_is_lost_makes_no_second_turn(hooked: Hooked) -> None:
    update = {"update_id": 5, "message": message("hello once")}
    for _ in range(3):
        assert await hooked.post(json.dumps(update).encode()) == 200
    await hooked.tg.until(lambda: hooked.tg.texts(ANN), timeout=10)
    assert await hooked.rows("SELECT count(*) FROM turn") == [(1,)]


def message(text: str) -> dict[str, Any]:
    person = {"id": ANN, "is_bot": False, "first_name": "Ann"}
    return {
        "message_id": 1,
        "from": person,
        "chat": {"id": ANN, "type": "private"},
        "date": 2_000_000_000,
        "text": text,
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[1]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"update_id":7}',
        b'{"update_id":8,"poll":{}}',
    ],
    ids=["empty", "text", "list", "null", "bytes", "deep", "bare", "unknown"],
)
async def test_what_cannot_be_read_is_put_aside_and_not_asked_for_again(hooked: Hooked, body: bytes) -> None:
    assert await hooked.post(body) == 200
    assert await hooked.post(body) == 200
    assert await hooked.rows("SELECT lane, state FROM inbox") == [("dead", "dead")]
    hooked.tg.user_says(ANN, "still there?")
    await hooked.tg.until(lambda: any("still there?" in text for text in hooked.tg.texts(ANN)), timeout=10)


# -- who else comes there (S34) -------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", SECRET.lower(), "é"])
async def test_nobody_comes_in_without_the_secret(hooked: Hooked, secret: str | None) -> None:
    headers = b"" if secret is None else f"{HEADER}: {secret}\r\n".encode("latin-1")
    update = json.dumps({"update_id": 5, "message": message("let me in")}).encode()
    status, _ = await raw(hooked.port, headers, b"Content-Length: %d\r\n" % len(update), update)
    assert status == 401
    assert await hooked.rows("SELECT count(*) FROM inbox") == [(0,)]


async def raw(
    port: int, headers: bytes, framing: bytes, *parts: bytes, method: bytes = b"POST"
) -> tuple[int, bool]:
    """(status, whether the connection was closed after the answer) of a request of which *parts* is all that comes."""

    def talk() -> tuple[int, bool]:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            with suppress(ConnectionError):  # who is refused may be cut off while still sending
                head = method + b" /hooks/one HTTP/1.1\r\nHost: bot.example.org\r\n"
                peer.sendall(head + headers + framing + b"\r\n" + b"".join(parts))
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += peer.recv(4096)
            peer.settimeout(1)
            try:
                closed = peer.recv(1) == b""
            except ConnectionError:
                closed = True
            except TimeoutError:
                closed = False
            return int(answer.split()[1]), closed

    return await asyncio.to_thread(talk)


OURS = f"{HEADER}: {SECRET}\r\n".encode()
WRONG = f"{HEADER}: wrong\r\n".encode()


@pytest.mark.parametrize("headers", [b"", WRONG], ids=["none", "wrong"])
@pytest.mark.parametrize(
    "framing, begin",
    [(b"Content-Length: 52428800\r\n", b""), (b"Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n")],
    ids=["length", "chunked"],
)
async def test_a_refused_body_is_not_waited_for(
    hooked: Hooked, headers: bytes, framing: bytes, begin: bytes
) -> None:
    assert await raw(hooked.port, headers, framing, begin) == (401, True)


@pytest.mark.parametrize("headers", [b"", WRONG], ids=["none", "wrong"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_fifty_megabytes_of_a_refused_sender_take_no_memory(
    hooked: Hooked, headers: bytes, chunked: bool
) -> None:
    piece = b"x" * 65536
    part = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: 52428800\r\n"

    def push() -> int:
        """How many bytes were taken from us."""
        sent = 0
        with socket.create_connection(("127.0.0.1", hooked.port), timeout=5) as peer, suppress(OSError):
            peer.sendall(b"POST /hooks/one HTTP/1.1\r\nHost: x\r\n" + headers + framing + b"\r\n")
            while sent < 52_428_800:
                peer.sendall(part)
                sent += len(piece)
        return sent

    await asyncio.to_thread(push)  # whatever is loaded at the first request
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        sent = await asyncio.to_thread(push)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 2_000_000
    assert sent < 52_428_800
    assert await hooked.rows("SELECT count(*) FROM inbox") == [(0,)]


async def test_even_with_the_secret_a_body_is_bounded_in_size_and_in_time(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await raw(hooked.port, OURS, b"Content-Length: 52428800\r\n"))[0] == 413
    chunk = b"%x\r\n%s\r\n" % (600_000, b"x" * 600_000)
    assert (await raw(hooked.port, OURS, b"Transfer-Encoding: chunked\r\n", chunk, chunk))[0] == 413
    monkeypatch.setattr(webhooks, "SLOWEST_BODY", 0.2)
    assert (await raw(hooked.port, OURS, b"Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n"))[0] == 408
    assert (await raw(hooked.port, OURS, b"", method=b"GET"))[0] == 405
    assert await hooked.rows("SELECT count(*) FROM inbox") == [(0,)]


async def test_the_secret_opens_nothing_else_and_the_api_is_as_closed_as_before(hooked: Hooked) -> None:
    for path in ("/v1/messages", "/v1/status", "/hooks/one/", "/hooks/on", "/hooks", "/HOOKS/ONE"):
        assert await hooked.post(b"{}", path=path) == 401
    bearer = {"authorization": "Bearer token-of-the-api"}
    assert await hooked.post(b"{}", secret=None, **bearer) == 401
    transport = httpx.AsyncHTTPTransport(uds=str(socket_path(hooked.app.settings.gateway.data_dir)))
    async with httpx.AsyncClient(transport=transport, base_url="http://parley") as local:
        assert (await local.get("/healthz")).status_code == 200
        assert (await local.post("/hooks/one", headers={HEADER: SECRET})).status_code == 404


async def test_neither_secret_nor_token_is_in_a_log_line(
    tmp_path: Path, tg: FakeTelegram, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = f"Bad Request: bad webhook: {SECRET} /bot{TOKEN}"
    tg.fault("setWebhook", "error", status=400, description=told)
    tg.fault("getWebhookInfo", "garbage")
    async with running(tg, settings(tmp_path, tg, free_port())) as hooked:
        await hooked.post(b"not JSON")
        await hooked.post(b"x", secret="wrong")
        await hooked.run(
            "CREATE TRIGGER full BEFORE INSERT ON inbox BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
        await hooked.post(b"{}")
        shown = (
            str(hooked.app.platforms.channels[0])
            + str(hooked.app.settings)
            + str(hooked.app.platforms.webhooks)
        )
    text = caplog.text + str([record.__dict__ for record in caplog.records]) + shown
    assert caplog.records
    assert SECRET not in text and TOKEN not in text


async def test_two_bots_have_a_path_and_a_secret_each(tmp_path: Path, tg: FakeTelegram) -> None:
    async with FakeTelegram("77:other-token", local=True, username="second_bot") as other:
        other.add_chat(ANN, first_name="Ann")
        port = free_port()
        second = {
            "token": other.token,
            "api_url": other.url,
            "webhook_url": f"http://127.0.0.1:{port}/hooks/two",
            "webhook_secret": "another-secret",
        }
        async with running(tg, settings(tmp_path, tg, port, accounts={"second": second})) as hooked:
            await tg.until(
                lambda: all(each.state == "ok" for each in hooked.app.platforms.channels), timeout=10
            )
            assert await hooked.post(b"{}", secret="another-secret") == 401
            assert await hooked.post(b"{}", path="/hooks/two") == 401
            tg.user_says(ANN, "to the first")
            other.user_says(ANN, "to the second")
            await tg.until(lambda: any("to the first" in text for text in tg.texts(ANN)), timeout=10)
            await tg.until(lambda: any("to the second" in text for text in other.texts(ANN)), timeout=10)
            accounts = await hooked.rows(
                "SELECT a.platform_id, i.state FROM inbox i JOIN account a ON a.id = i.account ORDER BY a.id"
            )
            assert sorted(accounts) == [("123456", "done"), ("77", "done")]


# -- the webhook stays as it should be ------------------------------------------------------------------------


class Bot:
    """A channel in webhook mode with nobody behind its web server; pauses are a thousand times shorter."""

    def __init__(self, tg: FakeTelegram, url: str = "https://bot.example.org/hook", **options: Any) -> None:
        self.tg, self.url = tg, url
        self.health: list[tuple[str, str | None]] = []
        self.pauses: list[float] = []
        self.taken: list[Any] = []
        self.channel = Telegram(
            token=tg.token, api_url=tg.url, webhook_url=url, webhook_secret=SECRET, clock=lambda: 1,
            on_health=lambda kind, text: self.health.append((kind, text)), sleep=self._sleep, **options,
        )  # fmt: skip
        self.task: asyncio.Task[None] | None = None

    @property
    def states(self) -> list[str]:
        return [state for state, _ in self.health]

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(seconds / 1000)

    async def accept(self, account: Account, events: Any) -> list[Any]:
        self.taken.extend(events)
        return []

    async def runs(self) -> None:
        number, name = await self.channel.start()
        account = Account(id=1, channel="telegram", platform_id=number, name=name)
        self.task = asyncio.create_task(self.channel.run(account, self.accept))

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self.channel.close()


@pytest.fixture
async def bot(tg: FakeTelegram) -> AsyncIterator[Bot]:
    made = Bot(tg)
    yield made
    await made.stop()


async def test_what_is_as_it_should_be_is_not_set_again(tg: FakeTelegram, bot: Bot) -> None:
    await bot.runs()
    await tg.until(lambda: len(tg.calls_of("getWebhookInfo")) > 5)
    assert len(tg.calls_of("setWebhook")) == 1
    assert bot.states == ["ok"]
    assert set(bot.pauses) == {60.0}


@pytest.mark.parametrize("method", ["deleteWebhook", "setWebhook"])
async def test_a_webhook_that_somebody_takes_away_is_a_conflict_and_is_set_again(
    tg: FakeTelegram, bot: Bot, method: str
) -> None:
    await bot.runs()
    await tg.until(lambda: bot.states == ["ok"])
    body = {"url": "https://elsewhere.example.org/"} if method == "setWebhook" else {}
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(f"{tg.url}/bot{TOKEN}/{method}", data=body)
    await tg.until(lambda: bot.states == ["ok", "conflict", "ok"])
    assert tg.world.webhook is not None and tg.world.webhook["url"] == bot.url
    assert tg.world.webhook["secret_token"] == SECRET


async def test_what_a_server_delivers_too_little_of_is_asked_for_anew(tg: FakeTelegram, bot: Bot) -> None:
    await bot.runs()
    await tg.until(lambda: bot.states == ["ok"])
    tg.world.allowed = frozenset({"message"})
    await tg.until(lambda: sorted(tg.world.allowed) == WANTED)
    assert bot.states == ["ok"]


async def test_a_gateway_that_the_server_cannot_reach_is_told_and_so_is_its_return(
    tg: FakeTelegram, bot: Bot
) -> None:
    tg.courier.reach = {"https://bot.example.org": "http://127.0.0.1:1"}
    await bot.runs()
    await tg.until(lambda: bot.states == ["ok"])
    tg.user_says(ANN, "hello?")
    await tg.until(lambda: "down" in bot.states)
    assert bot.health[-1][1] == "updates cannot be delivered: ClientConnectorError"
    await bot.channel.webhooks()[0].take(json.dumps({"update_id": 1, "message": message("hello?")}).encode())
    assert bot.states[-1] == "ok" and [event.text for event in bot.taken] == ["hello?"]


@pytest.mark.parametrize(
    "method, kind, details",
    [
        ("setWebhook", "status", {"status": 502}), ("setWebhook", "lost", {}), ("getWebhookInfo", "garbage", {}),
        ("setWebhook", "error", {"status": 400, "description": "Bad Request: bad webhook: wrong port"}),
    ],
)  # fmt: skip
async def test_a_server_that_fails_is_asked_again(
    tg: FakeTelegram, bot: Bot, method: str, kind: str, details: dict[str, Any]
) -> None:
    tg.fault(method, kind, times=3, **details)
    await bot.runs()
    await tg.until(lambda: bot.states == ["down", "ok"])
    assert tg.world.webhook is not None


async def test_flood_control_is_waited_out(tg: FakeTelegram, bot: Bot) -> None:
    tg.flood("setWebhook", retry_after=7)
    await bot.runs()
    await tg.until(lambda: bot.states == ["ok"])
    assert bot.pauses[0] == 7


async def test_a_refused_token_ends_it_after_three_calls(tg: FakeTelegram, bot: Bot) -> None:
    tg.fault("setWebhook", "error", status=401, description="Unauthorized", times=99)
    await bot.runs()
    assert bot.task is not None
    with pytest.raises(DeliveryError) as caught:
        await bot.task
    assert caught.value.kind == "auth" and bot.states == ["auth"]
    assert len(tg.calls_of("setWebhook")) == 3


async def test_before_the_channel_runs_and_after_it_updates_are_to_come_again(
    tg: FakeTelegram, bot: Bot
) -> None:
    (hook,) = bot.channel.webhooks()
    update = json.dumps({"update_id": 1, "message": message("hi")}).encode()
    with pytest.raises(DeliveryError):
        await hook.take(update)
    await bot.runs()
    await tg.until(lambda: bot.states == ["ok"])
    await hook.take(update)
    await bot.stop()
    with pytest.raises(DeliveryError):
        await hook.take(update)
    assert len(bot.taken) == 1


@pytest.mark.parametrize(
    "table, remedy",
    [
        ('webhook_secret = "two words"', "use up to 256 letters A-Z a-z, digits, '_' and '-'"),
        (f'webhook_secret = "{"x" * 257}"', "use up to 256 letters"),
        (
            'webhook_url = "https://bot.example.org/hook"',
            "set webhook_secret: anybody could write to it without",
        ),
        ('webhook_url = "https://bot.example.org/hook"\nwebhook_secret = "x"', "set port in [web]"),
    ],
)
def test_a_webhook_that_could_not_work_or_be_safe_is_refused_at_the_start(
    tmp_path: Path, table: str, remedy: str
) -> None:
    file = tmp_path / "parley.toml"
    file.write_text(f'[channels.telegram]\ntoken = "1:a"\n{table}\n')
    file.chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        load(file, environ={})
    assert remedy in str(caught.value) and "two words" not in str(caught.value)


def test_a_bot_that_polls_wants_no_path_and_a_webhook_needs_a_secret() -> None:
    assert Telegram(token=TOKEN, clock=lambda: 1).webhooks() == []
    with pytest.raises(ValueError, match="secret"):
        Telegram(token=TOKEN, webhook_url="https://bot.example.org/hook", clock=lambda: 1)


@pytest.mark.parametrize(
    "url, path",
    [
        ("https://bot.example.org", "/"), ("https://bot.example.org/a/b", "/a/b"),
        ("https://bot.example.org/a%20b?x=1", "/a b"),
    ],
)  # fmt: skip
def test_the_path_is_that_of_the_address(url: str, path: str) -> None:
    hooks = Telegram(token=TOKEN, webhook_url=url, webhook_secret=SECRET, clock=lambda: 1).webhooks()
    assert [hook.path for hook in hooks] == [path]


async def test_no_secret_at_all_opens_nothing() -> None:
    deliveries = Deliveries(secret="", answered=lambda: None)
    assert not deliveries.admits({})
    assert not deliveries.admits({HEADER.lower(): ""})
    assert Deliveries(secret="x", answered=lambda: None).admits({HEADER.lower(): "x"})
