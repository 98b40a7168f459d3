"""The tables of parley.toml about what the gateway does by night: backups, and what is kept for how long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.config_values import Mistake, Table, home

_AT = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _at(text: str) -> str:
    if not _AT.fullmatch(text):
        raise Mistake(f"{text!r} is no time of day", 'use hours and minutes, as in "03:30"')
    return text


def _at_or_never(text: str) -> str:
    return _at(text) if text else text


def _folder(value: object) -> object:
    return home(value) if isinstance(value, str | Path) and str(value) else value or None


At = Annotated[str, AfterValidator(_at)]  # by the clock of [gateway] timezone
Days = Annotated[int, Field(ge=0, le=36_500)]  # 0: for ever


class BackupSettings(Table):
    at: Annotated[str, AfterValidator(_at_or_never)] = "03:30"  # '': none by itself
    keep: Annotated[int, Field(ge=1, le=1000)] = 14  # of those made by night; the oldest go
    folder: Annotated[Path | None, BeforeValidator(_folder)] = None  # None: backups/ in the data folder


class KeptSettings(Table):
    """Of one channel; what is left out is as for all."""

    archive_days: Days | None = None
    delete_days: Days | None = None


class RetentionSettings(Table):
    at: At = "04:00"
    archive_days: Days = 0  # after the last that happened in a session it is archived
    delete_days: Days = 0  # and then its content is deleted
    channels: dict[Literal["telegram", "discord", "main", "job"], KeptSettings] = Field(default_factory=dict)
    inbox_days: Days = 30  # of what people wrote, besides what stands in their sessions
    outbox_days: Days = 90  # as long a reply to a message goes on with its session
    undelivered_days: Days = 30  # of what could not be delivered
