"""What will not be done as it is configured: said at the start, and by `parley doctor`; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.config_file import Key
from gateway.vendors import SEARCHING, VENDORS, searches

if TYPE_CHECKING:
    from gateway.settings import Settings

Shortcoming = tuple[Key, str, str]  # the path of a key, what will not be done, the remedy


def shortcomings(settings: Settings) -> Iterator[Shortcoming]:
    """Models that are asked without searches although [tools] web_search allows some."""
    if not settings.tools.web_search:
        return
    agent = settings.agent
    named = [each for each in (agent.model, *agent.fallback_models, *agent.models) if each]
    chosen = {each.partition(":")[0] for each in named} or set(settings.providers)
    without: list[str] = []
    for name, provider in settings.providers.items():
        own = not provider.base_url or provider.base_url == VENDORS[provider.kind].url
        if name in chosen and not searches(provider.kind, own=own, told=provider.web_search):
            without.append(name)
    if not without:
        return
    other = next((each for each in without if settings.providers[each].kind in SEARCHING), None)
    remedy = f"use models whose provider is of kind {' or '.join(SEARCHING)}"
    if other is not None:
        kind = VENDORS[settings.providers[other].kind].title
        remedy = f"set web_search = true in [providers.{other}] if its server searches as {kind}'s does"
    yield (
        ("tools", "web_search"),
        f"models of {', '.join(without)} are asked without searches: their servers are not known to keep to a limit",
        remedy,
    )
