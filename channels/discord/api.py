"""The calls we make to Discord. All raise ApiError."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from channels.discord.press import Press
from channels.discord.refusal import ANSWERED, HAS_THREAD, ApiError
from channels.discord.snowflake import is_id
from channels.discord.uploads import Upload
from gateway.types.json import Json

PAGE = 100  # messages; Get Channel Messages
MANAGERS = 1 << 3 | 1 << 5  # ADMINISTRATOR, MANAGE_GUILD; Bitwise Permission Flags
# Interaction Callback Types.
SAY, DEFER, DEFER_UPDATE = 4, 5, 6
LOADING = 1 << 7  # the deferred answer to an interaction; Message Flags
_MESSAGES = "/channels/{channel_id}/messages"
_MESSAGE = _MESSAGES + "/{message_id}"
_HOOK = "/webhooks/{webhook_id}/{webhook_token}"


class Caller(Protocol):
    """What `Http.call` is."""

    async def __call__(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: object = None,
        query: Any = None,
        file: Any = None,  # an Upload
        **ids: str,
    ) -> Any: ...


class Api:
    """The HTTP API of one account. *application* is its id, which READY or `app` gives."""

    def __init__(self, call: Caller) -> None:
        self._call = call
        self.application = ""

    async def me(self) -> Json:
        return _object(await self._call("GET", "/users/@me", "who am I"), "who am I")

    async def app(self) -> Json:
        """The application: its id and its flags."""
        found = _object(await self._call("GET", "/applications/@me", "the application"), "the application")
        self.application = str(found.get("id", ""))
        return found

    async def gateway(self) -> Json:
        """The gateway's address, and how often a session may still be begun today."""
        return _object(await self._call("GET", "/gateway/bot", "the gateway"), "the gateway")

    # -- messages ---------------------------------------------------------------------------------------------

    async def send(self, channel: str, body: Json, file: Upload | None = None) -> Json:
        """Create Message; the message."""
        found = await self._call("POST", _MESSAGES, "send", body=body, file=file, channel_id=channel)
        return _object(found, "send", "id")

    async def edit(self, channel: str, message: str, body: Json) -> Json:
        """Edit Message; the message, {} if that was not said."""
        found = await self._call("PATCH", _MESSAGE, "edit", body=body, channel_id=channel, message_id=message)
        return found if isinstance(found, dict) else {}

    async def delete(self, channel: str, message: str) -> None:
        await self._call("DELETE", _MESSAGE, "delete", channel_id=channel, message_id=message)

    async def message(self, channel: str, message: str) -> Json:
        """Get Channel Message."""
        found = await self._call("GET", _MESSAGE, "a message", channel_id=channel, message_id=message)
        return _object(found, "a message")

    async def history(
        self, channel: str, *, after: str = "", before: str = "", limit: int = PAGE
    ) -> list[Json]:
        """Get Channel Messages, oldest first: those right after one, right before one, or the newest."""
        query = {"limit": str(limit)} | ({"after": after} if after else {"before": before} if before else {})
        found = await self._call("GET", _MESSAGES, "history", query=query, channel_id=channel)
        listed = [each for each in found or () if isinstance(each, dict) and is_id(each.get("id"))]
        return sorted(listed, key=lambda each: int(each["id"]))

    async def react(self, channel: str, message: str, emoji: str) -> None:
        await self._reaction("PUT", channel, message, emoji)

    async def unreact(self, channel: str, message: str, emoji: str) -> None:
        await self._reaction("DELETE", channel, message, emoji)

    async def typing(self, channel: str) -> None:
        """Shows "typing" for ten seconds; Trigger Typing Indicator."""
        await self._call("POST", "/channels/{channel_id}/typing", "typing", channel_id=channel)

    # -- places -----------------------------------------------------------------------------------------------

    async def channel(self, channel: str) -> Json:
        return _object(
            await self._call("GET", "/channels/{channel_id}", "the channel", channel_id=channel), "channel"
        )

    async def direct(self, user: str) -> str:
        """The id of the private channel with a user; Create DM."""
        body = {"recipient_id": user}
        found = await self._call("POST", "/users/@me/channels", "private channel", body=body)
        return str(_object(found, "private channel", "id")["id"])

    async def begin_thread(self, channel: str, message: str, name: str) -> None:
        """Start Thread from Message: it has the message's id. One that is there already is no error."""
        try:
            await self._call(
                "POST",
                _MESSAGE + "/threads",
                "begin a thread",
                body={"name": name},
                channel_id=channel,
                message_id=message,
            )
        except ApiError as error:
            if error.code != HAS_THREAD:
                raise

    async def open_thread(self, channel: str, kind: int, name: str) -> Json:
        """Start Thread without Message: a Channel object."""
        body = {"name": name, "type": kind}
        found = await self._call(
            "POST", "/channels/{channel_id}/threads", "open a thread", body=body, channel_id=channel
        )
        return _object(found, "thread", "id")

    async def manages(self, guild: str, user: str) -> bool:
        """Whether a member is the owner of a server, or has ADMINISTRATOR or MANAGE_GUILD by a role."""
        about = _object(
            await self._call("GET", "/guilds/{guild_id}", "the server", guild_id=guild), "the server"
        )
        if about.get("owner_id") == user:
            return True
        member = _object(
            await self._call("GET", "/guilds/{guild_id}/members/{user_id}", "a member", guild_id=guild, user_id=user),
            "a member",
        )  # fmt: skip
        held, listed = member.get("roles"), about.get("roles")
        mine = {guild, *(held if isinstance(held, list) else ())}  # @everyone has the server's id
        rights = 0
        for role in listed if isinstance(listed, list) else ():
            if isinstance(role, dict) and role.get("id") in mine:
                granted = str(role.get("permissions", "0"))
                rights |= int(granted) if granted.isdigit() else 0
        return bool(rights & MANAGERS)

    # -- commands ---------------------------------------------------------------------------------------------

    async def commands(self) -> list[object]:
        """The global commands as they are registered."""
        path = "/applications/{application_id}/commands"
        found = await self._call("GET", path, "commands", application_id=self.application)
        return found if isinstance(found, list) else []

    async def overwrite_commands(self, commands: Sequence[Json]) -> None:
        """Bulk Overwrite Global Application Commands."""
        path = "/applications/{application_id}/commands"
        await self._call("PUT", path, "set commands", body=list(commands), application_id=self.application)

    # -- interactions -----------------------------------------------------------------------------------------

    async def respond(self, press: Press, kind: int, data: Json | None = None) -> None:
        """The first answer, within three seconds; one that was given already is no error."""
        body: Json = {"type": kind} | ({"data": data} if data else {})
        path = "/interactions/{webhook_id}/{webhook_token}/callback"
        try:
            await self._call(
                "POST", path, "respond", body=body, webhook_id=press.id, webhook_token=press.token
            )
        except ApiError as error:
            if error.code != ANSWERED:
                raise

    async def follow(self, press: Press, body: Json, file: Upload | None = None) -> Json:
        """Another message for an interaction; Create Followup Message."""
        found = await self._call("POST", _HOOK, "follow up", body=body, file=file, **self._hook(press))
        return _object(found, "follow up", "id")

    async def answer(self, press: Press) -> Json:
        """The message that is the first answer as it stands; Get Original Interaction Response."""
        found = await self._call("GET", _HOOK + "/messages/@original", "the answer", **self._hook(press))
        return _object(found, "the answer", "id")

    async def edit_answer(
        self, press: Press, body: Json, message: str = "@original", *, file: Upload | None = None
    ) -> Json:
        path = _HOOK + "/messages/{message_id}"
        found = await self._call(
            "PATCH", path, "edit", body=body, file=file, message_id=message, **self._hook(press)
        )
        return _object(found, "edit", "id")

    async def delete_answer(self, press: Press, message: str = "@original") -> None:
        path = _HOOK + "/messages/{message_id}"
        await self._call("DELETE", path, "delete", message_id=message, **self._hook(press))

    def _hook(self, press: Press) -> dict[str, str]:
        return {"webhook_id": self.application, "webhook_token": press.token}

    async def _reaction(self, method: str, channel: str, message: str, emoji: str) -> None:
        path = _MESSAGE + "/reactions/{emoji}/@me"
        await self._call(method, path, "react", channel_id=channel, message_id=message, emoji=emoji)


def _object(value: object, what: str, *need: str) -> Json:
    """A JSON object with these fields. Raises ApiError: done, but what came of it cannot be read."""
    if not isinstance(value, dict) or any(name not in value for name in need):
        raise ApiError(f"{what}: an answer that cannot be read", kind="lost", status=200)
    return value
