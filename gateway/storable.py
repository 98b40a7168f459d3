"""What every table, and UTF-8, can hold of a text that came from outside; pure."""

from __future__ import annotations

from dataclasses import replace

from gateway.types.inbound import Inbound


def cleaned(event: Inbound) -> Inbound:
    """With nothing in any of its texts that cannot be stored; names and what is wrong with it are cut."""
    place, sender = event.place, event.sender
    if place is not None:
        place = replace(
            place,
            chat_id=clean(place.chat_id),
            thread_id=clean(place.thread_id),
            user_id=clean(place.user_id),
        )
    if sender is not None:
        sender = replace(
            sender,
            user_id=clean(sender.user_id)[:200],
            name=clean(sender.name)[:200],
            lang=clean(sender.lang)[:20],
        )
    return replace(
        event,
        event_id=clean(event.event_id),
        place=place,
        sender=sender,
        sent=None if event.sent is None else int(event.sent),
        text=clean(event.text),
        message_id=clean(event.message_id),
        reply_to=clean(event.reply_to),
        album=clean(event.album),
        hint=clean(event.hint),
        quotes=tuple(
            replace(quote, text=clean(quote.text), author=clean(quote.author)[:200]) for quote in event.quotes
        ),
        files=tuple(
            replace(each, ref=clean(each.ref), name=clean(each.name)[:200], type=clean(each.type)[:100])
            for each in event.files
        ),
        button=clean(event.button),
        press_id=clean(event.press_id),
        raw=clean(event.raw),
        error=clean(event.error)[:500],
    )


def clean(text: str) -> str:
    """Without half surrogate pairs and NUL."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
