"""A Discord server that behaves: HTTP API v10 and Gateway v10 on 127.0.0.1, in the test's process or its own.

In a test:    async with FakeDiscord() as server: ... server.api_url, server.gateway_url
On its own:   python -m tests.fakes.discord --port 8082 --token T --log FILE, steered by /control/...

discord.py is pointed at it with discord.http.Route.BASE = api_url and
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url).

Modelled, after the public documentation of API version 10:
* HTTP: who am I, DMs, channels, messages (content, nonce, replies, mentions, components, files, edits,
  deletion, history), reactions, typing, threads, bulk overwrite of commands, interactions with their callbacks and
  followups; JSON error codes with nested errors; message contents withheld without the intent.
* Gateway: HELLO, IDENTIFY, READY, GUILD_CREATE, heartbeats, RESUME with replay, opcodes 7 and 9, close codes,
  intents, shards, zlib-stream; sessions outlive connections, and what is said while a session is lost is in
  the history only.
* Limits: limits="documented" (5 in 5 seconds for messages and their edits in a channel, 50 a second in all, one
  IDENTIFY in 5 seconds, 120 sends a minute); 10,000 invalid requests in ten minutes ban the address.
Stricter than the live server: mentions in code notify, edits share the bucket of new messages, a nonce is looked
up over all channels, length is checked before blanks are trimmed, the application's id is not the bot's.
* Attachments with addresses that are signed and expire; people's voice messages and forwards.
Not modelled: voice, Components V2, the bot's forwards, polls, stickers, forums, permissions by role, group DMs with
the bot, etf and zstd, ordinary webhooks, autocomplete by people, pins.
"""

import argparse
import asyncio
import base64
import binascii
import dataclasses
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Self

from aiohttp import web

from tests.fakes.discord_gateway import Gateway
from tests.fakes.discord_limits import Limited, Limits
from tests.fakes.discord_people import People
from tests.fakes.discord_rest import NAMES, Request, Route, Upload, found
from tests.fakes.discord_rules import Json, Refusal, invalid
from tests.fakes.discord_world import Channel, Interaction, Message, World
from tests.fakes.telegram_files import picture

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.Gfake0.the-fake-token-of-the-tests"  # begins with the bot's id in base64
BODY_LIMIT = 100 * 1024 * 1024  # bytes
HTML_BODY = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body>\r\n</html>\r\n"
)
DOWNLOAD = "download"
FAULTS = frozenset({"status", "error", "drop", "lost", "hang", "delay", "garbage", "flood"})


@dataclass(slots=True)
class Call:
    """One request as it arrived: `at` in seconds of the server's clock, `status` 0 if not answered."""

    method: str
    params: dict[str, Any]
    at: float
    status: int = 0
    fault: str | None = None
    result: Any = None

    @property
    def channel_id(self) -> int | None:
        raw = str(self.params.get("channel_id", ""))
        return int(raw) if raw.isdigit() else None


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` requests of a route to a channel, after `skip` good ones.

    The method "*" is any, the channel None too. Kinds: status: a 5xx with an HTML page; error: a JSON refusal
    with `status`, `code` and `message`; drop: cut before the body is read; lost: done, then cut; hang: never
    answered; delay: done, answered `seconds` later; garbage: 200 and half a JSON document; flood: 429 with
    `retry_after` seconds and `scope` user, global or shared. `applied`: it takes effect all the same.
    """

    method: str
    kind: str
    channel_id: int | None = None
    times: int = 1
    skip: int = 0
    status: int = 502
    code: int = 0
    message: str = ""
    seconds: float = 0.0
    retry_after: float = 1.0
    scope: str = "user"
    applied: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FAULTS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(sorted(FAULTS))}")
        if self.method not in ("*", DOWNLOAD) and self.method not in NAMES:
            raise ValueError(f"no method {self.method!r}; there are {', '.join(sorted(NAMES))}")
        self.applied = self.applied or self.kind in ("lost", "delay")

    def strikes(self, method: str, channel_id: int | None) -> bool:
        """Whether it is this request's turn; counts it down."""
        if self.times <= 0 or self.method not in ("*", method):
            return False
        if self.channel_id is not None and self.channel_id != channel_id:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class FakeDiscord(People):
    """The server, its state and the people on it."""

    def __init__(
        self,
        token: str = TOKEN,
        *,
        port: int = 0,
        username: str = "parley_test_bot",
        privileged: Iterable[str] = ("message_content",),
        limits: str = "off",
        reply_delay: float = 0.0,
        heartbeat_interval: float = 41.25,
        clock: Callable[[], float] = time.monotonic,
        log: IO[str] | None = None,
    ) -> None:
        self.token = token
        self.port = port
        self.reply_delay = reply_delay
        self.calls: list[Call] = []
        self.counts: Counter[str] = Counter()
        self.errors: list[Exception] = []
        self.faults: list[Fault] = []
        self.limits = Limits(clock)
        self.gateway = Gateway(token, clock, self._happened)
        self.gateway.heartbeat_interval = heartbeat_interval
        bot_id = _bot_id(token)
        self.world = World(
            bot_id=bot_id, application_id=bot_id + 1, username=username, privileged=set(privileged), clock=clock,
            emit=self.gateway.dispatch,
        )  # fmt: skip
        self.gateway.world = self.world
        self._log = log
        self._closing = asyncio.Event()
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None
        self._options(limits=limits)

    # --- running -------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await self.close()
        if self.errors and kind is None:
            raise self.errors[0]

    async def start(self) -> None:
        self._closing.clear()
        self._server = web.Server(self._answer, request_factory=_request, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.world.cdn.root, self.world.gateway_url = self.url, self.gateway_url

    async def close(self) -> None:
        """Stops listening and cuts every connection; the state stays, `start` opens the same port again."""
        self._closing.set()
        if self._runner is None or self._server is None:
            return
        self.gateway.drop()
        for connection in self._server.connections:
            connection.force_close()
        await self._runner.cleanup()
        self._runner = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """For discord.http.Route.BASE."""
        return f"{self.url}/api/v10"

    @property
    def gateway_url(self) -> str:
        """For discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def bot_id(self) -> int:
        return self.world.bot.id

    @property
    def application_id(self) -> int:
        return self.world.application_id

    async def until(self, condition: Callable[[], Any], timeout: float = 5.0) -> None:
        """Waits, in seconds, for *condition*. Raises TimeoutError with the last calls."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                last = [(call.method, call.status, call.fault) for call in self.calls[-8:]]
                raise TimeoutError(f"not within {timeout} s; last calls: {last}")
            await asyncio.sleep(0.005)

    # --- what happened -------------------------------------------------------------------------------

    def calls_of(self, method: str, channel_id: int | None = None) -> list[Call]:
        """The requests of one route, to one channel if given."""
        return [
            call for call in self.calls if call.method == method and channel_id in (None, call.channel_id)
        ]

    def _happened(self, method: str, params: Json) -> None:
        """Something a client did on the gateway."""
        self._record(Call(method, params, self.world.clock()))

    def _record(self, call: Call) -> None:
        self.calls.append(call)
        self.counts[call.method] += 1
        if self._log is not None:
            line = {"at": time.time(), "method": call.method, "params": call.params}
            self._log.write(json.dumps(line, default=repr) + "\n")
            self._log.flush()

    # --- faults --------------------------------------------------------------------------------------

    def fault(self, method: str, kind: str, **details: Any) -> Fault:
        """Scripts a `Fault`; several are taken in the order they were given."""
        fault = Fault(method, kind, **details)
        self.faults.append(fault)
        return fault

    def flood(
        self, method: str, channel_id: int | None = None, *, times: int = 1, retry_after: float = 1.0,
        scope: str = "user",
    ) -> Fault:  # fmt: skip
        """The next *times* requests get 429 with *retry_after* seconds."""
        return self.fault(
            method, "flood", channel_id=channel_id, times=times, retry_after=retry_after, scope=scope
        )

    def heal(self) -> None:
        """No more faults."""
        self.faults.clear()

    def ban(self, seconds: float = 600.0) -> None:
        """Cloudflare keeps the address out: 429 with HTML, for every request."""
        self.limits.banned_until = self.limits.clock() + seconds

    def _struck(self, method: str, ids: dict[str, str]) -> Fault | None:
        """The fault of this request; an interaction's requests go to its channel."""
        made = self.world.tokens.get(ids.get("token", ""))
        raw = ids.get("channel_id", "")
        channel_id = made.channel_id if made else int(raw) if raw.isdigit() else None
        return next((fault for fault in self.faults if fault.strikes(method, channel_id)), None)

    # --- the wire ------------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self.gateway.serve(request)
            if path.startswith("/control/"):
                return await self._control(request, path.removeprefix("/control/"))
            if path.startswith("/attachments/"):
                return self._file(request, path)
            return await self._api(request, path)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # a defect of the fake itself must fail the test that met it
            self.errors.append(error)
            raise

    async def _api(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if self.limits.banned:
            self._record(Call("banned", {"path": path}, self.world.clock(), 429))
            page = HTML_BODY.format("error code: 1015")
            return web.Response(
                status=429, text=page, content_type="text/html", headers={"Retry-After": "600"}
            )
        try:
            if not path.startswith("/api/v10/"):
                raise Refusal(404, 0, "404: Not Found")
            place = found(request.method, path.removeprefix("/api/v10"))
            if place is None:
                raise Refusal(404, 0, "404: Not Found")
        except Refusal as refusal:
            self._record(Call(f"{request.method} {path}", {}, self.world.clock(), refusal.status))
            return self._refused(refusal)
        route, ids = place
        if not route.open and request.headers.get("Authorization") != f"Bot {self.token}":
            self._record(Call(route.name, dict(ids), self.world.clock(), 401))
            return self._refused(Refusal(401, 0, "401: Unauthorized"))
        return await self._method(request, route, ids)

    async def _method(
        self, request: web.BaseRequest, route: Route, ids: dict[str, str]
    ) -> web.StreamResponse:
        fault = self._struck(route.name, ids)
        if fault is not None and fault.kind == "drop":
            self._record(Call(route.name, dict(ids), self.world.clock(), fault=fault.kind))
            return _cut(request)
        call = Call(route.name, dict(ids), self.world.clock())
        try:
            wanted = await _read(request, ids)
        except Refusal as refusal:
            call.status = refusal.status
            self._record(call)
            return self._refused(refusal)
        call.params |= wanted.query | (wanted.body if isinstance(wanted.body, dict) else {})
        if isinstance(wanted.body, list):
            call.params["body"] = wanted.body
        if wanted.files:
            call.params["files"] = [upload.name for upload in wanted.files.values()]
        self._record(call)
        if fault is None:
            return await self._perform(call, route, wanted)
        call.fault = fault.kind
        return await self._spoil(request, call, route, wanted, fault)

    async def _perform(self, call: Call, route: Route, wanted: Request) -> web.Response:
        """Takes effect at once and answers after the reply delay."""
        headers: dict[str, str] = {}
        place = wanted.path.get("channel_id") or wanted.path.get("token") or wanted.path.get("guild_id") or ""
        try:
            headers = self.limits.admit(route.name, place, open=route.open)
            call.status, call.result = route.handle(self.world, wanted)
            response = _json(call.result, call.status, headers)
        except Refusal as refusal:
            call.status = refusal.status
            response = self._refused(refusal, headers)
        if self.reply_delay:
            await asyncio.sleep(self.reply_delay)
        return response

    async def _spoil(
        self, request: web.BaseRequest, call: Call, route: Route, wanted: Request, fault: Fault
    ) -> web.StreamResponse:
        """Answers as the fault says, after the effect if it is applied."""
        response = await self._perform(call, route, wanted) if fault.applied else None
        match fault.kind:
            case "status":
                call.status = fault.status
                reason = f"{fault.status} {HTTPStatus(fault.status).phrase}"
                return web.Response(
                    status=fault.status, text=HTML_BODY.format(reason), content_type="text/html"
                )
            case "error":
                call.status = fault.status
                return self._refused(Refusal(fault.status, fault.code, fault.message))
            case "flood":
                call.status = 429
                place = "global" if fault.scope == "global" else wanted.path.get("channel_id", "")
                self.limits.announce(place, fault.retry_after)
                return self._refused(Limited(fault.retry_after, fault.scope))
            case "garbage":
                call.status = 200
                return web.Response(body=b'{"id":"12","cont', content_type="application/json")
            case "hang" | "delay":
                await self._gone(request, 3600.0 if fault.kind == "hang" else fault.seconds)
                return response or _cut(request)
            case _:
                call.status = 0
                return _cut(request)

    async def _gone(self, request: web.BaseRequest, seconds: float) -> None:
        """Until the seconds are over, the client has hung up, or the server closes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._closing.is_set() and _alive(request):
            await asyncio.sleep(min(left, 0.05))

    def _refused(self, refusal: Refusal, headers: dict[str, str] | None = None) -> web.Response:
        shown = dict(headers or {})
        if isinstance(refusal, Limited):
            shown |= refusal.headers
        self.limits.answered(
            refusal.status, shared=isinstance(refusal, Limited) and refusal.scope == "shared"
        )
        return _json(refusal.body, refusal.status, shown)

    def _file(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """A download; its faults go by the method download, which is no route of the API."""
        call = Call(DOWNLOAD, {"path": path}, self.world.clock())
        self._record(call)
        fault = self._struck(DOWNLOAD, {})
        if fault is not None:
            call.fault, call.status = fault.kind, fault.status
            return _cut(request) if fault.kind == "drop" else web.Response(status=fault.status)
        number = path.split("/")[3]
        kept = self.world.files.get(int(number) if number.isdigit() else 0)
        if kept is None or not self.world.cdn.admits(path, request.query):
            call.status = 404
            return web.Response(status=404, text="This content is no longer available.")
        call.status = 200
        return web.Response(body=kept[1], content_type="application/octet-stream")

    # --- control: the same over HTTP ---------------------------------------------------------------------

    async def _control(self, request: web.BaseRequest, what: str) -> web.Response:
        """GET state and calls?since=N; POST the actions below.

        A POST body is the keyword arguments of the action's method, or a list of such: {"result": ...} or
        {"results": [...]}.
        """
        if request.method == "GET":
            return self._report(what, request.query.get("since", "0"))
        act: dict[str, Callable[..., Any]] = {
            "photo": lambda **facts: self.user_says(attachments=[("photo.png", picture())], **facts),
            "say": self.user_says, "edit": self.user_edits, "delete": self.user_deletes, "react": self.user_reacts,
            "type": self.user_types, "command": self.user_commands, "press": self.user_presses,
            "submit": self.user_submits, "unfurl": self.unfurl, "user": self.add_user, "guild": self.add_guild,
            "channel": self.add_channel, "role": self.add_role, "thread": self.add_thread, "dm": self.dm,
            "private": lambda user_ids: self.add_private(*user_ids), "archive": self.archive,
            "deny": lambda channel_id, permissions: self.deny(channel_id, *permissions),
            "delete_channel": self.delete_channel, "block": self.block, "unblock": self.unblock, "kick": self.kick,
            "invite": self.invite, "outage": self.guild_outage, "push": self.gateway.push, "ban": self.ban,
            "fault": lambda **facts: self.fault(**facts) and True,
            "flood": lambda **facts: self.flood(**facts) and True, "heal": self.heal, "options": self._options,
            "drop": self.gateway.drop, "close": self.gateway.close, "reconnect": self.gateway.reconnect,
            "invalidate": self.gateway.invalidate, "forget": self.gateway.forget, "mute": self.gateway.mute,
        }  # fmt: skip
        if what not in act:
            return _json({"error": f"no control {what!r}; there are {', '.join(act)}"}, 404)
        try:
            body = json.loads(await request.read() or b"{}")
            many = body if isinstance(body, list) else [body]
            results = [act[what](**each) for each in many]
        except (ValueError, TypeError, LookupError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)
        return _json({"results": results} if isinstance(body, list) else {"result": results[0]})

    def _report(self, what: str, since: str) -> web.Response:
        if what == "state":
            return _json(self.state())
        if what == "calls":
            return _json([dataclasses.asdict(call) for call in self.calls[int(since) :]])
        return _json({"error": f"no report {what!r}; there are state, calls"}, 404)

    def _options(self, **options: Any) -> None:
        """reply_delay, heartbeat_interval, resume_window, nonce_window, answer_window, token_life in seconds;
        limits off or documented; zombie, down; privileged, a list; invalid_limit, a number.
        """
        for name, value in options.items():
            if name == "reply_delay":
                self.reply_delay = float(value)
            elif name in ("nonce_window", "answer_window", "token_life"):
                setattr(self.world, name, float(value))
            elif name in ("heartbeat_interval", "resume_window"):
                setattr(self.gateway, name, float(value))
            elif name in ("zombie", "down"):
                setattr(self.gateway, name, bool(value))
            elif name == "limits" and value in ("off", "documented"):
                self.limits.on = self.gateway.limited = value == "documented"
            elif name == "privileged":
                self.world.privileged = set(value)
            elif name == "invalid_limit":
                self.limits.invalid_limit = (int(value), self.limits.invalid_limit[1])
            else:
                raise ValueError(f"no option {name}={value!r}")

    def state(self) -> Json:
        """All of it as JSON: channels with every message and its history, interactions, gateway, counts."""
        return {
            "channels": {str(each.id): self._channel_state(each) for each in self.world.channels.values()},
            "interactions": [_interaction(each) for each in self.world.interactions.values()],
            "commands": self.commands, "command_puts": self.world.command_puts, "pings": self.pings,
            "gateway": self.gateway.state(), "counts": dict(self.counts), "invalid": self.limits.invalid,
            "refused": self.limits.refused, "early": self.limits.early, "bot_id": self.bot_id,
            "faults": [dataclasses.asdict(each) for each in self.faults if each.times > 0],
            "errors": [repr(error) for error in self.errors],
        }  # fmt: skip

    def _channel_state(self, channel: Channel) -> Json:
        every = [(each.author.id == self.bot_id, _plain(each)) for each in channel.messages.values()]
        return {
            "type": channel.type, "guild_id": channel.guild_id, "name": channel.name, "parent_id": channel.parent_id,
            "recipients": channel.recipients, "messages": [shown for mine, shown in every if mine],
            "said": [shown for mine, shown in every if not mine], "typing": len(channel.typing),
        }  # fmt: skip


def _plain(message: Message) -> Json:
    names = (
        "id", "content", "history", "edits", "deleted", "type", "flags", "nonce", "components", "reactions", "links",
        "reference", "ephemeral_to", "thread_id", "attachments", "embeds", "at", "date", "edit_times", "extra",
    )  # fmt: skip
    shown = {name: getattr(message, name) for name in names}
    made = message.interaction
    shown["interaction"] = made.id if made else None
    return shown | {"author": message.author.id, "pings": dataclasses.asdict(message.pings)}


def _interaction(made: Interaction) -> Json:
    names = ("id", "kind", "name", "channel_id", "data", "owners", "source", "answer", "answer_ms", "original",
             "followups", "refused")  # fmt: skip
    return {name: getattr(made, name) for name in names} | {"user": made.user.id}


def _bot_id(token: str) -> int:
    """The id a bot's token begins with, in base64."""
    first = token.partition(".")[0]
    try:
        return int(base64.b64decode(first + "=" * (-len(first) % 4)))
    except (ValueError, binascii.Error):
        return 123456789012345678


# --- HTTP ---------------------------------------------------------------------------------------------


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)


async def _read(request: web.BaseRequest, ids: dict[str, str]) -> Request:
    """A request with its JSON body and its files. Raises Refusal for a body that cannot be read."""
    wanted = Request(ids, dict(request.query))
    if not request.body_exists:
        return wanted
    if request.content_type.startswith("multipart/"):
        form = await request.post()
        for name, part in form.items():
            if isinstance(part, web.FileField):
                wanted.files[name] = Upload(part.filename, part.file.read(), part.content_type)
                part.file.close()
        payload = form.get("payload_json", "{}")  # a part with a media type of its own comes as bytes
        wanted.body = _parsed(payload.encode() if isinstance(payload, str) else bytes(payload))
        return wanted
    body = await request.read()
    if body and request.content_type != "application/json":
        message = 'Expected "Content-Type" header to be one of {"application/json"}.'
        raise invalid("", "CONTENT_TYPE_INVALID", message)
    wanted.body = _parsed(body) if body else None
    return wanted


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Refusal(400, 50109, "The request body contains invalid JSON.") from None


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Content-Type is exactly application/json, and Via is there, as discord.py wants both."""
    shown = {"Via": "1.1 google", **(headers or {})}
    if status == 204:
        return web.Response(status=204, headers=shown)
    content = json.dumps(body, separators=(",", ":"), default=repr).encode()
    return web.Response(body=content, status=status, content_type="application/json", headers=shown)


def _alive(request: web.BaseRequest) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _cut(request: web.BaseRequest) -> web.Response:
    """Ends the connection without a byte of answer; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


# --- a process of its own -----------------------------------------------------------------------------


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    with Path(options.log or os.devnull).open("a", encoding="utf-8") as log:
        server = FakeDiscord(
            options.token, port=options.port, limits=options.limits, reply_delay=options.reply_delay,
            heartbeat_interval=options.heartbeat_interval, log=log if options.log else None,
        )  # fmt: skip
        async with server:
            told = {
                "url": server.url, "port": server.port, "api_url": server.api_url, "gateway_url": server.gateway_url,
                "bot_id": server.bot_id, "application_id": server.application_id,
            }  # fmt: skip
            print(json.dumps(told), flush=True)
            await stop.wait()


def main(arguments: Iterable[str]) -> None:
    """Serves until SIGTERM; the first line on stdout is JSON with url, port, api_url and gateway_url."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.discord", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--log", help="file for one JSON line per call")
    parser.add_argument("--limits", choices=("off", "documented"), default="off")
    parser.add_argument("--reply-delay", type=float, default=0.0, help="seconds")
    parser.add_argument("--heartbeat-interval", type=float, default=41.25, help="seconds")
    asyncio.run(_serve(parser.parse_args(list(arguments))))


__all__ = ["TOKEN", "Call", "FakeDiscord", "Fault", "Message"]

if __name__ == "__main__":
    main(sys.argv[1:])
