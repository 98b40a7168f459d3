"""What a gateway event means to us; pure, and there is no JSON it fails on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from channels.discord.files import asked_about, files
from channels.discord.places import DM, FOR_THREADS, GROUP_DM, Spot, spot_of
from channels.discord.press import MOST_TITLE, Hint, Press
from channels.discord.snowflake import is_id, made_at
from channels.discord.words import Me, answered_id, name_of, quotes, spoken
from channels.fields import Unreadable, a_text, an_object, encoded, storable
from gateway.types.inbound import Inbound, Kind
from gateway.types.json import Json
from gateway.types.people import Sender
from gateway.types.places import Place

SPOKEN = (0, 19)  # Message Types: default and reply; all others are notices of the chat
COMMAND, COMPONENT = 2, 3  # Interaction Types
PRIVATE = 2  # Interaction Context Types: a private channel of people, without us
ASK = "ask"  # our command for a prompt
TOKEN = "p:"  # noqa: S105 - before a button's token in its custom_id
DIRECT = "direct:"  # before the id of a private channel in the scope of its cursor
# Bitwise Permission Flags.
VIEW, SEND, SEND_IN_THREADS = 1 << 10, 1 << 11, 1 << 38


@dataclass(frozen=True, slots=True)
class Manner:
    """How messages are read. *always*: channels and servers where all is meant for us; *threads*: see Discord."""

    me: Me
    always: frozenset[str] = frozenset()
    threads: bool = False


def to_inbound(name: str, data: object, manner: Manner, spot: Spot | None) -> Inbound | None:
    """The event of that name; None for one that says nothing to us.

    *spot* is what is known of the channel it happened in. One that cannot be read is of Kind.UNKNOWN.
    """
    try:
        raw = encoded(data)
    except (RecursionError, ValueError):
        return unreadable(name, "", "nested too deeply or a number too long")
    try:
        event = an_object(data, name)
        match name:
            case "MESSAGE_CREATE":
                return _message(event, manner, spot, raw)
            case "MESSAGE_UPDATE":
                return _edit(event, manner, spot, raw)
            case "INTERACTION_CREATE":
                return _interaction(event, spot, raw)
    except Unreadable as error:
        return unreadable(name, raw, str(error))
    return None


def unreadable(name: str, raw: str, error: str) -> Inbound:
    """An event for what cannot be read."""
    raw = storable(raw)
    digest = hashlib.sha256(raw.encode()).hexdigest()[:16]
    return Inbound(event_id=f"?:{digest}", kind=Kind.UNKNOWN, raw=raw, error=f"{name}: {error}")


def is_ours(data: object, me: Me) -> bool:
    """Whether a message is one of ours, that comes back to us."""
    author = data.get("author") if isinstance(data, dict) else None
    return isinstance(author, dict) and author.get("id") == me.id


def _message(message: Json, manner: Manner, spot: Spot | None, raw: str) -> Inbound | None:
    if message.get("type", 0) not in SPOKEN or _nobody(message):
        return None
    id, author = an_id(message, "id"), an_object(message.get("author"), "author")
    channel = an_id(message, "channel_id")
    server = a_text(message, "guild_id") or (spot.server if spot else "")
    place = _place(channel, server, spot)
    direct = place.kind == "direct"
    always = not manner.always.isdisjoint((channel, place.chat_id, server)) or (
        spot is not None and spot.is_thread and spot.owner == manner.me.id
    )
    words = spoken(message, manner.me, direct=direct, always=always)
    own = files(message)
    if not words.text and not own and not words.addressed:
        return None  # without the intent a server's messages come empty
    hint = ""
    if words.addressed and manner.threads and place.kind == "group" and spot and spot.type in FOR_THREADS:
        # A thread that is begun on a message has the message's id.
        place = Place(chat_id=place.chat_id, thread_id=id, kind="thread", server=server)
        hint = str(Hint(title=_title(words.text)))
    command = words.addressed and words.text.startswith("/") and not message.get("message_snapshots")
    return Inbound(
        event_id=f"m:{id}",
        kind=Kind.COMMAND if command else Kind.MESSAGE,
        place=place,
        sender=Sender(user_id=an_id(author, "id"), name=name_of(author, message.get("member"))),
        text=words.text,
        sent=made_at(id),
        message_id=id,
        reply_to=answered_id(message),
        quotes=quotes(message, manner.me),
        files=own + (asked_about(message) if words.addressed else ()),
        hint=hint,
        cursor=(DIRECT + channel if direct else channel, id),
        addressed=words.addressed,
        raw=raw,
    )


def _edit(message: Json, manner: Manner, spot: Spot | None, raw: str) -> Inbound | None:
    """A new text for a message, or other files. Previews of its links come the same way, and change no words."""
    edited = message.get("edited_timestamp")
    if not isinstance(edited, str) or "author" not in message or "content" not in message:
        return None
    event = _message(message, manner, spot, raw)
    if event is None or event.place is None:
        return event
    return Inbound(
        event_id=f"e:{event.message_id}:{storable(edited)[:40]}",
        kind=Kind.EDIT,
        place=event.place,
        sender=event.sender,
        text=event.text,
        sent=event.sent,
        message_id=event.message_id,
        files=event.files,
        addressed=event.addressed,
        raw=raw,
    )


def _interaction(event: Json, spot: Spot | None, raw: str) -> Inbound | None:
    kind = event.get("type")
    if kind not in (COMMAND, COMPONENT):
        return None
    id, token = an_id(event, "id"), a_text(event, "token")
    if not token:
        raise Unreadable("an interaction without a token")
    member = event.get("member")
    user = an_object((member if isinstance(member, dict) else event).get("user"), "user")
    channel = event.get("channel")
    told = spot_of(channel) if isinstance(channel, dict) else None
    server = a_text(event, "guild_id")
    place = _called_at(event, a_text(event, "channel_id") or _id_of(channel), server, told or spot)
    press = Press(id, token, an_id(user, "id"), kind == COMPONENT)
    may_write = _may_write(event, place)
    data = an_object(event.get("data"), "data")
    text, button = "", ""
    if kind == COMPONENT:
        meaning, button = Kind.BUTTON, a_text(data, "custom_id").removeprefix(TOKEN)
    else:
        name, given = a_text(data, "name"), " ".join(_values(data.get("options")))
        meaning = Kind.MESSAGE if name == ASK else Kind.COMMAND
        text = given if name == ASK else f"/{name} {given}".strip()
    owed = Hint(press=str(press), member=may_write)
    return Inbound(
        event_id=f"i:{id}",
        kind=meaning,
        place=place,
        sender=Sender(user_id=press.user, name=name_of(user, member), lang=a_text(event, "locale")),
        text=text,
        sent=made_at(id),
        message_id=_id_of(event.get("message")),
        button=button,
        press_id=str(press),
        # Elsewhere we speak by ourselves, and only the answer to a prompt is owed to its interaction.
        hint=str(owed) if not may_write or meaning is Kind.MESSAGE else "",
        raw=raw,
    )


def _nobody(message: Json) -> bool:
    """Whether no person wrote it: our own messages, other bots' and webhooks'."""
    author = message.get("author")
    return bool(message.get("webhook_id")) or (isinstance(author, dict) and bool(author.get("bot")))


def _place(channel: str, server: str, spot: Spot | None) -> Place:
    if spot is not None and spot.is_thread and spot.parent:
        return Place(chat_id=spot.parent, thread_id=channel, kind="thread", server=server)
    private = not server and (spot is None or spot.type != GROUP_DM)
    return Place(chat_id=channel, kind="direct" if private else "group", server=server)


def _called_at(event: Json, channel: str, server: str, spot: Spot | None) -> Place:
    if not is_id(channel):
        raise Unreadable("an interaction without a channel")
    place = _place(channel, server, spot)
    if event.get("context") == PRIVATE:
        # Others read along there, and it is not our own private channel with the one who asks.
        return Place(chat_id=channel, kind="group")
    return place


def _may_write(event: Json, place: Place) -> bool:
    """Whether we are there ourselves; else all we have is the interaction's own answer."""
    owners, context = event.get("authorizing_integration_owners"), event.get("context")
    if context == PRIVATE:
        return False
    if place.kind == "direct":
        return True
    if isinstance(owners, dict) and owners and "0" not in owners:
        return False  # installed by the user only; Authorizing Integration Owners Object
    rights = event.get("app_permissions")
    if not isinstance(rights, str) or not rights.isdigit():
        return True
    need = VIEW | (SEND_IN_THREADS if place.thread_id else SEND)
    return int(rights) & need == need or bool(int(rights) & 1 << 3)


def _values(options: object) -> list[str]:
    """What was filled in, in order; options of subcommands lie deeper."""
    found: list[str] = []
    for option in options if isinstance(options, list) else ():
        if isinstance(option, dict):
            if "options" in option:
                found += [a_text(option, "name"), *_values(option["options"])]
            elif "value" in option:
                found.append(storable(str(option["value"])))
    return found


def _title(text: str) -> str:
    """A thread's name: how the message begins."""
    first = " ".join(text.split())
    return first if len(first) <= MOST_TITLE else first[: MOST_TITLE - 1].rstrip() + "…"


def _id_of(record: object) -> str:
    id = record.get("id") if isinstance(record, dict) else None
    return str(id) if is_id(id) else ""


def an_id(record: Json, name: str) -> str:
    """An id. Raises Unreadable."""
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not is_id(value):
        raise Unreadable(f"{name} is missing or no id")
    return str(value)


__all__ = ["DIRECT", "DM", "Manner", "is_ours", "to_inbound", "unreadable"]
