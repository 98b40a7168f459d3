"""The tables of parley.toml about the channels: each platform, its bots, and the channel that is always there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from gateway.config_values import Mistake, Secret, Table, Url, listed

NEVER = "never"  # gap_minutes: only an explicit command starts a new session


def _user_id(value: object) -> object:
    text = str(value).strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return text
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]+", text):
        raise Mistake(
            f"{text!r} is not a numeric id",
            "use the numeric id; send /whoami or /start to the bot to see yours",
        )
    return text if isinstance(value, str) else value


def _gap(value: object) -> object:
    return None if value == NEVER else value


def _bot_api(url: str) -> str:
    if re.search(r"/bot[^/]*$", url):
        raise Mistake("is more than the root of the Bot API", "leave out /bot and the token")
    return url


def _bot_token(value: SecretStr) -> SecretStr:
    if value and not re.fullmatch(r"[0-9]+:\S+", value.get_secret_value()):
        raise Mistake("is not a bot token", "copy it from @BotFather; it looks like 123456:ABC-DEF")
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    """Bot API, setWebhook: secret_token."""
    if value and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value.get_secret_value()):
        raise Mistake(
            "cannot be a secret of Telegram's", "use up to 256 letters A-Z a-z, digits, '_' and '-'"
        )
    return value


def _discord_api(url: str) -> str:
    """Of a bare host or /api the version we speak."""
    path = urlsplit(url).path.rstrip("/")
    return url + {"": "/api/v10", "/api": "/v10"}.get(path, "") if url else url


def _websocket(url: str) -> str:
    if url and (urlsplit(url).scheme not in ("ws", "wss") or not urlsplit(url).netloc):
        raise Mistake("is not a WebSocket address", "write it as in wss://host, or leave it empty")
    return url.rstrip("/")


def _account_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", name):
        raise Mistake(f"{name!r} cannot name an account", "use small letters, digits and '-'")
    return name


AccountName = Annotated[str, AfterValidator(_account_name)]
UserId = Annotated[str, BeforeValidator(_user_id)]
UserIds = Annotated[tuple[UserId, ...], NoDecode, BeforeValidator(listed)]


class MainSettings(Table):
    enabled: bool = True
    rule: Literal["explicit"] = "explicit"  # sessions end by command only


class PlatformSettings(Table):
    """What every chat platform has; see AccountsOf for several bots on one."""

    enabled: bool | None = None  # None: when there is a token
    token_file: Path | None = None
    gap_minutes: Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_gap)] = (
        360  # None: explicit sessions
    )
    access: Literal["closed", "pairing", "open"] = "closed"  # to people who are in no list
    allow: UserIds = ()  # ids of people, groups, channels and servers
    owners: UserIds = ()  # allowed everything
    always: UserIds = ()  # groups and channels in which every message is meant for the bot
    during_turn: Literal["queue", "steer", "interrupt", "reject"] = "queue"  # a message while one is answered
    group_context: Annotated[int, Field(ge=0, le=100)] = 20  # overheard messages that the model is shown
    reactions: Literal["off", "waiting", "all"] = "waiting"  # under people's messages
    stream: bool = True
    rate: Literal["adaptive", "strict"] = "adaptive"
    commands: bool = True  # publish the list of commands to the platform's menu


class TelegramAccount(PlatformSettings):
    token: Annotated[Secret, AfterValidator(_bot_token)] = SecretStr("")
    api_url: Annotated[Url, AfterValidator(_bot_api)] = "https://api.telegram.org"
    delivery: Literal["opening", "placeholder", "draft"] = "opening"
    rich_messages: bool = False  # tables, headings and formulas drawn by the app; some apps show nothing
    poll_seconds: Annotated[int, Field(ge=0, le=50)] = 50  # getUpdates timeout
    webhook_url: Url = ""  # where Telegram is to deliver; '': the bot polls
    webhook_secret: Annotated[Secret, AfterValidator(_webhook_secret)] = SecretStr("")
    webhook_secret_file: Path | None = None

    @property
    def active(self) -> bool:
        return bool(self.token) if self.enabled is None else self.enabled


class TelegramSettings(TelegramAccount):
    accounts: dict[AccountName, TelegramAccount] = Field(default_factory=dict)

    def each(self) -> Iterator[tuple[str, TelegramAccount]]:
        """(key, settings) of every bot that is on: "telegram", and "telegram.name" for those in accounts."""
        yield from _each("telegram", self, self.accounts)


class DiscordAccount(PlatformSettings):
    token: Secret = SecretStr("")
    api_url: Annotated[Url, AfterValidator(_discord_api)] = "https://discord.com/api/v10"
    gateway_url: Annotated[str, AfterValidator(_websocket), Field(repr=False)] = ""  # '': the API is asked
    message_content: Literal["auto", "on", "off"] = "auto"  # the privileged intent
    threads: bool = False  # each conversation in a server gets a thread of its own
    catch_up_minutes: Annotated[int, Field(ge=0)] = 1440  # older messages are not looked for after downtime
    catch_up_messages: Annotated[int, Field(ge=0, le=1000)] = 100  # in each channel, at most

    @property
    def active(self) -> bool:
        return bool(self.token) if self.enabled is None else self.enabled


class DiscordSettings(DiscordAccount):
    accounts: dict[AccountName, DiscordAccount] = Field(default_factory=dict)

    def each(self) -> Iterator[tuple[str, DiscordAccount]]:
        """(key, settings) of every bot that is on: "discord", and "discord.name" for those in accounts."""
        yield from _each("discord", self, self.accounts)


Bot = TypeVar("Bot", TelegramAccount, DiscordAccount)


def _each(channel: str, first: Bot, others: Mapping[str, Bot]) -> Iterator[tuple[str, Bot]]:
    if first.active:
        yield channel, first
    shared = {name: getattr(first, name) for name in first.model_fields_set - OWN}
    if shared.get("access") == "open":
        del shared["access"]  # a bot is open to everybody only where that is written out
    for name, own in others.items():
        account = own.model_copy(update={key: shared[key] for key in shared.keys() - own.model_fields_set})
        if account.active:
            yield f"{channel}.{name}", account


# What an account in [channels.X.accounts.NAME] does not take over from [channels.X].
OWN = frozenset({"accounts", "enabled", "token", "token_file", "webhook_url"})


class ChannelSettings(Table):
    main: MainSettings = MainSettings()
    telegram: TelegramSettings = TelegramSettings()
    discord: DiscordSettings = DiscordSettings()

    def bots(self) -> Iterator[tuple[str, TelegramAccount | DiscordAccount]]:
        """(key, settings) of every bot on every platform that is on."""
        yield from self.telegram.each()
        yield from self.discord.each()

    def known(self) -> dict[str, bool]:
        """Every bot there is a table for, and the first of each platform, by key: whether it is on."""
        keys = ["telegram", *(f"telegram.{name}" for name in self.telegram.accounts)]
        keys += ["discord", *(f"discord.{name}" for name in self.discord.accounts)]
        on = {key for key, _ in self.bots()}
        return {key: key in on for key in keys}
