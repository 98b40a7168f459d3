"""What a Telegram message says, and whether it is said to us."""

from __future__ import annotations

from dataclasses import dataclass

from channels.telegram.fields import Unreadable, a_text, is_number, storable
from channels.telegram.things import CONTENT, thing_in
from gateway.types.json import Json


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's own account."""

    id: int
    username: str


@dataclass(frozen=True, slots=True)
class Words:
    """What a message says and to whom; *command* tells that it begins with one for us."""

    text: str
    command: bool = False
    addressed: bool = True


@dataclass(frozen=True, slots=True)
class Entity:
    """A marked part of a text; start and length in UTF-16 units. Bot API, MessageEntity."""

    kind: str
    start: int
    length: int
    user: int | None

    def names(self, me: Me, text: str) -> bool:
        """Whether it is a mention of us: by a mark of the server's, never by the look of the text alone."""
        if self.kind == "text_mention":
            return self.user == me.id
        return (
            self.kind == "mention"
            and _units(text, self.start, self.start + self.length).lower() == f"@{me.username}".lower()
        )


def spoken(message: Json, me: Me, *, direct: bool, always: bool = False) -> Words:
    """The words of a message; in a group it is said to us if it mentions us, answers us or commands us.

    What it has besides words and files is told behind them, in brackets.

    *always*: a group in which all is said to us, but for notices of the chat and commands for other bots. What
    was forwarded is never a command: it is somebody else's words. Raises Unreadable for a text that is none.
    """
    field = "text" if "text" in message else "caption"
    value = message.get(field, "")
    if not isinstance(value, str):
        raise Unreadable(f"{field} is not a text")
    entities = _entities(message.get("entities" if field == "text" else "caption_entities"))
    if not value and CONTENT.isdisjoint(message):
        return Words("", addressed=False)
    mentions = [] if direct else [entity for entity in entities if entity.names(me, value)]
    text = _after_mention(value, mentions)
    begin = _length(value) - _length(text)
    may_command = text.startswith("/") and "forward_origin" not in message
    for entity in entities:
        if may_command and entity.kind == "bot_command" and entity.start == begin:
            return _command(text, entity, me, direct=direct)
    told = "\n".join(filter(None, (storable(text), thing_in(message))))
    return Words(told, addressed=direct or always or bool(mentions) or _answers(message, me))


def _command(text: str, entity: Entity, me: Me, *, direct: bool) -> Words:
    name, _, bot = text[: entity.length].partition("@")  # a command is ASCII
    if bot and bot.lower() != me.username.lower():
        return Words(storable(text), addressed=direct)
    return Words(storable(name + text[entity.length :]), command=True)


def _after_mention(text: str, mentions: list[Entity]) -> str:
    """The text without a mention of us at its begin."""
    for mention in mentions:
        if mention.start == 0:
            return _units(text, mention.length, None).lstrip(" \t\n,:")
    return text


def _entities(value: object) -> list[Entity]:
    found = []
    for entity in value if isinstance(value, list) else ():
        if not isinstance(entity, dict):
            continue
        start, length, user = entity.get("offset"), entity.get("length"), entity.get("user")
        if is_number(start) and is_number(length) and start >= 0 and length > 0:
            number = user.get("id") if isinstance(user, dict) else None
            found.append(Entity(a_text(entity, "type"), start, length, number if is_number(number) else None))
    return found


def _units(text: str, start: int, end: int | None) -> str:
    """The text from one UTF-16 unit to another, or to its end."""
    data = text.encode("utf-16-le", "surrogatepass")
    return data[2 * start : None if end is None else 2 * end].decode("utf-16-le", "surrogatepass")


def _length(text: str) -> int:
    """In UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def answered(message: Json) -> Json | None:
    """The message this one answers.

    Every message of a topic comes as an answer to the notice that opened the topic; that one is not meant.
    """
    target = message.get("reply_to_message")
    return target if isinstance(target, dict) and "forum_topic_created" not in target else None


def _answers(message: Json, me: Me) -> bool:
    target = answered(message)
    author = target.get("from") if target else None
    return isinstance(author, dict) and author.get("id") == me.id
