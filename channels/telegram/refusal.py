"""What the Bot API refused, told by what to do next."""

from __future__ import annotations

import json
import re

from telegram.error import TelegramError

from channels.telegram.fields import is_number
from gateway.errors import DeliveryError, DeliveryErrorKind
from gateway.types.json import Json

FLOOD_SECONDS = 5.0  # for a 429 that does not say how long
MOST_FLOOD = 86_400.0
_WAIT = re.compile(r"(?:retry after |flood_wait_|slowmode_wait_)(\d{1,6})")  # seconds, in descriptions only

# Methods that every server has and that name no chat: not to find them is to find no such bot. Bot API,
# Making requests: the token is part of the path.
_OF_THE_TOKEN = frozenset({"getMe", "getUpdates"})
# What sends anew: after an answer from a machine in between it may have been done.
_FILES = frozenset({"sendDocument", "sendPhoto"})
_SENDS = _FILES | {"sendMessage", "sendRichMessage"}
# Methods for which to have no right is to have none to write there at all.
_WRITES = _SENDS | {"editMessageText", "sendChatAction"}

# Parts of descriptions of refusals with status 400; the server documents none, these are what it says.
_REFUSALS: tuple[tuple[DeliveryErrorKind, tuple[str, ...]], ...] = (
    ("unchanged", ("message is not modified",)),
    ("missing", (
        "message to edit not found", "message can't be edited", "message to delete not found",
        "message can't be deleted", "message_id_invalid", "message to react not found",
    )),
    ("missing", ("wrong file_id", "wrong file identifier", "temporarily unavailable", "file_id_invalid")),
    ("too_big", ("file is too big", "file_too_big", "file_parts_invalid")),
    # A chat where files are not allowed still takes words.
    ("rejected", (
        "rights to send photos", "rights to send documents", "chat_send_photos_forbidden",
        "chat_send_docs_forbidden", "chat_send_media_forbidden",
    )),
    ("format", ("entit",)),  # can't parse entities, ENTITY_BOUNDS_INVALID, ...
    ("gone", (
        "chat not found", "user is deactivated", "peer_id_invalid", "bot was blocked", "bot was kicked",
        "bot is not a member", "user_is_blocked", "input_user_deactivated", "user_deactivated",
        "message thread not found", "topic_deleted", "topic_closed", "topic_id_invalid",
        "group chat was deactivated", "group chat was deleted", "upgraded to a supergroup", "been migrated",
    )),
)  # fmt: skip
_NO_RIGHT = (
    "not enough rights", "have no rights", "no write access", "need administrator rights", "chat_write_forbidden",
    "chat_restricted", "chat_admin_required", "chat_send_plain_forbidden", "user_banned_in_channel",
    "channel_private",
)  # fmt: skip


class ApiError(DeliveryError, TelegramError):
    """A DeliveryError that the SDK lets through; *status* is None when there was no answer."""

    def __init__(
        self,
        message: str,
        *,
        kind: DeliveryErrorKind,
        status: int | None = None,
        retry_after: float | None = None,
        moved_to: str | None = None,
    ) -> None:
        super().__init__(message, kind=kind, retry_after=retry_after, moved_to=moved_to)
        self.status = status


def refusal(method: str, status: int, body: str) -> ApiError:
    """What an answer with an error status means; pure. The body may be anything."""
    description, parameters = _explained(body)
    text = f"{method}: {description or 'no reason given'} ({status})"
    seconds = _seconds(status, description.lower(), parameters)
    if seconds is not None:
        return ApiError(text, kind="flood", status=status, retry_after=seconds)
    new = parameters.get("migrate_to_chat_id")
    if is_number(new):
        return ApiError(f"{text}, moved to {new}", kind="moved", status=status, moved_to=str(new))
    return ApiError(text, kind=_kind(method, status, description.lower()), status=status)


def _seconds(status: int, description: str, parameters: Json) -> float | None:
    """How long to wait, also for slow mode and by a server that says it in words only; None: it is no flood."""
    said = _WAIT.search(description)
    if status != 429 and said is None:
        return None
    seconds = parameters.get("retry_after")
    if isinstance(seconds, (int, float)) and seconds > 0:
        return min(seconds, MOST_FLOOD)
    return float(said[1]) if said else FLOOD_SECONDS


def _kind(method: str, status: int, description: str) -> DeliveryErrorKind:
    if status == 401:
        return "auth"
    if status == 404:
        # The server answers so where the token has not even the form of one, and to a method that it does not
        # know; a machine in front of it answers so while it does not find the server.
        return "auth" if method in _OF_THE_TOKEN else "server" if method in _WRITES else "rejected"
    if status == 403:
        return "gone"
    if status >= 500 or status < 400:
        # It comes from a machine in front of the server, which may have taken the message nevertheless.
        return "lost" if method in _SENDS else "server"
    if status == 413 and method in _FILES:
        return "too_big"
    if status == 400:
        for kind, parts in _REFUSALS:
            if any(part in description for part in parts):
                return kind
        if method in _WRITES and any(part in description for part in _NO_RIGHT):
            return "gone"
    return "rejected"


def _explained(body: str) -> tuple[str, Json]:
    """Description and parameters of a refusal. Bot API, Making requests."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return "", {}
    if not isinstance(answer, dict):
        return "", {}
    description, parameters = answer.get("description"), answer.get("parameters")
    return str(description or "")[:500], parameters if isinstance(parameters, dict) else {}
