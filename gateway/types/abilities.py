"""What a platform can do, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a platform offers; the centre uses what is there and does without the rest."""

    edit: bool = False  # change a message of ours
    delete: bool = False  # take one back
    button: bool = False
    reaction: bool = False
    thread: bool = False
    file: bool = False
    whisper: bool = False  # answer a command so that only who gave it sees it
    draft: bool = False  # show text being written without a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fast a channel may speak, and how it places a message; times in seconds.

    *placing*: 'exact' sends a message whole (a repeat is recognised by its nonce); 'opening' sends the
    first words and puts the rest there by edits; 'placeholder' sends a mark and puts all text there by edits;
    'draft' shows what is being written without a message, in direct chats, and sends it whole at the end
    (elsewhere it is 'opening').
    """

    placing: Literal["exact", "opening", "placeholder", "draft"] = "exact"
    stream: bool = False
    preview_direct: float = 1.2
    preview_group: float = 3.5
    typing_every: float = 4.0
    chat_per_second: float = 1.0
    group_per_minute: float = 20.0
    account_per_second: float = 30.0
    slack: float = 0.0  # by which one call may be longer on its way than the next
    burst: int = 20
    strict: bool = False
