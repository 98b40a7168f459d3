"""One request to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from gateway.protocols.messages import Message
from gateway.protocols.tool import ToolSpec

Think = Literal["off", "low", "medium", "high"]
THINK: tuple[Think, ...] = get_args(Think)

Cache = Literal["off", "5m", "1h"]
"""For how long a provider is asked to keep a prompt, counted from its last use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One request. *stable* is the same for every turn of a session; *volatile* comes after it.

    *max_output_tokens* bounds the thinking too. *think* None: as the model does by itself; those that cannot be
    told take no notice. *key*: the same for all requests that begin alike, for providers that send those to the same
    machine; '' where there is only one. *searches*: how often its provider may search the web for it; only where the
    model `searches`.
    """

    stable: str
    messages: tuple[Message, ...]
    volatile: str = ""
    tools: tuple[ToolSpec, ...] = ()
    max_output_tokens: int = 4096
    temperature: float | None = None
    cache: Cache = "5m"
    key: str = ""
    think: Think | None = None
    searches: int = 0
