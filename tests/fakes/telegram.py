"""A Telegram Bot API server that behaves: real HTTP on 127.0.0.1, in the test's process or in its own.

In a test:    async with FakeTelegram() as tg: ... tg.url is the root, as https://api.telegram.org
On its own:   python -m tests.fakes.telegram --port 8081 --token 1:T --log FILE, steered by /control/...

Modelled, after the public documentation of Bot API 10.x:
* Requests: GET and POST, query string, form, JSON and multipart; method names in any case; {"ok": ...}
  answers with the matching HTTP status; 401 for a wrong token, 404 for an unknown method;
  /file/bot<token>/<path>.
* getUpdates: an offset above an update confirms it for ever, negative offsets, limit, long polling,
  allowed_updates (kept between calls, applied to later updates), 409 for the older of two pollers and while
  a webhook is set.
* Text: required, 4,096 UTF-16 units after parsing, trimmed, control characters gone; entities checked for
  range, surrogate pairs, nesting and links, the first 100 kept; HTML, MarkdownV2 and Markdown. Markup is
  parsed before the chat is looked up.
* Messages: replies, topics, inline keyboards, edits ("message is not modified", "message to edit not found"),
  deletion, reactions, chat actions, drafts, photos, documents, commands; ids per supergroup; blocked, kicked and
  migrated chats.
* setWebhook, getWebhookInfo, deleteWebhook, and delivery: POSTs with the secret in a header, each chat's updates
  in order, again and again until they are answered with 2xx. `tg.courier.reach` says where a public address is.
* Groups: members and their rights, joining and leaving, moving to a supergroup, topics that are closed.
* Floods: limits="documented" (1 a second in a chat with a burst of 3, 20 a minute in a group, 30 a second
  overall; edits count, which the documentation leaves open: `tg.world.limited`); calls under a penalty are
  counted and lengthen it.
Stricter than the live server: partly overlapping or wrongly nested entities, empty ones and unknown types are
refused, where the live one repairs them. Not modelled: methods called in the answer to a webhook, inline mode,
rich messages, links the server finds in bots' texts, updates dropped after 24 hours (`tg.forget_updates()` does
that on demand), file and keyboard size limits.
"""

import argparse
import asyncio
import dataclasses
import itertools
import json
import os
import re
import signal
import sys
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from tests.fakes.telegram_chat import (
    BY_LOWER,
    FIRST_UPDATE,
    KINDS,
    ON_REQUEST,
    Chat,
    Message,
    Params,
    Upload,
    World,
    too_many,
    world_file,
)
from tests.fakes.telegram_files import Sharing, check_photo
from tests.fakes.telegram_hook import Courier
from tests.fakes.telegram_text import Entity, Refusal, units

TOKEN = "123456:TEST-fake-token-of-the-tests"
BODY_LIMIT = 51 * 1024 * 1024  # bytes; 50 MB for a file (Bot API, sendDocument), and something around it
DOWNLOAD = "downloadFile"
HTML_BODY = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body>\r\n</html>\r\n"
)
REASONS = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
# Bot API, ChatMemberBanned and ChatMemberAdministrator: what they have besides a user and a status.
MEMBER_FACTS: dict[str, dict[str, Any]] = {
    "kicked": {"until_date": 0},
    "administrator": dict.fromkeys(
        (
            "can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats",
            "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users",
            "can_post_stories", "can_edit_stories", "can_delete_stories",
        ),
        False,
    ),
}  # fmt: skip
FAULTS = frozenset({"status", "error", "drop", "lost", "hang", "delay", "garbage", "flood"})
_PATH = re.compile(r"/bot([^/]+)/([A-Za-z]+)/?")
_FILE = re.compile(r"/file/bot([^/]+)/files/([^/]+)/[^/]*")


@dataclass(slots=True)
class Call:
    """One call as it arrived: `at` in seconds of the server's clock, `status` 0 if not answered."""

    method: str
    params: dict[str, Any]
    at: float
    status: int = 0
    fault: str | None = None
    result: Any = None

    @property
    def chat_id(self) -> int | None:
        raw = str(self.params.get("chat_id", ""))
        return int(raw) if re.fullmatch(r"-?\d+", raw) else None


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` calls of a method to a chat, after `skip` good ones.

    The method "*" is any, the chat None too. Kinds: status: a 5xx with an HTML page; error: a JSON refusal;
    drop: cut before the body is read; lost: done, then cut; hang: never answered; delay: done, answered
    `seconds` later; garbage: 200 and half a JSON document; flood: 429 with `retry_after` seconds.
    `applied` says whether the call takes effect all the same.
    """

    method: str
    kind: str
    chat_id: int | None = None
    times: int = 1
    skip: int = 0
    status: int = 502
    description: str = ""
    parameters: dict[str, Any] | None = None
    seconds: float = 0.0
    retry_after: int = 1
    applied: bool = False

    def __post_init__(self) -> None:
        if self.kind not in FAULTS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(sorted(FAULTS))}")
        if self.method != "*" and self.method.lower() not in BY_LOWER and self.method != DOWNLOAD:
            raise ValueError(f"no method {self.method!r}")
        self.applied = self.applied or self.kind in ("lost", "delay")

    def strikes(self, method: str, chat_id: int | None) -> bool:
        """Whether it is this call's turn; counts it down."""
        if self.times <= 0 or (self.method != "*" and self.method.lower() != method.lower()):
            return False
        if self.chat_id is not None and self.chat_id != chat_id:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class FakeTelegram(Sharing):
    """The server, its state and the people who write to the bot."""

    def __init__(
        self,
        token: str = TOKEN,
        *,
        port: int = 0,
        username: str = "parley_test_bot",
        first_update_id: int = FIRST_UPDATE,
        limits: str = "off",
        reply_delay: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        log: IO[str] | None = None,
        local: bool = False,
        sparse: bool = False,
    ) -> None:
        self.token = token
        self.sparse = sparse  # as simple emulators are: it never waits, and says no more than it must
        self.port = port
        self.reply_delay = reply_delay
        self.calls: list[Call] = []
        self.counts: Counter[str] = Counter()
        self.errors: list[Exception] = []
        self.faults: list[Fault] = []
        self.waiting = 0  # long polls under way
        self.world = World(
            bot_id=int(token.split(":")[0]),
            username=username,
            first_update_id=first_update_id,
            limits=limits,
            clock=clock,
        )
        self.world.local = local
        self.world.check_photo = check_photo
        self.courier = Courier(self.world)
        self._log = log
        self._announced: dict[int, float] = {}
        self._callback_ids = itertools.count(1)
        self._poll = 0
        self._pushed = asyncio.Event()
        self._closing = asyncio.Event()
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None

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
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        self.courier.start()

    async def close(self) -> None:
        """Stops listening and cuts every connection; the state stays, `start` opens the same port again."""
        self._closing.set()
        self._pushed.set()
        await self.courier.close()
        if self._runner is None or self._server is None:
            return
        for connection in self._server.connections:
            connection.force_close()
        await self._runner.cleanup()
        self._runner = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def until(self, condition: Callable[[], Any], timeout: float = 5.0) -> None:
        """Waits, in seconds, for *condition*. Raises TimeoutError with the last calls."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                last = [(call.method, call.status, call.fault) for call in self.calls[-8:]]
                raise TimeoutError(f"not within {timeout} s; last calls: {last}")
            await asyncio.sleep(0.005)

    # --- what happened -------------------------------------------------------------------------------

    def messages(self, chat_id: int) -> list[Message]:
        """The bot's messages there, deleted ones left out, oldest first."""
        return [message for message in self.everything(chat_id) if message.by_bot and not message.deleted]

    def texts(self, chat_id: int) -> list[str | None]:
        """The current texts of `messages`."""
        return [message.text for message in self.messages(chat_id)]

    def everything(self, chat_id: int) -> list[Message]:
        """All messages of a chat, people's and deleted ones too."""
        chat = self.world.chats.get(chat_id)
        return list(chat.messages.values()) if chat else []

    def calls_of(self, method: str, chat_id: int | None = None) -> list[Call]:
        """The calls of one method, of one chat if given."""
        return [
            call for call in self.calls if call.method == method and chat_id in (None, call.chat_id)
        ]  # fmt: skip

    def typing(self, chat_id: int) -> list[float]:
        """When the bot was shown as typing there: arrival times on the server's clock."""
        chat = self.world.chats.get(chat_id)
        return [at for at, action, _ in chat.actions if action == "typing"] if chat else []

    def drafts(self, chat_id: int) -> list[tuple[int, str]]:
        """(draft id, text) of every sendMessageDraft."""
        chat = self.world.chats.get(chat_id)
        return list(chat.drafts) if chat else []

    @property
    def confirmed(self) -> int | None:
        """The highest update id confirmed by an offset, None before the first."""
        return self.world.confirmed

    @property
    def pending(self) -> int:
        """Updates not yet confirmed."""
        return len(self.world.pending)

    @property
    def penalty_calls(self) -> int:
        """Calls to a chat made before the announced retry_after had passed."""
        return sum(self.world.floods.penalty_calls.values())

    @property
    def updates(self) -> dict[int, Any]:
        """Every update pushed, by id."""
        return self.world.updates

    @property
    def commands(self) -> dict[str, list[dict[str, str]]]:
        """setMyCommands' lists, by JSON of [scope, language]."""
        return self.world.commands

    # --- people --------------------------------------------------------------------------------------

    def add_chat(self, chat_id: int, chat_type: str = "private", **facts: Any) -> Chat:
        """A chat the bot may write to; facts: title, username, first_name, is_forum, threads."""
        return self.world.add_chat(chat_id, chat_type, **facts)

    def add_thread(self, chat_id: int, thread_id: int) -> None:
        self.world.chats[chat_id].threads.add(thread_id)

    def block(self, chat_id: int) -> None:
        """The person blocks the bot, or the group throws it out: sends get 403."""
        reason = {"private": "bot was blocked by the user"}
        kind = self.world.chats[chat_id].type
        self.world.chats[chat_id].blocked = reason.get(kind, f"bot was kicked from the {kind} chat")

    def unblock(self, chat_id: int) -> None:
        self.world.chats[chat_id].blocked = None

    def migrate(self, chat_id: int, new_id: int) -> None:
        """A group becomes a supergroup: the old id answers 400 with migrate_to_chat_id."""
        old = self.world.chats[chat_id]
        self.world.add_chat(new_id, "supergroup", title=old.title)
        old.migrated_to = new_id

    def announce_migration(self, chat_id: int, user_id: int) -> list[int | None]:
        """The two notices of a move that `migrate` has made, in the old chat and in the new one; their update ids."""
        old = self.world.chats[chat_id]
        assert old.migrated_to is not None
        new, person = self.world.chats[old.migrated_to], _person(user_id, "Ann", None)
        told: list[int | None] = []
        for chat, facts in (
            (old, {"migrate_to_chat_id": new.id}),
            (new, {"migrate_from_chat_id": old.id, "sender_chat": new.as_json()}),
        ):
            message = self.world.new_message(chat, by_bot=False, text=None, sender=person, extra=facts)
            told.append(self.push_raw({"message": self.world.shown(message)}))
        return told

    def membership(self, chat_id: int, status: str, user_id: int | None = None) -> int | None:
        """The bot is made something in a chat (member, administrator, left, kicked); the update's id."""
        chat = self.world.chats[chat_id]
        if status in ("left", "kicked"):
            self.block(chat_id)
        else:
            self.unblock(chat_id)
        by = _person(user_id if user_id is not None else abs(chat_id), "Ann", None)
        change = {
            "chat": chat.as_json(),
            "from": by,
            "date": int(time.time()),
            "old_chat_member": {"user": self.world.bot, "status": "member"},
            "new_chat_member": {"user": self.world.bot, "status": status, **MEMBER_FACTS.get(status, {})},
        }
        return self.push_raw({"my_chat_member": change})

    def user_says(
        self,
        chat_id: int,
        text: str | None,
        user_id: int | None = None,
        username: str | None = None,
        first_name: str = "Ann",
        thread_id: int | None = None,
        chat_type: str = "private",
        reply_to: int | None = None,
        entities: list[Entity] | None = None,
        date: int | None = None,
        **extra: Any,
    ) -> int | None:
        """A person's message; its update id. *extra* is merged into the Message (photo=[...])."""
        chat = self.world.chats.get(chat_id)
        if chat is None:
            names = {"first_name": first_name, "username": username} if chat_type == "private" else {}
            chat = self.world.add_chat(chat_id, chat_type, **names)
        if thread_id is not None:
            chat.threads.add(thread_id)
            chat.is_forum = chat.type == "supergroup"
        message = self.world.new_message(
            chat,
            by_bot=False,
            text=text,
            entities=found_entities(text or "") if entities is None else entities,
            sender=_person(user_id if user_id is not None else abs(chat_id), first_name, username),
            thread_id=thread_id,
            reply_to=reply_to,
            extra=extra,
        )
        if date is not None:
            message.date = date
        return self.push_raw({"message": self.world.shown(message)})

    def message_id_of(self, update_id: int) -> int:
        """The id of the message an update is about."""
        update = self.world.updates[update_id]
        kind = next(kind for kind in update if kind != "update_id")
        body = update[kind]
        return int(body["message"]["message_id"] if kind == "callback_query" else body["message_id"])

    def user_edits(self, chat_id: int, message_id: int, text: str) -> int | None:
        """A person changes their own message; the update id of the edited_message."""
        message = self.world.chats[chat_id].messages[message_id]
        if message.by_bot:
            raise ValueError("a person cannot edit the bot's message")
        message.text, message.entities = text, found_entities(text)
        message.edits += 1
        message.history.append(text)
        message.edited_date = int(time.time())
        return self.push_raw({"edited_message": self.world.shown(message)})

    def user_presses(
        self,
        chat_id: int,
        message_id: int,
        callback_data: str,
        user_id: int | None = None,
        first_name: str = "Ann",
        *,
        forged: bool = False,
    ) -> int | None:
        """A person presses a button. Raises LookupError if none has that data, unless *forged*."""
        message = self.world.chats[chat_id].messages[message_id]
        rows = (message.reply_markup or {}).get("inline_keyboard", [])
        if not forged and callback_data not in [each.get("callback_data") for row in rows for each in row]:
            raise LookupError(f"message {message_id} has no button with {callback_data!r}")
        query = f"{self.world.bot['id']}{next(self._callback_ids):010d}"
        self.world.callbacks[query] = None
        return self.push_raw(
            {
                "callback_query": {
                    "id": query,
                    "from": _person(user_id if user_id is not None else abs(chat_id), first_name, None),
                    "message": self.world.shown(message),
                    "chat_instance": str(chat_id * 7919),
                    "data": callback_data,
                }
            }
        )

    def callback_answer(self, update_id: int) -> dict[str, Any] | None:
        """The parameters of answerCallbackQuery for that press; None while unanswered."""
        return self.world.callbacks[self.world.updates[update_id]["callback_query"]["id"]]

    def user_reacts(
        self, chat_id: int, message_id: int, emoji: str, user_id: int | None = None
    ) -> int | None:
        """A person reacts; None if the bot did not ask for message_reaction updates."""
        person = _person(user_id if user_id is not None else abs(chat_id), "Ann", None)
        chat = self.world.chats[chat_id].as_json()
        new = [{"type": "emoji", "emoji": emoji}]
        body = {"chat": chat, "message_id": message_id, "user": person, "date": int(time.time())}
        return self.push_raw({"message_reaction": body | {"old_reaction": [], "new_reaction": new}})

    def push_raw(self, update: Any) -> int | None:
        """Any JSON as an update, broken and unknown ones too; its id, the next if it has none."""
        update_id = self.world.push(update)
        self._pushed.set()
        self.courier.wake()
        return update_id

    def forget_updates(self) -> int:
        """What the platform does after 24 hours: unconfirmed updates are gone; how many."""
        lost = len(self.world.pending)
        self.world.pending.clear()
        return lost

    def restart_update_ids(self, next_id: int) -> None:
        """Ids begin anew at random after a week without updates (Bot API, Update)."""
        self.world.next_update_id = next_id

    def add_file(self, content: bytes, name: str = "file.bin") -> str:
        """A file a person sent; its file_id for getFile."""
        return world_file(self.world, name, content)

    # --- faults --------------------------------------------------------------------------------------

    def fault(self, method: str, kind: str, **details: Any) -> Fault:
        """Scripts a `Fault`; several are taken in the order they were given."""
        fault = Fault(method, kind, **details)
        self.faults.append(fault)
        return fault

    def flood(
        self, method: str, chat_id: int | None = None, *, times: int = 1, retry_after: int = 1
    ) -> Fault:
        """The next *times* calls get 429 with *retry_after* seconds."""
        return self.fault(method, "flood", chat_id=chat_id, times=times, retry_after=retry_after)

    def heal(self) -> None:
        """No more faults."""
        self.faults.clear()

    def _struck(self, method: str, chat_id: int | None, *, read: bool) -> Fault | None:
        """The fault of this call. Before the body is read only one without a chat can be chosen."""
        if not self.faults:
            return None
        for fault in self.faults:
            ripe = read if fault.chat_id is not None or fault.kind != "drop" else not read
            if ripe and fault.strikes(method, chat_id):
                return fault
        return None

    # --- the wire ------------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        try:
            if path.startswith("/bot") and (found := _PATH.fullmatch(path)):
                return await self._method(request, found[1], found[2])
            if found := _FILE.fullmatch(path):
                return await self._file(request, found[1], unquote(found[2]))
            if path.startswith("/control/"):
                return await self._control(request, path.removeprefix("/control/"))
            return _failed(Refusal(404, "Not Found"))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # a defect of the fake itself must fail the test that met it
            self.errors.append(error)
            raise

    async def _method(self, request: web.BaseRequest, token: str, name: str) -> web.StreamResponse:
        if token != self.token:
            return _failed(Refusal(401, "Unauthorized"))
        method = BY_LOWER.get(name.lower())
        if method is None:
            self._record(Call(name, {}, self.world.clock(), 404))
            return _failed(Refusal(404, "Not Found: method not found"))
        fault = self._struck(method, None, read=False)
        if fault is not None:
            self._record(Call(method, {}, self.world.clock(), fault=fault.kind))
            return _cut(request)
        try:
            params = Params(await _read(request))
        except (Refusal, web.HTTPRequestEntityTooLarge) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(413, "Request Entity Too Large")
            self._record(Call(method, {}, self.world.clock(), refusal.code))
            return _failed(refusal)
        call = Call(method, params.raw, self.world.clock())
        self._record(call)
        fault = self._struck(method, call.chat_id, read=True)
        if fault is None:
            return await self._perform(request, call, params)
        call.fault = fault.kind
        return await self._spoil(request, call, params, fault)

    async def _perform(self, request: web.BaseRequest, call: Call, params: Params) -> web.Response:
        """Takes effect at once and answers after the reply delay."""
        try:
            if call.method == "getUpdates":
                call.result = await self._get_updates(request, params)
            else:
                self._count_early(call)
                call.result = self.world.call(call.method, params)
                self.courier.wake()
                if self.sparse:
                    call.result = _sparse(call.method, call.result)
        except Refusal as refusal:
            call.status = refusal.code
            response = _failed(refusal)
        else:
            call.status = 200
            response = _answered({"ok": True, "result": call.result})
            if call.method == "getUpdates":
                call.result = len(call.result)
        if self.reply_delay:
            await asyncio.sleep(self.reply_delay)
        return response

    async def _spoil(
        self, request: web.BaseRequest, call: Call, params: Params, fault: Fault
    ) -> web.StreamResponse:
        """Answers as the fault says, after the effect if it is applied."""
        response = await self._perform(request, call, params) if fault.applied else None
        match fault.kind:
            case "status":
                call.status = fault.status
                reason = f"{fault.status} {HTTPStatus(fault.status).phrase}"
                return web.Response(
                    status=fault.status, text=HTML_BODY.format(reason), content_type="text/html"
                )
            case "error":
                call.status = fault.status
                return _failed(Refusal(fault.status, fault.description, **(fault.parameters or {})))
            case "flood":
                call.status = 429
                self._count_early(call)
                self._announced[call.chat_id or 0] = self.world.clock() + fault.retry_after
                return _failed(too_many(fault.retry_after))
            case "garbage":
                call.status = 200
                return web.Response(body=b'{"ok":true,"result":{"mess', content_type="application/json")
            case "hang":
                call.status = 0
                await self._gone(request, seconds=3600.0)
                return _cut(request)
            case "delay":
                await self._gone(request, fault.seconds)
                return response or _cut(request)
            case _:
                call.status = 0
                return _cut(request)

    def _count_early(self, call: Call) -> None:
        """A call to a chat before a scripted retry_after has passed counts as a penalty call."""
        if self._announced and call.method in self.world.limited:
            chat_id = call.chat_id or 0
            if self.world.clock() < self._announced.get(chat_id, 0.0):
                self.world.floods.penalty_calls[chat_id] += 1

    async def _gone(self, request: web.BaseRequest, seconds: float) -> None:
        """Until the seconds are over, the client has hung up, or the server closes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._closing.is_set() and _alive(request):
            await asyncio.sleep(min(left, 0.05))

    async def _get_updates(self, request: web.BaseRequest, params: Params) -> list[Any]:
        self._poll += 1
        mine = self._poll
        self._pushed.set()
        limit, timeout = self.world.poll_settings(params)
        deadline = time.monotonic() + (0 if self.sparse else timeout)
        self.waiting += 1
        try:
            while True:
                if mine != self._poll:
                    raise Refusal(
                        409,
                        "Conflict: terminated by other getUpdates request; "
                        "make sure that only one bot instance is running",
                    )
                batch = self.world.batch(limit)
                left = deadline - time.monotonic()
                if batch or left <= 0 or self._closing.is_set() or not _alive(request):
                    return batch
                await self._next_push(min(left, 0.25))
        finally:
            self.waiting -= 1

    async def _next_push(self, seconds: float) -> None:
        self._pushed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._pushed.wait()
        except TimeoutError:
            return

    async def _file(self, request: web.BaseRequest, token: str, file_id: str) -> web.StreamResponse:
        """A download; its faults go by the method downloadFile, which is none of the Bot API."""
        if token != self.token:
            return _failed(Refusal(401, "Unauthorized"))
        call = Call(DOWNLOAD, {"file_id": file_id}, self.world.clock())
        self._record(call)
        fault = self._struck(DOWNLOAD, None, read=True) or self._struck(DOWNLOAD, None, read=False)
        if fault is not None:
            call.fault = fault.kind
            return await self._spoil(request, call, Params({}), fault)
        if file_id not in self.world.files:
            call.status = 404
            return _failed(Refusal(404, "Not Found"))
        call.status = 200
        content = self.world.files[file_id][1]
        if self.world.told_size is None:
            return web.Response(body=content, content_type="application/octet-stream")
        answer = web.StreamResponse()  # one that has lied about the size does not say it here
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(content)
        return answer

    def _record(self, call: Call) -> None:
        self.calls.append(call)
        self.counts[call.method] += 1
        if self._log is not None:
            line = {"at": time.time(), "method": call.method, "params": call.params}
            self._log.write(json.dumps(line, default=repr) + "\n")
            self._log.flush()

    # --- control: the same over HTTP ---------------------------------------------------------------------

    async def _control(self, request: web.BaseRequest, what: str) -> web.Response:
        """GET state and calls?since=N; POST say, press, edit, react, push, fault, flood, heal, chat, ...

        A POST body is the keyword arguments of the action's method, or a list of such: {"result": ...} or
        {"results": [...]}.
        """
        if request.method == "GET":
            return self._report(what, request.query.get("since", "0"))
        actions: dict[str, Callable[..., Any]] = {
            "say": self.user_says,
            "document": lambda content="", base64="", **facts: self.user_sends_document(
                content=b64decode(base64) if base64 else content.encode(), **facts
            ),
            "photo": self.user_sends_photo,
            "press": self.user_presses,
            "edit": self.user_edits,
            "react": self.user_reacts,
            "push": lambda update: self.push_raw(update),
            "fault": lambda **facts: self.fault(**facts) and True,
            "flood": lambda **facts: self.flood(**facts) and True,
            "heal": self.heal,
            "chat": lambda **facts: self.add_chat(**facts) and True,
            "block": self.block,
            "unblock": self.unblock,
            "migrate": self.migrate,
            "announce_migration": self.announce_migration,
            "membership": self.membership,
            "options": self._options,
        }
        if what not in actions:
            return _json({"error": f"no control {what!r}; there are {', '.join(actions)}"}, 404)
        try:
            body = json.loads(await request.read() or b"{}")
            many = body if isinstance(body, list) else [body]
            results = [actions[what](**each) for each in many]
        except (ValueError, TypeError, LookupError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)
        return _json({"results": results} if isinstance(body, list) else {"result": results[0]})

    def _report(self, what: str, since: str) -> web.Response:
        if what == "state":
            return _json(self.state())
        if what == "calls":
            calls = [dataclasses.asdict(call) for call in self.calls[int(since) :]]
            return web.Response(text=json.dumps(calls, default=repr), content_type="application/json")
        return _json({"error": f"no report {what!r}; there are state, calls"}, 404)

    def _options(self, **options: Any) -> None:
        """reply_delay in seconds; limits; limited, a list of method names."""
        for name, value in options.items():
            if name == "reply_delay":
                self.reply_delay = float(value)
            elif name == "limits" and value in ("off", "documented"):
                self.world.limits = value
            elif name == "limited":
                self.world.limited = frozenset(value)
            else:
                raise ValueError(f"no option {name}={value!r}")

    def state(self) -> dict[str, Any]:
        """All of it as JSON: chats with every message and its history, updates, counts."""
        return {
            "chats": {str(chat.id): self._chat_state(chat) for chat in self.world.chats.values()},
            "confirmed": self.world.confirmed,
            "pending": [update_id for update_id, _ in self.world.pending],
            "next_update_id": self.world.next_update_id,
            "counts": dict(self.counts),
            "waiting": self.waiting,
            "penalty_calls": self.penalty_calls,
            "refused": self.world.floods.refused,
            "faults": [dataclasses.asdict(fault) for fault in self.faults if fault.times > 0],
            "callbacks": self.world.callbacks,
            "errors": [repr(error) for error in self.errors],
        }

    def _chat_state(self, chat: Chat) -> dict[str, Any]:
        return {
            "type": chat.type,
            "messages": [_plain(each) for each in chat.messages.values() if each.by_bot],
            "said": [_plain(each) for each in chat.messages.values() if not each.by_bot],
            "typing": len(self.typing(chat.id)),
            "drafts": chat.drafts,
        }


def _plain(message: Message) -> dict[str, Any]:
    names = (
        "id", "text", "history", "edits", "deleted", "entities", "reply_markup", "thread_id", "reply_to",
        "reactions", "at", "extra",
    )  # fmt: skip
    return {name: getattr(message, name) for name in names}


def _person(user_id: int, first_name: str, username: str | None) -> dict[str, Any]:
    person: dict[str, Any] = {"id": user_id, "is_bot": False, "first_name": first_name, "language_code": "en"}
    return person | ({"username": username} if username else {})


def found_entities(text: str) -> list[Entity]:
    """What the server marks in a person's text: commands and mentions (links and hashtags are left out)."""
    if "/" not in text and "@" not in text:
        return []
    found = []
    for each in re.finditer(r"(?<![\w/@])(?:/[A-Za-z0-9_]{1,32}(?:@\w{3,32})?|@\w{3,32})\b", text):
        kind = "bot_command" if each[0].startswith("/") else "mention"
        found.append({"type": kind, "offset": units(text[: each.start()]), "length": units(each[0])})
    return found


# --- HTTP ---------------------------------------------------------------------------------------------


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_LIMIT)


def _sparse(method: str, result: Any) -> Any:
    """What a simple emulator answers: a bot without its flags, nothing for an edited message."""
    match method:
        case "getMe":
            return {name: result[name] for name in ("id", "first_name", "username")}
        case "editMessageText":
            return None
        case _:
            return result


async def _read(request: web.BaseRequest) -> dict[str, Any]:
    """Parameters of the query string and of the body. Raises Refusal for a body that cannot be read."""
    raw: dict[str, Any] = dict(request.query) if request.query_string else {}
    if not request.body_exists:
        return raw
    kind = request.content_type
    if kind.startswith("multipart/"):
        for name, part in (await request.post()).items():
            if isinstance(part, web.FileField):
                raw[name] = Upload(part.filename, part.file.read(), part.content_type)
                part.file.close()
            else:
                raw[name] = part
        return raw
    body = await request.read()
    try:
        if kind == "application/json":
            return raw | _object(body)
        return raw | dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise Refusal(400, "Bad Request: strings must be encoded in UTF-8") from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if body.strip() else {}
    except UnicodeDecodeError:
        raise
    except ValueError:
        raise Refusal(400, "Bad Request: can't parse JSON object") from None
    if not isinstance(found, dict):
        raise Refusal(400, "Bad Request: can't parse JSON object")
    return {name: value for name, value in found.items() if value is not None}


def _json(body: Any, status: int = 200) -> web.Response:
    content = json.dumps(body, separators=(",", ":"), default=repr).encode()
    return web.Response(body=content, status=status, content_type="application/json")


def _answered(body: Any, status: int = 200) -> web.Response:
    return _json(body, status)


def _failed(refusal: Refusal) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": refusal.code, "description": refusal.description}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    return _json(body, refusal.code)


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
        server = FakeTelegram(
            options.token,
            port=options.port,
            first_update_id=options.first_update_id,
            limits=options.limits,
            reply_delay=options.reply_delay,
            log=log if options.log else None,
            local=options.local,
        )
        async with server:
            print(json.dumps({"url": server.url, "port": server.port}), flush=True)
            await stop.wait()


def main(arguments: Iterable[str]) -> None:
    """Serves until SIGTERM; the first line on stdout is {"url": ..., "port": ...}."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fakes.telegram", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--log", help="file for one JSON line per call")
    parser.add_argument("--limits", choices=("off", "documented"), default="off")
    parser.add_argument("--reply-delay", type=float, default=0.0, help="seconds")
    parser.add_argument("--local", action="store_true", help="take webhooks with http addresses")
    parser.add_argument("--first-update-id", type=int, default=FIRST_UPDATE)
    asyncio.run(_serve(parser.parse_args(list(arguments))))


__all__ = ["KINDS", "ON_REQUEST", "TOKEN", "Call", "FakeTelegram", "Fault", "Message"]

if __name__ == "__main__":
    main(sys.argv[1:])
