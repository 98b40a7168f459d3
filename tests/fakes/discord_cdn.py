"""Where the fake Discord keeps attachments: addresses that are signed and expire, as the CDN's are."""

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import quote, unquote

LIFE = 24 * 3600  # seconds for which an address is good; Reference, CDN Parameters


class Cdn:
    """`expire` ends the life of every address that was given so far."""

    def __init__(self) -> None:
        self.root = ""  # as https://cdn.discordapp.com
        self._key = b"first"

    def expire(self) -> None:
        self._key += b"+"

    def signed(self, attachment: dict[str, Any]) -> dict[str, Any]:
        """An Attachment object with an address that is good from now on; *url* in it is a path so far."""
        path = quote(attachment["url"], safe="/")
        now = int(time.time())
        given, until = f"{now:x}", f"{now + LIFE:x}"
        url = f"{self.root}{path}?ex={until}&is={given}&hm={self._mark(path, until, given)}&"
        return attachment | {"url": url, "proxy_url": url}

    def admits(self, path: str, query: Any) -> bool:
        """Whether a path, still quoted, may be fetched with these parameters."""
        until, given, mark = (query.get(name, "") for name in ("ex", "is", "hm"))
        return hmac.compare_digest(mark, self._mark(path, until, given)) and int(until, 16) > time.time()

    def _mark(self, path: str, until: str, given: str) -> str:
        signed = f"{unquote(path)} {until} {given}"  # however a client quotes it
        return hmac.new(self._key, signed.encode(), hashlib.sha256).hexdigest()
