"""Messages as the API takes them."""

from __future__ import annotations

from collections.abc import Sequence

from channels.discord.inbound import TOKEN
from channels.discord.uploads import Upload
from gateway.types.json import Json
from gateway.types.outbound import Button, Chunk

QUIET = 1 << 2  # SUPPRESS_EMBEDS: no previews of what a model links to; Message Flags
HIDDEN = 1 << 6  # EPHEMERAL
NOBODY: Json = {"parse": []}  # Allowed Mentions: whatever the text says, nobody is pinged
ROW, ROWS = 5, 5  # buttons side by side, and rows of them; Action Row
LABEL = 80  # characters; Button Structure


def message(chunk: Chunk, *, nonce: str = "", hidden: bool = False, file: Upload | None = None) -> Json:
    """The body of a new message. With a *nonce*, a repeat gives the message that is there; Create Message."""
    body = edited(chunk, file)
    if not chunk.buttons:
        del body["components"]
    if nonce:
        body |= {"nonce": nonce, "enforce_nonce": True}
    if hidden:
        body["flags"] |= HIDDEN
    return body


def edited(chunk: Chunk, file: Upload | None = None) -> Json:
    """The body of an edit: text and buttons as in the chunk, also where there were some before.

    Files stay unless there is another one.
    """
    return (file.listed if file else {}) | {
        "content": chunk.text,
        "allowed_mentions": NOBODY | ({"roles": [role]} if (role := chunk.extra.get("role")) else {}),
        "flags": QUIET,
        "components": components(chunk.buttons),
    }


def components(buttons: Sequence[Button]) -> list[Json]:
    """Rows of buttons; what is beyond the 25 that Discord takes is left out."""
    shown = [
        {"type": 2, "style": 2, "label": each.label[:LABEL] or "…", "custom_id": TOKEN + each.token}
        for each in buttons[: ROW * ROWS]
    ]
    return [{"type": 1, "components": shown[at : at + ROW]} for at in range(0, len(shown), ROW)]
