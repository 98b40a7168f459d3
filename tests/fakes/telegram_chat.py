"""The world behind the fake Bot API: chats, messages, updates, flood limits and the methods on them."""

import json
import math
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.fakes.telegram_text import Entity, Refusal, bad_request, formatted, settled, units, valid_url

FIRST_UPDATE = 100_000_001
KINDS = frozenset({
    "message", "edited_message", "channel_post", "edited_channel_post", "business_connection",
    "business_message", "edited_business_message", "deleted_business_messages", "message_reaction",
    "message_reaction_count",
    "inline_query", "chosen_inline_result", "callback_query", "shipping_query", "pre_checkout_query",
    "purchased_paid_media", "poll", "poll_answer", "my_chat_member", "chat_member", "chat_join_request",
    "chat_boost", "removed_chat_boost",
})  # fmt: skip
# Bot API, getUpdates: an empty list of allowed updates means all types but these.
ON_REQUEST = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
ACTIONS = frozenset({
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
    "upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note",
})  # fmt: skip
SENDS = frozenset({"sendMessage", "sendRichMessage", "sendDocument", "sendPhoto"})
MOST_CONNECTIONS = 100  # to a webhook; Bot API, setWebhook
LIMITED = SENDS | {"editMessageText", "editMessageReplyMarkup"}


@dataclass(slots=True)
class Message:
    """One message as it stands; `history` has every text it ever had, the current one last."""

    id: int
    chat_id: int
    by_bot: bool
    text: str | None
    entities: list[Entity]
    date: int
    at: float  # monotonic seconds of arrival
    sender: dict[str, Any]
    thread_id: int | None = None
    reply_to: int | None = None
    reply_markup: dict[str, Any] | None = None
    link_preview_options: dict[str, Any] | None = None
    silent: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    edits: int = 0
    edited_date: int | None = None
    deleted: bool = False
    reactions: list[Any] = field(default_factory=list)
    history: list[str | None] = field(default_factory=list)


@dataclass(slots=True)
class Chat:
    """A chat the bot knows; `threads` are its topics, None-less; `blocked` is why sends are refused (403).

    `mute` is why they are refused with 400 (no right to write); `closed` are topics in which nobody may write;
    `members` say what people are there: creator, administrator, member, left ...
    """

    id: int
    type: str
    title: str | None = None
    username: str | None = None
    first_name: str | None = None
    is_forum: bool = False
    threads: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    members: dict[int, str] = field(default_factory=dict)
    mute: str | None = None
    blocked: str | None = None
    migrated_to: int | None = None
    messages: dict[int, Message] = field(default_factory=dict)
    actions: list[tuple[float, str, int | None]] = field(default_factory=list)
    drafts: list[tuple[int, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": self.id, "type": self.type}
        for name in ("title", "username", "first_name"):
            if value := getattr(self, name):
                shown[name] = value
        if self.is_forum:
            shown["is_forum"] = True
        return shown


class Params:
    """A method's parameters as they came: strings from a form, or JSON values."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    def text(self, name: str) -> str | None:
        value = self.raw.get(name)
        return None if value is None else value if isinstance(value, str) else json.dumps(value)

    def integer(self, name: str) -> int | None:
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        try:
            return int(value)
        except (TypeError, ValueError):
            raise bad_request(f"invalid {name} specified") from None

    def flag(self, name: str) -> bool:
        return str(self.raw.get(name, "")).lower() in ("true", "1", "yes", "t")

    def value(self, name: str, what: str) -> Any:
        """A JSON value, decoded if it came as a string; None if absent or empty."""
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {what} JSON object") from None

    def listing(self, name: str, what: str) -> list[Any] | None:
        value = self.value(name, what)
        if value is not None and not isinstance(value, list):
            raise bad_request(f"can't parse {what}: expected an Array")
        return value

    def record(self, name: str, what: str) -> dict[str, Any] | None:
        value = self.value(name, what)
        if value is not None and not isinstance(value, dict):
            raise bad_request(f"can't parse {what}: expected an Object")
        return value


class Floods:
    """Bot FAQ: about 1 message a second in a chat, 20 a minute in a group, 30 a second overall.

    Short bursts pass, it says. The figures for the burst and the penalty are not documented: three messages,
    three seconds.
    """

    def __init__(self, clock: Callable[[], float], *, burst: int = 3, penalty: float = 3.0) -> None:
        self.clock = clock
        self.burst = burst
        self.penalty = penalty
        self.penalty_calls: dict[int, int] = defaultdict(int)
        self.refused = 0
        self._until: dict[int, float] = {}
        self._tokens: dict[int, tuple[float, float]] = {}
        self._group: dict[int, deque[float]] = defaultdict(deque)
        self._overall: deque[float] = deque()

    def scripted(self, chat_id: int, seconds: float) -> None:
        """A penalty that begins now, whatever the traffic was."""
        self._until[chat_id] = max(self._until.get(chat_id, 0.0), self.clock() + seconds)

    def penalised(self, chat_id: int) -> int | None:
        """Seconds to wait if the chat is under a penalty; the asking itself makes it a second longer."""
        now = self.clock()
        until = self._until.get(chat_id, 0.0)
        if now >= until:
            return None
        self.penalty_calls[chat_id] += 1
        self._until[chat_id] = until + 1.0
        return math.ceil(until + 1.0 - now)

    def admit(self, chat_id: int) -> int | None:
        """Counts one message; the seconds to wait if it is one too many."""
        now = self.clock()
        if self._full(self._overall, 30, 1.0, now):
            return 1
        if chat_id < 0:
            if self._full(self._group[chat_id], 20, 60.0, now):
                wait = self._group[chat_id][0] + 60.0 - now
                self._until[chat_id] = now + wait
                return math.ceil(wait)
        else:
            tokens, since = self._tokens.get(chat_id, (float(self.burst), now))
            tokens = min(float(self.burst), tokens + now - since)
            if tokens < 1.0:
                self._until[chat_id] = now + self.penalty
                return math.ceil(self.penalty)
            self._tokens[chat_id] = (tokens - 1.0, now)
        self._overall.append(now)
        if chat_id < 0:
            self._group[chat_id].append(now)
        return None

    @staticmethod
    def _full(window: deque[float], most: int, seconds: float, now: float) -> bool:
        while window and now - window[0] >= seconds:
            window.popleft()
        return len(window) >= most


class World:
    """Everything the server knows about one bot. No input or output here: calls in, values or Refusal out."""

    def __init__(
        self, *, bot_id: int, username: str, first_update_id: int, limits: str, clock: Callable[[], float]
    ) -> None:
        if limits not in ("off", "documented"):
            raise ValueError(f"limits is 'off' or 'documented', not {limits!r}")
        self.bot = {"id": bot_id, "is_bot": True, "first_name": "Parley", "username": username}
        self.clock = clock
        self.limits = limits
        self.limited = LIMITED
        self.floods = Floods(clock)
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.types: dict[str, str] = {}  # media types of files that the bot has sent
        self.told_size: int | None = None  # what getFile says instead of the truth
        self.told_path: str | None = None
        self.check_photo: Callable[[bytes], None] = lambda content: None  # raises Refusal
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.callbacks: dict[str, dict[str, Any] | None] = {}
        self.webhook: dict[str, Any] | None = None
        self.local = False  # a server of one's own, started with --local: takes http addresses as well
        self.delivery_error: tuple[int, str] | None = None  # (when, what) of the last failed delivery
        self.alter: Callable[[str], str] | None = (
            None  # what the server makes of a bot's text, besides trimming
        )
        self.unknown: set[str] = set()  # methods that this server, an older one, does not know
        self.next_update_id = first_update_id
        self.updates: dict[int, Any] = {}
        self.pending: deque[tuple[int, Any]] = deque()
        self.confirmed: int | None = None
        self.allowed: frozenset[str] = KINDS - ON_REQUEST
        self._out_of_order = False
        self._next_message = 0
        self._supergroup_messages: dict[int, int] = defaultdict(int)

    # --- updates -------------------------------------------------------------------------------------

    def push(self, update: Any) -> int | None:
        """Queues an update, with the next id if it has none; None if its type is not among the allowed."""
        if isinstance(update, dict):
            kinds = KINDS.intersection(update)
            if kinds and not kinds & self.allowed:
                return None
            given = update.setdefault("update_id", self.next_update_id)
        else:
            given = None
        known = isinstance(given, int) and not isinstance(given, bool)
        update_id = given if known else self.next_update_id
        if self.pending and update_id <= self.pending[-1][0]:
            self._out_of_order = True
        self.next_update_id = max(self.next_update_id, update_id + 1)
        self.updates[update_id] = update
        self.pending.append((update_id, update))
        return update_id

    def confirm(self, offset: int) -> None:
        """Forgets the updates below *offset*; a negative one keeps that many of the last."""
        if offset < 0:
            kept = min(-offset, len(self.pending))
            for update_id, _ in list(self.pending)[: len(self.pending) - kept]:
                self.confirmed = max(self.confirmed or 0, update_id)
            self.pending = deque(list(self.pending)[len(self.pending) - kept :])
            return
        if self._out_of_order:
            ordered = sorted(self.pending, key=lambda entry: entry[0])
            self.pending, self._out_of_order = deque(ordered), False
        while self.pending and self.pending[0][0] < offset:
            self.confirmed = max(self.confirmed or 0, self.pending.popleft()[0])

    def delivered(self, update_id: int) -> None:
        """A webhook has answered for it."""
        self.pending = deque(entry for entry in self.pending if entry[0] != update_id)
        self.confirmed = max(self.confirmed or 0, update_id)

    def failed_delivery(self, error: str) -> None:
        self.delivery_error = int(time.time()), error

    def batch(self, limit: int) -> list[Any]:
        """The first unconfirmed updates, at most *limit*."""
        if len(self.pending) <= limit:
            return [update for _, update in self.pending]
        return [self.pending[place][1] for place in range(limit)]

    def poll_settings(self, params: Params) -> tuple[int, float]:
        """Applies a getUpdates call's offset and allowed_updates; gives its limit and time-out in seconds."""
        if self.webhook is not None:
            raise Refusal(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        self.allow(params)
        offset = params.integer("offset") or 0
        if offset:
            self.confirm(offset)
        limit = params.integer("limit") or 100
        timeout = params.integer("timeout") or 0
        return limit if 1 <= limit <= 100 else 100, float(min(max(timeout, 0), 50))

    def allow(self, params: Params) -> None:
        wanted = params.listing("allowed_updates", "allowed_updates")
        if wanted is not None:
            chosen = KINDS.intersection(str(each) for each in wanted)
            self.allowed = frozenset(chosen) if chosen else KINDS - ON_REQUEST

    # --- chats and messages --------------------------------------------------------------------------

    def add_chat(self, chat_id: int, kind: str = "private", **facts: Any) -> Chat:
        chat = self.chats.get(chat_id)
        if chat is None:
            if kind != "private":
                facts.setdefault("title", "A group")
            threads = set(facts.pop("threads", ()))
            facts.setdefault("is_forum", bool(threads) and kind == "supergroup")
            chat = self.chats[chat_id] = Chat(chat_id, kind, threads=threads, **facts)
        return chat

    def new_message(self, chat: Chat, *, by_bot: bool, text: str | None, **facts: Any) -> Message:
        """Ids count per supergroup and channel, and over all private chats and basic groups together."""
        if chat.type in ("supergroup", "channel"):
            self._supergroup_messages[chat.id] += 1
            number = self._supergroup_messages[chat.id]
        else:
            self._next_message += 1
            number = self._next_message
        facts.setdefault("entities", [])
        message = Message(
            number, chat.id, by_bot, text, date=int(time.time()), at=self.clock(), history=[text], **facts
        )
        chat.messages[number] = message
        return message

    def shown(self, message: Message, *, nested: bool = False) -> dict[str, Any]:
        """The Message object of the Bot API."""
        body: dict[str, Any] = {
            "message_id": message.id,
            "from": message.sender,
            "chat": self.chats[message.chat_id].as_json(),
            "date": message.date,
        }
        if message.edited_date:
            body["edit_date"] = message.edited_date
        if message.thread_id is not None:
            body["message_thread_id"] = message.thread_id
            body["is_topic_message"] = True
        if message.reply_to is not None and not nested:
            target = self.chats[message.chat_id].messages.get(message.reply_to)
            if target is not None and not target.deleted:
                body["reply_to_message"] = self.shown(target, nested=True)
        if message.text is not None:
            body["text"] = message.text
            if message.entities:
                body["entities"] = message.entities
        if message.link_preview_options:
            body["link_preview_options"] = message.link_preview_options
        if message.reply_markup and "inline_keyboard" in message.reply_markup:
            body["reply_markup"] = message.reply_markup
        return body | message.extra

    def chat_of(self, params: Params, *, writing: bool = True) -> Chat:
        """The addressed chat. Raises Refusal: unknown or migrated (400), and for a write: blocked (403)."""
        raw = params.text("chat_id")
        if not raw:
            raise bad_request("chat_id is empty")
        if raw.startswith("@"):
            found = [chat for chat in self.chats.values() if (chat.username or "").lower() == raw[1:].lower()]
            chat = found[0] if found and found[0].type != "private" else None
        else:
            chat = self.chats.get(int(raw)) if re.fullmatch(r"-?\d{1,19}", raw) else None
        if chat is None:
            raise bad_request("chat not found")
        if chat.migrated_to is not None:
            raise bad_request(
                "group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat.migrated_to
            )
        if writing and chat.blocked:
            raise Refusal(403, f"Forbidden: {chat.blocked}")
        if writing and chat.mute:
            raise bad_request(chat.mute)
        return chat

    def check_floods(self, method: str, params: Params) -> None:
        """429 for a chat under a penalty, and under `limits="documented"` for one message too many."""
        if method not in self.limited:
            return
        raw = params.text("chat_id") or ""
        chat_id = int(raw) if re.fullmatch(r"-?\d{1,19}", raw) else 0
        wait = self.floods.penalised(chat_id)
        if wait is None and self.limits == "documented" and chat_id in self.chats:
            wait = self.floods.admit(chat_id)
        if wait is not None:
            self.floods.refused += 1
            raise too_many(wait)

    def call(self, method: str, params: Params) -> Any:
        """The result of a method other than getUpdates. Raises Refusal."""
        if method in self.unknown:
            raise Refusal(404, "Not Found: method not found")
        self.check_floods(method, params)
        return METHODS[method](self, params)


def too_many(seconds: int) -> Refusal:
    """Flood control's answer; *seconds* to wait."""
    return Refusal(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


# --- parts of a call ------------------------------------------------------------------------------------


def _markup(params: Params, *, inline_only: bool) -> dict[str, Any] | None:
    markup = params.record("reply_markup", "reply keyboard markup")
    if not markup:
        return None
    if "inline_keyboard" not in markup:
        if inline_only:
            raise bad_request("inline keyboard expected")
        if not {"keyboard", "remove_keyboard", "force_reply"} & set(markup):
            raise bad_request("object expected as reply markup")
        return markup
    rows = markup["inline_keyboard"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays')
    for row in rows:
        for button in row:
            _check_button(button)
    kept = [row for row in rows if row]
    return {"inline_keyboard": kept} if kept else None


def _check_button(button: Any) -> None:
    if not isinstance(button, dict) or not isinstance(button.get("text"), str) or not button["text"]:
        raise bad_request('can\'t parse inline keyboard button: field "text" must be a non-empty String')
    if "callback_data" in button:
        if not 1 <= len(str(button["callback_data"]).encode()) <= 64:
            raise bad_request("BUTTON_DATA_INVALID")
    elif "url" in button:
        if not valid_url(str(button["url"])):
            raise bad_request(f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL")
    elif not set(button) - {"text", "icon_custom_emoji_id", "style"}:
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )


def _thread(chat: Chat, params: Params) -> int | None:
    thread = params.integer("message_thread_id") or None
    if thread is not None and thread not in chat.threads:
        raise bad_request("message thread not found")
    if thread in chat.closed:
        raise bad_request("TOPIC_CLOSED")
    return thread


def _reply_target(chat: Chat, params: Params) -> int | None:
    wanted = params.record("reply_parameters", "reply parameters") or {}
    number = wanted.get("message_id") or params.integer("reply_to_message_id")
    if number is None:
        return None
    target = chat.messages.get(int(number))
    if target is not None and not target.deleted:
        return target.id
    if wanted.get("allow_sending_without_reply") or params.flag("allow_sending_without_reply"):
        return None
    raise bad_request("message to be replied not found")


def _content(params: Params, chat: Callable[[], Chat]) -> tuple[Chat, str, list[Entity]]:
    """Markup is parsed before the chat is looked up, entities are checked after it, as on the live server."""
    raw = params.text("text")
    if not raw:
        raise bad_request("message text is empty")
    given = params.listing("entities", "message entities")
    text, entities, unchecked = formatted(raw, params.text("parse_mode"), given)
    found = chat()
    text, entities = settled(text, entities, unchecked=unchecked)
    return found, text, entities


def _altered(world: World, text: str) -> str:
    return text if world.alter is None else world.alter(text)


def _own(chat: Chat, params: Params) -> Message:
    number = params.integer("message_id")
    if number is None:
        raise bad_request("message identifier is not specified")
    message = chat.messages.get(number)
    if message is None or message.deleted:
        raise bad_request("message to edit not found")
    if not message.by_bot:
        raise bad_request("message can't be edited")
    return message


# --- methods --------------------------------------------------------------------------------------------


def _get_me(world: World, params: Params) -> dict[str, Any]:
    return world.bot | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
    }


def _send_message(world: World, params: Params) -> dict[str, Any]:
    chat, text, entities = _content(params, lambda: world.chat_of(params))
    message = world.new_message(
        chat,
        by_bot=True,
        text=_altered(world, text),
        entities=entities,
        sender=world.bot,
        thread_id=_thread(chat, params),
        reply_to=_reply_target(chat, params),
        reply_markup=_markup(params, inline_only=False),
        link_preview_options=params.record("link_preview_options", "link preview options"),
        silent=params.flag("disable_notification"),
    )
    return world.shown(message)


def _change(
    message: Message, text: str | None, entities: list[Entity], markup: dict[str, Any] | None
) -> None:
    if (text, entities, markup) == (message.text, message.entities, message.reply_markup):
        raise bad_request(
            "message is not modified: specified new message content and reply markup are exactly the same "
            "as a current content and reply markup of the message"
        )
    if text != message.text or entities != message.entities:
        message.edits += 1
        message.edited_date = int(time.time())
        message.history.append(text)
    message.text, message.entities, message.reply_markup = text, entities, markup


def _rich(params: Params) -> dict[str, Any] | None:
    """The rich message of a call; Bot API 10.1, InputRichMessage."""
    given = params.record("rich_message", "rich message")
    if given is None:
        return None
    forms = [name for name in ("markdown", "html", "blocks") if given.get(name)]
    if len(forms) != 1:
        raise bad_request("exactly one of the fields html, markdown, or blocks must be used")
    if len(str(given[forms[0]])) > 32_768:
        raise bad_request("RICH_MESSAGE_TOO_LONG")
    return given


def _send_rich_message(world: World, params: Params) -> dict[str, Any]:
    chat, given = world.chat_of(params), _rich(params)
    if given is None:
        raise bad_request("rich message is empty")
    message = world.new_message(
        chat,
        by_bot=True,
        text=None,
        entities=[],
        sender=world.bot,
        thread_id=_thread(chat, params),
        reply_markup=_markup(params, inline_only=False),
        extra={"rich_message": given},
    )
    return world.shown(message)


def _edit_message_text(world: World, params: Params) -> dict[str, Any]:
    if "sendRichMessage" not in world.unknown and (given := _rich(params)) is not None:
        message = _own(world.chat_of(params), params)
        if message.extra.get("rich_message") == given:
            raise bad_request("message is not modified: the new content is the same as the current one")
        message.extra["rich_message"], message.text, message.entities = given, None, []
        message.edits += 1
        message.reply_markup = _markup(params, inline_only=True)
        return world.shown(message)
    chat, text, entities = _content(params, lambda: world.chat_of(params))
    message = _own(chat, params)
    if message.text is None:
        raise bad_request("there is no text in the message to edit")
    _change(message, _altered(world, text), entities, _markup(params, inline_only=True))
    return world.shown(message)


def _edit_message_reply_markup(world: World, params: Params) -> dict[str, Any]:
    message = _own(world.chat_of(params), params)
    _change(message, message.text, message.entities, _markup(params, inline_only=True))
    return world.shown(message)


def _delete_message(world: World, params: Params) -> bool:
    chat = world.chat_of(params)
    number = params.integer("message_id")
    message = chat.messages.get(number or 0)
    if message is None or message.deleted:
        raise bad_request("message to delete not found")
    if not message.by_bot and chat.type != "private":
        raise bad_request("message can't be deleted")
    message.deleted = True
    return True


def _send_chat_action(world: World, params: Params) -> bool:
    chat = world.chat_of(params)
    action = params.text("action")
    if action not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat.actions.append((world.clock(), action, _thread(chat, params)))
    return True


def _send_message_draft(world: World, params: Params) -> bool:
    raw = params.text("text") or ""
    given = params.listing("entities", "message entities")
    text, entities, unchecked = formatted(raw, params.text("parse_mode"), given)
    chat = world.chat_of(params)
    if chat.type != "private":
        raise bad_request("TEXTDRAFT_PEER_INVALID")
    draft = params.integer("draft_id")
    if not draft:
        raise bad_request("RANDOM_ID_INVALID")
    _thread(chat, params)
    if text.strip():
        text, _ = settled(text, entities, unchecked=unchecked)
    chat.drafts.append((draft, text))
    return True


@cache
def _reaction_emoji() -> frozenset[str]:
    from telegram.constants import ReactionEmoji

    return frozenset(emoji.value.replace("\ufe0f", "") for emoji in ReactionEmoji)


def _set_message_reaction(world: World, params: Params) -> bool:
    chat = world.chat_of(params)
    message = chat.messages.get(params.integer("message_id") or 0)
    if message is None or message.deleted:
        raise bad_request("message to react not found")
    reaction = params.listing("reaction", "reaction") or []
    for each in reaction:
        if (
            each.get("type") == "emoji"
            and each.get("emoji", "").replace("\ufe0f", "") not in _reaction_emoji()
        ):
            raise bad_request("REACTION_INVALID")
        if each.get("type") == "paid":
            raise bad_request("REACTION_PAID_UNALLOWED")
    if len(reaction) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    message.reactions = reaction
    return True


def _answer_callback_query(world: World, params: Params) -> bool:
    query = params.text("callback_query_id") or ""
    if query not in world.callbacks:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    if units(params.text("text") or "") > 200:
        raise bad_request("MESSAGE_TOO_LONG")
    world.callbacks[query] = dict(params.raw)
    return True


def _get_chat(world: World, params: Params) -> dict[str, Any]:
    chat = world.chat_of(params, writing=chat_is_group(params))
    return chat.as_json() | {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": {
        "unlimited_gifts": True, "limited_gifts": True, "unique_gifts": True, "premium_subscription": True,
        "gifts_from_channels": True,
    }}  # fmt: skip


def chat_is_group(params: Params) -> bool:
    """A group the bot was removed from refuses even reading; a private chat that blocked it does not."""
    return (params.text("chat_id") or "").startswith("-")


def _set_webhook(world: World, params: Params) -> bool:
    url = params.text("url") or ""
    if url and not url.startswith(("https://", "http://") if world.local else "https://"):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    connections = params.integer("max_connections") or 40
    if not 1 <= connections <= MOST_CONNECTIONS:
        connections = 40
    secret = params.text("secret_token")
    if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
        raise bad_request("secret token contains unallowed characters")
    if params.flag("drop_pending_updates"):
        world.confirm(world.next_update_id)
    world.allow(params)
    world.webhook = {"url": url, "secret_token": secret, "max_connections": connections} if url else None
    world.delivery_error = None
    return True


def _delete_webhook(world: World, params: Params) -> bool:
    if params.flag("drop_pending_updates"):
        world.confirm(world.next_update_id)
    world.webhook = None
    return True


def _get_webhook_info(world: World, params: Params) -> dict[str, Any]:
    info = {"url": "", "has_custom_certificate": False, "pending_update_count": len(world.pending)}
    if world.webhook:
        info |= {
            "url": world.webhook["url"],
            "max_connections": world.webhook["max_connections"],
            "ip_address": "127.0.0.1",
        }
        if world.allowed != KINDS - ON_REQUEST:
            info["allowed_updates"] = sorted(world.allowed)
    if world.delivery_error:
        info["last_error_date"], info["last_error_message"] = world.delivery_error
    return info


def _get_chat_member(world: World, params: Params) -> dict[str, Any]:
    chat = world.chat_of(params, writing=chat_is_group(params))
    number = params.integer("user_id")
    if number is None or number not in chat.members:
        raise bad_request("user not found" if number not in chat.members else "invalid user_id specified")
    user = {"id": number, "is_bot": False, "first_name": "Ann"}
    return {"status": chat.members[number], "user": user}


def _create_forum_topic(world: World, params: Params) -> dict[str, Any]:
    """The topic's number is that of the service message that opens it."""
    chat = world.chat_of(params)
    name = params.text("name") or ""
    if not chat.is_forum:
        raise bad_request("the chat is not a forum")
    if not 1 <= len(name) <= 128:
        raise bad_request("TOPIC_TITLE_EMPTY" if not name else "topic name is too long")
    world._supergroup_messages[chat.id] += 1
    thread = world._supergroup_messages[chat.id]
    chat.threads.add(thread)
    return {"message_thread_id": thread, "name": name, "icon_color": 7322096}


def _scope(params: Params) -> str:
    scope = params.record("scope", "BotCommandScope") or {"type": "default"}
    return json.dumps([scope, params.text("language_code") or ""], sort_keys=True)


def _set_my_commands(world: World, params: Params) -> bool:
    commands = params.listing("commands", "commands")
    if commands is None:
        raise bad_request("commands are not specified")
    if len(commands) > 100:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for each in commands:
        if not re.fullmatch(r"/?[a-z0-9_]{1,32}", str(each.get("command", ""))):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(str(each.get("description", ""))) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    world.commands[_scope(params)] = [
        {"command": each["command"].removeprefix("/"), "description": each["description"]}
        for each in commands
    ]
    return True


def _get_my_commands(world: World, params: Params) -> list[dict[str, str]]:
    return world.commands.get(_scope(params), [])


def _delete_my_commands(world: World, params: Params) -> bool:
    world.commands.pop(_scope(params), None)
    return True


def _send_file(kind: str) -> Callable[[World, Params], dict[str, Any]]:
    def send(world: World, params: Params) -> dict[str, Any]:
        caption, entities, unchecked = formatted(
            params.text("caption") or "",
            params.text("parse_mode"),
            params.listing("caption_entities", "caption entities"),
        )
        chat = world.chat_of(params)
        if caption.strip():
            caption, entities = settled(caption, entities, unchecked=unchecked)
            if units(caption) > 1024:  # Bot API, sendDocument
                raise bad_request("message caption is too long")
        file = {"file_id": _file_id(world, kind, params)}
        name, content = world.files[file["file_id"]]
        if kind == "photo":
            world.check_photo(content)
        file |= {"file_unique_id": f"u{file['file_id']}", "file_size": len(content)}
        extra: dict[str, Any] = (
            {kind: file | {"file_name": name, "mime_type": world.types.get(file["file_id"], "")}}
            if kind == "document"
            else {kind: [file | {"width": 1, "height": 1}]}
        )
        if caption:
            extra |= {"caption": caption} | ({"caption_entities": entities} if entities else {})
        message = world.new_message(
            chat, by_bot=True, text=None, sender=world.bot, thread_id=_thread(chat, params),
            reply_to=_reply_target(chat, params), reply_markup=_markup(params, inline_only=False),
            extra=extra,
        )  # fmt: skip
        return world.shown(message)

    return send


def _file_id(world: World, kind: str, params: Params) -> str:
    value = params.raw.get(kind)
    if isinstance(value, str) and value.startswith("attach://"):
        value = params.raw.get(value.removeprefix("attach://"))
    if isinstance(value, Upload):
        file_id = world_file(world, value.name, value.content)
        world.types[file_id] = value.type
        return file_id
    if isinstance(value, str) and value in world.files:
        return value
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return world_file(world, value.rsplit("/", 1)[-1], b"fetched")
    raise bad_request("there is no " + kind + " in the request" if not value else "wrong file identifier")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file part of a multipart body."""

    name: str
    content: bytes
    type: str = ""


def world_file(world: World, name: str, content: bytes) -> str:
    """Keeps a file; its file_id."""
    file_id = f"F{len(world.files) + 1:06d}"
    world.files[file_id] = (name, content)
    return file_id


def _get_file(world: World, params: Params) -> dict[str, Any]:
    file_id = params.text("file_id") or ""
    if file_id not in world.files:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    name, content = world.files[file_id]
    if len(content) > 20 * 1024 * 1024:  # Bot API, getFile
        raise bad_request("file is too big")
    size = len(content) if world.told_size is None else world.told_size
    path = f"files/{file_id}/{name}" if world.told_path is None else world.told_path
    return {
        "file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": size, "file_path": path,
    }  # fmt: skip


METHODS: dict[str, Callable[[World, Params], Any]] = {
    "getMe": _get_me,
    "setWebhook": _set_webhook,
    "deleteWebhook": _delete_webhook,
    "getWebhookInfo": _get_webhook_info,
    "setMyCommands": _set_my_commands,
    "getMyCommands": _get_my_commands,
    "deleteMyCommands": _delete_my_commands,
    "sendMessage": _send_message,
    "sendRichMessage": _send_rich_message,
    "editMessageText": _edit_message_text,
    "editMessageReplyMarkup": _edit_message_reply_markup,
    "deleteMessage": _delete_message,
    "sendChatAction": _send_chat_action,
    "sendMessageDraft": _send_message_draft,
    "setMessageReaction": _set_message_reaction,
    "answerCallbackQuery": _answer_callback_query,
    "getChat": _get_chat,
    "getChatMember": _get_chat_member,
    "createForumTopic": _create_forum_topic,
    "sendDocument": _send_file("document"),
    "sendPhoto": _send_file("photo"),
    "getFile": _get_file,
}
BY_LOWER = {name.lower(): name for name in (*METHODS, "getUpdates")}
