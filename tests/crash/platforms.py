"""What the crash tests must know of each platform: its fake, how people speak there, and how its calls look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from channels.text import discord, telegram
from tests.fakes.discord import TOKEN as DISCORD_TOKEN
from tests.fakes.telegram import TOKEN as TELEGRAM_TOKEN

Control = Callable[[str, Any], Awaitable[Any]]
FIRST = 1001  # ids of people, and on Telegram of their chats
GUILD = 9001
CONTENT = "What a file says is nobody's question.\n" * 40
Name = Literal["telegram", "discord"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the bot; *history*: every text it had; *at* on the fakes' monotonic clock."""

    id: int
    text: str
    history: tuple[str, ...]
    at: float
    deleted: bool


class Platform(Protocol):
    """*saved*: the calls that show a text. *exact*: a repeated call is recognised, so nothing may be seen twice."""

    name: Name
    fake: str
    token: str
    saved: frozenset[str]
    exact: bool

    async def people(self, control: Control, count: int) -> list[int]:
        """Make so many chats; their ids."""
        ...

    def allow(self, chats: Sequence[int]) -> list[str]:
        """Who and what must be let in."""
        ...

    async def say(self, control: Control, chat: int, text: str, **more: Any) -> int:
        """A person's message; what `number` makes of its event."""
        ...

    async def share(self, control: Control, chat: int, text: str, *, photo: bool) -> int:
        """The same with a photo, or else with a text file."""
        ...

    def number(self, event: str) -> int:
        """The number in the name of an event; 0 for what is no message."""
        ...

    def text(self, params: dict[str, Any]) -> str:
        """The text of a saved call."""
        ...

    def connected(self, method: str) -> bool:
        """Whether a call shows that the gateway takes messages in."""
        ...

    def shown(self, state: dict[str, Any]) -> dict[int, list[Shown]]:
        """The bot's messages by chat."""
        ...

    def render(self, markdown: str) -> list[str]:
        """A text as the texts of the messages that show it."""
        ...

    def confirmed(self, calls: Sequence[dict[str, Any]]) -> int:
        """Up to which number the platform was told that its events arrived; 0 when it is not told so."""
        ...

    def settings(self, told: dict[str, Any]) -> dict[str, object]:
        """The channel's settings for the fake that printed *told* at its start."""
        ...


class Telegram:
    """Long polling; no idempotency key."""

    name: Name = "telegram"
    fake = "tests.fakes.telegram"
    token = TELEGRAM_TOKEN
    saved = frozenset({"sendMessage", "editMessageText"})
    exact = False

    async def people(self, control: Control, count: int) -> list[int]:
        return [FIRST + number for number in range(count)]

    def allow(self, chats: Sequence[int]) -> list[str]:
        return [str(chat) for chat in chats]

    async def say(self, control: Control, chat: int, text: str, **more: Any) -> int:
        return int((await control("say", {"chat_id": chat, "text": text, **more}))["result"])

    async def share(self, control: Control, chat: int, text: str, *, photo: bool) -> int:
        body: dict[str, Any] = {"chat_id": chat, "caption": text} | ({} if photo else {"content": CONTENT})
        return int((await control("photo" if photo else "document", body))["result"])

    def number(self, event: str) -> int:
        number = event.partition(":")[0]
        return int(number) if number.isdigit() else 0

    def text(self, params: dict[str, Any]) -> str:
        return str(params.get("text", ""))

    def connected(self, method: str) -> bool:
        return method == "getUpdates"

    def shown(self, state: dict[str, Any]) -> dict[int, list[Shown]]:
        return {
            int(chat): [
                Shown(each["id"], each["text"] or "", tuple(each["history"]), each["at"], each["deleted"])
                for each in facts["messages"]
            ]
            for chat, facts in state["chats"].items()
        }

    def render(self, markdown: str) -> list[str]:
        return [piece.text for piece in telegram.render(markdown)]

    def confirmed(self, calls: Sequence[dict[str, Any]]) -> int:
        offsets = [int(each["params"].get("offset") or 0) for each in calls if each["method"] == "getUpdates"]
        return max(offsets, default=1) - 1

    def settings(self, told: dict[str, Any]) -> dict[str, object]:
        return {"token": self.token, "api_url": told["url"], "poll_seconds": 2}


class Discord:
    """A gateway that forgets, history to catch up by, nonces. Every other chat is a thread of a server."""

    name: Name = "discord"
    fake = "tests.fakes.discord"
    token = DISCORD_TOKEN
    saved = frozenset({"create_message", "edit_message"})
    exact = True

    def __init__(self) -> None:
        self._who: dict[int, int] = {}  # chat -> the person who writes there

    async def people(self, control: Control, count: int) -> list[int]:
        people = [FIRST + number for number in range(count)]
        await control("guild", {"name": "A server", "id": GUILD, "members": people})
        channel = (await control("channel", {"guild_id": GUILD}))["result"]
        chats = []
        for number, person in enumerate(people):
            if number % 2:
                body: dict[str, Any] = {"channel_id": channel, "name": f"thread {number}", "user_id": person}
                chats.append(int((await control("thread", body))["result"]))
            else:
                chats.append(int((await control("dm", {"user_id": person}))["result"]))
            self._who[chats[-1]] = person
        return chats

    def allow(self, chats: Sequence[int]) -> list[str]:
        return [str(GUILD), *(str(FIRST + number) for number in range(len(chats)))]

    async def say(self, control: Control, chat: int, text: str, **more: Any) -> int:
        body = {"channel_id": chat, "user_id": self._who[chat], "text": text, **more}
        return int((await control("say", body))["result"])

    async def share(self, control: Control, chat: int, text: str, *, photo: bool) -> int:
        body = {"channel_id": chat, "user_id": self._who[chat], "text": text}
        if not photo:
            return int((await control("say", {**body, "attachments": [["notes.txt", CONTENT]]}))["result"])
        return int((await control("photo", body))["result"])

    def number(self, event: str) -> int:
        kind, _, number = event.partition(":")
        return int(number) if kind == "m" and number.isdigit() else 0

    def text(self, params: dict[str, Any]) -> str:
        return str(params.get("content") or "")

    def connected(self, method: str) -> bool:
        return method in ("gateway_identify", "gateway_resume")

    def shown(self, state: dict[str, Any]) -> dict[int, list[Shown]]:
        return {
            int(chat): [
                Shown(each["id"], each["content"], tuple(each["history"]), each["at"], bool(each["deleted"]))
                for each in facts["messages"]
            ]
            for chat, facts in state["channels"].items()
        }

    def render(self, markdown: str) -> list[str]:
        return discord.render(markdown)

    def confirmed(self, calls: Sequence[dict[str, Any]]) -> int:
        return 0

    def settings(self, told: dict[str, Any]) -> dict[str, object]:
        return {
            "token": self.token,
            "api_url": told["api_url"],
            "gateway_url": told["gateway_url"],
            "always": [str(GUILD)],
        }


PLATFORMS: dict[Name, Callable[[], Platform]] = {"telegram": Telegram, "discord": Discord}
