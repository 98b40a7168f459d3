"""The tables of parley.toml: each key with its type, default, unit and limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
)
from pydantic_settings import NoDecode

from gateway.jobs.spec import LONGEST, NAME
from gateway.searching import MOST_SEARCHES
from gateway.vendors import KINDS, VENDORS, Kind, loopback

NEVER = "never"  # gap_minutes: only an explicit command starts a new session


class Mistake(ValueError):
    """A value that no setting can have: *what* is wrong with it, and the *remedy*."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Mistake(f"no such time zone: {name!r}", "use an IANA name such as Europe/Berlin") from None
    return name


def _discount(part: Decimal) -> Decimal:
    """Above 2 it was meant in per cent."""
    if not (part.is_finite() and 0 < part <= 2 and part == round(part, 4)):
        raise Mistake(
            f"{part} is no part of the price", "write 0.8 to pay a fifth less, with 4 decimals at most"
        )
    return part


def _cache(value: object) -> object:
    """It was a boolean once, and environment variables are text."""
    if not isinstance(value, str | bool):
        return value
    word = str(value).strip().lower()
    return {"true": "auto", "false": "off"}.get(word, word)


CacheFor = Annotated[Literal["auto", "5m", "1h", "off"], BeforeValidator(_cache)]


def _listed(value: object) -> object:
    """A list; text is read as JSON or as words between commas (environment variables are text)."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return _listed(json.loads(value))
        except json.JSONDecodeError:
            raise Mistake("is not a JSON list", 'write it as in ["a","b"] or a,b') from None
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, int):
        return (value,)
    return value


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


def _role_id(value: object) -> object:
    if value == "":
        return ""
    if not re.fullmatch(r"[0-9]+", str(value)):
        raise Mistake(f"{value!r} is not a role's id", "copy it in Discord's developer mode; it is a number")
    return str(value)


def _address(value: str) -> str:
    if value != "main" and not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z0-9_-]+)?:[^\s:]+(:[^\s:]+)?", value):
        raise Mistake(f"{value!r} is not an address", 'write channel:id, as in "telegram:12345"')
    return value


def _targets(value: object) -> object:
    return () if value == "none" else _listed(value)


def _gap(value: object) -> object:
    return None if value == NEVER else value


def _folder(value: object) -> object:
    if value == "":
        raise Mistake("is empty", "name a folder, as in ~/.parley")
    return home(value) if isinstance(value, str | Path) else value


def _folder_or_none(value: object) -> object:
    return None if value == "" else _folder(value)


def home(value: str | Path) -> Path:
    """*value* with ~ replaced. Raises Mistake when there is no such user, or when it cannot be a path."""
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise Mistake(f"{str(value)!r} is in the home folder of nobody", "write the whole path") from None
    if "\0" in str(path):
        raise Mistake(f"{str(value)!r} cannot be a path", "leave out the null character")
    return path


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _http(url: str) -> str:
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
        raise Mistake("is not an http address", "write it as in https://host or http://127.0.0.1:8081")
    return url.rstrip("/")


def _host(name: str) -> str:
    bare = name.strip().lower().removeprefix("*.").rstrip(".")
    if not re.fullmatch(r"[^\s/:@*]+", bare):
        raise Mistake(f"{name!r} is not a host", "write a name alone, as in example.com")
    try:
        return bare.encode("idna").decode()
    except UnicodeError:
        raise Mistake(f"{name!r} is not a host", "write a name alone, as in example.com") from None


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


def _database(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if url and path == url:
        scheme = url.partition(":")[0]
        raise Mistake(
            f"{scheme!r} databases are not supported", 'write sqlite:///path/to/parley.db or leave it ""'
        )
    if url and not path.strip("/"):
        raise Mistake("names no file", "write sqlite:///path/to/parley.db")
    home(path)
    return url


def _model(name: str) -> str:
    if name and name != "demo" and not re.fullmatch(r"[^:\s]+:\S+", name):
        raise Mistake(
            f"{name!r} names no provider", 'write provider:model, as in "anthropic:claude-sonnet-5"'
        )
    return name


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


def _job_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Mistake(f"{name!r} is not a job's name", "use up to 64 letters, digits, '.', '-' or '_'")
    return name


def _kinds(value: object) -> object:
    """Providers whose *kind* is said by their name."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: {"kind": name, **table} if name in KINDS and isinstance(table, Mapping) else table
        for name, table in value.items()
    }


def _provider_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", name) or name == "demo":
        raise Mistake(
            f"{name!r} cannot name a provider", "use small letters, digits and '-'; 'demo' is taken"
        )
    return name


AccountName = Annotated[str, AfterValidator(_account_name)]
Secret = Annotated[SecretStr, BeforeValidator(_stripped)]
UserId = Annotated[str, BeforeValidator(_user_id)]
UserIds = Annotated[tuple[UserId, ...], NoDecode, BeforeValidator(_listed)]
RoleId = Annotated[str, BeforeValidator(_role_id)]
Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_listed)]
Targets = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_targets)]
Model = Annotated[str, AfterValidator(_model)]
Models = Annotated[tuple[Model, ...], NoDecode, BeforeValidator(_listed)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(_listed)]
Url = Annotated[str, AfterValidator(_http), Field(repr=False)]  # it may hold a password
Zone = Annotated[str, AfterValidator(_zone)]
Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]  # US dollars per million tokens
Discount = Annotated[
    Decimal, Field(allow_inf_nan=True), AfterValidator(_discount)
]  # a part of the list price
Budget = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False, decimal_places=9)]  # US dollars
BudgetOrOff = Annotated[
    Annotated[Literal["off"], Tag("off")] | Annotated[Budget, Tag("dollars")],
    Discriminator(lambda value: "off" if value == "off" else "dollars"),
]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Table(BaseModel):
    """A table of parley.toml; unknown keys are refused and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class GatewaySettings(Table):
    data_dir: Annotated[Path, BeforeValidator(_folder)] = Field(
        default_factory=lambda: Path("~/.parley").expanduser()
    )
    timezone: Zone = "UTC"
    alerts: Addresses = ()  # who hears of trouble; none: the owners
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 20  # for running turns at shutdown
    max_turns_at_once: Annotated[int, Field(ge=1)] = 64
    away_after_minutes: Annotated[int, Field(ge=0)] = 120  # an older message is offered, not answered
    language: Literal["en", "de"] = "en"  # of the bot's own words to people whose language is not known


class StorageSettings(Table):
    url: Annotated[str, AfterValidator(_database)] = ""  # '': parley.db in the data folder


class AgentSettings(Table):
    model: Model = ""  # '': the configured provider's usual model; the offline demo without any provider
    fallback_models: Models = ()
    models: Models = ()  # that people may pick with /model, besides the two above
    system_prompt: str = (
        "You are a helpful assistant in a chat. Answer briefly, and say so when you do not know."
    )
    max_output_tokens: Annotated[int, Field(ge=1)] = 4096
    max_requests: Annotated[int, Field(ge=1)] = 25  # per turn
    max_tool_calls: Annotated[int, Field(ge=0)] = 50  # per turn
    max_same_calls: Annotated[int, Field(ge=1)] = 5  # of one tool with the same arguments, per turn
    max_errors: Annotated[int, Field(ge=1)] = 6  # failed tool calls in a row
    turn_timeout_seconds: Seconds = 600
    first_token_timeout_seconds: Seconds = 120
    auto_compact: bool = True  # put the earlier part of a long session into notes before it no longer fits
    compact_notice: bool = True  # tell people when that was done unasked
    summary_model: Model = ""  # that writes the notes; '': the session's
    context_window: Annotated[int, Field(ge=1)] | None = None  # tokens; None: what is known of the model
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None  # None: the provider's default
    cache: CacheFor = "auto"  # for how long providers are asked to keep the prompt
    retries: Annotated[int, Field(ge=0, le=10)] = 2  # of a failed request, before falling back


class Price(Table):
    """US dollars per million tokens; None: unknown, and requests with such tokens are counted as unpriced."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write_5m: Dollars | None = None
    cache_write_1h: Dollars | None = None
    search: Dollars | None = None  # per thousand searches of the web that the provider makes


Pricing = Annotated[
    Annotated[Literal["free"], Tag("free")] | Annotated[dict[str, Price], Tag("table")],
    Discriminator(lambda value: "free" if isinstance(value, str) else "table"),
]


class ProviderSettings(Table):
    kind: Kind  # what it speaks; left out: the table's name
    api_key: Secret = SecretStr("")
    api_key_file: Path | None = None
    base_url: Url = ""  # '': the vendor's own; Anthropic without /v1, OpenAI with it
    price: Pricing | None = None  # by model; None: the known list prices
    discount: Discount = Decimal(1)  # what those are multiplied by
    web_search: bool | None = None  # whether its server can; None: Anthropic's and OpenAI's own can

    @property
    def usable(self) -> bool:
        """Whether requests can be tried: it has a key, or a server of its own that may need none."""
        return bool(self.api_key) or bool(self.base_url) or VENDORS[self.kind].own

    @property
    def unbilled(self) -> bool:
        """A machine of the operator's, which sends no bill: Ollama, unless it is the one that is rented."""
        return VENDORS[self.kind].own and "ollama.com" not in self.base_url

    @property
    def nearby(self) -> bool:
        """A compatible server on this very machine that asks for no key.

        Whoever asks for one counts who uses it, as a proxy before a vendor does; and what speaks as Anthropic or Google
        here is such a proxy.
        """
        host = urlsplit(self.base_url).hostname or ""
        return self.kind == "openai" and not self.api_key and loopback(host)


Providers = Annotated[
    dict[Annotated[str, AfterValidator(_provider_name)], ProviderSettings], BeforeValidator(_kinds)
]


class TranscriptionSettings(Table):
    provider: str = ""  # one of [providers]; '': what people say in recordings is not written down
    model: str = "gpt-4o-mini-transcribe"
    language: str = ""  # ISO 639-1; '': the model finds out


class SessionSettings(Table):
    idle_sweep_minutes: Annotated[int, Field(ge=1)] = 5  # between two searches for idle sessions
    group_scope: Literal["chat", "user"] = "chat"  # one session for the group, or one for each member
    carry_over: bool = True  # a new session is told the end of the one before
    export_dir: Annotated[Path | None, BeforeValidator(_folder_or_none)] = (
        None  # closed ones are written there
    )


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


# Who may use a command, by its name; those that are not named have the right they come with.
CommandRights = dict[str, Literal["user", "admin", "owner", "off"]]


class LimitSettings(Table):
    messages_per_minute: Annotated[int, Field(ge=1)] = 240  # of one person
    most_waiting: Annotated[int, Field(ge=1)] = 50  # messages in one chat
    jobs_per_person: Annotated[int, Field(ge=0)] = 20  # made in chats
    job_interval_minutes: Annotated[int, Field(ge=1, le=1440)] = 5  # between two runs of such a job


class RoleBudgets(Table):
    """US dollars of each person of a role; None: as for everybody. They go before [budgets]."""

    person_day: BudgetOrOff | None = None  # off: no cap
    person_month: BudgetOrOff | None = None


class BudgetSettings(Table):
    """US dollars, by whom and how long; None: no cap."""

    person_day: Budget | None = None
    person_month: Budget | None = None
    chat_day: Budget | None = None
    chat_month: Budget | None = None
    session: Budget | None = None
    job_day: Budget | None = None
    job_month: Budget | None = None
    channel_day: Budget | None = None
    channel_month: Budget | None = None
    gateway_day: Budget | None = None
    gateway_month: Budget | None = None
    request: Budget | None = None  # a single one
    unpriced: Literal["refuse", "warn"] = "refuse"  # a model without a known price, where a cap holds
    roles: dict[Literal["user", "admin", "owner"], RoleBudgets] = Field(default_factory=dict)


class MediaSettings(Table):
    max_megabytes: Annotated[int, Field(ge=0)] = 20  # of one file that is sent; 0: none is taken
    max_files: Annotated[int, Field(ge=1, le=100)] = 10  # of one message
    keep_days: Annotated[int, Field(ge=0)] = 30  # 0: for ever


class ToolSettings(Table):
    """What the model may use besides the clock."""

    jobs: bool = True  # list, make and remove the jobs of whoever asks, after their yes
    web_search: Annotated[int, Field(ge=0, le=MOST_SEARCHES)] = 0  # times in a request, by the provider
    web_fetch: bool = True
    allow_hosts: Hosts = ()  # that web_fetch may read from, with what is below them; (): any public one
    deny_hosts: Hosts = ()  # that it may not
    fetch_megabytes: Annotated[int, Field(ge=1, le=100)] = 5  # of one page
    fetch_seconds: Annotated[float, Field(gt=0, le=50)] = 20  # a call of a tool has 60 in all
    fetch_characters: Annotated[int, Field(ge=500, le=200_000)] = (
        20_000  # of its text that the model is shown at once
    )


class JobSettings(Table):
    name: Annotated[str, AfterValidator(_job_name)]
    schedule: str  # "0 9 * * MON-FRI", "@daily", "every 90m" or "at 2026-12-01 09:00"
    kind: Literal["prompt", "digest"] = "prompt"
    prompt: str = ""  # what the agent is asked; a digest asks nothing
    bill: bool = False  # of a digest: with everybody's bill
    zone: Zone | None = None  # None: [gateway] timezone
    deliver_to: Targets = ("main",)  # (): kept in the session only
    mention: RoleId = ""  # the role that a delivery on Discord calls; '': none
    silent: bool = False  # an answer that says that there is nothing to report is not delivered
    enabled: bool = True
    session: Literal["isolated", "chat"] = "isolated"  # one of its own for each run, or the chat's
    catch_up: Literal["none", "last", "all"] = "last"  # runs missed while the gateway was down
    overlap: Literal["skip", "queue"] = "skip"  # a run that is due while the one before is running
    timeout_seconds: Annotated[Seconds, Field(le=LONGEST)] | None = None  # None: as [agent] says
    retries: Annotated[int, Field(ge=0, le=3)] = 3  # after 30 s, 60 s and 5 min
    model: Model = ""  # '': [agent] model
    budget_day: Budget | None = None
    budget_month: Budget | None = None


class WebSettings(Table):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0  # 0: no TCP, the Unix socket only
    token: Secret = SecretStr("")
    token_file: Path | None = None
