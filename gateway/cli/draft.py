"""The parley.toml that `parley init` writes."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from json import dumps
from pathlib import Path

from gateway.cli.portal import PORTAL, Application


@dataclass(slots=True, kw_only=True)
class Draft:
    """What was chosen. *provider* '' means the demo; *key* '' with a provider: it is in the environment."""

    provider: str = ""
    kind: str = ""
    variable: str = ""  # of the environment, that holds the key
    key: str = ""
    base_url: str = ""
    model: str = ""
    token: str = ""
    bot: str = ""  # the bot's name, as @name; '' when it could not be asked
    telegram_url: str = ""
    owners: tuple[int, ...] = ()
    discord_token: str = ""
    discord_url: str = ""
    discord_owners: tuple[str, ...] = ()
    application: Application | None = None  # None: no Discord bot, or it could not be asked
    data_dir: str = ""


def text(draft: Draft) -> str:
    """Every line has its reason beside it; what was not chosen is there as a comment."""
    return (
        "\n\n".join(
            [HEAD, *_gateway(draft), _agent(draft), *_provider(draft), _telegram(draft), _discord(draft)]
        )
        + "\n"
    )


HEAD = """\
# Parley's configuration, written by `parley init`. It holds your keys: keep it to yourself.
# All settings, explained:  parley config show --example        Is it right?  parley config check"""


def _gateway(draft: Draft) -> list[str]:
    return (
        [f"[gateway]\n# The database and its backups.\ndata_dir = {dumps(draft.data_dir)}"]
        if draft.data_dir
        else []
    )


def _agent(draft: Draft) -> str:
    if not draft.model:
        return (
            "[agent]\n# No model yet: an offline demo answers. With a key in [providers.anthropic], for example:\n"
            '# model = "anthropic:claude-sonnet-5"'
        )
    return f"[agent]\n# provider:model; the provider is one of the [providers.*] tables.\nmodel = {dumps(draft.model)}"


def _provider(draft: Draft) -> list[str]:
    if not draft.provider:
        return []
    lines = [f"[providers.{draft.provider}]"]
    if draft.kind != draft.provider:
        lines.append(f"kind = {dumps(draft.kind)}                      # what the server speaks")
    if draft.base_url:
        lines.append(f"base_url = {dumps(draft.base_url)}")
    if draft.key:
        lines.append(f"api_key = {dumps(draft.key)}")
    elif draft.variable:
        lines.append(f"# api_key is taken from ${draft.variable} in the environment")
    return ["\n".join(lines)]


def _telegram(draft: Draft) -> str:
    if not draft.token:
        return (
            "[channels.telegram]\n# Make a bot with @BotFather in Telegram and put its token here, "
            'or run `parley init` again.\n# token = "123456:ABC-DEF"'
        )
    lines = ["[channels.telegram]", f"token = {dumps(draft.token)}"]
    if draft.telegram_url:
        lines.append(f"api_url = {dumps(draft.telegram_url)}")
    lines.append("# Numeric ids. Owners may do everything; others: parley people allow telegram:12345")
    lines.append(f"owners = {list(draft.owners)}")
    return "\n".join(lines)


def _discord(draft: Draft) -> str:
    if not draft.discord_token:
        return (
            f"[channels.discord]\n# Make a bot at {PORTAL} and put its token here,\n"
            '# or run `parley init` again.\n# token = ""'
        )
    lines = ["[channels.discord]", f"token = {dumps(draft.discord_token)}"]
    if draft.discord_url:
        lines.append(f"api_url = {dumps(draft.discord_url)}")
    lines.append("# Numeric ids. Owners may do everything; others: parley people allow discord:12345")
    lines.append(
        "# In a server both the person and the channel or the server are let in: allow = [server id]"
    )
    lines.append(f"owners = {dumps([int(id) for id in draft.discord_owners])}")
    return "\n".join(lines)


def write(path: Path, content: str) -> None:
    """Whole or not at all, readable by this user only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
