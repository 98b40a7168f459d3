"""Messages that are only a part of what a person sends: albums, forwards, texts a client has cut; pure.

An ordinary message never waits. These wait for the rest a moment, and become one turn with it.
"""

from __future__ import annotations

from gateway.types.inbound import Inbound, Kind
from gateway.types.measures import SECOND

PAUSE = 8 * SECOND // 10  # of silence after which a burst is whole
LONGEST = 5 * SECOND  # that a message waits in all, however much follows it
# Clients cut texts above 4,096 UTF-16 units (Bot API, Message.text) at a space before it, so the pieces are long.
CUT = 3_900


def expects_more(event: Inbound) -> bool:
    """Whether more of the same is likely to be on its way."""
    if event.kind is not Kind.MESSAGE:
        return False
    forwarded = any(quote.origin == "forward" for quote in event.quotes)
    return bool(event.album) or forwarded or units(event.text) >= CUT


def units(text: str) -> int:
    """Its length in UTF-16 units, as platforms count."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
