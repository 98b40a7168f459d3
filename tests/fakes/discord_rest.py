"""The HTTP API v10: its routes, and what each does to the world."""

import mimetypes
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.fakes.discord_rules import (
    EPHEMERAL,
    LOADING,
    SETTABLE,
    SUPPRESS_EMBEDS,
    Form,
    Json,
    Refusal,
    check_commands,
    check_message,
    invalid,
    snowflake,
    unknown,
)
from tests.fakes.discord_world import (
    COMMAND,
    PRIVATE_THREAD,
    SYSTEM,
    THREADS,
    Channel,
    Interaction,
    Message,
    World,
    stamp,
)

FILE_LIMIT = 10 * 1024 * 1024  # bytes a file; Uploading Files
Answer = tuple[int, Any]  # HTTP status, JSON


@dataclass(frozen=True, slots=True)
class Upload:
    """A file part of a multipart body."""

    name: str
    content: bytes
    kind: str | None = None


@dataclass(slots=True)
class Request:
    """A request that has been read: ids of its path, its query, its JSON body and files by part name."""

    path: dict[str, str]
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    files: dict[str, Upload] = field(default_factory=dict)

    def id(self, name: str) -> int:
        return snowflake(self.path[name], name)

    @property
    def form(self) -> Json:
        """The body as an object. Raises Refusal."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise invalid("", "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return self.body


@dataclass(frozen=True, slots=True)
class Route:
    """`name` is what calls and faults go by; `open`: no bot token, the path's is enough."""

    name: str
    method: str
    pattern: re.Pattern[str]
    handle: Callable[[World, Request], Answer]
    open: bool


# --- the bot and the application --------------------------------------------------------------------------


def _me(world: World, request: Request) -> Answer:
    return 200, world.bot.json | {
        "verified": True, "email": None, "flags": 0, "mfa_enabled": False, "locale": "en-US"
    }  # fmt: skip


def _gateway(world: World, request: Request) -> Answer:
    start = {"total": 1000, "remaining": world.starts_left, "reset_after": 86_400_000, "max_concurrency": 1}
    return 200, {"url": world.gateway_url, "shards": 1, "session_start_limit": start}


def _application(world: World, request: Request) -> Answer:
    return 200, {
        "id": str(world.application_id), "name": world.bot.username, "icon": None, "description": "",
        "summary": "", "bot_public": True, "bot_require_code_grant": False, "verify_key": "0" * 64, "team": None,
        "owner": {"id": "1", "username": "owner", "discriminator": "0", "avatar": None, "global_name": None},
        "bot": world.bot.json, "flags": world.application_flags, "rpc_origins": [], "hook": True,
        "redirect_uris": [], "interactions_endpoint_url": None, "role_connections_verification_url": None,
        "approximate_guild_count": sum(guild.installed for guild in world.guilds.values()),
        "integration_types_config": {"0": {}, "1": {}},
    }  # fmt: skip


def _user(world: World, request: Request) -> Answer:
    user = world.users.get(request.id("user_id"))
    if user is None:
        raise unknown(10013, "User")
    return 200, user.json


def _guild(world: World, request: Request) -> Answer:
    guild = world.guilds.get(request.id("guild_id"))
    if guild is None or not guild.installed:
        raise unknown(10004, "Guild")
    return 200, world.guild_json(guild)


def _member(world: World, request: Request) -> Answer:
    _guild(world, request)
    guild, user = world.guilds[request.id("guild_id")], request.id("user_id")
    if user not in guild.members and user != world.bot.id:
        raise unknown(10007, "Member")
    return 200, world.member_json(guild.id, world.users[user])


# --- channels and threads -----------------------------------------------------------------------------------


def _channel(world: World, request: Request) -> Answer:
    return 200, world.channel_json(world.channel(request.id("channel_id")))


def _create_dm(world: World, request: Request) -> Answer:
    user = snowflake(request.form.get("recipient_id"), "recipient_id")
    if user not in world.users:
        raise Refusal(400, 50033, "Invalid Recipient(s)")
    if user == world.bot.id:
        raise Refusal(403, 50007, "Cannot send messages to this user")
    return 200, world.channel_json(world.dm(user))


def _modify_channel(world: World, request: Request) -> Answer:
    channel = world.channel(request.id("channel_id"))
    if not channel.is_thread:
        raise Refusal(403, 50013, "Missing Permissions")
    if channel.owner_id != world.bot.id and not world.may("MANAGE_THREADS", channel):
        raise Refusal(403, 50013, "Missing Permissions")
    form, body = Form(), request.form
    if "name" in body:
        form.length("name", body["name"], 100, 1)
    form.done()
    channel.name = body.get("name", channel.name)
    channel.locked = body.get("locked", channel.locked)
    archived = body.get("archived", channel.archived)
    if archived != channel.archived:
        channel.archived, channel.archived_at = archived, time.time()
    world.announce("THREAD_UPDATE", channel, lambda _: world.channel_json(channel))
    return 200, world.channel_json(channel)


def _typing(world: World, request: Request) -> Answer:
    channel = world.channel(request.id("channel_id"))
    _may_send(world, channel)
    channel.typing.append(world.clock())
    return 204, None


def _thread_facts(body: Json) -> Json:
    form = Form()
    form.length("name", body.get("name"), 100, 1)
    if (minutes := body.get("auto_archive_duration")) not in (None, 60, 1440, 4320, 10080):
        message = "Value must be one of {60, 1440, 4320, 10080}."
        form.wrong("auto_archive_duration", "BASE_TYPE_CHOICES", message)
    form.done()
    return {"auto_archive": minutes or 1440}


def _thread_on_message(world: World, request: Request) -> Answer:
    channel = world.channel(request.id("channel_id"), "CREATE_PUBLIC_THREADS")
    if channel.guild_id is None or channel.is_thread:
        raise Refusal(400, 50024, "Cannot execute action on this channel type")
    starter = world.message(channel, request.id("message_id"))
    facts = _thread_facts(request.form)
    if starter.thread_id is not None:
        raise Refusal(400, 160004, "A thread has already been created for this message")
    thread = world.start_thread(channel, request.form["name"], by=world.bot, starter=starter, **facts)
    return 201, world.channel_json(thread)


def _thread(world: World, request: Request) -> Answer:
    kind = request.form.get("type", PRIVATE_THREAD)
    if kind not in THREADS:
        raise invalid("type", "BASE_TYPE_CHOICES", "Value must be one of {10, 11, 12}.")
    need = "CREATE_PRIVATE_THREADS" if kind == PRIVATE_THREAD else "CREATE_PUBLIC_THREADS"
    channel = world.channel(request.id("channel_id"), need)
    if channel.guild_id is None or channel.is_thread:
        raise Refusal(400, 50024, "Cannot execute action on this channel type")
    facts = _thread_facts(request.form)
    thread = world.start_thread(channel, request.form["name"], by=world.bot, type=kind, **facts)
    return 201, world.channel_json(thread)


def _join_thread(world: World, request: Request) -> Answer:
    thread = world.channel(request.id("channel_id"))
    _active(thread)
    thread.members.add(world.bot.id)
    return 204, None


def _archived_threads(world: World, request: Request) -> Answer:
    channel = world.channel(request.id("channel_id"), "READ_MESSAGE_HISTORY")
    found = [
        each
        for each in world.channels.values()
        if each.parent_id == channel.id and each.archived and each.type != PRIVATE_THREAD
    ]
    found.sort(key=lambda each: each.archived_at, reverse=True)
    if before := request.query.get("before"):
        found = [each for each in found if str(stamp(each.archived_at)) < before.replace(" ", "+")]
    limit = _number(request, "limit", 50, 100)
    return 200, _thread_list(world, found[:limit]) | {"has_more": len(found) > limit}


def _active_threads(world: World, request: Request) -> Answer:
    _guild(world, request)
    guild = request.id("guild_id")
    found = [each for each in world.channels.values() if each.guild_id == guild and each.is_thread]
    return 200, _thread_list(world, [each for each in found if not each.archived and world.sees(each)])


def _thread_list(world: World, threads: list[Channel]) -> Json:
    joined = [each for each in threads if world.bot.id in each.members]
    members = [world.thread_member(each) for each in joined]
    return {"threads": [world.channel_json(each) for each in threads], "members": members}


# --- messages -----------------------------------------------------------------------------------------------


def _active(channel: Channel) -> None:
    if channel.archived:
        raise Refusal(400, 50083, "Tried to perform an operation on an archived thread")


def _may_send(world: World, channel: Channel) -> None:
    if channel.guild_id is None:
        others = [world.users[each] for each in channel.recipients if each != world.bot.id]
        code = next((each.closed or 50007 for each in others if each.closed or each.bot), 0)
        if code == 50278:
            raise Refusal(403, code, "Cannot send messages to this user due to having no mutual guilds")
        if code:
            raise Refusal(403, code, "Cannot send messages to this user")
    elif not world.may("SEND_MESSAGES_IN_THREADS" if channel.is_thread else "SEND_MESSAGES", channel):
        raise Refusal(403, 50013, "Missing Permissions")
    if channel.locked:
        raise Refusal(403, 160005, "Thread is locked")


def _files(world: World, channel: Channel, request: Request, kept: list[Json] | None = None) -> list[Json]:
    """The attachments a body describes and brings; *kept*: those of the message being edited."""
    for upload in request.files.values():
        if len(upload.content) > FILE_LIMIT:
            raise Refusal(413, 40005, "Request entity too large")
    described = request.form.get("attachments")
    result = []
    for each in described or []:
        if old := [one for one in kept or [] if one["id"] == str(each["id"])]:
            result += old
        elif f"files[{each['id']}]" not in request.files:
            raise invalid(
                "attachments", "ATTACHMENT_NOT_FOUND", f"Attachment data not found for {each['id']}"
            )
    if described is None:
        result += kept or []
    return result + [attach(world, channel, upload) for upload in request.files.values()]


def attach(world: World, channel: Channel, upload: Upload) -> Json:
    """Keeps a file; its Attachment object."""
    number = world.new_id()
    world.files[number] = (upload.name, upload.content)
    url = f"/attachments/{channel.id}/{number}/{upload.name}"  # signed where it is shown
    return {
        "id": str(number), "filename": upload.name, "size": len(upload.content), "url": url, "proxy_url": url,
        "content_type": mimetypes.guess_type(upload.name)[0] or upload.kind or "application/octet-stream",
    }  # fmt: skip


def _composed(world: World, channel: Channel, request: Request, *, settable: int = SETTABLE) -> Json:
    """The facts of a new message from a body, checked; without reference and mentions."""
    form, body = Form(), request.form
    check_message(form, body, settable=settable)
    form.done()
    files = _files(world, channel, request)
    content = (body.get("content") or "").strip()
    if not content and not files and not body.get("embeds"):
        raise Refusal(400, 50006, "Cannot send an empty message")
    if files and not world.may("ATTACH_FILES", channel):
        raise Refusal(403, 50013, "Missing Permissions")
    return {
        "content": content, "flags": body.get("flags") or 0, "components": body.get("components") or [],
        "embeds": body.get("embeds") or [], "attachments": files,
    }  # fmt: skip


def _reference(world: World, channel: Channel, body: Json) -> Message | None:
    wanted = body.get("message_reference")
    if not wanted:
        return None
    if wanted.get("type", 0) != 0:
        raise invalid("message_reference", "NOT_MODELLED", "Forwards are not modelled by this server.")
    if not world.may("READ_MESSAGE_HISTORY", channel):
        raise Refusal(400, 160002, "Cannot reply without permission to read message history")
    target = channel.messages.get(snowflake(wanted.get("message_id"), "message_reference.message_id"))
    if target is None or target.deleted or target.ephemeral_to is not None:
        if wanted.get("fail_if_not_exists", True):
            raise invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        return None
    if target.type in SYSTEM:
        raise invalid(
            "message_reference", "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE", "Cannot reply to a system message"
        )
    return target


def _create_message(world: World, request: Request) -> Answer:
    channel = world.channel(request.id("channel_id"))
    _may_send(world, channel)
    body = request.form
    facts = _composed(world, channel, request)
    nonce = body.get("nonce")
    if nonce is not None and body.get("enforce_nonce") and (earlier := world.said_before(nonce)):
        return 200, world.message_json(earlier, nonce=True)
    target = _reference(world, channel, body)
    mentions = world.mentions_of(
        channel, facts["content"], body.get("allowed_mentions"), ("users", "roles", "everyone"),
        target.author if target else None,
    )  # fmt: skip
    facts |= {"mentions": mentions, "pings": mentions, "nonce": nonce}
    if target is not None:
        facts["reference"] = (channel.id, target.id)
    message = world.post(channel, world.bot, **facts)
    return 200, world.message_json(message, nonce=True)


def _edit(world: World, message: Message, request: Request, default: tuple[str, ...]) -> Answer:
    """What a PATCH does, to a channel's message or an interaction's."""
    channel = world.channels[message.channel_id]
    form, body = Form(), request.form
    check_message(form, body, settable=SUPPRESS_EMBEDS | message.flags)
    form.done()
    content = message.content if "content" not in body else (body["content"] or "").strip()
    facts: Json = {"attachments": _files(world, channel, request, message.attachments)}
    for name in ("embeds", "components"):
        if name in body:
            facts[name] = body[name] or []
    if not content and not facts.get("embeds", message.embeds) and not facts["attachments"]:
        raise Refusal(400, 50006, "Cannot send an empty message")
    if "flags" in body:
        kept = message.flags & ~SUPPRESS_EMBEDS
        facts["flags"] = kept | ((body["flags"] or 0) & SUPPRESS_EMBEDS)
    facts["flags"] = facts.get("flags", message.flags) & ~LOADING
    if "content" in body:
        facts["mentions"] = world.mentions_of(channel, content, body.get("allowed_mentions"), default, None)
    world.change(message, content=content if "content" in body else None, **facts)
    return 200, world.message_json(message)


def _edit_message(world: World, request: Request) -> Answer:
    channel = world.channel(request.id("channel_id"))
    message = world.message(channel, request.id("message_id"))
    if message.author.id != world.bot.id:
        raise Refusal(403, 50005, "Cannot edit a message authored by another user")
    if message.type in SYSTEM:
        raise Refusal(403, 50021, "Cannot execute action on a system message")
    _active(channel)
    if channel.locked:
        raise Refusal(403, 160005, "Thread is locked")
    return _edit(world, message, request, ("users", "roles", "everyone"))


def _get_message(world: World, request: Request) -> Answer:
    channel = world.channel(request.id("channel_id"), "READ_MESSAGE_HISTORY")
    return 200, world.message_json(world.message(channel, request.id("message_id")))


def _delete_message(world: World, request: Request) -> Answer:
    channel = world.channel(request.id("channel_id"))
    message = world.message(channel, request.id("message_id"))
    if message.author.id != world.bot.id:
        if channel.guild_id is None:
            raise Refusal(403, 50003, "Cannot execute action on a DM channel")
        if not world.may("MANAGE_MESSAGES", channel):
            raise Refusal(403, 50013, "Missing Permissions")
    world.remove(message)
    return 204, None


def _number(request: Request, name: str, default: int, most: int) -> int:
    raw = request.query.get(name)
    if raw is None:
        return default
    if not raw.isdigit():
        raise invalid(name, "NUMBER_TYPE_COERCE", f'Value "{raw}" is not int.')
    if not 1 <= int(raw) <= most:
        small = int(raw) < 1
        code, what = ("NUMBER_TYPE_MIN", "greater") if small else ("NUMBER_TYPE_MAX", "less")
        raise invalid(name, code, f"int value should be {what} than or equal to {1 if small else most}.")
    return int(raw)


def _messages(world: World, request: Request) -> Answer:
    """Newest first; `after` gives those that follow at once, not the newest of all."""
    channel = world.channel(request.id("channel_id"))
    limit = _number(request, "limit", 50, 100)
    given = [name for name in ("around", "before", "after") if name in request.query]
    if len(given) > 1:
        raise invalid(given[1], "MUTUALLY_EXCLUSIVE", "Only one of before, after and around may be passed.")
    if not world.may("READ_MESSAGE_HISTORY", channel):
        return 200, []
    found = [each for each in channel.messages.values() if not each.deleted and each.ephemeral_to is None]
    found.sort(key=lambda each: each.id)
    if given:
        mark = snowflake(request.query[given[0]], given[0])
        older = [each for each in found if each.id < mark]
        newer = [each for each in found if each.id > mark]
        if given[0] == "before":
            found = older[-limit:]
        elif given[0] == "after":
            found = newer[:limit]
        else:
            exact = [each for each in found if each.id == mark]
            found = [*older[-(limit // 2) :], *exact, *newer[: limit // 2]][:limit]
    return 200, [world.message_json(each) for each in reversed(found[-limit:])]


def _reaction(*, remove: bool) -> Callable[[World, Request], Answer]:
    def react(world: World, request: Request) -> Answer:
        channel = world.channel(request.id("channel_id"), "READ_MESSAGE_HISTORY")
        message = world.message(channel, request.id("message_id"))
        _active(channel)
        emoji = request.path["emoji"]
        if not re.fullmatch(r"\w+:\d+", emoji) and (emoji.isascii() or len(emoji) > 12):
            raise unknown(10014, "Emoji")
        if not remove and emoji not in message.reactions:
            if not world.may("ADD_REACTIONS", channel):
                raise Refusal(403, 50013, "Missing Permissions")
            if len(message.reactions) >= 20:
                raise Refusal(400, 30010, "Maximum number of reactions reached (20)")
        world.react(message, emoji, world.bot, remove=remove)
        return 204, None

    return react


# --- commands -----------------------------------------------------------------------------------------------


def _scope(world: World, request: Request) -> int | None:
    if request.id("application_id") != world.application_id:
        raise Refusal(403, 20012, "You are not authorized to perform this action on this application")
    if "guild_id" not in request.path:
        return None
    guild = world.guilds.get(request.id("guild_id"))
    if guild is None or not guild.installed:
        raise Refusal(403, 50001, "Missing Access")
    return guild.id


def _get_commands(world: World, request: Request) -> Answer:
    return 200, world.commands.get(_scope(world, request), [])


def _put_commands(world: World, request: Request) -> Answer:
    """Bulk overwrite: a command of the same name and type keeps its id."""
    scope = _scope(world, request)
    check_commands(request.body)
    known = {(each["type"], each["name"]): each["id"] for each in world.commands.get(scope, [])}
    made = []
    for each in request.body:
        kind = each.get("type", 1)
        shown: Json = {
            "id": known.get((kind, each["name"])) or str(world.new_id()), "version": str(world.new_id()),
            "application_id": str(world.application_id), "type": kind, "name": each["name"],
            "name_localizations": each.get("name_localizations"), "description": each.get("description", ""),
            "description_localizations": each.get("description_localizations"), "options": each.get("options") or [],
            "default_member_permissions": each.get("default_member_permissions"), "nsfw": each.get("nsfw", False),
        }  # fmt: skip
        if scope is None:
            shown["integration_types"] = each.get("integration_types") or [0]
            shown["contexts"] = each.get("contexts")
        else:
            shown["guild_id"] = str(scope)
        made.append(shown)
    world.commands[scope] = made
    world.command_puts += 1
    return 200, made


# --- interactions -------------------------------------------------------------------------------------------


def _answer_interaction(world: World, request: Request) -> Answer:
    made = world.interactions.get(request.id("interaction_id"))
    if made is None or made.token != request.path["token"]:
        raise unknown(10062, "Interaction")
    try:
        message = _callback(world, made, request)
    except Refusal as refusal:
        made.refused.append(refusal.code)
        raise
    if request.query.get("with_response", "").lower() not in ("true", "1"):
        return 204, None
    about: Json = {"id": str(made.id), "type": made.kind}
    shown: Json = {"interaction": about}
    if message is not None:
        about |= {
            "response_message_id": str(message.id), "response_message_loading": bool(message.flags & LOADING),
            "response_message_ephemeral": bool(message.flags & EPHEMERAL),
        }  # fmt: skip
        if made.answer in (4, 7):
            shown["resource"] = {"type": made.answer, "message": world.message_json(message, visible=True)}
    return 200, shown


def _callback(world: World, made: Interaction, request: Request) -> Message | None:
    """The first answer; the message it made or changed."""
    if made.answered_at is not None:
        raise Refusal(400, 40060, "Interaction has already been acknowledged.")
    if world.clock() - made.at > world.answer_window:
        raise unknown(10062, "Interaction")
    kind = request.form.get("type")
    allowed = {2: (4, 5, 9), 3: (4, 5, 6, 7, 9), 4: (8,), 5: (4, 5, 6, 7)}[made.kind]
    if kind not in allowed:
        raise invalid(
            "type", "BASE_TYPE_CHOICES", f"Value must be one of {{{', '.join(map(str, allowed))}}}."
        )
    data = request.form.get("data") or {}
    inner = Request(request.path, request.query, data, request.files)
    message = None
    if kind == 4:
        message = _say(world, made, inner, first=True)
    elif kind == 5:
        flags = (data.get("flags") or 0) & EPHEMERAL
        hidden = made.user.id if flags else None
        message = world.post(
            world.channels[made.channel_id], world.bot, "", type=_kind_of(made), flags=flags | LOADING,
            interaction=made, ephemeral_to=hidden,
        )  # fmt: skip
        made.original = message.id
    elif kind in (6, 7):
        message = world.find(made.source or 0)
        made.original = message.id
        if kind == 7:
            _edit(world, message, inner, ("users",))
    made.answer, made.answered_at, made.body = kind, world.clock(), data
    return message


def _kind_of(made: Interaction) -> int:
    return COMMAND if made.kind == 2 and made.original is None else 0


def _say(world: World, made: Interaction, request: Request, *, first: bool = False) -> Message:
    """A message of the interaction: its answer if it is the first, or a followup."""
    channel = world.channels[made.channel_id]
    facts = _composed(world, channel, request, settable=SETTABLE | EPHEMERAL)
    body = request.form
    mentions = world.mentions_of(channel, facts["content"], body.get("allowed_mentions"), ("users",), None)
    facts |= {"mentions": mentions, "pings": mentions}
    hidden = made.user.id if facts["flags"] & EPHEMERAL else None
    message = world.post(
        channel, world.bot, type=_kind_of(made), interaction=made, ephemeral_to=hidden, **facts
    )
    if first:
        made.original = message.id
    else:
        made.followups.append(message.id)
    return message


def _owner(world: World, request: Request) -> Interaction:
    """The interaction of a token. Raises Refusal: not answered yet, never answered, or too old."""
    made = world.tokens.get(request.path["token"])
    if made is None or request.id("application_id") != world.application_id or made.answered_at is None:
        raise unknown(10015, "Webhook")
    if world.clock() - made.at > world.token_life:
        raise Refusal(401, 50027, "Invalid Webhook Token")
    return made


def _followup(world: World, request: Request) -> Answer:
    made = _owner(world, request)
    if made.original and made.answer == 5 and (first := world.find(made.original)).flags & LOADING:
        return _edit(world, first, request, ("users",))
    if set(made.owners) == {"1"} and world.channels[made.channel_id].guild_id and len(made.followups) >= 5:
        raise Refusal(400, 40094, "This interaction has reached the maximum number of follow up messages")
    return 200, world.message_json(_say(world, made, request), visible=True)


def _own_message(world: World, request: Request) -> Message:
    made = _owner(world, request)
    wanted = request.path["message_id"]
    number = made.original if wanted == "@original" else snowflake(wanted, "message_id")
    if number is None or (number != made.original and number not in made.followups):
        raise unknown(10008, "Message")
    message = world.channels[made.channel_id].messages.get(number)
    if message is None or message.deleted:
        raise unknown(10008, "Message")
    return message


def _get_answer(world: World, request: Request) -> Answer:
    return 200, world.message_json(_own_message(world, request), visible=True)


def _edit_answer(world: World, request: Request) -> Answer:
    message = _own_message(world, request)
    return _edit(world, message, request, ("users",))


def _delete_answer(world: World, request: Request) -> Answer:
    world.remove(_own_message(world, request))
    return 204, None


# --- the table ----------------------------------------------------------------------------------------------


def _route(name: str, line: str, handle: Callable[[World, Request], Answer], *, open: bool = False) -> Route:
    method, template = line.split()
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)
    return Route(name, method, re.compile(pattern), handle, open)


_MESSAGE = "/channels/{channel_id}/messages/{message_id}"
_COMMANDS = "/applications/{application_id}/commands"
_GUILD_COMMANDS = "/applications/{application_id}/guilds/{guild_id}/commands"
_HOOK = "/webhooks/{application_id}/{token}"
ROUTES = (
    _route("get_gateway_bot", "GET /gateway/bot", _gateway),
    _route("get_current_user", "GET /users/@me", _me),
    _route("get_current_application", "GET /applications/@me", _application),
    _route("get_current_application", "GET /oauth2/applications/@me", _application),
    _route("create_dm", "POST /users/@me/channels", _create_dm),
    _route("get_user", "GET /users/{user_id}", _user),
    _route("get_guild", "GET /guilds/{guild_id}", _guild),
    _route("get_guild_member", "GET /guilds/{guild_id}/members/{user_id}", _member),
    _route("list_active_guild_threads", "GET /guilds/{guild_id}/threads/active", _active_threads),
    _route("get_channel", "GET /channels/{channel_id}", _channel),
    _route("modify_channel", "PATCH /channels/{channel_id}", _modify_channel),
    _route("trigger_typing", "POST /channels/{channel_id}/typing", _typing),
    _route("get_messages", "GET /channels/{channel_id}/messages", _messages),
    _route("create_message", "POST /channels/{channel_id}/messages", _create_message),
    _route("get_message", f"GET {_MESSAGE}", _get_message),
    _route("edit_message", f"PATCH {_MESSAGE}", _edit_message),
    _route("delete_message", f"DELETE {_MESSAGE}", _delete_message),
    _route("create_reaction", f"PUT {_MESSAGE}/reactions/{{emoji}}/@me", _reaction(remove=False)),
    _route("delete_own_reaction", f"DELETE {_MESSAGE}/reactions/{{emoji}}/@me", _reaction(remove=True)),
    _route("start_thread_from_message", f"POST {_MESSAGE}/threads", _thread_on_message),
    _route("start_thread", "POST /channels/{channel_id}/threads", _thread),
    _route("join_thread", "PUT /channels/{channel_id}/thread-members/@me", _join_thread),
    _route(
        "list_public_archived_threads",
        "GET /channels/{channel_id}/threads/archived/public",
        _archived_threads,
    ),
    _route("get_commands", f"GET {_COMMANDS}", _get_commands),
    _route("overwrite_commands", f"PUT {_COMMANDS}", _put_commands),
    _route("get_guild_commands", f"GET {_GUILD_COMMANDS}", _get_commands),
    _route("overwrite_guild_commands", f"PUT {_GUILD_COMMANDS}", _put_commands),
    _route(
        "answer_interaction",
        "POST /interactions/{interaction_id}/{token}/callback",
        _answer_interaction,
        open=True,
    ),
    _route("create_followup", f"POST {_HOOK}", _followup, open=True),
    _route("get_answer", f"GET {_HOOK}/messages/{{message_id}}", _get_answer, open=True),
    _route("edit_answer", f"PATCH {_HOOK}/messages/{{message_id}}", _edit_answer, open=True),
    _route("delete_answer", f"DELETE {_HOOK}/messages/{{message_id}}", _delete_answer, open=True),
)
NAMES = frozenset(route.name for route in ROUTES)


def found(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request and the ids in its (still quoted) path; Refusal if only the method is wrong."""
    known = False
    for route in ROUTES:
        if match := route.pattern.fullmatch(path):
            if route.method == method:
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
            known = True
    if known:
        raise Refusal(405, 0, "405: Method Not Allowed")
    return None
