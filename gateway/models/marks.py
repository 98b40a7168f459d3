"""Where a prompt's cache breakpoints go; pure.

They move with the conversation: one at its newest end, one where the request before this one ended, one at the
question its turn began with, so that what that request has written is found however many tool calls lie between
(Messages API, prompt caching: a breakpoint looks back 20 blocks, and a request may have four; the fourth is the system
prompt's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.protocols.messages import AssistantMessage, Message, UserMessage
from gateway.transcript import Opaque


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of the message *at*. *steady*: what is before it will be there in the next turn as well."""

    at: int
    steady: bool = True


def marks(messages: Sequence[Message], *, volatile: bool) -> list[Mark]:
    """In order, three at most, of a list that `legal` has made.

    *volatile*: text goes behind the last user message; its mark is before that text.
    """
    asked = [at for at, message in enumerate(messages) if isinstance(message, UserMessage)]
    last, end = asked[-1], len(messages) - 1
    question = _question(messages, last)
    if last == end:
        # This turn's first request. The one before it ended before the last answer, and its turn began with the
        # question before this one; both are found from the old marks, which may not be in these places.
        found = [Mark(at) for at in (*asked[-2:-1], end - 2, question) if 0 <= at <= question]
    else:
        found = [Mark(question)] if question >= 0 else []
        steady = not (volatile or question < last or _thinks(messages[last:]))
        found += [Mark(at, steady) for at in (end - 2, end) if at > last]
    return sorted(set(found), key=lambda mark: mark.at)


def _question(messages: Sequence[Message], last: int) -> int:
    """The last message that the next turn's prompt will have as it is; -1: none."""
    message = messages[last]
    return last - 1 if isinstance(message, UserMessage) and message.fleeting else last


def _thinks(messages: Sequence[Message]) -> bool:
    """Thinking is sent back within its turn only."""
    return any(
        isinstance(part, Opaque)
        for message in messages
        if isinstance(message, AssistantMessage)
        for part in message.parts
    )
