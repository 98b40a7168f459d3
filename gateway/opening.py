"""What is sent first of a chunk, by the way in which a channel places what it is to show."""

from __future__ import annotations

from typing import Literal

from gateway.protocols.channel import Channel
from gateway.types.outbound import Chunk
from gateway.types.places import PlaceKind

PLACEHOLDER = Chunk(text="…")


def opening(channel: Channel, chunk: Chunk, kind: PlaceKind) -> Chunk:
    """What is sent first of a chunk, by the channel's way of placing in a place of that kind; with a file, all."""
    if chunk.file is not None:
        return chunk
    match channel.limits.placing:
        case "exact":
            return chunk
        case "draft" if kind == "direct":
            return chunk  # what was shown was no message: there is nothing to complete
        case "opening" | "draft":
            return channel.opening(chunk)
        case "placeholder":
            return PLACEHOLDER


def first_state(channel: Channel, chunk: Chunk) -> Literal["sending", "placing"]:
    """The state in which a chunk that goes out at once is committed.

    With drafts that of direct chats; elsewhere it is put right before the call.
    """
    return "sending" if opening(channel, chunk, "direct") == chunk else "placing"
