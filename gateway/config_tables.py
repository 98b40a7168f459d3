"""The tables of parley.toml about the gateway itself, its agent and what that may use: each key with its type, default,
unit and limits.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from gateway.config_values import (
    Addresses,
    Mistake,
    Model,
    Models,
    Seconds,
    Secret,
    Table,
    Zone,
    folder,
    folder_or_none,
    home,
    listed,
)
from gateway.searching import MOST_SEARCHES


def _cache(value: object) -> object:
    """It was a boolean once, and environment variables are text."""
    if not isinstance(value, str | bool):
        return value
    word = str(value).strip().lower()
    return {"true": "auto", "false": "off"}.get(word, word)


CacheFor = Annotated[Literal["auto", "5m", "1h", "off"], BeforeValidator(_cache)]


def _host(name: str) -> str:
    bare = name.strip().lower().removeprefix("*.").rstrip(".")
    if not re.fullmatch(r"[^\s/:@*]+", bare):
        raise Mistake(f"{name!r} is not a host", "write a name alone, as in example.com")
    try:
        return bare.encode("idna").decode()
    except UnicodeError:
        raise Mistake(f"{name!r} is not a host", "write a name alone, as in example.com") from None


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


Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(listed)]


class GatewaySettings(Table):
    data_dir: Annotated[Path, BeforeValidator(folder)] = Field(
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


class SessionSettings(Table):
    idle_sweep_minutes: Annotated[int, Field(ge=1)] = 5  # between two searches for idle sessions
    group_scope: Literal["chat", "user"] = "chat"  # one session for the group, or one for each member
    carry_over: bool = True  # a new session is told the end of the one before
    export_dir: Annotated[Path | None, BeforeValidator(folder_or_none)] = (
        None  # closed ones are written there
    )


# Who may use a command, by its name; those that are not named have the right they come with.
CommandRights = dict[str, Literal["user", "admin", "owner", "off"]]


class LimitSettings(Table):
    messages_per_minute: Annotated[int, Field(ge=1)] = 240  # of one person
    most_waiting: Annotated[int, Field(ge=1)] = 50  # messages in one chat
    jobs_per_person: Annotated[int, Field(ge=0)] = 20  # made in chats
    job_interval_minutes: Annotated[int, Field(ge=1, le=1440)] = 5  # between two runs of such a job


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


class WebSettings(Table):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0  # 0: no TCP, the Unix socket only
    token: Secret = SecretStr("")
    token_file: Path | None = None
