"""What the Bot API refused, told by what to do next."""

from __future__ import annotations

import json

from telegram.error import TelegramError

from gateway.errors import DeliveryError, DeliveryErrorKind
from gateway.types import Json

FLOOD_SECONDS = 5.0  # for a 429 that does not say how long

# Parts of descriptions of refusals with status 400; the server documents none, these are what it says.
_REFUSALS: tuple[tuple[DeliveryErrorKind, tuple[str, ...]], ...] = (
    ("unchanged", ("message is not modified",)),
    ("missing", (
        "message to edit not found", "message can't be edited", "message to delete not found",
        "message can't be deleted", "message_id_invalid",
    )),
    ("format", ("entit",)),  # can't parse entities, ENTITY_BOUNDS_INVALID, ...
    ("gone", (
        "chat not found", "user is deactivated", "peer_id_invalid", "bot was blocked", "bot was kicked",
        "message thread not found", "topic_deleted", "group chat was deactivated",
    )),
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
    ) -> None:
        super().__init__(message, kind=kind, retry_after=retry_after)
        self.status = status


def refusal(method: str, status: int, body: str) -> ApiError:
    """What an answer with an error status means; pure. The body may be anything."""
    description, parameters = _explained(body)
    text = f"{method}: {description or 'no reason given'} ({status})"
    retry_after = parameters.get("retry_after")
    if status == 429:
        seconds = retry_after if isinstance(retry_after, (int, float)) and retry_after > 0 else FLOOD_SECONDS
        return ApiError(text, kind="flood", status=status, retry_after=seconds)
    if "migrate_to_chat_id" in parameters:
        text = f"{text}, moved to {parameters['migrate_to_chat_id']}"
    return ApiError(text, kind=_kind(method, status, description.lower()), status=status)


def _kind(method: str, status: int, description: str) -> DeliveryErrorKind:
    # The server answers 404 where the token has not even the form of one.
    if status in (401, 404):
        return "auth"
    if status == 403:
        return "gone"
    if status >= 500 or status < 400:
        # It comes from a machine in front of the server, which may have taken the message nevertheless.
        return "lost" if method.startswith("send") and method != "sendChatAction" else "server"
    for kind, parts in _REFUSALS:
        if status == 400 and any(part in description for part in parts):
            return kind
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
