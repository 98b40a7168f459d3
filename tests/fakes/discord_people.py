"""The people on the fake Discord: who is there, what they write, press, and command."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from tests.fakes.discord_files import Sharing
from tests.fakes.discord_rest import Upload, attach
from tests.fakes.discord_rules import Json, buttons
from tests.fakes.discord_world import (
    DM,
    GROUP_DM,
    PUBLIC_THREAD,
    TEXT,
    Channel,
    Event,
    Guild,
    Interaction,
    Message,
    User,
    World,
)

_BY_TYPE = {bool: 5, int: 4, float: 10, str: 3}  # command option types


class People(Sharing):
    """The human side; ids are integers, and users are made when they first speak."""

    world: World

    # --- who and where -------------------------------------------------------------------------------

    def add_user(self, username: str = "ann", *, id: int | None = None, bot: bool = False) -> int:
        """A person, or another bot; the id."""
        number = id if id is not None else self.world.new_id()
        self.world.users[number] = User(number, username, username.capitalize(), bot)
        return number

    def add_guild(
        self,
        name: str = "A server",
        *,
        id: int | None = None,
        members: Iterable[int] = (),
        installed: bool = True,
    ) -> int:
        """A server the bot is in, unless not *installed*; the id. It comes with GUILD_CREATE."""
        number = id if id is not None else self.world.new_id()
        members = list(members)
        guild = Guild(number, name, members[0] if members else 1, installed, members=set(members))
        self.world.guilds[number] = guild
        self._guild_comes(guild)
        return number

    def add_channel(
        self, guild_id: int, name: str = "general", *, id: int | None = None, type: int = TEXT,
        denied: Iterable[str] = (),
    ) -> int:  # fmt: skip
        """A channel of a server; *denied*: permissions the bot lacks there, as SEND_MESSAGES. The id."""
        number = id if id is not None else self.world.new_id()
        channel = Channel(number, type, guild_id, name, denied=set(denied))
        self.world.channels[number] = channel
        self.world.announce("CHANNEL_CREATE", channel, lambda _: self.world.channel_json(channel))
        return number

    def add_role(
        self, guild_id: int, name: str, *, members: Iterable[int] = (), mentionable: bool = False
    ) -> int:
        number = self.world.new_id()
        self.world.guilds[guild_id].roles[number] = (name, mentionable, set(members))
        return number

    def add_thread(
        self, channel_id: int, name: str = "a thread", *, user_id: int | None = None, message_id: int | None = None,
        type: int = PUBLIC_THREAD,
    ) -> int:  # fmt: skip
        """A person starts a thread, on a message if given; the id."""
        parent = self.world.channels[channel_id]
        starter = parent.messages[message_id] if message_id is not None else None
        by = self._user(user_id, parent)
        return self.world.start_thread(parent, name, by=by, starter=starter, type=type).id

    def add_private(self, *user_ids: int) -> int:
        """A private channel of people without the bot, as user-installed apps are used in; the id."""
        for each in user_ids:
            self._known(each)
        kind = DM if len(user_ids) == 2 else GROUP_DM
        channel = Channel(self.world.new_id(), kind, recipients=list(user_ids))
        self.world.channels[channel.id] = channel
        return channel.id

    def dm(self, user_id: int, *, id: int | None = None) -> int:
        """The private channel of a person and the bot; the id, *id* if it is new."""
        self._known(user_id)
        known = {each.id for each in self.world.channels.values()}
        channel = self.world.dm(user_id)
        if id is not None and channel.id not in known:
            del self.world.channels[channel.id]
            channel.id = id
            self.world.channels[id] = channel
        return channel.id

    def deny(self, channel_id: int, *permissions: str) -> None:
        """Takes permissions from the bot in a channel; the list replaces the one before."""
        channel = self.world.channels[channel_id]
        channel.denied = set(permissions)
        self.world.announce("CHANNEL_UPDATE", channel, lambda _: self.world.channel_json(channel))

    def block(self, user_id: int, code: int = 50007) -> None:
        """The person no longer takes the bot's private messages: 403; 50278 is for no server in common."""
        self._known(user_id).closed = code

    def unblock(self, user_id: int) -> None:
        self._known(user_id).closed = 0

    def kick(self, guild_id: int) -> None:
        """The bot is thrown out: GUILD_DELETE, and 50001 for its channels."""
        guild = self.world.guilds[guild_id]
        guild.installed = False
        self.world.emit(Event("GUILD_DELETE", None, guild_id, lambda _: {"id": str(guild_id)}))

    def invite(self, guild_id: int) -> None:
        """The bot comes (back) to a server."""
        self.world.guilds[guild_id].installed = True
        self._guild_comes(self.world.guilds[guild_id])

    def guild_outage(self, guild_id: int, *, over: bool = False) -> None:
        """A server becomes unavailable (GUILD_DELETE with unavailable), or comes back."""
        guild = self.world.guilds[guild_id]
        guild.available = over
        if over:
            self._guild_comes(guild, known=True)
        else:
            body = {"id": str(guild_id), "unavailable": True}
            self.world.emit(Event("GUILD_DELETE", None, guild_id, lambda _: body))

    def _guild_comes(self, guild: Guild, *, known: bool = False) -> None:
        if guild.installed:
            body = self.world.guild_create_json(guild) | ({"unavailable": False} if known else {})
            self.world.emit(Event("GUILD_CREATE", None, guild.id, lambda _: body))

    def delete_channel(self, channel_id: int) -> None:
        channel = self.world.channels[channel_id]
        name = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
        body = self.world.channel_json(channel)
        self.world.announce(name, channel, lambda _: body)
        del self.world.channels[channel_id]

    def archive(self, thread_id: int, *, locked: bool = False) -> None:
        thread = self.world.channels[thread_id]
        thread.archived, thread.locked, thread.archived_at = True, locked, time.time()
        self.world.announce("THREAD_UPDATE", thread, lambda _: self.world.channel_json(thread))

    # --- what they do --------------------------------------------------------------------------------

    def user_says(
        self, channel_id: int, text: str, user_id: int | None = None, *, reply_to: int | None = None,
        attachments: Iterable[Any] = (), ping: bool = True, **facts: Any,
    ) -> int:  # fmt: skip
        """A person's message; its id. Attachments are names, or [name, text or bytes].

        *facts*: embeds, type, flags, and extra, which is merged into the message's JSON (webhook_id, poll, ...).
        """
        channel = self.world.channels[channel_id]
        user = self._user(user_id, channel)
        target = channel.messages[reply_to] if reply_to is not None else None
        mentions = self.world.human_mentions(channel, text, target.author if target and ping else None)
        files = [
            each if isinstance(each, list | tuple) else (each, b"content of " + each.encode())
            for each in attachments
        ]
        uploads = [Upload(name, body.encode() if isinstance(body, str) else body) for name, body in files]
        if target is not None:
            facts["reference"] = (channel.id, target.id)
        kept = [attach(self.world, channel, upload) for upload in uploads]
        return self.world.post(
            channel, user, text, mentions=mentions, pings=mentions, attachments=kept, **facts
        ).id

    def user_edits(self, message_id: int, text: str) -> None:
        """A person changes their own message. Raises ValueError for the bot's."""
        message = self._theirs(message_id)
        mentions = self.world.human_mentions(self.world.channels[message.channel_id], text, None)
        self.world.change(message, content=text, mentions=mentions)

    def user_deletes(self, message_id: int) -> None:
        """A person deletes a message; a moderator may delete the bot's."""
        self.world.remove(self.world.find(message_id))

    def unfurl(self, message_id: int) -> None:
        """The previews of a message's links arrive: MESSAGE_UPDATE with embeds that is no edit."""
        message = self.world.find(message_id)
        message.embeds = [{"type": "link", "url": link, "title": link} for link in message.links]
        self.world.tell("MESSAGE_UPDATE", message)

    def user_reacts(
        self, message_id: int, emoji: str, user_id: int | None = None, *, remove: bool = False
    ) -> None:
        message = self.world.find(message_id)
        user = self._user(user_id, self.world.channels[message.channel_id])
        self.world.react(message, emoji, user, remove=remove)

    def user_types(self, channel_id: int, user_id: int | None = None) -> None:
        channel = self.world.channels[channel_id]
        user = self._user(user_id, channel)
        body: Json = {"channel_id": str(channel.id), "user_id": str(user.id), "timestamp": int(time.time())}
        if channel.guild_id is not None:
            body |= {
                "guild_id": str(channel.guild_id),
                "member": self.world.member_json(channel.guild_id, user),
            }
        self.world.announce("TYPING_START", channel, lambda _: body)

    def user_commands(
        self, name: str, options: Mapping[str, Any] | None = None, *, channel_id: int, user_id: int | None = None,
        installed: str = "guild", forged: bool = False,
    ) -> int:  # fmt: skip
        """A slash command, subcommands after a space ("cron add"); the id of the interaction.

        *installed* is where the app is: "guild", "user", or "both". Raises LookupError if there is no such
        command, or it is not offered there, unless *forged* (an old client still knows it).
        """
        channel = self.world.channels[channel_id]
        user = self._user(user_id, channel)
        context = self._context(channel)
        first, *path = name.split()
        command = self._command(first, channel)
        owners = self._owners(channel, user, installed)
        if not forged:
            if command is None:
                raise LookupError(f"no command {first!r}")
            if context not in (command.get("contexts") or (0, 1, 2)):
                raise LookupError(f"{first!r} is not offered in context {context}")
            if not {int(kind) for kind in owners} & set(command.get("integration_types", [0])):
                raise LookupError(f"{first!r} is not offered where the app is installed for {installed}")
        filled = _filled(command or {}, path, dict(options or {}), forged=forged)
        number = command["id"] if command else str(self.world.new_id())
        data: Json = {"id": number, "name": first, "type": 1} | ({"options": filled} if filled else {})
        people = [int(each["value"]) for each in _leaves(filled) if each["type"] == 6]
        if people:
            data["resolved"] = {"users": {str(each): self.world.users[each].json for each in people}}
        return self.world.interact(2, user, channel, data, context=context, owners=owners).id

    def user_presses(
        self, message_id: int, custom_id: str, user_id: int | None = None, *, installed: str = "guild",
        values: Iterable[str] = (), forged: bool = False,
    ) -> int:  # fmt: skip
        """A button or select is used; the id of the interaction. LookupError if it is not there, unless *forged*."""
        message = self.world.find(message_id)
        channel = self.world.channels[message.channel_id]
        user = self._user(message.ephemeral_to if user_id is None else user_id, channel)
        part = next(
            (each for each in buttons(message.components) if each.get("custom_id") == custom_id), None
        )
        hidden = message.ephemeral_to not in (None, user.id)
        if not forged and (part is None or part.get("disabled") or message.deleted or hidden):
            raise LookupError(f"message {message_id} has no button {custom_id!r} to press")
        kind = part["type"] if part else 2
        data: Json = {"custom_id": custom_id, "component_type": kind, "id": 1}
        if kind != 2:
            data["values"] = list(values)
        made = message.interaction
        owners = made.owners if made is not None else self._owners(channel, user, installed)
        context = self._context(channel)
        return self.world.interact(3, user, channel, data, context=context, owners=owners, source=message).id

    def user_submits(self, interaction_id: int, values: Mapping[str, str]) -> int:
        """A modal shown in answer to an interaction is sent off; the id of the new interaction."""
        shown = self.world.interactions[interaction_id]
        if shown.answer != 9:
            raise LookupError(f"interaction {interaction_id} showed no modal")
        rows = [
            {"type": 1, "components": [{"type": 4, "custom_id": name, "value": value}]}
            for name, value in values.items()
        ]
        data: Json = {"custom_id": shown.body["custom_id"], "components": rows}
        channel = self.world.channels[shown.channel_id]
        source = self.world.find(shown.source) if shown.source else None
        return self.world.interact(
            5, shown.user, channel, data, context=self._context(channel), owners=shown.owners, source=source
        ).id

    # --- what they see -------------------------------------------------------------------------------

    def everything(self, channel_id: int) -> list[Message]:
        """All messages of a channel: people's, deleted and ephemeral ones too, oldest first."""
        channel = self.world.channels.get(channel_id)
        return list(channel.messages.values()) if channel else []

    def messages(self, channel_id: int) -> list[Message]:
        """The bot's messages that all in the channel see, oldest first."""
        return [each for each in self._shown(channel_id) if each.ephemeral_to is None]

    def ephemeral(self, channel_id: int, user_id: int | None = None) -> list[Message]:
        """The bot's messages that only one person sees; of one person if given."""
        hidden = [each for each in self._shown(channel_id) if each.ephemeral_to is not None]
        return [each for each in hidden if user_id in (None, each.ephemeral_to)]

    def texts(self, channel_id: int) -> list[str]:
        """The current contents of `messages`."""
        return [message.content for message in self.messages(channel_id)]

    def message(self, message_id: int) -> Message:
        return self.world.find(message_id)

    def typing(self, channel_id: int) -> list[float]:
        """When the bot was shown as typing there: arrivals on the server's clock."""
        return list(self.world.channels[channel_id].typing)

    @property
    def pings(self) -> int:
        """How many notifications of people, roles and everyone the bot's messages have caused."""
        every = (each for channel in self.world.channels.values() for each in channel.messages.values())
        return sum(each.pings.count for each in every if each.author.id == self.world.bot.id)

    @property
    def interactions(self) -> dict[int, Interaction]:
        return self.world.interactions

    def answers(self, interaction_id: int) -> list[Message]:
        """The messages that answer an interaction: the original, then the followups."""
        made = self.world.interactions[interaction_id]
        numbers = [*([made.original] if made.original is not None else []), *made.followups]
        return [self.world.find(each) for each in numbers]

    @property
    def commands(self) -> list[Json]:
        """The global commands as registered."""
        return self.world.commands.get(None, [])

    def _shown(self, channel_id: int) -> list[Message]:
        bot = self.world.bot.id
        return [each for each in self.everything(channel_id) if each.author.id == bot and not each.deleted]

    # --- lookups -------------------------------------------------------------------------------------

    def _known(self, user_id: int) -> User:
        if user_id not in self.world.users:
            self.add_user(f"user{user_id}", id=user_id)
        return self.world.users[user_id]

    def _user(self, user_id: int | None, channel: Channel) -> User:
        """The person meant: the other one of a DM, or the first member of the server."""
        if user_id is None:
            bot = self.world.bot.id
            others = channel.recipients or sorted(self.world.guilds[channel.guild_id or 0].members)
            user_id = next((each for each in others if each != bot), None)
            if user_id is None:
                user_id = self.add_user("ann")
        user = self._known(user_id)
        if channel.guild_id is not None:
            self.world.guilds[channel.guild_id].members.add(user.id)
        return user

    def _theirs(self, message_id: int) -> Message:
        message = self.world.find(message_id)
        if message.author.id == self.world.bot.id:
            raise ValueError("a person cannot edit the bot's message")
        return message

    def _context(self, channel: Channel) -> int:
        if channel.guild_id is not None:
            return 0
        return 1 if channel.type == DM and self.world.bot.id in channel.recipients else 2

    def _owners(self, channel: Channel, user: User, installed: str) -> dict[str, str]:
        """The authorizing integration owners. Raises LookupError where the app cannot be so installed."""
        found = {"1": str(user.id)} if installed in ("user", "both") else {}
        if installed in ("guild", "both"):
            found["0"] = str(channel.guild_id or 0)
            if not self.world.sees(channel):
                raise LookupError(f"the app is not installed for a guild where channel {channel.id} is")
        return found

    def _command(self, name: str, channel: Channel) -> Json | None:
        every = [*self.world.commands.get(channel.guild_id, []), *self.world.commands.get(None, [])]
        return next((each for each in every if each["name"] == name and each["type"] == 1), None)


def _filled(command: Json, path: list[str], options: dict[str, Any], *, forged: bool) -> list[Json]:
    """Options as a client sends them, nested under subcommands. Raises LookupError."""
    known = {each["name"]: each for each in command.get("options") or []}
    if path:
        below = known.get(path[0])
        if below is None and not forged:
            raise LookupError(f"no subcommand {path[0]!r}")
        kind = below["type"] if below else 1
        return [
            {"name": path[0], "type": kind, "options": _filled(below or {}, path[1:], options, forged=forged)}
        ]
    if not forged:
        missing = [
            each["name"] for each in known.values() if each.get("required") and each["name"] not in options
        ]
        if missing or set(options) - set(known):
            raise LookupError(f"missing options {missing}, unknown {sorted(set(options) - set(known))}")
    filled = []
    for name, value in options.items():
        kind = known[name]["type"] if name in known else _BY_TYPE[type(value)]
        filled.append({"name": name, "type": kind, "value": str(value) if kind in (6, 7, 8, 9) else value})
    return filled


def _leaves(options: list[Json]) -> list[Json]:
    found = []
    for each in options:
        found += _leaves(each["options"]) if "options" in each else [each]
    return found
