"""The tables of parley.toml about providers: how they are reached, and what they cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag

from gateway.config_values import Mistake, Secret, Table, Url
from gateway.vendors import KINDS, VENDORS, Kind, loopback


def _discount(part: Decimal) -> Decimal:
    """Above 2 it was meant in per cent."""
    if not (part.is_finite() and 0 < part <= 2 and part == round(part, 4)):
        raise Mistake(
            f"{part} is no part of the price", "write 0.8 to pay a fifth less, with 4 decimals at most"
        )
    return part


def _kinds(value: object) -> object:
    """Providers whose *kind* is said by their name."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: {"kind": name, **table} if name in KINDS and isinstance(table, Mapping) else table
        for name, table in value.items()
    }


def _provider_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", name) or name == "demo":
        raise Mistake(
            f"{name!r} cannot name a provider", "use small letters, digits and '-'; 'demo' is taken"
        )
    return name


Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]  # US dollars per million tokens
Discount = Annotated[
    Decimal, Field(allow_inf_nan=True), AfterValidator(_discount)
]  # a part of the list price


class Price(Table):
    """US dollars per million tokens; None: unknown, and requests with such tokens are counted as unpriced."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write_5m: Dollars | None = None
    cache_write_1h: Dollars | None = None
    search: Dollars | None = None  # per thousand searches of the web that the provider makes


Pricing = Annotated[
    Annotated[Literal["free"], Tag("free")] | Annotated[dict[str, Price], Tag("table")],
    Discriminator(lambda value: "free" if isinstance(value, str) else "table"),
]


class ProviderSettings(Table):
    kind: Kind  # what it speaks; left out: the table's name
    api_key: Secret = SecretStr("")
    api_key_file: Path | None = None
    base_url: Url = ""  # '': the vendor's own; Anthropic without /v1, OpenAI with it
    price: Pricing | None = None  # by model; None: the known list prices
    discount: Discount = Decimal(1)  # what those are multiplied by
    web_search: bool | None = None  # whether its server can; None: Anthropic's and OpenAI's own can

    @property
    def usable(self) -> bool:
        """Whether requests can be tried: it has a key, or a server of its own that may need none."""
        return bool(self.api_key) or bool(self.base_url) or VENDORS[self.kind].own

    @property
    def unbilled(self) -> bool:
        """A machine of the operator's, which sends no bill: Ollama, unless it is the one that is rented."""
        return VENDORS[self.kind].own and "ollama.com" not in self.base_url

    @property
    def nearby(self) -> bool:
        """A compatible server on this very machine that asks for no key.

        Whoever asks for one counts who uses it, as a proxy before a vendor does; and what speaks as Anthropic or Google
        here is such a proxy.
        """
        host = urlsplit(self.base_url).hostname or ""
        return self.kind == "openai" and not self.api_key and loopback(host)


Providers = Annotated[
    dict[Annotated[str, AfterValidator(_provider_name)], ProviderSettings], BeforeValidator(_kinds)
]


class TranscriptionSettings(Table):
    provider: str = ""  # one of [providers]; '': what people say in recordings is not written down
    model: str = "gpt-4o-mini-transcribe"
    language: str = ""  # ISO 639-1; '': the model finds out
