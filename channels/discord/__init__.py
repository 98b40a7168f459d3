"""Discord, through its gateway and its HTTP API."""

from channels.discord.channel import Discord

__all__ = ["Discord"]
