"""One configured provider: its HTTP connections, and the SDK over them from the first use on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.models import builders
from gateway.vendors import VENDORS, searches, usable

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model as Wire

CONNECT = 10.0  # seconds
SILENCE = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One [providers.<name>]. *kind* is one of gateway.vendors.KINDS; *base_url* '' is the vendor's own."""

    name: str
    kind: str
    api_key: str = field(default="", repr=False)
    base_url: str = ""
    web_search: bool | None = None  # whether its server can; None: the vendor's own can

    @property
    def url(self) -> str:
        vendor = VENDORS.get(self.kind)
        return (self.base_url or (vendor.url if vendor else "")).rstrip("/")

    @property
    def usable(self) -> bool:
        """Whether it can be asked: a key, or a server of one's own that may want none."""
        return self.kind in VENDORS and usable(self.kind, key=bool(self.api_key), address=bool(self.base_url))

    @property
    def searches(self) -> bool:
        """Whether its server searches the web for its models, within bounds that can be told."""
        return searches(self.kind, own=self.url == VENDORS[self.kind].url, told=self.web_search)


class Connection:
    """*silence* in seconds: the longest time without a word from the provider, before the first token too."""

    def __init__(self, config: ProviderConfig, *, connect: float = CONNECT, silence: float = SILENCE) -> None:
        self.config = config
        self.silence = silence
        self._connect = connect
        self._wires: dict[tuple[str, bool], Wire] = {}
        self._http: httpx2.AsyncClient | None = None
        self._building = asyncio.Lock()
        self._asking = 0
        self._retired = False

    async def wire(self, model: str, *, searching: bool = False) -> Wire:
        """The model layer's model; the first one imports the vendor's SDK, in a thread.

        *searching*: for a request that may search the web.
        """
        key = model, searching
        if (known := self._wires.get(key)) is not None:
            return known
        async with self._building:
            if key not in self._wires:
                await self.warm()
                self._wires[key] = builders.build(self.config, model, self.http(), searching=searching)
            return self._wires[key]

    async def warm(self) -> None:
        """Import what the first request needs; it takes one to three seconds of CPU."""
        await asyncio.to_thread(builders.load, self.config.kind)

    def begin(self) -> None:
        self._asking += 1

    async def end(self) -> None:
        self._asking -= 1
        await self._close_if_idle()

    async def retire(self) -> None:
        """Close as soon as nobody is being answered through it."""
        self._retired = True
        await self._close_if_idle()

    @property
    def closed(self) -> bool:
        return self._retired and self._http is None

    async def close(self) -> None:
        """Close now, whoever is being answered."""
        http, self._http = self._http, None
        self._wires.clear()
        if http is not None:
            await http.aclose()

    async def _close_if_idle(self) -> None:
        if self._retired and self._asking == 0:
            await self.close()

    def http(self) -> httpx2.AsyncClient:
        """The client that every request of this provider goes through."""
        import httpx2

        from gateway.models.transport import Transport

        if self._http is None:
            self._http = httpx2.AsyncClient(
                transport=Transport(ssl=httpx2.create_ssl_context(), connect=self._connect),
                timeout=httpx2.Timeout(self.silence, connect=self._connect),
                follow_redirects=True,
            )
        return self._http
