"""Brings in the files of messages, from where Discord keeps them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from channels.discord.api import Api
from channels.discord.files import Ref, address_of
from channels.discord.refusal import ApiError
from gateway.errors import DeliveryErrorKind, FetchError
from gateway.fetcher import Fetcher
from gateway.outside import Rules

HOSTS = frozenset(
    {"cdn.discordapp.com", "media.discordapp.net"}
)  # Reference, CDN; Attachment Object, proxy_url
GONE = frozenset({403, 404, 410})  # what an address is answered with that has expired


class Cdn:
    """*api_url*: where another server stands in for Discord's API, it may keep its files itself."""

    def __init__(self, *, api: Api, api_url: str) -> None:
        self._api = api
        host = urlsplit(api_url).hostname or ""
        own = "" if host == "discord.com" or host.endswith(".discord.com") else host
        self._fetcher = Fetcher(Rules(hosts=HOSTS, own=own))

    async def fetch(self, ref: str, put: Callable[[bytes], None], most: int) -> None:
        """Raises ApiError. An address that has expired is asked for anew, once. API reference, CDN Parameters."""
        found = Ref.read(ref)
        if found is None:
            raise ApiError("an attachment: what it is known by cannot be read", kind="missing")
        try:
            await self._fetcher.fetch(found.url, put, most=most)
        except FetchError as error:
            if error.status not in GONE:
                raise _told(error) from None
        else:
            return
        try:
            await self._fetcher.fetch(await self._anew(found), put, most=most)
        except FetchError as error:
            raise _told(error) from None

    async def close(self) -> None:
        await self._fetcher.close()

    async def _anew(self, ref: Ref) -> str:
        try:
            url = address_of(await self._api.message(ref.channel, ref.message), ref.attachment)
        except ApiError as error:
            if error.kind != "gone":
                raise
            url = None
        if url is None:
            raise ApiError("an attachment: it is there no longer", kind="missing")
        return url


def _told(error: FetchError) -> ApiError:
    kind: DeliveryErrorKind
    if error.kind == "too_big":
        kind = "too_big"
    elif error.kind == "refused":
        kind = "missing"
    elif error.status is None or error.status < 400:
        kind = "connect"
    elif error.status == 429:
        kind = "flood"
    else:
        kind = "server" if error.status >= 500 else "missing"
    return ApiError(f"an attachment: {error}", kind=kind, status=error.status)
