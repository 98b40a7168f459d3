"""What a model is shown of a conversation."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.transcript import Part, ToolResult


@dataclass(frozen=True, slots=True)
class Picture:
    """An image for a model that sees: image/jpeg, image/png, image/webp or image/gif.

    *media* is its number in the media folder; *data* b'' as long as it has not been read from there.
    """

    media: int
    type: str
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What people said, in order; each text is one message. The pictures belong to them all.

    *fleeting*: some of it is in this prompt only, and the next one will not have it.
    """

    texts: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    fleeting: bool = False


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model answered before."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ResultsMessage:
    """What the tools gave, one result for each call of the message before it."""

    results: tuple[ToolResult, ...]


Message = UserMessage | AssistantMessage | ResultsMessage
