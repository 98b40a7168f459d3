"""Calls to the Bot API, through the SDK."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from telegram import Bot
from telegram.error import TelegramError

from channels.telegram.fields import a_name, a_number, a_text, is_number
from channels.telegram.refusal import ApiError
from channels.telegram.request import Request, last_answer
from channels.telegram.uploads import Upload
from gateway.types.json import Json
from gateway.types.outbound import MenuEntry

CALL_SECONDS = 30.0  # for a whole call
FILE_SECONDS = 60.0  # to bring a file
UPLOAD_SECONDS = 180.0  # to send one


@dataclass(frozen=True, slots=True)
class Hook:
    """How updates are delivered. Bot API, WebhookInfo.

    *error* is the last one met when delivering, *error_at* when that was (seconds UTC; 0: never), *pending* how
    many updates wait to be delivered.
    """

    url: str
    kinds: frozenset[str]
    pending: int
    error: str
    error_at: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of ours as the server has it; *text* None: it has none, or that was not said."""

    id: str
    text: str | None


class Api:
    """The calls we make. All raise ApiError. *hidden*: secrets besides the token."""

    def __init__(self, *, token: str, api_url: str, hidden: Sequence[str] = ()) -> None:
        self._polls = Request(token=token, api_url=api_url, seconds=None)
        self._calls = calls = Request(token=token, api_url=api_url, seconds=CALL_SECONDS, hidden=hidden)
        self._downloads = Request(token=token, api_url=api_url, seconds=FILE_SECONDS, hidden=hidden)
        self._uploads = Request(token=token, api_url=api_url, seconds=UPLOAD_SECONDS, hidden=hidden)
        self._requests = (self._polls, calls, self._downloads, self._uploads)
        self._bot = Bot(
            "kept-by-request",
            base_url=lambda _: "bot",
            base_file_url=lambda _: "file",
            request=calls,
            get_updates_request=self._polls,
        )

    async def me(self) -> tuple[str, str]:
        """The bot's own id and its username. Bot API, User; of what we do not use nothing need be there."""
        with _told("getMe"):
            found = await self._calls.result("getMe", {})
            return str(a_number(found, "id")), a_text(found, "username") or a_name(found)

    async def updates(self, offset: int | None, seconds: int, kinds: Sequence[str]) -> bytes:
        """The raw answer to a long poll of *seconds*; all updates before *offset* are forgotten there."""
        wanted: Json = {"timeout": seconds, "allowed_updates": list(kinds)}
        if offset is not None:
            wanted["offset"] = offset
        return await self._polls.fetch("getUpdates", wanted)

    async def reconnect(self) -> None:
        """Makes the next poll use a new connection."""
        await self._polls.shutdown()

    async def drop_webhook(self) -> None:
        """Leaves polling as the only way; what waits there stays."""
        with _told("deleteWebhook"):
            await self._bot.delete_webhook()

    async def set_webhook(self, url: str, *, secret: str, kinds: Sequence[str], connections: int) -> None:
        """Has updates delivered to *url*, with *secret* in a header; what waits there stays."""
        wanted = {
            "url": url,
            "secret_token": secret,
            "allowed_updates": list(kinds),
            "max_connections": connections,
        }
        await self._calls.fetch("setWebhook", wanted)

    async def webhook(self) -> Hook:
        found = await self._calls.result("getWebhookInfo", {})
        kinds, pending, at = (
            found.get("allowed_updates"), found.get("pending_update_count"), found.get("last_error_date"),
        )  # fmt: skip
        return Hook(
            url=a_text(found, "url"),
            kinds=frozenset(str(kind) for kind in kinds) if isinstance(kinds, list) else frozenset(),
            pending=pending if is_number(pending) else 0,
            error=a_text(found, "last_error_message"),
            error_at=at if is_number(at) else 0,
        )

    async def status(self, chat_id: str, user_id: int) -> str:
        """What a person is in a chat: creator, administrator, member, ... Bot API, ChatMember."""
        return a_text(
            await self._calls.result("getChatMember", {"chat_id": chat_id, "user_id": user_id}), "status"
        )

    async def open_topic(self, chat_id: str, name: str) -> int:
        """Bot API, createForumTopic: the message_thread_id of the new topic."""
        made = await self._calls.result("createForumTopic", {"chat_id": chat_id, "name": name})
        return a_number(made, "message_thread_id")

    async def name_commands(self, commands: Sequence[MenuEntry]) -> None:
        """What the client offers after '/', in each language that there is. Bot API, setMyCommands."""
        with _told("setMyCommands"):
            await self._bot.set_my_commands([(each.name, each.description) for each in commands])
            for lang in sorted({lang for each in commands for lang in each.translated}):
                shown = [(each.name, each.translated.get(lang, each.description)) for each in commands]
                await self._bot.set_my_commands(shown, language_code=lang)

    async def send(self, chat_id: str, thread_id: int | None, text: str, options: Json) -> Sent:
        """A new message. *options* are parameters of sendMessage."""
        last_answer.set(b"")
        try:
            with _told("sendMessage"):
                await self._bot.send_message(chat_id, text, message_thread_id=thread_id, api_kwargs=options)
        except ApiError:
            # A message object that the SDK cannot read may still say its number: then it was sent, not lost.
            if (sent := _sent(last_answer.get())) is None:
                raise
            return sent
        return _surely_sent("sendMessage", last_answer.get())

    async def send_rich(self, chat_id: str, thread_id: int | None, markdown: str, options: Json) -> Sent:
        """A new rich message. *options* are parameters of sendRichMessage."""
        wanted: Json = {"chat_id": chat_id, "rich_message": {"markdown": markdown}}
        wanted |= {"message_thread_id": thread_id} if thread_id else {}
        return _surely_sent("sendRichMessage", await self._calls.fetch("sendRichMessage", wanted | options))

    async def edit_rich(self, chat_id: str, message_id: int, markdown: str, options: Json) -> None:
        """A rich message in the place of what was there. Bot API 10.1, editMessageText."""
        wanted: Json = {"chat_id": chat_id, "message_id": message_id, "rich_message": {"markdown": markdown}}
        await self._calls.fetch("editMessageText", wanted | options)

    async def send_file(self, chat_id: str, thread_id: int | None, file: Upload, options: Json) -> Sent:
        """A new message with a file. *options* are parameters of sendDocument and sendPhoto."""
        place: Json = {"chat_id": chat_id} | ({"message_thread_id": thread_id} if thread_id else {})
        return _surely_sent(file.method, await self._uploads.upload(file, place | options))

    async def file_path(self, file_id: str) -> tuple[str, int | None]:
        """Where a file can be downloaded for an hour, and its size if the server says one. Bot API, getFile."""
        found = await self._calls.result("getFile", {"file_id": file_id})
        size = found.get("file_size")
        return a_text(found, "file_path"), size if is_number(size) else None

    async def download(self, path: str, put: Callable[[bytes], None], *, most: int) -> None:
        await self._downloads.download(path, put, most=most)

    async def draft(
        self, chat_id: str, thread_id: int | None, draft_id: int, text: str, options: Json
    ) -> None:
        """Text that is being written, shown for 30 seconds. Bot API, sendMessageDraft."""
        wanted: Json = {"chat_id": chat_id, "draft_id": draft_id, "text": text}
        wanted |= {"message_thread_id": thread_id} if thread_id else {}
        await self._calls.fetch("sendMessageDraft", wanted | options)

    async def edit(self, chat_id: str, message_id: int, text: str, options: Json) -> Sent | None:
        """Another text for a message; *options* are parameters of editMessageText. None: not said what it is.

        Whatever it gives for a message, `true` or nothing: where it says `ok`, it is done.
        """
        wanted: Json = {"chat_id": chat_id, "message_id": message_id, "text": text}
        content = await self._calls.fetch("editMessageText", wanted | options)
        self._calls.parse_json_payload(content)
        return _sent(content)

    async def delete(self, chat_id: str, message_id: int) -> None:
        """Bot API, deleteMessage: ours, and not older than 48 hours."""
        with _told("deleteMessage"):
            await self._bot.delete_message(chat_id, message_id)

    async def react(self, chat_id: str, message_id: int, emoji: str | None) -> None:
        """Our one reaction; None takes it away. Bot API, setMessageReaction."""
        with _told("setMessageReaction"):
            await self._bot.set_message_reaction(chat_id, message_id, emoji)

    async def typing(self, chat_id: str, thread_id: int | None) -> None:
        """Shows "typing" for five seconds; Bot API, sendChatAction."""
        with _told("sendChatAction"):
            await self._bot.send_chat_action(chat_id, "typing", message_thread_id=thread_id)

    async def answer(self, press_id: str, text: str) -> None:
        """Ends a button's spinner; *text*, if any, is shown to who pressed it."""
        with _told("answerCallbackQuery"):
            await self._bot.answer_callback_query(press_id, text or None)

    async def close(self) -> None:
        """Drops all connections."""
        for request in self._requests:
            await request.shutdown()


@contextmanager
def _told(method: str) -> Iterator[None]:
    """What the SDK raises by itself, as ours: the server has answered, but not as its documentation says."""
    try:
        yield
    except ApiError:
        raise
    except (TelegramError, KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"{method}: an answer that cannot be read, {type(error).__name__}"
        raise ApiError(text, kind="lost", status=200) from None


def _surely_sent(method: str, content: bytes) -> Sent:
    if (sent := _sent(content)) is None:
        raise ApiError(f"{method}: an answer that cannot be read", kind="lost", status=200)
    return sent


def _sent(content: bytes) -> Sent | None:
    """The message in a raw answer; None if there is none."""
    try:
        answer = json.loads(content)
        message = answer["result"] if answer["ok"] is True else {}
        text = message.get("text")
        return Sent(str(int(message["message_id"])), text if isinstance(text, str) else None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
