"""Updates that the server brings to us: nothing is confirmed to it before it is on disk here."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from channels.telegram.health import Health
from channels.telegram.inbound import unreadable
from gateway.errors import DeliveryError, StoreError
from gateway.failpoints import Point, passing
from gateway.protocols.channel import Accept
from gateway.types.inbound import Inbound
from gateway.types.places import Account

SECRET = "x-telegram-bot-api-secret-token"  # noqa: S105 - the header's name; Bot API, setWebhook


class Deliveries:
    """The receiving end of a webhook; *answered* is told of each update that was taken."""

    def __init__(self, *, secret: str, answered: Callable[[], None]) -> None:
        self._secret = secret.encode()
        self._answered = answered
        self._taker: tuple[Account, Accept, Callable[[object], Inbound], Health] | None = None

    @contextmanager
    def taken(
        self, account: Account, accept: Accept, read: Callable[[object], Inbound], health: Health
    ) -> Iterator[None]:
        """While this lasts updates are accepted; before and after it, the server is to bring them again."""
        self._taker = account, accept, read, health
        try:
            yield
        finally:
            self._taker = None

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether the secret is in the headers, found out in a time that tells nothing about it."""
        given = headers.get(SECRET, "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, self._secret) and bool(self._secret)

    async def take(self, body: bytes) -> None:
        """Raises StoreError when nothing was stored, DeliveryError before the account is connected."""
        if self._taker is None:
            raise DeliveryError("not connected yet", kind="connect")
        account, accept, read, health = self._taker
        passing(Point.POLL, "after")
        try:
            await accept(account, [_read(body, read)])
        except StoreError as error:
            health.not_stored(error)
            raise
        self._answered()
        if health.state in ("down", "disk"):
            health.tell("ok", None)


def _read(body: bytes, read: Callable[[object], Inbound]) -> Inbound:
    """The event of a body, which may be anything: what cannot be read is kept too, and not brought again."""
    text = body.decode("utf-8", "replace")
    try:
        update = json.loads(text)
    except ValueError as error:
        return unreadable(text, update_id=None, error=f"not JSON: {error}")
    except RecursionError:
        return unreadable(text, update_id=None, error="nested too deeply")
    return read(update)
