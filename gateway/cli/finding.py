"""What `parley doctor` has to say of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gateway.cli.probe import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finding; *remedy* is '' when there is nothing to do."""

    name: str
    state: Literal["ok", "warning", "bad"]
    text: str
    remedy: str = ""


def ok(name: str, text: str) -> Row:
    return Row(name=name, state="ok", text=text)


def warning(name: str, text: str, remedy: str) -> Row:
    return Row(name=name, state="warning", text=text, remedy=remedy)


def bad(name: str, text: str, remedy: str) -> Row:
    return Row(name=name, state="bad", text=text, remedy=remedy)


def server(name: str, key: str, url: str, found: Probe) -> Row:
    """What asking a server has shown; *key* and *url* are the settings that it was asked by."""
    match found.state:
        case "ok":
            return ok(name, found.text)
        case "refused":
            return bad(name, found.text, f"put a valid one into {key}")
        case "unreachable":
            return bad(name, found.text, f"check the network, and {url}")
        case "strange":
            return warning(name, found.text, f"check {url}, or try again later")


def table(key: str) -> str:
    """The table of parley.toml that a bot's settings are in: "telegram.second" is an account."""
    channel, _, name = key.partition(".")
    return f"[channels.{channel}.accounts.{name}]" if name else f"[channels.{channel}]"
