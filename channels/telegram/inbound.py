"""What one update of the Bot API means to us; pure, and there is no JSON it fails on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from channels.telegram.always import MOVED
from channels.telegram.fields import (
    Unreadable,
    a_name,
    a_number,
    a_text,
    an_object,
    encoded,
    is_number,
    number_of,
    storable,
)
from channels.telegram.files import asked_about, files
from channels.telegram.quotes import quotes
from channels.telegram.things import name_of
from channels.telegram.words import Me, answered, spoken
from gateway.types.inbound import Inbound, Kind
from gateway.types.json import Json
from gateway.types.measures import SECOND
from gateway.types.people import Sender
from gateway.types.places import Place

# Accounts of Telegram's own that speak for others; Bot API, Message.from and Chat.
SPOKESMEN = frozenset({1087968824, 136817688, 777000})  # anonymous admins, channels, forwarded channel posts
# The topic that every forum has. Its messages are no topic messages, and sendMessage knows no thread of that id.
GENERAL = 1
LAST_DATE = 2**40  # seconds; a later time does not fit a 64-bit count of microseconds


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading goes by: who we are, and the ids of the groups in which every message is meant for us."""

    me: Me
    always: Collection[str]


def to_inbound(
    update: object, *, bot_id: int, bot_username: str, always: Collection[str] = frozenset()
) -> Inbound:
    """The event that *update*, a decoded JSON value, stands for.

    One that cannot be read is of Kind.UNKNOWN and has no place and an error. A message that is a file and
    nothing else has an empty text; behind a message's own files come those of the message that it answers, if
    it is meant for us. A MEMBERSHIP has the text 'member', 'left' or 'blocked'. A MIGRATION has the old place, the new
    id as its text, and no sender. *always*: ids of groups in which every message is meant for us.
    """
    try:
        raw = encoded(update)
    except (RecursionError, ValueError):
        return unreadable("", update_id=number_of(update), error="nested too deeply or a number too long")
    try:
        return _event(an_object(update, "update"), Reader(Me(bot_id, bot_username), always), raw)
    except Unreadable as error:
        return unreadable(raw, update_id=number_of(update), error=str(error))


def unreadable(raw: str, *, update_id: int | None, error: str) -> Inbound:
    """An event for what cannot be read; *raw* may be any text."""
    raw = storable(raw)
    digest = hashlib.sha256(raw.encode()).hexdigest()[:16]
    number = "?" if update_id is None else str(update_id)
    return Inbound(event_id=f"{number}:{digest}", kind=Kind.UNKNOWN, raw=raw, error=error)


def _event(update: Json, reader: Reader, raw: str) -> Inbound:
    update_id = number_of(update)
    if update_id is None:
        raise Unreadable("update_id is not a number")
    for name, read in _READERS.items():
        if name in update:
            return read(update_id, an_object(update[name], name), reader, raw)
    raise Unreadable("no kind of update that is known: " + storable(", ".join(sorted(update)))[:200])


def _message(update_id: int, message: Json, reader: Reader, raw: str, *, edited: bool = False) -> Inbound:
    if (moved := _migration(update_id, message, raw)) is not None:
        return moved
    place = _place(message)
    words = spoken(message, reader.me, direct=place.kind == "direct", always=place.chat_id in reader.always)
    own = files(message)
    date = a_number(message, "edit_date" if edited and "edit_date" in message else "date")
    kind = Kind.EDIT if edited else Kind.COMMAND if words.command else Kind.MESSAGE
    return Inbound(
        event_id=f"{update_id}:{date}",
        kind=kind,
        place=place,
        sender=_sender(message),
        text=words.text or ("" if own else name_of(message)),
        sent=_microseconds(date),
        message_id=str(a_number(message, "message_id")),
        reply_to=_reply_to(message),
        quotes=quotes(message, reader.me),
        files=own + (asked_about(message) if words.addressed else ()),
        album=a_text(message, "media_group_id"),
        addressed=words.addressed,
        raw=raw,
    )


def _migration(update_id: int, message: Json, raw: str) -> Inbound | None:
    """A group became a supergroup: said in the old chat and once more in the new one. Bot API, Message."""
    here = a_number(an_object(message.get("chat"), "chat"), "id")
    new, old = message.get("migrate_to_chat_id"), message.get("migrate_from_chat_id")
    if is_number(new):
        old = here
    elif is_number(old):
        new = here
    else:
        return None
    date = a_number(message, "date")
    return Inbound(
        event_id=f"{update_id}:{date}",
        kind=Kind.MIGRATION,
        place=Place(chat_id=str(old), kind="group"),
        text=str(new),
        sent=_microseconds(date),
        cursor=(f"{MOVED}{old}", str(new)),
        raw=raw,
    )


def _edited(update_id: int, message: Json, reader: Reader, raw: str) -> Inbound:
    return _message(update_id, message, reader, raw, edited=True)


def _press(update_id: int, press: Json, reader: Reader, raw: str) -> Inbound:
    message = an_object(press.get("message"), "message of the button")
    press_id, button = a_text(press, "id"), a_text(press, "data")
    if not press_id or not button:
        raise Unreadable("a pressed button without id or data")
    return Inbound(
        event_id=f"{update_id}:{press_id}",
        kind=Kind.BUTTON,
        place=_place(message),
        sender=_sender(press),
        message_id=str(a_number(message, "message_id")),
        button=button,
        press_id=press_id,
        raw=raw,
    )


def _membership(update_id: int, change: Json, reader: Reader, raw: str) -> Inbound:
    member = an_object(change.get("new_chat_member"), "new_chat_member")
    status = a_text(member, "status")
    away = status == "left" or (status == "restricted" and member.get("is_member") is False)
    date = a_number(change, "date")
    return Inbound(
        event_id=f"{update_id}:{date}",
        kind=Kind.MEMBERSHIP,
        place=_place(change),
        sender=_sender(change),
        text="blocked" if status == "kicked" else "left" if away else "member",
        sent=_microseconds(date),
        raw=raw,
    )


_READERS: dict[str, Callable[[int, Json, Reader, str], Inbound]] = {
    "message": _message,
    "edited_message": _edited,
    "callback_query": _press,
    "my_chat_member": _membership,
}


def _place(holder: Json) -> Place:
    chat = an_object(holder.get("chat"), "chat")
    # In a group without topics the same field counts threads of replies, which are no places of their own.
    topic = a_number(holder, "message_thread_id") if holder.get("is_topic_message") is True else GENERAL
    return Place(
        chat_id=str(a_number(chat, "id")),
        thread_id="" if topic == GENERAL else str(topic),
        kind="direct" if chat.get("type") == "private" else "group",
    )


def _sender(holder: Json) -> Sender:
    """Who it is from. A chat that speaks, another bot, or a person through another bot is nobody we know."""
    chat = holder.get("sender_chat")
    if "from" not in holder and isinstance(chat, dict):
        return Sender(user_id=str(a_number(chat, "id")), name=a_text(chat, "title"), impersonal=True)
    user = an_object(holder.get("from"), "from")
    number = a_number(user, "id")
    return Sender(
        user_id=str(number),
        name=a_name(user),
        lang=a_text(user, "language_code"),
        impersonal=number in SPOKESMEN
        or user.get("is_bot", False) is not False
        or chat is not None
        or "via_bot" in holder,
    )


def _reply_to(message: Json) -> str:
    target = answered(message)
    return "" if target is None else str(a_number(target, "message_id"))


def _microseconds(date: int) -> int | None:
    return date * SECOND if 0 < date < LAST_DATE else None
