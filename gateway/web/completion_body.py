"""The JSON of OpenAI's chat completions, as far as we read and write it: "Create chat completion" and the objects it
gives, in their API reference. What they have besides is let in, and told apart by `completion_request`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.web.body import Name


class Loose(BaseModel):
    """A JSON object whose other keys are kept in `model_extra`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class ImageUrl(Loose):
    """*url* has all of the picture (data:image/png;base64,…), or is its public address (https://…)."""

    url: Annotated[str, Field(min_length=1)]


class Part(Loose):
    """Of a message: text or, in the user's, a picture (image_url)."""

    type: Name
    text: str | None = None
    image_url: ImageUrl | None = None


class Said(Loose):
    """A message. *refusal*: of an assistant that said no instead."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    refusal: str | None = None


class StreamOptions(Loose):
    include_usage: bool | None = None


class Asking(Loose):
    """*model*: parley, or one of GET /v1/models. The last of the messages is the user's.

    Fields that change nothing here are named in the header X-Parley-Ignored of the answer; those that would make it
    another thing (tools, n, response_format, logprobs, audio) are refused.
    """

    model: Name
    messages: Annotated[list[Said], Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    cached_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """As the ledger has it. *cost_usd* is ours: dollars, None as long as a price is not known."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Cached
    cost_usd: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    content: str
    role: Literal["assistant"] = "assistant"
    refusal: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    message: Answered
    index: int = 0
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """*created* in seconds UTC."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    object: Literal["chat.completion"] = "chat.completion"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNamed:
    """*created*: 0, for nobody knows."""

    id: str
    owned_by: str
    created: int = 0
    object: Literal["model"] = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    data: list[ModelNamed] = field(default_factory=list)
    object: Literal["list"] = "list"
