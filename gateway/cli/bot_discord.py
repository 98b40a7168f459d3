"""A Discord bot under the doctor's eyes: what it may read, where it is, and whether its gateway can be reached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gateway.cli.finding import Row, bad, ok, warning
from gateway.cli.probe import SECONDS, Probe, bot, get

if TYPE_CHECKING:
    from gateway.cli.portal import Application
    from gateway.config_bots import DiscordAccount

HELLO = 10  # Discord gateway, "Gateway Opcodes"
WITHOUT = "without it the bot reads direct messages, mentions, and replies to it, nothing else"


async def rows(key: str, account: DiscordAccount, found: Probe) -> list[Row]:
    """*found* is what /users/@me and /applications/@me have shown."""
    headers, application = bot(account.token.get_secret_value()), found.application
    listed: list[Row] = []
    if application is not None:
        listed.append(intent(key, account, application))
        servers = await get(f"{account.api_url}/users/@me/guilds?limit=200", headers)
        inside = servers.body if not isinstance(servers, Probe) else None
        listed += place(key, application, len(inside) if isinstance(inside, list) else application.servers)
    return [*listed, *await _gateway(key, account, headers)]


def intent(key: str, account: DiscordAccount, application: Application) -> Row:
    """Discord API, "Message Content Intent"."""
    on, wanted = application.message_content, account.message_content
    switch = f"switch on Message Content Intent at {application.switches}"
    if wanted == "on" and not on:
        return bad(
            key,
            'message_content = "on", but Message Content Intent is off in the portal: Discord refuses the bot',
            f'{switch}; or set message_content = "auto"',
        )
    if on and wanted != "off":
        return ok(key, "Message Content Intent is on: it reads every message in its channels")
    if account.always:
        remedy = 'set message_content = "auto"' if on else switch
        return warning(key, f"Message Content Intent is off: {WITHOUT}, so that always has no effect", remedy)
    if wanted == "off":
        return ok(key, f"Message Content Intent is off, as configured: {WITHOUT}")
    return ok(
        key, f"Message Content Intent is off: {WITHOUT} (group_context, always). On: {application.switches}"
    )


def place(key: str, application: Application, servers: int | None) -> Iterator[Row]:
    """*servers*: how many it is in; None: nobody told."""
    if servers == 0:
        yield warning(
            key,
            "it is in no server: nobody can write to it there",
            f"invite it: {application.invite}  or take its commands along: {application.install}",
        )
    elif servers is not None:
        yield ok(key, f"it is in {servers} server{'' if servers == 1 else 's'}")


async def _gateway(key: str, account: DiscordAccount, headers: dict[str, str]) -> list[Row]:
    """Discord API, GET /gateway/bot; connects there, waits for its hello and leaves without logging in."""
    told = await get(f"{account.api_url}/gateway/bot", headers)
    body: dict[str, Any] = told.body if not isinstance(told, Probe) and isinstance(told.body, dict) else {}
    url = account.gateway_url or str(body.get("url") or "")
    if not url:
        return [warning(key, "the API names no gateway", "try again later, or set gateway_url")]
    listed = [await _hello(key, url)]
    limit = body.get("session_start_limit")
    if isinstance(limit, dict) and limit.get("remaining") == 0:
        hours = float(limit.get("reset_after", 0)) / 3_600_000
        listed.append(
            warning(key, "it has begun too many sessions today", f"wait {hours:.1f} h, or reset the token")
        )
    return listed


async def _hello(key: str, url: str) -> Row:
    import aiohttp

    host = url.split("/")[2].rpartition("@")[2]
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS), trust_env=True) as session,
            session.ws_connect(f"{url.rstrip('/')}/?v=10&encoding=json") as socket,
        ):
            said = json.loads(await socket.receive_str(timeout=SECONDS))
    # Not its text: it may hold an address with a password.
    except (aiohttp.ClientError, OSError, TypeError, ValueError) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        return bad(
            key, f"its gateway {host} cannot be reached ({reason})", "check the network, and gateway_url"
        )
    if isinstance(said, dict) and said.get("op") == HELLO:
        return ok(key, f"its gateway {host} answers")
    return warning(key, f"its gateway {host} says something else than hello", "check gateway_url")
