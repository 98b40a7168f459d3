"""What can go wrong, told apart by the caller's next step.

ParleyError
├── Refused             the person may not, or the request makes no sense: tell them, change nothing
│   └── NotFound        no such session, job, person
├── StoreError          the database: nothing was stored
│   ├── LeaseLost       somebody else owns this now: stop, store nothing
│   ├── Locked          another process has the data folder
│   ├── DiskFull        no space: accept nothing until there is
│   └── SchemaTooNew    made by a newer version
├── ModelError          the provider: *kind* says whether to retry, fall back, wait or give up
├── DeliveryError       the platform: *kind* says whether to send again, wait or give up
└── FetchError          something outside: *kind* says whether it may be fetched at all
"""

from __future__ import annotations

from typing import Literal

from gateway.texts import say
from gateway.types.usage import Tokens

ModelErrorKind = Literal[
    "connect",  # nothing was sent: safe to ask again
    "overloaded",  # 5xx, 529: ask again or fall back
    "rate_limited",  # 429: wait retry_after
    "auth",  # key refused: an operator's fault, messages are kept
    "credit",  # no money left: an operator's fault, messages are kept
    "context",  # the prompt is too long
    "shape",  # the history was refused as malformed
    "cut",  # the stream ended early
    "timeout",  # no token in time
    "refused",  # any other 4xx: asking again would not help
    "not_found",  # no such model
    "halted",  # the operator has stopped all requests: messages are kept
    "budget",  # it might cost more than may be spent: nothing was sent, by us
]
OPERATOR_FAULTS: frozenset[ModelErrorKind] = frozenset({"auth", "credit", "halted"})
# The message is kept and answered later: asking the person to send it again would change nothing.
KEPT: frozenset[ModelErrorKind] = OPERATOR_FAULTS | {"connect"}
RETRYABLE: frozenset[ModelErrorKind] = frozenset({"connect", "overloaded", "rate_limited", "cut", "timeout"})

DeliveryErrorKind = Literal[
    "connect",  # nothing was sent: safe to send again
    "flood",  # wait retry_after; no call to that chat until then
    "lost",  # bytes went out, no answer came: it may have arrived
    "format",  # the formatting was refused: send it plain
    "gone",  # blocked, chat deleted, no right to write there: never try again
    "moved",  # the chat has another id now, moved_to: send it there
    "rejected",  # any other permanent refusal
    "auth",  # the bot's token was refused: the channel stops
    "unchanged",  # an edit that changes nothing: success
    "missing",  # the message to edit, or the file to fetch, is gone
    "too_big",  # a file is larger than was asked for, or than the platform takes or gives
    "server",  # 5xx: try again
]


class ParleyError(Exception):
    """Base of everything we raise on purpose."""


class Refused(ParleyError):
    """Not allowed or not sensible; the text is fit for the person who asked.

    *key* and *facts* as for `say`: then the person is told in their own language; str() is English.
    """

    def __init__(self, text: str = "", /, *, key: str = "", **facts: str | int) -> None:
        super().__init__(text or say(key, **facts))
        self._key = key
        self._facts = facts

    def told(self, lang: str) -> str:
        """*lang* as a BCP 47 tag; a refusal that has no key is told as it is."""
        return say(self._key, lang, **self._facts) if self._key else str(self)


class NotFound(Refused):
    """There is no such thing; the text names it."""


class StoreError(ParleyError):
    """The database said no; nothing was stored."""


class LeaseLost(StoreError):
    """Another owner has the conversation; whatever we were doing must not be stored."""


class Locked(StoreError):
    """Another process has this data folder open."""


class DiskFull(StoreError):
    """No space left; nothing is accepted until there is."""


class SchemaTooNew(StoreError):
    """The database was made by a newer version of Parley."""


class ModelError(ParleyError):
    """A provider request failed.

    *retry_after* in seconds when the provider said so; *tokens* is what it had reported of the usage
    before it failed (None: nothing); *sent* is False when the request never left; *begun*: the provider had begun
    its answer, so that it may charge for it whatever the failure is called.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ModelErrorKind,
        status: int | None = None,
        retry_after: float | None = None,
        tokens: Tokens | None = None,
        sent: bool = True,
        begun: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.tokens = tokens
        self.sent = sent
        self.begun = begun

    def told(self, lang: str = "") -> str:
        """What whoever asked is to read. *lang* as a BCP 47 tag."""
        return say(f"failed.{self.kind}", lang)


class DeliveryError(ParleyError):
    """A platform call failed; *retry_after* in seconds for floods, *moved_to* the chat's new id for 'moved'."""

    def __init__(
        self,
        message: str,
        *,
        kind: DeliveryErrorKind,
        retry_after: float | None = None,
        moved_to: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.moved_to = moved_to


class FetchError(ParleyError):
    """Something outside was not fetched; *status* is what its server said (None: no answer).

    *kind*: 'refused' (it may not be fetched), 'too_big', 'failed' (everything else). The text has no address in it.
    """

    def __init__(
        self, message: str, *, kind: Literal["refused", "too_big", "failed"], status: int | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
