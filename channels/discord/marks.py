"""Our reactions under people's messages: one at a time."""

from __future__ import annotations

from collections import OrderedDict

from channels.discord.api import Api
from channels.discord.refusal import ApiError
from channels.discord.snowflake import made_at

MOST = 1000  # messages to remember


class Marks:
    """*since*: from then on we know what we have put where; of *known* emoji, ours are told from those before."""

    def __init__(self, api: Api, *, since: int, known: frozenset[str]) -> None:
        self._api, self._since, self._known = api, since, known
        self._ours: OrderedDict[str, str] = OrderedDict()  # by message

    async def put(self, channel: str, message: str, emoji: str | None) -> None:
        """That emoji in place of an earlier one; None takes it away. Raises ApiError."""
        for earlier in await self._earlier(channel, message):
            if earlier == emoji:
                return
            try:
                await self._api.unreact(channel, message, earlier)
            except ApiError as error:
                if error.kind not in ("missing", "rejected"):
                    raise
            self._ours.pop(message, None)
        if emoji is not None:
            await self._api.react(channel, message, emoji)
            self._ours[message] = emoji
            while len(self._ours) > MOST:
                self._ours.popitem(last=False)

    async def _earlier(self, channel: str, message: str) -> list[str]:
        if message in self._ours:
            return [self._ours[message]]
        if made_at(message) >= self._since:
            return []
        found = (await self._api.message(channel, message)).get("reactions")
        return (
            [emoji for each in found if (emoji := _mine(each)) in self._known]
            if isinstance(found, list)
            else []
        )


def _mine(reaction: object) -> str:
    """The emoji of a Reaction object if it is also ours, else ''."""
    if not isinstance(reaction, dict) or not reaction.get("me"):
        return ""
    emoji = reaction.get("emoji")
    return str(emoji.get("name")) if isinstance(emoji, dict) else ""
