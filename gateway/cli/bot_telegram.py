"""A Telegram bot under the doctor's eyes: privacy mode, and how its messages come to us."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gateway.cli.finding import Row, bad, ok, warning
from gateway.cli.probe import TELEGRAM, Answer, Probe, get

if TYPE_CHECKING:
    from gateway.config_bots import TelegramAccount

PRIVACY = "@BotFather: /setprivacy, Disable; then take the bot out of the group and add it again"


async def rows(key: str, account: TelegramAccount, found: Probe) -> list[Row]:
    """*found* is what getMe has shown."""
    listed = [*privacy(key, account, found.hears_all)]
    token = account.token.get_secret_value()
    answer = await get(f"{account.api_url}/bot{token}/getWebhookInfo", {})
    told = (
        answer.body.get("result") if not isinstance(answer, Probe) and isinstance(answer.body, dict) else {}
    )
    info: dict[str, Any] = told if isinstance(told, dict) else {}
    if not account.webhook_url:
        return [*listed, *polled(key, info)]
    listed += delivered(key, account, info)
    if not any(row.state == "bad" for row in listed):
        listed.append(reached(key, account.webhook_url, await get(account.webhook_url, {})))
    return listed


def privacy(key: str, account: TelegramAccount, hears_all: bool | None) -> Iterator[Row]:
    """Bot API, getMe: can_read_all_group_messages. Only groups that are configured make it worth a word."""
    groups = [id for id in account.allow if id.startswith("-")]
    if hears_all is None or not (groups or account.always):
        return
    if hears_all:
        yield ok(key, "privacy mode is off: it reads every message in its groups")
    elif account.always:
        yield warning(
            key,
            "privacy mode is on: where it is no administrator it sees only mentions, replies and commands, so "
            "that always has no effect",
            PRIVACY,
        )
    elif account.group_context:
        yield warning(
            key,
            "privacy mode is on: where it is no administrator it sees only mentions, replies and commands, so "
            "that group_context stays empty",
            f"{PRIVACY}; or set group_context = 0",
        )
    else:
        yield ok(key, "privacy mode is on: in groups it sees mentions, replies and commands")


def polled(key: str, info: dict[str, Any]) -> Iterator[Row]:
    """Bot API, getWebhookInfo: while a webhook is set, nothing can be polled."""
    if url := info.get("url"):
        yield warning(
            key,
            f"its messages are delivered to {_host(url)}, as a webhook; `parley run` polls, and takes that away",
            "end the other program, or give each its own bot (@BotFather: /newbot)",
        )


def delivered(key: str, account: TelegramAccount, info: dict[str, Any]) -> Iterator[Row]:
    """Bot API, setWebhook: HTTPS only, unless the Bot API server is one's own."""
    if urlsplit(account.webhook_url).scheme != "https" and account.api_url == TELEGRAM:
        yield bad(
            key,
            "webhook_url is no https address, and Telegram delivers to no other",
            "put a proxy with TLS before [web] port, and write its https address into webhook_url",
        )
        return
    url = info.get("url")
    if url and url != account.webhook_url:
        yield warning(
            key,
            f"its messages are delivered to {_host(url)} so far",
            "end the other program; `parley run` sets the address to webhook_url",
        )
    elif url and (error := info.get("last_error_message")):
        waiting = info.get("pending_update_count", 0)
        yield warning(
            key,
            f"Telegram could not deliver to it: {error} ({waiting} waiting)",
            "see whether the proxy passes webhook_url on to [web] port, and its certificate",
        )


def reached(key: str, url: str, answer: Answer | Probe) -> Row:
    """Asked from here, which need not be what Telegram sees. 502 and 504 are a proxy's that has nobody behind it."""
    if isinstance(answer, Probe):
        return warning(
            key,
            f"webhook_url: {answer.text} from this machine",
            "see whether the proxy runs and the name leads to it; parley runs behind it on [web] port",
        )
    if answer.status in (502, 503, 504):
        return warning(
            key,
            f"webhook_url: the proxy at {_host(url)} answers, but nobody behind it",
            "start parley run, and see whether the proxy passes on to [web] host and port",
        )
    return ok(key, f"webhook_url answers at {_host(url)}")


def _host(url: object) -> str:
    """Without its path, which may hold a secret."""
    return urlsplit(str(url)).hostname or "another place"
