"""The world behind the fake Discord: users, guilds, channels, messages, interactions, and their JSON."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.fakes.discord_cdn import Cdn
from tests.fakes.discord_rules import HAS_THREAD, Json, Mentions, Refusal, named, pinged, unfurled, unknown

EPOCH = 1_420_070_400_000  # milliseconds; Snowflakes: the first second of 2015
TEXT, DM, GROUP_DM, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 3, 11, 12
THREADS = (10, PUBLIC_THREAD, PRIVATE_THREAD)
DEFAULT, THREAD_CREATED, REPLY, COMMAND, STARTER = 0, 18, 19, 20, 21  # message types
SYSTEM = (THREAD_CREATED, STARTER)
PERMISSIONS = {
    "ADD_REACTIONS": 6, "VIEW_CHANNEL": 10, "SEND_MESSAGES": 11, "MANAGE_MESSAGES": 13, "EMBED_LINKS": 14,
    "ATTACH_FILES": 15, "READ_MESSAGE_HISTORY": 16, "MENTION_EVERYONE": 17, "USE_APPLICATION_COMMANDS": 31,
    "MANAGE_THREADS": 34, "CREATE_PUBLIC_THREADS": 35, "CREATE_PRIVATE_THREADS": 36,
    "SEND_MESSAGES_IN_THREADS": 38,
}  # fmt: skip
GRANTED = frozenset(PERMISSIONS) - {"MANAGE_MESSAGES", "MANAGE_THREADS"}  # what everyone has
PRIVILEGED = {"presences": 1 << 8, "members": 1 << 1, "message_content": 1 << 15}  # gateway intents
# API reference, Message Snapshot Object: what of a message is passed on.
PASSED_ON = (
    "type", "content", "embeds", "attachments", "timestamp", "edited_timestamp", "flags", "mentions", "mention_roles",
    "sticker_items", "components",
)  # fmt: skip
_FLAGS = {"presences": 1 << 13, "members": 1 << 15, "message_content": 1 << 19}  # application flags


@dataclass(slots=True)
class User:
    """A person or a bot; `closed`: the JSON code that refuses the bot's private messages, 0 for none."""

    id: int
    username: str
    global_name: str | None = None
    bot: bool = False
    closed: int = 0

    @property
    def json(self) -> Json:
        shown: Json = {
            "id": str(self.id), "username": self.username, "discriminator": "0", "avatar": None,
            "global_name": self.global_name, "public_flags": 0,
        }  # fmt: skip
        return shown | ({"bot": True} if self.bot else {})


@dataclass(slots=True)
class Guild:
    """`installed`: the bot is a member; `roles`: id -> (name, mentionable, member ids)."""

    id: int
    name: str
    owner_id: int
    installed: bool = True
    available: bool = True
    members: set[int] = field(default_factory=set)
    roles: dict[int, tuple[str, bool, set[int]]] = field(default_factory=dict)


@dataclass(slots=True)
class Channel:
    """A channel, DM or thread; `denied`: permissions the bot lacks there."""

    id: int
    type: int
    guild_id: int | None = None
    name: str = ""
    parent_id: int | None = None
    owner_id: int | None = None
    recipients: list[int] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    archived: bool = False
    locked: bool = False
    auto_archive: int = 1440  # minutes
    archived_at: float = 0.0
    members: set[int] = field(default_factory=set)
    messages: dict[int, "Message"] = field(default_factory=dict)
    typing: list[float] = field(default_factory=list)  # arrivals on the server's clock

    @property
    def is_thread(self) -> bool:
        return self.type in THREADS


@dataclass(slots=True)
class Message:
    """One message as it stands; `history` has every content it ever had, the current one last."""

    id: int
    channel_id: int
    author: User
    content: str
    type: int
    date: float  # seconds since 1970
    at: float  # seconds of the server's clock
    flags: int = 0
    nonce: str | int | None = None
    mentions: Mentions = field(default_factory=Mentions)  # as of the last edit
    pings: Mentions = field(default_factory=Mentions)  # whom its creation notified
    reference: tuple[int, int] | None = None  # channel, message
    components: list[Json] = field(default_factory=list)
    embeds: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    reactions: dict[str, list[int]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)  # previews fetched for it, over all its contents
    interaction: "Interaction | None" = None
    ephemeral_to: int | None = None
    thread_id: int | None = None
    forwarded: "Message | None" = None
    extra: Json = field(default_factory=dict)  # merged into its JSON: webhook_id, sticker_items, poll, ...
    edited: float | None = None
    edit_times: list[float] = field(default_factory=list)  # on the server's clock
    history: list[str] = field(default_factory=list)
    deleted: bool = False

    @property
    def edits(self) -> int:
        return len(self.edit_times)


@dataclass(slots=True)
class Interaction:
    """A person's command or press, and what became of it; times on the server's clock."""

    id: int
    token: str
    kind: int  # 2 command, 3 component, 4 autocomplete, 5 modal
    user: User
    channel_id: int
    at: float
    data: Json
    owners: dict[str, str]
    source: int | None = None  # the message pressed on
    answer: int | None = None  # callback type
    answered_at: float | None = None
    body: Json = field(default_factory=dict)  # the callback's data
    original: int | None = None  # the message that answers
    followups: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)  # JSON codes of refused answers

    @property
    def name(self) -> str:
        return str(self.data.get("name") or self.data.get("custom_id"))

    @property
    def answer_ms(self) -> float | None:
        """Milliseconds to the first answer; None while there is none."""
        return None if self.answered_at is None else (self.answered_at - self.at) * 1000.0


@dataclass(frozen=True, slots=True)
class Event:
    """A gateway event; *body* is called with whether message contents may be seen."""

    name: str
    channel: Channel | None
    guild_id: int | None
    body: Callable[[bool], Json]


def stamp(seconds: float | None) -> str | None:
    """ISO 8601, as Discord writes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


class World:
    """Everything the server knows. No input or output here."""

    def __init__(
        self,
        *,
        bot_id: int,
        application_id: int,
        username: str,
        privileged: set[str],
        clock: Callable[[], float],
        emit: Callable[[Event], None],
    ) -> None:
        self.clock = clock
        self.emit = emit
        self.application_id = application_id
        self.privileged = privileged
        self.cdn = Cdn()  # where attachments are fetched
        self.alter: Callable[[str], str] | None = (
            None  # what the server makes of the bot's text, besides trimming
        )
        self.gateway_url = ""
        self.starts_left = 1000  # IDENTIFYs a day; the token is reset after the last
        self.nonce_window = 180.0  # seconds; documented as "the past few minutes"
        self.answer_window = 3.0  # seconds; Interactions
        self.token_life = 900.0  # seconds; Interactions
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.interactions: dict[int, Interaction] = {}
        self.tokens: dict[str, Interaction] = {}
        self.files: dict[int, tuple[str, bytes]] = {}
        self.commands: dict[int | None, list[Json]] = {}  # by guild, None: global
        self.command_puts = 0
        self._nonces: dict[tuple[int, str], tuple[float, Message]] = {}
        self._last_id = 0
        self.bot = User(bot_id, username, bot=True)
        self.users[bot_id] = self.bot

    # --- ids and lookups -----------------------------------------------------------------------------

    def new_id(self) -> int:
        """A snowflake above all before."""
        self._last_id = max(self._last_id + 1, (int(time.time() * 1000) - EPOCH) << 22)
        return self._last_id

    @property
    def application_flags(self) -> int:
        return sum(_FLAGS[name] for name in self.privileged)

    @property
    def reads_content(self) -> bool:
        """Whether the app has the message content intent enabled."""
        return "message_content" in self.privileged

    def root(self, channel: Channel) -> Channel:
        """The channel whose permissions count: a thread's parent."""
        return self.channels[channel.parent_id] if channel.is_thread and channel.parent_id else channel

    def may(self, permission: str, channel: Channel) -> bool:
        denied = channel.denied | self.root(channel).denied
        if channel.guild_id is None:
            return permission not in denied
        return permission in GRANTED and permission not in denied

    def sees(self, channel: Channel) -> bool:
        """Whether the bot is where this channel is."""
        if channel.guild_id is None:
            return self.bot.id in channel.recipients
        if channel.type == PRIVATE_THREAD and self.bot.id not in channel.members:
            return False
        return self.guilds[channel.guild_id].installed and self.may("VIEW_CHANNEL", channel)

    def channel(self, channel_id: int, need: str | None = None) -> Channel:
        """The channel, if the bot may see it and has the permission. Raises Refusal."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise unknown(10003, "Channel")
        if not self.sees(channel):
            raise Refusal(403, 50001, "Missing Access")
        if need is not None and not self.may(need, channel):
            raise Refusal(403, 50013, "Missing Permissions")
        return channel

    def message(self, channel: Channel, message_id: int) -> Message:
        """A message that is in the channel for all to see. Raises Refusal."""
        message = channel.messages.get(message_id)
        if message is None or message.deleted or message.ephemeral_to is not None:
            raise unknown(10008, "Message")
        return message

    def find(self, message_id: int) -> Message:
        """A message of any channel, ephemeral ones too. Raises LookupError."""
        for channel in self.channels.values():
            if message_id in channel.messages:
                return channel.messages[message_id]
        raise LookupError(f"no message {message_id}")

    def dm(self, user_id: int) -> Channel:
        """The bot's private channel with a user, opened if need be."""
        for channel in self.channels.values():
            if channel.type == DM and set(channel.recipients) == {user_id, self.bot.id}:
                return channel
        channel = Channel(self.new_id(), DM, recipients=[user_id, self.bot.id])
        self.channels[channel.id] = channel
        return channel

    # --- messages ------------------------------------------------------------------------------------

    def said_before(self, nonce: Any) -> Message | None:
        """The bot's message with this nonce, if it is recent (enforce_nonce)."""
        at, message = self._nonces.get((self.bot.id, str(nonce)), (0.0, None))
        fresh = message is not None and self.clock() - at < self.nonce_window
        return message if fresh else None

    def post(self, channel: Channel, author: User, content: str, **facts: Any) -> Message:
        """A new message; its MESSAGE_CREATE goes out unless it is ephemeral."""
        number = facts.pop("id", None) or self.new_id()
        content = self._altered(author, content)
        kind = facts.pop("type", REPLY if facts.get("reference") else DEFAULT)
        message = Message(
            number, channel.id, author, content, kind, time.time(), self.clock(), history=[content], **facts
        )
        if author.id != self.bot.id or self.may("EMBED_LINKS", channel):
            message.links = unfurled(content, message.flags)
        channel.messages[number] = message
        if message.nonce is not None and author.id == self.bot.id:
            self._nonces[(author.id, str(message.nonce))] = (self.clock(), message)
        if channel.archived:
            channel.archived = False
            self.announce("THREAD_UPDATE", channel, lambda _: self.channel_json(channel))
        if message.ephemeral_to is None:
            self.tell("MESSAGE_CREATE", message)
        return message

    def change(self, message: Message, *, content: str | None = None, **facts: Any) -> None:
        """An edit; what is not given stays."""
        for name, value in facts.items():
            setattr(message, name, value)
        if content is not None:
            content = self._altered(message.author, content)
            message.content = content
            message.history.append(content)
            message.links += [each for each in unfurled(content, message.flags) if each not in message.links]
        message.edited = time.time()
        message.edit_times.append(self.clock())
        if message.ephemeral_to is None:
            self.tell("MESSAGE_UPDATE", message)

    def _altered(self, author: User, content: str) -> str:
        return content if self.alter is None or author.id != self.bot.id else self.alter(content)

    def remove(self, message: Message) -> None:
        message.deleted = True
        if message.ephemeral_to is None:
            channel = self.channels[message.channel_id]
            body = {"id": str(message.id), "channel_id": str(channel.id)} | self._place(channel)
            self.announce("MESSAGE_DELETE", channel, lambda _: body)

    def mentions_of(
        self,
        channel: Channel,
        content: str,
        allowed: Json | None,
        default: tuple[str, ...],
        replied: User | None,
    ) -> Mentions:
        """Whom the bot's text notifies there: those named, allowed, present, and mentionable by the bot."""
        found = pinged(content, allowed, default, replied.id if replied else None)
        return self._present(channel, found, everyone=self.may("MENTION_EVERYONE", channel))

    def human_mentions(self, channel: Channel, content: str, replied: User | None) -> Mentions:
        found = named(content)
        if replied is not None and replied.id not in found.users:
            found.users.append(replied.id)
        return self._present(channel, found, everyone=True)

    def _present(self, channel: Channel, found: Mentions, *, everyone: bool) -> Mentions:
        if channel.guild_id is None:
            return Mentions([each for each in found.users if each in self.users])
        roles = self.guilds[channel.guild_id].roles
        return Mentions(
            [each for each in found.users if each in self.users],
            [each for each in found.roles if each in roles and (everyone or roles[each][1])],
            found.everyone and everyone,
        )

    # --- events --------------------------------------------------------------------------------------

    def announce(self, name: str, channel: Channel, body: Callable[[bool], Json]) -> None:
        """An event of a channel, if the bot can see it."""
        if self.sees(channel):
            self.emit(Event(name, channel, channel.guild_id, body))

    def tell(self, name: str, message: Message) -> None:
        """MESSAGE_CREATE or MESSAGE_UPDATE, with the extra fields these have."""
        channel = self.channels[message.channel_id]
        frozen = (self.event_message(message, visible=True), self.event_message(message, visible=False))
        self.announce(name, channel, lambda visible: frozen[0] if visible else frozen[1])

    def event_message(self, message: Message, *, visible: bool) -> Json:
        channel = self.channels[message.channel_id]
        body = self.message_json(message, visible=visible, nonce=True) | self._place(channel)
        if channel.guild_id is not None:
            if message.interaction is None and "webhook_id" not in message.extra:
                body["member"] = self.member_json(channel.guild_id, message.author, nested=True)
            for each in body["mentions"]:
                each["member"] = self.member_json(channel.guild_id, self.users[int(each["id"])], nested=True)
        return body

    def react(self, message: Message, emoji: str, user: User, *, remove: bool = False) -> None:
        who = message.reactions.setdefault(emoji, [])
        if remove == (user.id not in who):
            return
        who.remove(user.id) if remove else who.append(user.id)
        if not who:
            del message.reactions[emoji]
        channel = self.channels[message.channel_id]
        body = {
            "user_id": str(user.id), "channel_id": str(channel.id), "message_id": str(message.id),
            "emoji": emoji_json(emoji), "burst": False, "type": 0,
        } | self._place(channel)  # fmt: skip
        if not remove:
            body["message_author_id"] = str(message.author.id)
            if channel.guild_id is not None:
                body["member"] = self.member_json(channel.guild_id, user)
        self.announce(f"MESSAGE_REACTION_{'REMOVE' if remove else 'ADD'}", channel, lambda _: body)

    @staticmethod
    def _place(channel: Channel) -> Json:
        return {} if channel.guild_id is None else {"guild_id": str(channel.guild_id)}

    # --- threads -------------------------------------------------------------------------------------

    def start_thread(
        self, parent: Channel, name: str, *, by: User, starter: Message | None = None, **facts: Any
    ) -> Channel:
        """A thread; one begun on a message has that message's id."""
        thread = Channel(
            starter.id if starter else self.new_id(), facts.pop("type", PUBLIC_THREAD), parent.guild_id, name,
            parent_id=parent.id, owner_id=by.id, members={by.id}, **facts,
        )  # fmt: skip
        self.channels[thread.id] = thread
        born = self.channel_json(thread) | {"newly_created": True}
        self.announce("THREAD_CREATE", thread, lambda _: born)
        if starter is not None:
            starter.thread_id = thread.id
            starter.flags |= HAS_THREAD
            self.tell("MESSAGE_UPDATE", starter)
            self.post(thread, starter.author, "", type=STARTER, reference=(parent.id, starter.id))
        if thread.type == PUBLIC_THREAD and (starter is None or starter.id != max(parent.messages)):
            self.post(parent, by, name, type=THREAD_CREATED, reference=(thread.id, 0))
        return thread

    # --- interactions --------------------------------------------------------------------------------

    def interact(
        self, kind: int, user: User, channel: Channel, data: Json, *, context: int, owners: dict[str, str],
        source: Message | None = None,
    ) -> Interaction:  # fmt: skip
        """INTERACTION_CREATE goes out; the clock of its first answer runs from here."""
        number = self.new_id()
        token = f"aW50ZXJhY3Rpb246{number:x}"
        made = Interaction(
            number, token, kind, user, channel.id, self.clock(), data, owners, source.id if source else None
        )
        self.interactions[number] = self.tokens[token] = made
        body: Json = {
            "id": str(number), "application_id": str(self.application_id), "type": kind, "token": token,
            "version": 1, "data": data, "channel": self.channel_json(channel), "channel_id": str(channel.id),
            "locale": "en-US", "entitlements": [], "authorizing_integration_owners": owners, "context": context,
            "attachment_size_limit": 10 * 1024 * 1024, "app_permissions": str(self._permissions(channel)),
        }  # fmt: skip
        if channel.guild_id is None:
            body["user"] = user.json
        else:
            body |= {
                "guild": {"id": str(channel.guild_id), "locale": "en-US", "features": []}, "guild_locale": "en-US",
                "guild_id": str(channel.guild_id),
                "member": self.member_json(channel.guild_id, user) | {"permissions": str(_granted(GRANTED))},
            }  # fmt: skip
        if source is not None:
            body["message"] = self.message_json(source, visible=True)
        self.emit(Event("INTERACTION_CREATE", channel, channel.guild_id, lambda _: body))
        return made

    def _permissions(self, channel: Channel) -> int:
        return _granted({name for name in PERMISSIONS if self.may(name, channel)})

    # --- JSON ----------------------------------------------------------------------------------------

    def member_json(self, guild_id: int, user: User, *, nested: bool = False) -> Json:
        roles = self.guilds[guild_id].roles
        shown: Json = {
            "nick": None, "avatar": None, "roles": [str(role) for role, (_, _, who) in roles.items() if user.id in who],
            "joined_at": "2020-01-01T00:00:00+00:00", "premium_since": None, "deaf": False, "mute": False,
            "flags": 0, "pending": False, "communication_disabled_until": None,
        }  # fmt: skip
        return shown if nested else shown | {"user": user.json}

    def guild_json(self, guild: Guild) -> Json:
        everyone = self._role_json(guild.id, "@everyone", mentionable=False)
        roles = [
            self._role_json(number, name, mentionable=free) for number, (name, free, _) in guild.roles.items()
        ]
        return {
            "id": str(guild.id), "name": guild.name, "icon": None, "splash": None, "discovery_splash": None,
            "owner_id": str(guild.owner_id), "afk_channel_id": None, "afk_timeout": 300, "verification_level": 0,
            "default_message_notifications": 0, "explicit_content_filter": 0, "roles": [everyone, *roles],
            "emojis": [], "stickers": [], "features": [], "mfa_level": 0, "application_id": None,
            "system_channel_id": None, "system_channel_flags": 0, "rules_channel_id": None,
            "vanity_url_code": None, "description": None, "banner": None, "premium_tier": 0,
            "preferred_locale": "en-US", "public_updates_channel_id": None, "nsfw_level": 0,
            "premium_progress_bar_enabled": False, "safety_alerts_channel_id": None,
        }  # fmt: skip

    def guild_create_json(self, guild: Guild) -> Json:
        """Members: the bot alone, as without the presences intent. A guild the bot joins has no `unavailable`."""
        inside = [each for each in self.channels.values() if each.guild_id == guild.id]
        channels = [self.channel_json(each) for each in inside if not each.is_thread]
        threads = [self.channel_json(each) for each in inside if each.is_thread and not each.archived]
        return self.guild_json(guild) | {
            "joined_at": "2020-01-01T00:00:00+00:00", "large": False,
            "member_count": len(guild.members) + 1, "voice_states": [], "presences": [], "stage_instances": [],
            "guild_scheduled_events": [], "soundboard_sounds": [], "channels": channels, "threads": threads,
            "members": [self.member_json(guild.id, self.bot)],
        }  # fmt: skip

    @staticmethod
    def _role_json(number: int, name: str, *, mentionable: bool) -> Json:
        return {
            "id": str(number), "name": name, "color": 0, "hoist": False, "icon": None, "unicode_emoji": None,
            "position": 0, "permissions": str(_granted(GRANTED)), "managed": False, "mentionable": mentionable,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None}, "flags": 0,
        }  # fmt: skip

    def channel_json(self, channel: Channel) -> Json:
        last = next(reversed(channel.messages), None)
        shown: Json = {
            "id": str(channel.id), "type": channel.type, "last_message_id": str(last) if last else None, "flags": 0,
        }  # fmt: skip
        if channel.guild_id is None:
            others = [self.users[each].json for each in channel.recipients if each != self.bot.id]
            return (
                shown
                | {"recipients": others}
                | ({"name": channel.name or None} if channel.type == GROUP_DM else {})
            )
        shown |= {
            "guild_id": str(channel.guild_id), "name": channel.name, "rate_limit_per_user": 0,
            "parent_id": str(channel.parent_id) if channel.parent_id else None,
        }  # fmt: skip
        if not channel.is_thread:
            denied = str(_granted(channel.denied))
            own = {"id": str(self.bot.id), "type": 1, "allow": "0", "deny": denied}
            return shown | {
                "position": 0, "topic": None, "nsfw": False, "permission_overwrites": [own] if channel.denied else [],
            }  # fmt: skip
        meta: Json = {
            "archived": channel.archived, "auto_archive_duration": channel.auto_archive, "locked": channel.locked,
            "archive_timestamp": stamp(channel.archived_at or time.time()),
            "create_timestamp": stamp(((channel.id >> 22) + EPOCH) / 1000.0),
        }  # fmt: skip
        if channel.type == PRIVATE_THREAD:
            meta["invitable"] = True
        count = len(channel.messages)
        here = sum(not each.deleted for each in channel.messages.values())
        return shown | {
            "owner_id": str(channel.owner_id), "thread_metadata": meta, "message_count": here,
            "total_message_sent": count, "member_count": len(channel.members),
        } | ({"member": self.thread_member(channel)} if self.bot.id in channel.members else {})  # fmt: skip

    def thread_member(self, thread: Channel) -> Json:
        """The bot's membership of a thread."""
        return {
            "id": str(thread.id),
            "user_id": str(self.bot.id),
            "join_timestamp": stamp(time.time()),
            "flags": 0,
        }

    def message_json(
        self, message: Message, *, visible: bool | None = None, nested: bool = False, nonce: bool = False
    ) -> Json:
        """The Message object; *visible*: what the message content intent says, by default the app's setting.

        Without it the content is empty but in DMs, in the bot's own messages and where the bot is mentioned.
        """
        channel = self.channels[message.channel_id]
        visible = self.reads_content if visible is None else visible
        open_to_bot = (
            visible
            or channel.guild_id is None
            or message.author.id == self.bot.id
            or self.bot.id in message.mentions.users
        )
        shown: Json = {
            "id": str(message.id), "type": message.type, "channel_id": str(message.channel_id),
            "author": message.author.json, "content": message.content if open_to_bot else "",
            "timestamp": stamp(message.date), "edited_timestamp": stamp(message.edited), "tts": False,
            "mention_everyone": message.mentions.everyone,
            "mentions": [self.users[each].json for each in message.mentions.users],
            "mention_roles": [str(each) for each in message.mentions.roles], "pinned": False, "flags": message.flags,
            "attachments": [self.cdn.signed(each) for each in message.attachments] if open_to_bot else [],
            "embeds": message.embeds if open_to_bot else [],
            "components": message.components if open_to_bot else [],
        }  # fmt: skip
        if message.reactions:
            shown["reactions"] = [self._reaction_json(*each) for each in message.reactions.items()]
        if nonce and message.nonce is not None:
            shown["nonce"] = message.nonce
        if message.interaction is not None:
            shown |= self._origin_json(message, message.interaction)
        if message.thread_id is not None and not nested:
            shown["thread"] = self.channel_json(self.channels[message.thread_id])
        if message.reference is not None:
            where, number = message.reference
            pointer: Json = {"type": 0, "channel_id": str(where), **self._place(channel)}
            shown["message_reference"] = pointer | ({"message_id": str(number)} if number else {})
            target = self.channels[where].messages.get(number)
            if number and not nested:
                gone = target is None or target.deleted
                shown["referenced_message"] = (
                    None if gone else self.message_json(target, visible=visible, nested=True)
                )
        if message.forwarded is not None and open_to_bot:
            shown |= self._forwarded_json(message.forwarded)
        return shown | message.extra

    def _forwarded_json(self, source: Message) -> Json:
        """The fields of a message that passes on another."""
        whole = self.message_json(source, visible=True)
        where = {"type": 1, "channel_id": whole["channel_id"], "message_id": whole["id"]}
        shown = {name: whole[name] for name in PASSED_ON if name in whole}
        return {"message_reference": where, "message_snapshots": [{"message": shown}]}

    def _reaction_json(self, emoji: str, who: list[int]) -> Json:
        return {
            "emoji": emoji_json(emoji), "count": len(who), "count_details": {"burst": 0, "normal": len(who)},
            "me": self.bot.id in who, "me_burst": False, "burst_colors": [],
        }  # fmt: skip

    def _origin_json(self, message: Message, made: Interaction) -> Json:
        about: Json = {
            "id": str(made.id), "type": made.kind, "user": made.user.json,
            "authorizing_integration_owners": made.owners,
        }  # fmt: skip
        if made.original is not None and made.original != message.id:
            about["original_response_message_id"] = str(made.original)
        if made.source is not None:
            about["interacted_message_id"] = str(made.source)
        number = str(self.application_id)
        return {"interaction_metadata": about, "application_id": number, "webhook_id": number}


def _granted(names: Any) -> int:
    return sum(1 << PERMISSIONS[name] for name in names)


def emoji_json(emoji: str) -> Json:
    """A standard emoji, or a guild's own written name:id."""
    if found := re.fullmatch(r"(\w+):(\d+)", emoji):
        return {"id": found[2], "name": found[1]}
    return {"id": None, "name": emoji}
