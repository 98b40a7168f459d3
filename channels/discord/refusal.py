"""What the HTTP API refused, told by what to do next."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import DeliveryError, DeliveryErrorKind

FLOOD_SECONDS = 5.0  # for a 429 that does not say how long
# API reference, JSON Error Codes.
UNKNOWN_CHANNEL = 10003
ANSWERED = 40060  # the interaction has been acknowledged already
NO_RIGHT = 50013  # missing permissions, of which to send files is one
BAD_BODY = 50035  # the text says which field
HAS_THREAD = 160004  # a thread has been created for this message already
LATE = frozenset({10015, 10062, 50027})  # unknown webhook, unknown interaction, invalid webhook token
_KINDS: dict[int, DeliveryErrorKind] = {
    10003: "gone",  # unknown channel
    10004: "gone",  # unknown guild
    10008: "missing",  # unknown message
    10013: "gone",  # unknown user
    10015: "gone",  # unknown webhook
    10062: "gone",  # unknown interaction
    20026: "rejected",  # the bot has been flagged for spam
    20028: "flood",  # the write limit of a channel
    20029: "flood",  # the write limit of a server
    40005: "too_big",  # request entity too large
    40094: "gone",  # no more followups for this interaction
    50001: "gone",  # missing access
    50005: "missing",  # a message of somebody else
    50007: "gone",  # cannot send messages to this user
    50013: "gone",  # missing permissions
    50027: "gone",  # invalid webhook token
    50045: "too_big",  # a file exceeds the maximum size
    50083: "gone",  # the thread is archived, and we may not open it again
    50278: "gone",  # no server in common with this user
    160005: "gone",  # the thread is locked
}


class ApiError(DeliveryError):
    """A DeliveryError that also says what the server said; *status* None: no answer, *code* 0: no JSON code."""

    def __init__(
        self,
        message: str,
        *,
        kind: DeliveryErrorKind,
        status: int | None = None,
        code: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, kind=kind, retry_after=retry_after)
        self.status = status
        self.code = code


def refusal(what: str, status: int, code: int, said: str, headers: Mapping[str, str]) -> ApiError:
    """What an answer with an error status means; pure. *said*: its message, and what was wrong with which field."""
    text = (
        f"{what}: {' '.join(said.split())[:500] or 'no reason given'} ({status}{f', {code}' if code else ''})"
    )
    kind = "flood" if status == 429 else _kind(status, code, said)
    wait = _seconds(headers.get("Retry-After")) if kind == "flood" else None
    return ApiError(text, kind=kind, status=status, code=code, retry_after=wait)


def _kind(status: int, code: int, said: str) -> DeliveryErrorKind:
    if code in _KINDS:
        return _KINDS[code]
    if status == 401:
        return "auth"
    if status == 403:
        return "gone"
    if status == 413:
        return "too_big"
    if status >= 500 or status < 400:
        # A message that was taken nevertheless is recognised by its nonce.
        return "server"
    if status == 404 and not code:
        return "server"  # not an answer of the API: a machine in front of it
    return "format" if code == BAD_BODY and "components" in said else "rejected"


def _seconds(told: str | None) -> float:
    try:
        seconds = float(told or 0)
    except ValueError:
        return FLOOD_SECONDS
    return seconds if 0 < seconds < 1e6 else FLOOD_SECONDS
