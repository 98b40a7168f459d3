"""Telegram, through the Bot API and long polling."""

from channels.telegram.channel import Telegram

__all__ = ["Telegram"]
