"""The providers that can be asked, by what they speak: what is known of each without its SDK; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, get_args

Kind = Literal["anthropic", "openai", "google", "openrouter", "ollama"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SEARCHING = ("anthropic", "openai")  # kinds with searches of a limited number


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """*url* is the vendor's own server, *keys* the variables of the environment that its own tools read.

    Of several *keys* the first that is set counts. *usual*: the model when a key is all that is configured; ''
    where one must be named. *own*: a machine of one's own, which asks for no key and sends no bill.
    """

    title: str
    url: str
    keys: tuple[str, ...] = ()
    page: str = ""  # where keys are made
    usual: str = ""
    own: bool = False


VENDORS: Mapping[str, Vendor] = {
    "anthropic": Vendor(
        title="Anthropic",
        url="https://api.anthropic.com",
        keys=("ANTHROPIC_API_KEY",),
        page="https://console.anthropic.com",
        usual="claude-sonnet-5",
    ),
    "openai": Vendor(
        title="OpenAI",
        url="https://api.openai.com/v1",
        keys=("OPENAI_API_KEY",),
        page="https://platform.openai.com",
        usual="gpt-5-mini",
    ),
    "google": Vendor(
        title="Google",
        url="https://generativelanguage.googleapis.com",
        keys=("GOOGLE_API_KEY", "GEMINI_API_KEY"),  # in the order of Google's SDK
        page="https://aistudio.google.com/apikey",
        usual="gemini-3.5-flash",
    ),
    "openrouter": Vendor(
        title="OpenRouter",
        url="https://openrouter.ai/api/v1",
        keys=("OPENROUTER_API_KEY",),
        page="https://openrouter.ai/settings/keys",
        usual="anthropic/claude-sonnet-5",
    ),
    "ollama": Vendor(title="Ollama", url="http://localhost:11434/v1", own=True),
}


def usable(kind: str, *, key: bool, address: bool) -> bool:
    """Whether a provider can be asked: with a *key*, or where a server of one's own may want none.

    *address*: one was configured, in place of the vendor's.
    """
    return key or VENDORS[kind].own or (kind == "openai" and address)


def searches(kind: str, *, own: bool, told: bool | None) -> bool:
    """Whether such a provider's server searches the web for its models so that what it may cost has a bound.

    *own*: it is the vendor's. *told*: by the operator, of another server. Gemini's searches have no limit (Gemini API,
    grounding with Google Search), and OpenRouter's heed one with some machines only (server tools, web search).
    """
    return kind in SEARCHING and (own if told is None else told)


def key_name(provider: str) -> str:
    """The variable that a provider's key can be put in, by the provider's name."""
    vendor = VENDORS.get(provider)
    return vendor.keys[0] if vendor and vendor.keys else f"PARLEY_PROVIDERS__{provider.upper()}__API_KEY"


def loopback(host: str) -> bool:
    """Whether that name or address is this machine's own, which no other can reach."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
