"""What a Discord message says, and whether it is said to us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from channels.discord.things import things_in
from channels.fields import Unreadable, a_text, storable
from gateway.types.inbound import Quote
from gateway.types.json import Json

FORWARD = 1  # Message Reference Types
REPLY = 19  # Message Types
MOST_TEXT = 4000  # characters of a quote
MOST_NAME = 200
_MENTION = re.compile(r"<@!?([0-9]{1,20})>")


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's own account; *application* is the id of the app that it belongs to."""

    id: str
    application: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What a message says, with the names of those it mentions, and whether it means us."""

    text: str
    addressed: bool = True


def spoken(message: Json, me: Me, *, direct: bool, always: bool) -> Words:
    """The words of a message: in a server they are said to us if they mention us or answer us.

    What it has besides words and files is told behind them, in brackets.

    Mentioned is who the server says is mentioned; text alone that looks like it is none. Raises Unreadable.
    """
    content = message.get("content") or _passed_on(message)
    if not isinstance(content, str):
        raise Unreadable("content is not a text")
    people = _mentioned(message)
    text = _after_mention(content, me) if me.id in people else content
    named = _MENTION.sub(lambda found: f"@{people.get(found[1]) or found[1]}", text)
    addressed = direct or always or me.id in people or _answers(message, me)
    return Words("\n".join(filter(None, (storable(named), things_in(message)))), addressed)


def quotes(message: Json, me: Me) -> tuple[Quote, ...]:
    """What a message answers, or that it passes on somebody else's words."""
    return tuple(_quotes(message, me))


def name_of(author: object, member: object = None) -> str:
    """What a person is called there, '' when nobody says; for display only."""
    nick = a_text(member, "nick") if isinstance(member, dict) else ""
    if nick or not isinstance(author, dict):
        return nick[:MOST_NAME]
    return (a_text(author, "global_name") or a_text(author, "username"))[:MOST_NAME]


def answered_id(message: Json) -> str:
    """The id of the message this one answers, '' when it answers none."""
    reference = message.get("message_reference")
    if message.get("type") != REPLY or not isinstance(reference, dict):
        return ""
    return a_text(reference, "message_id")


def _quotes(message: Json, me: Me) -> Iterator[Quote]:
    if message.get("type") == REPLY:
        target = answered(message)
        if target is not None and (text := _said(target)):
            author = target.get("author")
            ours = isinstance(author, dict) and author.get("id") == me.id
            yield Quote(origin="reply", text=_cut(text), author=name_of(author), ours=ours)
    if snapshots(message):
        yield Quote(origin="forward")


def answered(message: Json) -> Json | None:
    """The message this one answers, if it came with it."""
    target = message.get("referenced_message") if message.get("type") == REPLY else None
    return target if isinstance(target, dict) else None


def _answers(message: Json, me: Me) -> bool:
    target = answered(message)
    author = target.get("author") if target else None
    return isinstance(author, dict) and author.get("id") == me.id


def _mentioned(message: Json) -> dict[str, str]:
    """Ids of those whom the server says are mentioned, with their names."""
    listed = message.get("mentions")
    return {
        str(each.get("id")): name_of(each, each.get("member"))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    }


def _after_mention(text: str, me: Me) -> str:
    """The text without a mention of us at its begin."""
    found = _MENTION.match(text.lstrip())
    return text.lstrip()[found.end() :].lstrip(" \t\n,:") if found and found[1] == me.id else text


def _passed_on(message: Json) -> str:
    """The text of forwarded messages."""
    texts = (
        "\n".join(filter(None, (a_text(each, "content"), things_in(each)))) for each in snapshots(message)
    )
    return "\n\n".join(filter(None, texts))


def snapshots(message: Json) -> list[Json]:
    """The messages that one passes on; API reference, Message Snapshot Object."""
    reference, listed = message.get("message_reference"), message.get("message_snapshots")
    if not isinstance(reference, dict) or reference.get("type") != FORWARD or not isinstance(listed, list):
        return []
    return [
        each["message"] for each in listed if isinstance(each, dict) and isinstance(each.get("message"), dict)
    ]


def _said(message: Json) -> str:
    words = a_text(message, "content") or _passed_on(message)
    return "\n".join(filter(None, (words, things_in(message))))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"
