"""Where people are: one file or folder per platform, imported when it is configured."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# name -> "module:class"; a new channel is one line here
CHANNELS = {"telegram": "channels.telegram:Telegram", "discord": "channels.discord:Discord"}


def load_channel(name: str) -> Any:
    """The class of a channel; its SDK is imported only now."""
    module, _, attribute = CHANNELS[name].partition(":")
    return getattr(import_module(module), attribute)
