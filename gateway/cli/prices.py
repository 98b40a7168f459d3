"""`parley prices`: what each configured model costs, and which prices are missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import show
from gateway.cli.client import settings_of
from gateway.cli.options import AsJson, Config

if TYPE_CHECKING:
    from gateway.price import Price
    from gateway.settings import Settings

HEADINGS = ("model", "used as", "input", "output", "cache read", "write 5 min", "write 1 h", "source")
RATES = {
    "uncached": "input",
    "output": "output",
    "read": "cache read",
    "write_5m": "cache write (5 min)",
    "write_1h": "cache write (1 h)",
}
# Kinds of token that a request can come to; only Anthropic bills what is written to its cache apart.
USUAL = ("uncached", "output", "read")
HEARD = ("uncached", "output")
HOUR = 3600  # seconds

app = typer.Typer(
    no_args_is_help=True,
    help="""What each model costs.

    From the list of prices that comes with Parley, or from [providers.NAME.price], which wins.
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A configured model. *uses*: where it is named. *missing*: what has no price, in words; () for nothing.

    *price* None: nobody knows it. *hourly*: dollars for an hour of audio where that is how it is billed.
    """

    ref: str
    uses: tuple[str, ...]
    price: Price | None
    missing: tuple[str, ...]
    hourly: Decimal | None = None

    @property
    def source(self) -> str:
        """override, list (and which, and what part of it is paid), free, or missing."""
        if self.price is None:
            return "missing"
        if self.price.source == "config":
            return "override"
        if self.price.source == "free":
            return "free"
        part = "" if self.price.discount == 1 else f" x {self.price.discount.normalize():f}"
        return f"list ({self.price.source}){part}"


@app.command()
def check(config: Config = None, json: AsJson = False) -> None:
    """List every configured model with its price, in dollars per million tokens.

    The default model, the fallbacks, what people may choose, those of jobs, and transcription. The exit code is 1 if
    any price is missing: requests at such a model are on the bill as unpriced, never as free.

    \b
    Examples:
      parley prices check
      parley prices check --json | jq '.[] | select(.missing != [])'
    """
    settings = settings_of(config)
    found = list(lines(settings, time.time_ns() // 1000))
    if json:
        show.as_json([_fields(line) for line in found])
    else:
        show.table(HEADINGS, [_row(line) for line in found], right=range(2, 7))
        for line in found:
            if line.missing:
                show.error(f"! {line.ref}: no price for {', '.join(line.missing)}. {_remedy(line.ref)}")
    if any(line.missing for line in found):
        raise typer.Exit(1)


def lines(settings: Settings, at: int) -> Iterator[Line]:
    """Every model that the settings name, at the prices of *at* (microseconds UTC) and of short requests."""
    from gateway.configured import default_model, providers
    from gateway.models.demo import REF as DEMO

    uses: dict[str, list[str]] = {}

    def named(ref: str, use: str) -> None:
        if ref:
            uses.setdefault(ref, []).append(use)

    usable = any(each.usable for each in providers(settings).values())
    named(default_model(settings) if usable else DEMO, "default")
    for ref in settings.agent.fallback_models:
        named(ref, "fallback")
    for ref in settings.agent.models:
        named(ref, "offered")
    named(settings.agent.summary_model, "notes")
    for job in settings.jobs:
        named(job.model, f"job {job.name}")
    for ref, found in uses.items():
        yield _line(settings, ref, tuple(found), at)
    heard = settings.transcription
    if heard.provider:
        yield _transcription(settings, f"{heard.provider}:{heard.model}", at)


def _line(settings: Settings, ref: str, uses: tuple[str, ...], at: int) -> Line:
    from gateway.searching import search_price
    from gateway.types.usage import Tokens
    from gateway.usage import find_price

    kind, facts = _asked(settings, ref, at)
    price = find_price(**facts, tokens=Tokens())
    writes = ("write_5m", "write_1h") if kind == "anthropic" else ()
    missing = _missing(price, (*USUAL, *writes))
    if price is not None and _searches(settings, ref) and search_price(**facts) is None:
        missing = (*missing, "searches")
    return Line(ref=ref, uses=uses, price=price, missing=missing)


def _searches(settings: Settings, ref: str) -> bool:
    from gateway.configured import providers

    provider = providers(settings).get(ref.partition(":")[0])
    return bool(settings.tools.web_search) and provider is not None and provider.searches


def _transcription(settings: Settings, ref: str, at: int) -> Line:
    from gateway.types.usage import Tokens
    from gateway.usage import find_audio_price

    _, facts = _asked(settings, ref, at)
    uses = ("transcription",)
    price = find_audio_price(**facts, seconds=HOUR, tokens=Tokens(uncached=1))
    hourly = price.rates.request if price is not None and price.rates.request else None
    return Line(ref=ref, uses=uses, price=price, missing=_missing(price, HEARD), hourly=hourly)


def _asked(settings: Settings, ref: str, at: int) -> tuple[str, dict[str, Any]]:
    """What the provider speaks ('' for one that is not configured), and what a price is looked up by."""
    from gateway.configured import pricing, providers

    name, _, model = ref.partition(":")
    prices = pricing(settings)
    provider = providers(settings).get(name)
    kind, url = (provider.kind, provider.url) if provider is not None else ("", "")
    return kind, {
        "provider_kind": kind or name,
        "provider_name": name,
        "base_url": url,
        "model": model,
        "at": at,
        "overrides": prices.overrides,
        "discount": prices.discount(name),
    }


def _missing(price: Price | None, kinds: tuple[str, ...]) -> tuple[str, ...]:
    if price is None:
        return ("anything",)
    return tuple(RATES[kind] for kind in kinds if price.rates.of(kind) is None)


def _remedy(ref: str) -> str:
    name, _, model = ref.partition(":")
    return f'Set it in [providers.{name}.price."{model}"], or price = "free" in [providers.{name}].'


def _row(line: Line) -> list[str]:
    from gateway.texts.forms import rate

    uses = ", ".join(line.uses)
    if line.hourly is not None:
        return [line.ref, uses, f"{rate(line.hourly)} an hour", "", "", "", "", line.source]
    found = [None if line.price is None else line.price.rates.of(kind) for kind in RATES]
    return [line.ref, uses, *("-" if each is None else rate(each) for each in found), line.source]


def _fields(line: Line) -> dict[str, Any]:
    from gateway.web.encoding import plain

    return {
        "model": line.ref,
        "uses": line.uses,
        "source": line.source,
        "missing": line.missing,
        "per_hour": plain(line.hourly),
        "per_million": None
        if line.price is None or line.hourly is not None
        else {kind: plain(line.price.rates.of(kind)) for kind in RATES},
    }
