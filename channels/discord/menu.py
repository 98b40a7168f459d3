"""The application commands that we register."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from channels.discord.inbound import ASK
from gateway.types.json import Json
from gateway.types.outbound import MenuEntry

# Application Command Object: installed by servers and users; used in servers, our private chats, and others'.
EVERYWHERE: Json = {"integration_types": [0, 1], "contexts": [0, 1, 2]}
MOST = 100  # commands of an application
TEXT = 3  # Application Command Option Type: string
DESCRIPTION = 100  # characters
LOCALES = frozenset(
    {"de"}
)  # of the languages we speak, those that Discord calls the same; Reference, Locales
# What is compared: the rest of a registered command is Discord's.
_OURS = ("name", "description", "description_localizations", "options", "integration_types", "contexts")


def definitions(commands: Sequence[MenuEntry]) -> list[Json]:
    """What to register: the chat commands, each with an optional text behind it, and one to ask something."""
    ask = _command(ASK, "Ask me something", {}, _option("What you want to say", required=True))
    option = _option("What stands behind the command", required=False)
    named = [
        _command(each.name, each.description, each.translated, option)
        for each in commands
        if each.name != ASK
    ]
    return [ask, *named][:MOST]


def same(registered: Iterable[object], wanted: Sequence[Json]) -> bool:
    """Whether that is registered already."""
    return _compared(registered) == _compared(wanted)


def private(commands: Sequence[MenuEntry]) -> frozenset[str]:
    """The names of those that answer only who gave them."""
    return frozenset(each.name for each in commands if each.private)


def _command(name: str, description: str, translated: Mapping[str, str], option: Json) -> Json:
    localized = {lang: text[:DESCRIPTION] for lang, text in translated.items() if lang in LOCALES}
    return {
        "name": name,
        "description": description[:DESCRIPTION] or name,
        "description_localizations": localized or None,
        "options": [option],
    } | EVERYWHERE


def _option(description: str, *, required: bool) -> Json:
    return {"type": TEXT, "name": "text", "description": description, "required": required}


def _compared(commands: Iterable[object]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for each in commands:
        if isinstance(each, dict):
            shown = {name: each.get(name) for name in _OURS}
            shown["description_localizations"] = shown["description_localizations"] or None
            for name in ("integration_types", "contexts"):
                value = shown[name]
                shown[name] = sorted(value) if isinstance(value, list) else value
            shown["options"] = [
                {"type": one.get("type"), "name": one.get("name"), "description": one.get("description"),
                 "required": bool(one.get("required"))}
                for one in each.get("options") or () if isinstance(one, dict)
            ]  # fmt: skip
            found[str(each.get("name"))] = shown
    return found
