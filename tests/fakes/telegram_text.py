"""Message text as Telegram counts and formats it: UTF-16 lengths, entities, HTML and MarkdownV2."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

MAX_TEXT = 4096  # UTF-16 units after parsing entities; Bot API, sendMessage
MAX_ENTITIES = 100  # later ones are dropped; limits.tginfo.me and the live server

Entity = dict[str, Any]

STYLES = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler"})
QUOTES = frozenset({"blockquote", "expandable_blockquote"})
LEAVES = frozenset({"code", "pre", "text_link", "text_mention", "custom_emoji"})
DATES = frozenset({"date_time"})
# Found by the server itself in any text, so what a bot says about them is ignored.
DETECTED = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"}
)
SETTABLE = STYLES | QUOTES | LEAVES | DATES

# Nothing of these can be seen; a text made of them alone counts as empty.
INVISIBLE = "\u00ad\u115f\u1160\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\u2800\ufeff"
CONTROLS = {code: " " for code in range(32) if code not in (9, 10, 13)} | {13: None}


class Refusal(Exception):
    """An answer with ok=false: HTTP status and error_code, the description, the documented parameters."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad_request(reason: str, **parameters: Any) -> Refusal:
    """A 400 in the server's wording."""
    return Refusal(400, f"Bad Request: {reason}", **parameters)


def units(text: str) -> int:
    """Length in UTF-16 code units, the measure of entity offsets and of the text limit."""
    if text.isascii():
        return len(text)
    return len(text) + sum(char > "\uffff" for char in text)


def formatted(
    text: str, parse_mode: str | None, entities: list[Any] | None
) -> tuple[str, list[Entity], bool]:
    """The text without its markup, its entities, and whether these are still unchecked (given by the bot)."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise bad_request("strings must be encoded in UTF-8")
    text = text.translate(CONTROLS)
    match (parse_mode or "").lower():
        case "":
            return text, list(entities or []), True
        case "html":
            return *_parsed("html", text), False
        case "markdownv2":
            return *_parsed("markdownv2", text), False
        case "markdown":
            return *_parsed("markdown", text), False
        case _:
            raise bad_request("unsupported parse_mode")


def settled(text: str, entities: list[Entity], *, unchecked: bool) -> tuple[str, list[Entity]]:
    """Text and entities as stored: checked, trimmed, at most 100. Raises Refusal where they break a rule."""
    if unchecked and entities:
        entities = checked_entities(text, entities)
    text, entities = trimmed(text, entities)
    if not text.strip(INVISIBLE + " \n\t"):
        raise bad_request("text must be non-empty")
    if units(text) > MAX_TEXT:
        raise bad_request("message is too long")
    return text, entities[:MAX_ENTITIES]


def trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Without white space at both ends; entities move along, and those that covered only white space go."""
    bare = text.strip()
    if bare == text:
        return text, entities
    lead = units(text[: len(text) - len(text.lstrip())])
    end = units(bare)
    moved = []
    for entity in entities:
        start = max(0, entity["offset"] - lead)
        stop = min(end, entity["offset"] + entity["length"] - lead)
        if stop > start:
            moved.append({**entity, "offset": start, "length": stop - start})
    return bare, moved


# --- entities given by the bot ------------------------------------------------------------------------


def checked_entities(text: str, entities: list[Any]) -> list[Entity]:
    """The entities in order, those the server finds itself left out. Raises Refusal for a broken one."""
    inside = _boundaries(text)
    kept = [entity for raw in entities if (entity := _one_entity(raw, inside)) is not None]
    kept.sort(key=lambda entity: (entity["offset"], -entity["length"], _depth(entity["type"])))
    _check_nesting(kept)
    return kept


def _depth(kind: str) -> int:
    """Which is the outer one of two entities over the same characters: the lower number."""
    return 0 if kind in QUOTES else 1 if kind in STYLES else 3 if kind in ("code", "pre") else 2


def _boundaries(text: str) -> set[int]:
    """The UTF-16 offsets at which a character begins, and the end of the text."""
    offsets, position = {0}, 0
    for char in text:
        position += 2 if char > "\uffff" else 1
        offsets.add(position)
    return offsets


def _one_entity(raw: Any, inside: set[int]) -> Entity | None:
    if not isinstance(raw, dict):
        raise bad_request("can't parse entities: expected an object as an entity")
    kind, offset, length = raw.get("type"), raw.get("offset"), raw.get("length")
    if not isinstance(kind, str) or not isinstance(offset, int) or not isinstance(length, int):
        raise bad_request("can't parse MessageEntity: type, offset and length are required")
    if kind in DETECTED:
        return None
    if kind not in SETTABLE:
        raise bad_request("can't parse MessageEntity: unsupported type specified")
    end = max(inside)
    if offset < 0 or length <= 0:
        raise bad_request(f"receive an entity with incorrect offset {offset} or length {length}")
    if offset + length > end:
        raise bad_request(
            f"entity beginning at UTF-16 offset {offset} ends after the end of the text "
            f"at UTF-16 offset {end}"
        )
    if offset not in inside or offset + length not in inside:
        raise bad_request(
            f"entity beginning at UTF-16 offset {offset} begins or ends in a middle of a UTF-16 symbol"
        )
    return _with_details(kind, raw, {"type": kind, "offset": offset, "length": length})


def _with_details(kind: str, raw: Entity, entity: Entity) -> Entity:
    if kind == "text_link":
        url = str(raw.get("url", ""))
        if not valid_url(url):
            raise bad_request(f"entity URL '{url}' is invalid: Wrong HTTP URL")
        entity["url"] = url
    elif kind == "pre" and raw.get("language"):
        entity["language"] = str(raw["language"])
    elif kind == "text_mention":
        entity["user"] = raw.get("user")
    elif kind == "custom_emoji":
        entity["custom_emoji_id"] = str(raw.get("custom_emoji_id"))
    return entity


def _check_nesting(entities: list[Entity]) -> None:
    """Docs, Formatting options: overlap means containment; code and pre stand alone; no quote in a quote."""
    open_: list[Entity] = []
    for entity in entities:
        while open_ and open_[-1]["offset"] + open_[-1]["length"] <= entity["offset"]:
            open_.pop()
        end = entity["offset"] + entity["length"]
        for outer in open_:
            if end > outer["offset"] + outer["length"]:
                raise bad_request(f"entities overlap at UTF-16 offset {entity['offset']}")
            if not _may_contain(outer["type"], entity["type"]):
                raise bad_request(f"entity {entity['type']} can't be inside of {outer['type']}")
        open_.append(entity)


def _may_contain(outer: str, inner: str) -> bool:
    if outer in ("code", "pre"):
        return False
    if inner in ("code", "pre"):
        return outer in QUOTES
    if outer in QUOTES:
        return inner not in QUOTES
    return outer in STYLES or inner in STYLES


def valid_url(url: str) -> bool:
    """Whether Telegram takes it as a link: a scheme it knows, for http a host with a dot or an address."""
    if not url or any(char.isspace() for char in url):
        return False
    if url.startswith(("tg:", "ton:", "mailto:", "tel:")):
        return len(url) > url.index(":") + 1
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https", "tg", "ton", "tonsite"):
        return False
    return parts.scheme in ("tg", "ton") or "." in host.strip(".") or ":" in host


# --- parse_mode ---------------------------------------------------------------------------------------


def _parsed(mode: str, text: str) -> tuple[str, list[Entity]]:
    writer = {"html": _Html, "markdownv2": _MarkdownV2, "markdown": _Markdown}[mode](text)
    writer.read()
    writer.entities.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return "".join(writer.out), writer.entities


class _Markup:
    """What the three parsers share: the place in the source and the plain text written so far."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.place = 0
        self.out: list[str] = []
        self.written = 0  # UTF-16 units
        self.entities: list[Entity] = []

    def write(self, text: str) -> None:
        self.out.append(text)
        self.written += units(text)

    def mark(self, kind: str, start: int, **details: Any) -> None:
        if self.written > start:
            self.entities.append({"type": kind, "offset": start, "length": self.written - start, **details})

    def fail(self, reason: str, place: int | None = None) -> Refusal:
        at = len(self.source[: self.place if place is None else place].encode())
        return bad_request(f"can't parse entities: {reason.replace('@', f'at byte offset {at}')}")

    def fail_plainly(self, reason: str) -> Refusal:
        return bad_request(f"can't parse entities: {reason}")

    def link(self, start: int, url: str) -> None:
        if user := re.fullmatch(r"tg://user\?id=(\d+)", url):
            self.mark("text_mention", start, user={"id": int(user[1])})
        elif valid_url(url):
            self.mark("text_link", start, url=url)


_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "code": "code", "pre": "pre",
    "a": "text_link", "tg-spoiler": "spoiler", "span": "spoiler", "blockquote": "blockquote",
    "tg-emoji": "custom_emoji", "tg-time": "date_time",
}  # fmt: skip
_TAG = re.compile(r"<(/?)([a-zA-Z0-9-]+)((?:\s+[^\s=>/]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>\"']+))?)*)\s*>")
_ATTRIBUTE = re.compile(r"([^\s=]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+)))?")
_CHARACTER = re.compile(r"&(?:lt|gt|amp|quot|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")


class _Html(_Markup):
    def read(self) -> None:
        self.open: list[tuple[str, int, dict[str, str]]] = []
        while self.place < len(self.source):
            char = self.source[self.place]
            if char == "<":
                self._tag()
            elif char == "&" and (found := _CHARACTER.match(self.source, self.place)):
                self.write(unescape(found[0]))
                self.place = found.end()
            else:
                self.write(char)
                self.place += 1
        if self.open:
            raise self.fail_plainly(f'Can\'t find end tag corresponding to start tag "{self.open[-1][0]}"')
        self._merge_code_in_pre()

    def _tag(self) -> None:
        found = _TAG.match(self.source, self.place)
        if found is None:
            raise self._broken_tag()
        name = found[2].lower()
        if found[1]:
            self._close(name)
        elif name not in _TAGS:
            raise self.fail(f'Unsupported start tag "{name}" @')
        else:
            attributes = {
                each[1].lower(): unescape(each[2] or each[3] or each[4] or "")
                for each in _ATTRIBUTE.finditer(found[3])
            }
            if name == "span" and attributes.get("class") != "tg-spoiler":
                raise self.fail('Tag "span" must have class "tg-spoiler" @')
            self.open.append((name, self.written, attributes))
        self.place = found.end()

    def _broken_tag(self) -> Refusal:
        closing = self.source.startswith("</", self.place)
        name = re.compile(r"</?([^\s>]*)").match(self.source, self.place)
        if ">" not in self.source[self.place :]:
            return self.fail(f"Unclosed {'end' if closing else 'start'} tag @")
        return self.fail(f'Unsupported start tag "{name[1].lower() if name else ""}" @')

    def _close(self, name: str) -> None:
        if not self.open:
            raise self.fail("Unexpected end tag @")
        expected, start, attributes = self.open.pop()
        if expected != name:
            raise self.fail(f'Unmatched end tag @, expected "</{expected}>", found "</{name}>"')
        kind = _TAGS[name]
        if name == "a":
            self.link(start, attributes.get("href") or "".join(self.out)[-(self.written - start) :])
        elif name == "blockquote" and "expandable" in attributes:
            self.mark("expandable_blockquote", start)
        elif name == "code" and attributes.get("class", "").startswith("language-"):
            self.mark("code", start, language=attributes["class"].removeprefix("language-"))
        elif name == "tg-emoji":
            self.mark(kind, start, custom_emoji_id=attributes.get("emoji-id", ""))
        else:
            self.mark(kind, start)

    def _merge_code_in_pre(self) -> None:
        pres = {(e["offset"], e["length"]): e for e in self.entities if e["type"] == "pre"}
        kept = []
        for entity in self.entities:
            outer = pres.get((entity["offset"], entity["length"]))
            if entity["type"] == "code" and outer is not None:
                if entity.get("language"):
                    outer["language"] = entity["language"]
                continue
            if entity["type"] == "code":
                entity.pop("language", None)
            kept.append(entity)
        self.entities = kept


_V2_MARKS = {"*": "bold", "_": "italic", "__": "underline", "~": "strikethrough", "||": "spoiler"}
_V2_NAMES = {
    "*": "Bold",
    "_": "Italic",
    "__": "Underline",
    "~": "Strikethrough",
    "||": "Spoiler",
    "[": "TextUrl",
}
_V2_RESERVED = frozenset("_*[]()~`>#+-=|{}.!")


class _MarkdownV2(_Markup):
    def read(self) -> None:
        self.open: list[tuple[str, int, int]] = []  # mark, UTF-16 start, place of the mark
        self.quote: int | None = None
        while self.place < len(self.source):
            self._step()
        self._end_quote()
        if self.open:
            mark, _, place = self.open[-1]
            raise self.fail(f"Can't find end of {_V2_NAMES[mark]} entity @", place)

    def _step(self) -> None:
        source, place = self.source, self.place
        char = source[place]
        if place == 0 or source[place - 1] == "\n":
            marker = re.compile(r"(?:\*\*)?>").match(source, place)
            if marker:
                if self.quote is None or len(marker[0]) == 3:
                    self._end_quote()
                    self.quote = self.written
                self.place = marker.end()
                return
            self._end_quote()
        if char == "\\" and place + 1 < len(source) and source[place + 1] < "\x7f":
            self.write(source[place + 1])
            self.place += 2
        elif source.startswith("```", place):
            self._code("```", "Pre")
        elif char == "`":
            self._code("`", "Code")
        elif source.startswith(("||", "__"), place) and not self._ends_quote():
            self._mark(source[place : place + 2])
        elif char in "*_~":
            self._mark(char)
        elif char == "[" or source.startswith("![", place):
            self.open.append(("[", self.written, place))
            self.place += 1 if char == "[" else 2
        elif char == "]" and self.open and self.open[-1][0] == "[":
            self._end_link()
        elif char in _V2_RESERVED:
            if self._ends_quote():
                self.place += 2
                return
            raise self.fail_plainly(
                f"Character '{char}' is reserved and must be escaped with the preceding '\\'"
            )
        else:
            self.write(char)
            self.place += 1

    def _ends_quote(self) -> bool:
        """Whether the || here ends an expandable quote: at the end of a line of it, no spoiler open."""
        rest = self.source[self.place : self.place + 3]
        return (
            self.quote is not None
            and rest in ("||", "||\n")
            and all(mark != "||" for mark, _, _ in self.open)
        )

    def _end_quote(self) -> None:
        if self.quote is not None:
            expandable = self.source[: self.place].rstrip("\n").endswith("||")
            self.mark("expandable_blockquote" if expandable else "blockquote", self.quote)
            self.quote = None

    def _mark(self, mark: str) -> None:
        if self.open and self.open[-1][0] == mark:
            _, start, _ = self.open.pop()
            self.mark(_V2_MARKS[mark], start)
        elif any(mark == opened for opened, _, _ in self.open):
            inner, _, place = self.open[-1]
            raise self.fail(f"Can't find end of {_V2_NAMES[inner]} entity @", place)
        else:
            self.open.append((mark, self.written, self.place))
        self.place += len(mark)

    def _code(self, fence: str, name: str) -> None:
        body, place = [], self.place + len(fence)
        while not self.source.startswith(fence, place):
            if place >= len(self.source):
                raise self.fail(f"Can't find end of {name} entity @")
            if self.source[place] == "\\" and place + 1 < len(self.source):
                place += 1
            body.append(self.source[place])
            place += 1
        text, start, details = "".join(body), self.written, {}
        if fence == "```":
            language = re.match(r"([^\s`]*)\n", text)
            if language:
                text = text[language.end() :]
                details = {"language": language[1]} if language[1] else {}
        self.write(text)
        self.mark("pre" if fence == "```" else "code", start, **details)
        self.place = place + len(fence)

    def _end_link(self) -> None:
        _, start, begun = self.open.pop()
        found = re.compile(r"\]\(((?:\\.|[^)\\])*)\)", re.S).match(self.source, self.place)
        if found is None:
            raise self.fail("Can't find end of a URL @", begun)
        self.link(start, re.sub(r"\\(.)", r"\1", found[1]))
        self.place = found.end()


class _Markdown(_Markup):
    """The legacy mode: no nesting, no escape inside entities."""

    def read(self) -> None:
        names = {"*": "bold", "_": "italic", "`": "code", "```": "pre"}
        while self.place < len(self.source):
            char = self.source[self.place]
            if char == "\\" and self.source[self.place + 1 : self.place + 2] in tuple("_*`["):
                self.write(self.source[self.place + 1])
                self.place += 2
            elif char in "*_`":
                mark = "```" if self.source.startswith("```", self.place) else char
                end = self.source.find(mark, self.place + len(mark))
                if end < 0:
                    raise self.fail("Can't find end of the entity starting @")
                start = self.written
                self.write(self.source[self.place + len(mark) : end])
                self.mark(names[mark], start)
                self.place = end + len(mark)
            elif link := re.compile(r"\[([^\]]*)\]\(([^)]*)\)").match(self.source, self.place):
                start = self.written
                self.write(link[1])
                self.link(start, link[2])
                self.place = link.end()
            else:
                self.write(char)
                self.place += 1
