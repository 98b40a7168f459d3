"""What Discord accepts: contents, mentions, components and commands checked after the public documentation."""

import re
from dataclasses import dataclass, field
from typing import Any

CONTENT = 2000  # characters (Unicode code points); Create Message
NONCE = 25  # characters; Create Message
CUSTOM_ID = 100
LABEL = 80
ROWS = 5
BUTTONS = 5
SUPPRESS_EMBEDS = 1 << 2
HAS_THREAD = 1 << 5
EPHEMERAL = 1 << 6
LOADING = 1 << 7
SUPPRESS_NOTIFICATIONS = 1 << 12
COMPONENTS_V2 = 1 << 15
SETTABLE = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS
_USER = re.compile(r"<@!?(\d{1,20})>")
_ROLE = re.compile(r"<@&(\d{1,20})>")
_EVERYONE = re.compile(r"@(?:everyone|here)\b")
_CODE = re.compile(r"```.*?```|``.*?``|`[^`]*`", re.DOTALL)
_LINK = re.compile(r"<?https?://[^\s<>]+>?")
_COMMAND = re.compile(r"[-'\w]{1,32}")

Json = dict[str, Any]


class Refusal(Exception):
    """An answer other than 2xx: HTTP status, Discord's JSON code, and the nested errors of code 50035."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    @property
    def body(self) -> Json:
        shown: Json = {"message": self.message, "code": self.code}
        return shown | ({"errors": self.errors} if self.errors else {})


class Form:
    """Collects what is wrong with a body, by path, as the errors object of code 50035."""

    def __init__(self) -> None:
        self.errors: Json = {}

    def wrong(self, path: str, code: str, message: str) -> None:
        """*path* is dotted: components.0.components.1.label."""
        place = self.errors
        for step in path.split(".") if path else ():
            place = place.setdefault(step, {})
        place.setdefault("_errors", []).append({"code": code, "message": message})

    def length(self, path: str, value: Any, most: int, least: int = 0) -> None:
        if not isinstance(value, str):
            self.wrong(path, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
        elif len(value) > most and not least:
            self.wrong(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        elif not least <= len(value) <= most:
            self.wrong(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")

    def done(self) -> None:
        """Raises Refusal if anything was wrong."""
        if self.errors:
            raise Refusal(400, 50035, "Invalid Form Body", self.errors)


def invalid(path: str, code: str, message: str) -> Refusal:
    """A refused body with one thing wrong."""
    form = Form()
    form.wrong(path, code, message)
    return Refusal(400, 50035, "Invalid Form Body", form.errors)


def unknown(code: int, what: str) -> Refusal:
    return Refusal(404, code, f"Unknown {what}")


def snowflake(value: Any, path: str) -> int:
    """An id from a path or a body. Raises Refusal."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{1,20}", value):
        return int(value)
    raise invalid(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')


# --- mentions and links -------------------------------------------------------------------------------


@dataclass(slots=True)
class Mentions:
    """Who a text notifies."""

    users: list[int] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)
    everyone: bool = False

    @property
    def count(self) -> int:
        return len(self.users) + len(self.roles) + self.everyone


def named(text: str) -> Mentions:
    """Everything a text names, whether or not it may be notified. Code is not left out: stricter than live."""
    return Mentions(
        users=list(dict.fromkeys(int(each) for each in _USER.findall(text))),
        roles=list(dict.fromkeys(int(each) for each in _ROLE.findall(text))),
        everyone=bool(_EVERYONE.search(text)),
    )


def check_allowed(form: Form, allowed: Any) -> None:
    """`parse` excludes a list of the same kind that is not empty (Allowed Mentions Object)."""
    if allowed is None:
        return
    if not isinstance(allowed, dict):
        form.wrong("allowed_mentions", "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    parse = allowed.get("parse") or []
    for place, kind in enumerate(parse):
        if kind not in ("users", "roles", "everyone"):
            message = "Value must be one of {'users', 'roles', 'everyone'}."
            form.wrong(f"allowed_mentions.parse.{place}", "BASE_TYPE_CHOICES", message)
    for kind in ("users", "roles"):
        listed = allowed.get(kind) or []
        if listed and kind in parse:
            message = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
            form.wrong("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)
        if len(listed) > 100:
            form.wrong(f"allowed_mentions.{kind}", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")


def pinged(text: str, allowed: Json | None, default: tuple[str, ...], replied_to: int | None) -> Mentions:
    """Whom a text of the bot notifies, given its allowed_mentions (None: *default* is parsed)."""
    found = named(text)
    if allowed is None:
        allowed = {"parse": list(default), "replied_user": True}
    parse = allowed.get("parse") or []
    users = {int(each) for each in allowed.get("users") or []}
    roles = {int(each) for each in allowed.get("roles") or []}
    result = Mentions(
        users=[each for each in found.users if "users" in parse or each in users],
        roles=[each for each in found.roles if "roles" in parse or each in roles],
        everyone=found.everyone and "everyone" in parse,
    )
    if replied_to is not None and allowed.get("replied_user") and replied_to not in result.users:
        result.users.append(replied_to)
    return result


def unfurled(text: str, flags: int) -> list[str]:
    """The links the server would fetch for a preview: not in <>, not in code, not with SUPPRESS_EMBEDS."""
    if flags & SUPPRESS_EMBEDS:
        return []
    found = _LINK.findall(_CODE.sub(" ", text))
    return [link.rstrip(").,>") for link in found if not (link.startswith("<") and link.endswith(">"))]


# --- messages -----------------------------------------------------------------------------------------


def check_message(form: Form, body: Json, *, settable: int = SETTABLE) -> None:
    """The fields of a message as it is created or edited."""
    content = body.get("content")
    if content is not None:
        form.length("content", content, CONTENT)
    nonce = body.get("nonce")
    if nonce is not None and len(str(nonce)) > NONCE:
        form.wrong("nonce", "NONCE_TYPE_TOO_LONG", f"Nonce must be {NONCE} or fewer in length.")
    check_allowed(form, body.get("allowed_mentions"))
    flags = body.get("flags") or 0
    if isinstance(flags, int) and flags & COMPONENTS_V2:
        form.wrong("flags", "NOT_MODELLED", "Components V2 are not modelled by this server.")
    elif not isinstance(flags, int) or flags & ~settable:
        form.wrong("flags", "MESSAGE_FLAGS_INVALID", "Only some message flags can be set.")
    embeds = body.get("embeds") or []
    if len(embeds) > 10:
        form.wrong("embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    for place, embed in enumerate(embeds):
        for name, most in (("title", 256), ("description", 4096)):
            if embed.get(name):
                form.length(f"embeds.{place}.{name}", embed[name], most)
    check_components(form, body.get("components") or [])


def check_components(form: Form, rows: Any) -> None:
    """Action rows of buttons or one select. Components V2 are not modelled and refused."""
    if not isinstance(rows, list) or len(rows) > ROWS:
        form.wrong("components", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {ROWS} in length.")
        return
    seen: set[str] = set()
    for row_at, row in enumerate(rows):
        at = f"components.{row_at}"
        if not isinstance(row, dict) or row.get("type") != 1:
            form.wrong(f"{at}.type", "UNION_TYPE_CHOICES", "Value of field must be one of (1,).")
            continue
        parts = row.get("components")
        if not isinstance(parts, list) or not 1 <= len(parts) <= BUTTONS:
            form.wrong(
                f"{at}.components", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {BUTTONS} in length."
            )
            continue
        for part_at, part in enumerate(parts):
            _check_part(form, f"{at}.components.{part_at}", part, len(parts), seen)


def _check_part(form: Form, at: str, part: Any, count: int, seen: set[str]) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == 2:
        if part.get("style") not in (1, 2, 3, 4, 5, 6):
            form.wrong(f"{at}.style", "BASE_TYPE_CHOICES", "Value must be one of {<ButtonStyle: 1..6>}.")
        if "label" in part and part["label"] is not None:
            form.length(f"{at}.label", part["label"], LABEL)
        if not part.get("label") and not part.get("emoji"):
            form.wrong(at, "BUTTON_COMPONENT_INVALID_LABEL", "A button must have a label or an emoji.")
        link = part.get("style") == 5
        if link != bool(part.get("url")) or (link and part.get("custom_id")):
            form.wrong(at, "BUTTON_COMPONENT_CUSTOM_ID_OR_URL", "A custom id or url is required, not both.")
        if link:
            return
    elif kind in (3, 5, 6, 7, 8):
        if count > 1:
            form.wrong(
                at, "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "The specified component exceeds the maximum width"
            )
        if kind == 3 and not 1 <= len(part.get("options") or []) <= 25:
            form.wrong(f"{at}.options", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
    else:
        form.wrong(f"{at}.type", "UNION_TYPE_CHOICES", "Value of field must be one of (2, 3, 5, 6, 7, 8).")
        return
    custom_id = part.get("custom_id")
    if not custom_id:
        form.wrong(f"{at}.custom_id", "BASE_TYPE_REQUIRED", "This field is required")
        return
    form.length(f"{at}.custom_id", custom_id, CUSTOM_ID, 1)
    if custom_id in seen:
        form.wrong(
            f"{at}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
        )
    seen.add(custom_id)


def buttons(rows: list[Json]) -> list[Json]:
    """All parts of all rows."""
    return [part for row in rows for part in row.get("components", [])]


# --- commands -----------------------------------------------------------------------------------------


def check_commands(commands: Any) -> None:
    """A list to overwrite the commands with (Application Command Structure). Raises Refusal."""
    if not isinstance(commands, list):
        raise invalid("", "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    form = Form()
    kinds = [each.get("type", 1) if isinstance(each, dict) else 1 for each in commands]
    for kind, most in ((1, 100), (2, 15), (3, 15)):
        if kinds.count(kind) > most:
            raise Refusal(400, 30032, f"Maximum number of application commands reached ({most})")
    seen: set[tuple[int, str]] = set()
    for place, command in enumerate(commands):
        _check_command(form, str(place), command, kinds[place])
        key = (kinds[place], str(command.get("name")))
        if key in seen:
            message = "Application command names must be unique"
            form.wrong(f"{place}.name", "APPLICATION_COMMANDS_DUPLICATE_NAME", message)
        seen.add(key)
    form.done()


def _check_command(form: Form, at: str, command: Json, kind: int) -> None:
    if kind != 1:
        form.length(f"{at}.name", command.get("name"), 32, 1)
        if command.get("description"):
            form.wrong(
                f"{at}.description",
                "APPLICATION_COMMAND_INVALID_DESCRIPTION",
                "Context menu commands have none",
            )
        return
    _check_named(form, at, command)
    _check_options(form, at, command.get("options") or [])
    if _weight(command) > 8000:
        form.wrong(at, "APPLICATION_COMMAND_TOO_LARGE", "Command exceeds maximum size (8000)")


def _check_named(form: Form, at: str, thing: Json) -> None:
    name = thing.get("name")
    if not isinstance(name, str) or not name:
        form.wrong(f"{at}.name", "BASE_TYPE_REQUIRED", "This field is required")
    elif not _COMMAND.fullmatch(name) or name != name.lower():
        message = "Command name is invalid"
        form.wrong(f"{at}.name", "APPLICATION_COMMAND_INVALID_NAME", message)
    if not isinstance(thing.get("description"), str):
        form.wrong(f"{at}.description", "BASE_TYPE_REQUIRED", "This field is required")
    else:
        form.length(f"{at}.description", thing["description"], 100, 1)


def _check_options(form: Form, at: str, options: list[Json]) -> None:
    if len(options) > 25:
        form.wrong(f"{at}.options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    optional = False
    names = [option.get("name") for option in options]
    for place, option in enumerate(options):
        here = f"{at}.options.{place}"
        if option.get("type") not in range(1, 12):
            form.wrong(f"{here}.type", "BASE_TYPE_CHOICES", "Value must be one of {1..11}.")
        _check_named(form, here, option)
        if names.count(option.get("name")) > 1:
            message = "Option names must be unique"
            form.wrong(f"{here}.name", "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", message)
        if option.get("required") and optional:
            message = "Required options must be placed before non-required options"
            form.wrong(here, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        optional = optional or not option.get("required")
        if len(option.get("choices") or []) > 25:
            form.wrong(f"{here}.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        _check_options(form, here, option.get("options") or [])


def _weight(command: Json) -> int:
    """Characters of names, descriptions and values together."""
    own = sum(len(str(command.get(name) or "")) for name in ("name", "description", "value"))
    return own + sum(_weight(each) for name in ("options", "choices") for each in command.get(name) or [])
