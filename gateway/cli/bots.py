"""What `parley doctor` finds out about each bot: its token, what it may read, and who may talk with it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli import bot_discord, bot_telegram, probe
from gateway.cli.finding import Row, server, table, warning
from gateway.config_bots import TelegramAccount

if TYPE_CHECKING:
    from gateway.config_bots import DiscordAccount
    from gateway.settings import Settings

OWNED = """
SELECT 1 FROM identity i JOIN person p ON p.id = i.person
 WHERE i.channel = :channel AND i.state = 'allowed' AND p.role = 'owner'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was found of one bot. *skew* is how far our clock is ahead of its server's, in seconds."""

    rows: list[Row]
    skew: float | None


async def examine(settings: Settings) -> list[Seen]:
    """Every bot that is on, all at once."""
    bots = list(settings.channels.bots())
    return list(await asyncio.gather(*(_bot(settings, key, account) for key, account in bots)))


async def _bot(settings: Settings, key: str, account: TelegramAccount | DiscordAccount) -> Seen:
    token = account.token.get_secret_value()
    ask = probe.telegram if isinstance(account, TelegramAccount) else probe.discord
    found = await ask(token, account.api_url)
    rows = [server(key, f"{table(key)} token", f"{table(key)} api_url", found)]
    if found.state == "ok" and isinstance(account, TelegramAccount):
        rows += await bot_telegram.rows(key, account, found)
    elif found.state == "ok":
        rows += await bot_discord.rows(key, account, found)  # type: ignore[arg-type]
    return Seen(rows=[*rows, *_people(key, account, settings.database)], skew=found.skew)


def _people(key: str, account: TelegramAccount | DiscordAccount, database: Path) -> Iterator[Row]:
    channel = key.partition(".")[0]
    if account.access == "open":
        yield warning(
            key,
            'access = "open": everybody who finds the bot is answered, and you pay',
            f'set access = "pairing" or "closed" in {table(key)}; [limits] bounds what one person can do',
        )
    if not account.owners and not _owned(database, channel):
        yield warning(key, "nobody is owner", f"parley people allow {channel}:YOUR-ID --role owner")


def _owned(database: Path, channel: str) -> bool:
    """Whether somebody was made owner by command. A database that cannot be read has its own row."""
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(OWNED, {"channel": channel}).fetchone() is not None
    except sqlite3.Error:
        return False
