"""Whose words a message answers or passes on."""

from __future__ import annotations

from collections.abc import Iterator

from channels.telegram.fields import a_name, a_text
from channels.telegram.things import name_of, thing_in
from channels.telegram.words import Me, answered
from gateway.types.inbound import Quote
from gateway.types.json import Json

MOST_TEXT = 4000  # characters of a quote
MOST_NAME = 200
# Bot API, MessageOrigin: where each of its kinds names who it is.
_ORIGINS = {"user": "sender_user", "chat": "sender_chat", "channel": "chat"}


def quotes(message: Json, me: Me) -> tuple[Quote, ...]:
    """What a message answers and where it was forwarded from; what cannot be read is left out."""
    return (*_answered(message, me), *_forwarded(message, me))


def _answered(message: Json, me: Me) -> Iterator[Quote]:
    mark = message.get("quote")  # Bot API, TextQuote: the part that was marked
    marked = a_text(mark, "text") if isinstance(mark, dict) else ""
    target, elsewhere = answered(message), message.get("external_reply")
    if target is not None:
        author, ours = _author(target, me)
        text = marked or _said(target)
    elif isinstance(elsewhere, dict):
        # A message of another chat comes without its text; Bot API, ExternalReplyInfo.
        author, ours = _origin(elsewhere.get("origin"), me)
        text = marked or _kind(elsewhere)
    else:
        return
    if text:
        yield Quote(origin="quote" if marked else "reply", text=_cut(text), author=author, ours=ours)


def _forwarded(message: Json, me: Me) -> Iterator[Quote]:
    if "forward_origin" in message:
        author, ours = _origin(message["forward_origin"], me)
        yield Quote(origin="forward", author=author, ours=ours)


def _author(message: Json, me: Me) -> tuple[str, bool]:
    """Who wrote a message, and whether it was us. A chat that speaks goes before the account it speaks through."""
    user, chat = message.get("from"), message.get("sender_chat")
    ours = isinstance(user, dict) and user.get("id") == me.id
    speaker = chat if isinstance(chat, dict) else user if isinstance(user, dict) else {}
    return a_name(speaker)[:MOST_NAME], ours


def _origin(origin: object, me: Me) -> tuple[str, bool]:
    """Who a message comes from at first, and whether that is us. Bot API, MessageOrigin."""
    if not isinstance(origin, dict):
        return "", False
    who = origin.get(_ORIGINS.get(a_text(origin, "type"), ""))
    if not isinstance(who, dict):
        return a_text(origin, "sender_user_name")[:MOST_NAME], False
    return a_name(who)[:MOST_NAME], who.get("id") == me.id


def _said(message: Json) -> str:
    return a_text(message, "text") or a_text(message, "caption") or _kind(message)


def _kind(message: Json) -> str:
    """What stands for a message without words."""
    return thing_in(message) or name_of(message)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
