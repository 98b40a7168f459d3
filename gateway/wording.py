"""What people are told when something goes wrong; one short line each, no internals."""

from __future__ import annotations

from gateway.errors import ModelErrorKind
from gateway.types import HOUR, MINUTE

AGAIN = "Please send it again, or try /new."

FAILED: dict[ModelErrorKind, str] = {
    "connect": "I cannot reach my model at the moment. Your message is kept; I answer when I am back.",
    "overloaded": "The model is overloaded just now. Please try again in a minute.",
    "rate_limited": "The model is receiving too many requests just now. Please try again in a minute.",
    "context": "This conversation has grown too long for the model. Send /compact to shorten it, or /new.",
    "shape": "The model refused this conversation's history. Send /new; /resume brings this one back.",
    "cut": "The answer broke off. Please ask again.",
    "timeout": "The model did not answer in time. Please ask again.",
    "refused": "The model refused this request.",
    "not_found": "The configured model does not exist. The operator has been told.",
    "halted": "I have been halted by the operator; nothing is asked of any model.",
    "auth": "I cannot reach my model at the moment. Your message is kept; I answer when I am back.",
    "credit": "I cannot reach my model at the moment. Your message is kept; I answer when I am back.",
}
KEPT = "Kept; I answer when I am back."
GAVE_UP = (
    "I could not answer this for six hours, so I have stopped trying. Please send it again when you like."
)
TIMED_OUT = "This took longer than I am allowed to work on one message, so I stopped."
TOO_MANY = "I stopped: this needed more steps than one message may take."
POISON = "I failed on this message several times, so I have put it aside. Please put it differently."
STOPPED = "Stopped."
MOVED = "Moved to the previous conversation."
EMPTY = "(The model gave no answer.)"
NO_TEXT = "I can only read text so far, so I could not use that. Please describe it in words."
TOO_LONG = "That message is too long for me; please send less than 256 KB of text."
UNKNOWN_COMMAND = "I do not know that command. /help lists those I know."
STALE_BUTTON = "This button no longer works."
INTERNAL = "Something went wrong on my side. Please send it again."


def stranger(channel: str, user_id: str) -> str:
    return f"I only talk with people I know. Your id is {user_id} ({channel}); the operator can let you in."


def duration(micros: int) -> str:
    """A length of time as people say it."""
    minutes = micros // MINUTE
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(micros, HOUR)
    if hours < 48:
        return f"{hours} h {rest // MINUTE:02d} min" if rest >= MINUTE else f"{hours} h"
    return f"{hours // 24} days"


def away(since: str, until: str, count: int) -> str:
    """*since* and *until* as local clock times."""
    messages = "1 message" if count == 1 else f"{count} messages"
    return f"I was away {since}–{until}; you wrote {messages}. Shall I answer?"
