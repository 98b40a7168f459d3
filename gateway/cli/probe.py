"""Asking a server whether it is there and takes the key; used by `init` and `doctor`."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from gateway import __version__
from gateway.cli.portal import Application, application
from gateway.vendors import VENDORS, Kind

TELEGRAM = "https://api.telegram.org"
DISCORD = "https://discord.com/api/v10"
VERSION = "2023-06-01"  # Messages API, anthropic-version header
SECONDS = 15.0  # for a whole request


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of it. *skew* is how far our clock is ahead of the server's, in seconds; None: not known.

    *hears_all*: a Telegram bot without privacy mode, None: not told. *application*: what a Discord bot belongs to.
    """

    state: Literal["ok", "refused", "unreachable", "strange"]
    text: str
    models: tuple[str, ...] = ()
    name: str = ""
    skew: float | None = None
    hears_all: bool | None = None
    application: Application | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A server's; *body* is None when it was no JSON."""

    status: int
    body: Any
    skew: float | None


async def provider(kind: Kind, key: str, base_url: str = "") -> Probe:
    """Lists the models, which costs nothing (all vendors' APIs, GET models)."""
    url, headers, shown = _models_of(kind, key, base_url or VENDORS[kind].url)
    answer = await get(url, headers)
    if isinstance(answer, Probe):
        return answer
    if answer.status in (401, 403) or (answer.status == 400 and "API_KEY_INVALID" in str(answer.body)):
        return Probe(state="refused", text="the key was refused", skew=answer.skew)
    if answer.status != 200:
        return Probe(state="strange", text=f"the server answered {answer.status}", skew=answer.skew)
    if kind == "openrouter":
        # Its list of models needs no key: whether the key is good is asked of another address.
        mine = await get(f"{base_url or VENDORS[kind].url}/key", headers)
        if isinstance(mine, Answer) and mine.status == 401:
            return Probe(state="refused", text="the key was refused", skew=answer.skew)
    entries = answer.body.get(shown) if isinstance(answer.body, dict) else None
    if not isinstance(entries, list):
        return Probe(
            state="strange", text="what came back is no list of models; check the address", skew=answer.skew
        )
    names = [str(each.get("id") or each.get("name") or "") for each in entries if isinstance(each, dict)]
    models = tuple(name.removeprefix("models/") for name in names if name)
    return Probe(state="ok", text=f"the key works ({len(models)} models)", models=models, skew=answer.skew)


def _models_of(kind: Kind, key: str, base: str) -> tuple[str, dict[str, str], str]:
    """Address, headers, and the name of the list in the answer."""
    match kind:
        case "anthropic":
            return (
                f"{base}/v1/models?limit=1000",
                {"x-api-key": key, "anthropic-version": VERSION},
                "data",
            )
        case "google":
            return f"{base}/v1beta/models?pageSize=1000", {"x-goog-api-key": key}, "models"
        case _:
            return f"{base}/models", {"authorization": f"Bearer {key}"} if key else {}, "data"


async def telegram(token: str, api_url: str = TELEGRAM) -> Probe:
    """Bot API, getMe."""
    answer = await get(f"{api_url or TELEGRAM}/bot{token}/getMe", {})
    if isinstance(answer, Probe):
        return answer
    if answer.status in (401, 404):
        return Probe(state="refused", text="the token was refused", skew=answer.skew)
    result = answer.body.get("result") if isinstance(answer.body, dict) else None
    if answer.status != 200 or not isinstance(result, dict):
        return Probe(state="strange", text=f"the server answered {answer.status}", skew=answer.skew)
    name = f"@{result.get('username', '?')}"
    hears_all = result.get("can_read_all_group_messages")
    return Probe(
        state="ok",
        text=f"the token works ({name})",
        name=name,
        skew=answer.skew,
        hears_all=hears_all if isinstance(hears_all, bool) else None,
    )


async def discord(token: str, api_url: str = DISCORD) -> Probe:
    """Discord API, GET /users/@me and GET /applications/@me."""
    me = await get(f"{api_url or DISCORD}/users/@me", bot(token))
    if isinstance(me, Probe):
        return me
    if me.status == 401:
        return Probe(state="refused", text="the token was refused", skew=me.skew)
    if me.status != 200 or not isinstance(me.body, dict) or "id" not in me.body:
        return Probe(state="strange", text=f"the server answered {me.status}", skew=me.skew)
    name = str(me.body.get("username", "?"))
    found = Probe(state="ok", text=f"the token works ({name})", name=name, skew=me.skew)
    answer = await get(f"{api_url or DISCORD}/applications/@me", bot(token))
    return replace(found, application=application(answer.body)) if isinstance(answer, Answer) else found


def bot(token: str) -> dict[str, str]:
    """The headers of a Discord bot's requests (Discord API, "Authentication" and "User Agent")."""
    return {"authorization": f"Bot {token}", "user-agent": f"DiscordBot (parley, {__version__})"}


async def get(url: str, headers: dict[str, str]) -> Answer | Probe:
    """A server's answer, whatever its status; a Probe when there is none."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            try:
                body = await answer.json(content_type=None)
            except ValueError:
                body = None
            return Answer(status=answer.status, body=body, skew=_skew(answer.headers.get("date")))
    # Only the kind of the error: its text may hold the URL, and that the token.
    except (aiohttp.ClientError, OSError) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        host = url.split("/")[2].rpartition("@")[2]
        return Probe(state="unreachable", text=f"{host} cannot be reached ({reason})")


def _skew(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
