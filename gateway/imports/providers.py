"""Providers and models, from their names into ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.imports.plan import Plan
from gateway.vendors import VENDORS

# Theirs -> the kind of ours that speaks with the vendor's own API.
KINDS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google": "google",
    "gemini": "google",
    "openrouter": "openrouter",
    "ollama": "ollama",
}
# Vendors with an OpenAI-compatible server, by the addresses in their own documentation.
COMPATIBLE: Mapping[str, str] = {
    "groq": "https://api.groq.com/openai/v1",
    "deepseek": "https://api.deepseek.com/v1",
    "mistral": "https://api.mistral.ai/v1",
    "xai": "https://api.x.ai/v1",
    "moonshot": "https://api.moonshot.ai/v1",
    "zai": "https://api.z.ai/api/paas/v4",
    "minimax": "https://api.minimax.io/v1",
    "dashscope": "https://dashscope.aliyuncs.com/compatible-mode/v1",
    "siliconflow": "https://api.siliconflow.cn/v1",
    "huggingface": "https://router.huggingface.co/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
}
LOGIN = "it is a login (OAuth) and no key; make an API key and put it into [providers.{name}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A provider of theirs. *key* None: there is none, or it is not to be had. *speaks*: our kind, '' by its name."""

    name: str
    key: str | None = None
    base_url: str = ""
    speaks: str = ""
    theirs: str


def name_of(theirs: str) -> str:
    """Ours: letters, digits and underscores."""
    known = KINDS.get(theirs)
    return known or re.sub(r"[^a-z0-9]+", "_", theirs.lower()).strip("_")[:32] or "provider"


def take(plan: Plan, offer: Offer) -> bool:
    """Its table; False where it is not taken over, which is told."""
    name = name_of(offer.name)
    kind = offer.speaks or KINDS.get(offer.name) or "openai"
    url = offer.base_url.rstrip("/") or ("" if offer.name in KINDS else COMPATIBLE.get(offer.name, ""))
    if not url and offer.name not in KINDS:
        plan.leave(
            offer.theirs, f"nobody knows its address here; add [providers.{name}] with kind and base_url"
        )
        return False
    own = VENDORS[kind].own or offer.name == "lmstudio" or (kind == "openai" and bool(offer.base_url))
    if offer.key is None and not own:
        plan.leave(offer.theirs, f"its key was not found; put it into [providers.{name}] api_key")
        return False
    where = f"providers.{name}"
    if kind != name:
        plan.take(offer.theirs, f"{where}.kind", kind)
    if url and url != VENDORS[kind].url:
        plan.take(offer.theirs, f"{where}.base_url", _address(kind, url))
    if offer.key is not None:
        plan.take(offer.theirs, f"{where}.api_key", offer.key)
    if plan.get(where) is None:
        plan.tables.setdefault("providers", {})[name] = {}
        plan.take(offer.theirs, f"{where}.kind", kind)
    return True


def _address(kind: str, url: str) -> str:
    """Anthropic's and Google's SDKs add the version themselves."""
    ending = {"anthropic": "/v1", "google": "/v1beta"}.get(kind, "")
    return url.removesuffix(ending) if ending else url


def model(plan: Plan, theirs: str, named: object, *, provider: str = "", router: bool = False) -> str | None:
    """provider:model of "provider/model"; None where that provider was not taken over, which is told.

    *provider*: theirs, where the name of the model does not say it. *router*: what nobody else has is asked of
    OpenRouter, if that is there.
    """
    if not isinstance(named, str) or not named.strip():
        return None
    named = named.strip()
    first, _, rest = named.partition("/")
    for candidate, inside in ((provider, named.removeprefix(f"{provider}/")), (first, rest)):
        if candidate and inside and plan.get(f"providers.{name_of(candidate)}") is not None:
            return f"{name_of(candidate)}:{inside}"
    if router and rest and plan.get("providers.openrouter") is not None:
        return f"openrouter:{named}"
    plan.leave(theirs, f"{named}: its provider was not taken over; choose a model with [agent] model")
    return None
