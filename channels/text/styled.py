"""Markdown as plain text with marked spans, the step before a platform's own form."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from channels.text import blocks, rules
from channels.text.inline import inline, is_web
from channels.text.latex import readable
from channels.text.spans import Span, tidy
from channels.text.split import spaced
from channels.text.table import table
from channels.text.writer import Writer

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

RULE = "─" * 12
REMEMBERED = 512  # parts of texts; most have some hundred bytes
REMEMBERED_SIZE = 8000  # characters; a longer part is read anew each time
DEEPEST = 60  # nested blocks; the parser drops what is deeper, so such a text is shown as it is
TASKS = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}
_LANGUAGE = re.compile(r"[^\s{}`]{1,64}")


def styled(markdown: str) -> tuple[str, list[Span]]:
    """The text without its markup and the spans of it, sorted, outer before inner, none of them overlapping.

    Code has nothing inside and nothing around it; a quote is never within a quote. *markdown* is clean text.
    """
    return _joined(_read(blocks.parts(markdown)), "\n\n")


def _read(parts: Sequence[str]) -> Iterator[tuple[str, list[Span]]]:
    """The parts of a text. One that grows is the same but for its last part: the others are remembered."""
    for at, part in enumerate(parts):
        yield _known(part) if at < len(parts) - 1 and len(part) <= REMEMBERED_SIZE else _block(part)


def _joined(parts: Iterable[tuple[str, list[Span]]], between: str) -> tuple[str, list[Span]]:
    texts: list[str] = []
    spans: list[Span] = []
    length = 0
    for text, own in parts:
        if text:
            spans += [Span(span.kind, span.start + length, span.end + length, span.value) for span in own]
            texts.append(text)
            length += len(text) + len(between)
    return between.join(texts), spans


@lru_cache(maxsize=REMEMBERED)
def _known(part: str) -> tuple[str, list[Span]]:
    return _block(part)


def _block(markdown: str) -> tuple[str, list[Span]]:
    """One part of a text."""
    if blocks.is_prose(markdown):
        return spaced(markdown), []
    items = blocks.items(markdown)
    if len(items) > 1:
        return _joined(_read(items), "\n")
    writer = Writer(lines=markdown.split("\n"))
    if (code := blocks.code(markdown)) is not None:
        _code(code.info, code.content, writer)
    elif blocks.is_paragraph(markdown):
        _inside(markdown, writer)
    elif (heading := blocks.heading(markdown)) is not None:
        writer.open("bold")
        _inside(heading, writer)
        writer.close("bold")
    elif (item := blocks.item(markdown)) is not None:
        bullet = "• " if item["number"] is None else f"{int(item['number'])}{item['mark'][-1]} "
        writer.write(_marker(bullet, item["box"], numbered=item["number"] is not None))
        _inside(item["text"], writer)
    else:
        tokens = _parser().parse(markdown)
        if any(token.level >= DEEPEST - 1 for token in tokens):
            return spaced(markdown), []
        _blocks(tokens, writer)
    text = spaced("".join(writer.parts))  # character references can bring controls
    return text, tidy(text, writer.spans)


@cache
def _parser() -> "MarkdownIt":
    return parser()


def parser() -> "MarkdownIt":
    """A new parser of what people and models write in chats."""
    from markdown_it import MarkdownIt

    # No raw HTML: "List<String>" must stay. No reference definitions: they would vanish, and links would
    # change when a later line arrives. No underlined headings: "text", then "-" is mostly a list on its way.
    made = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST})
    made.enable(["table", "strikethrough"]).disable(["lheading", "reference", "html_block", "html_inline"])
    rules.add(made)
    normalize = made.normalizeLink
    made.validateLink = lambda url: True  # type: ignore[method-assign]
    made.normalizeLink = lambda url: normalize(url) if is_web(url) else url  # type: ignore[method-assign]
    return made


def _inside(text: str, out: Writer) -> None:
    """Writes a paragraph."""
    if blocks.is_prose(text):
        out.write(text)
        return
    tokens: list[Token] = []
    _parser().inline.parse(text, _parser(), {}, tokens)
    inline(tokens, out)


def _marker(bullet: str, box: str | None, *, numbered: bool) -> str:
    """What stands before a list item: a bullet or a number, and the box of a task."""
    if box is None:
        return bullet
    return bullet + TASKS[box] if numbered else TASKS[box]


def _blocks(tokens: "Sequence[Token]", out: Writer) -> None:
    at = 0
    while at < len(tokens):
        token = tokens[at]
        match token.type:
            case "inline":
                inline(token.children or (), out)
            case "paragraph_open" | "paragraph_close":
                out.ask(1 if token.hidden else 2)
            case "heading_open" | "heading_close":
                out.ask(2)
                if token.nesting > 0 and tokens[at + 1].content:
                    out.open("bold")
                elif out.opened.get("bold"):
                    out.close("bold")
                    out.ask(2)
            case "fence" | "code_block":
                _code(token.info, token.content, out)
            case "math_block":
                out.block(readable(token.content))
            case "hr":
                out.ask(2)
                out.write(RULE)
                out.ask(2)
            case "blockquote_open" | "blockquote_close":
                _quote(token, out)
            case "bullet_list_open" | "ordered_list_open":
                out.ask(1 if out.lists else 2)
                out.lists.append(int(token.attrs.get("start", 1)) if token.type[0] == "o" else None)
            case "bullet_list_close" | "ordered_list_close":
                out.lists.pop()
                out.ask(1 if out.lists else 2)
            case "list_item_open":
                _item(token, tokens[at + 1 : at + 3], out)
            case "list_item_close":
                out.margins.pop()
                out.fresh = False
            case "table_open":
                end = next(i for i in range(at, len(tokens)) if tokens[i].type == "table_close")
                table(tokens[at:end], out)
                at = end
        at += 1


def _code(info: str, content: str, out: Writer) -> None:
    language = _LANGUAGE.match(info.strip())
    out.block(content.rstrip("\n").expandtabs(4), language.group() if language else "")


def _quote(token: "Token", out: Writer) -> None:
    out.ask(2)
    if token.nesting > 0:
        out.quotes += 1
        if out.quotes == 1:
            out.opened["blockquote"] = [out.length]
        else:
            out.margins.append("> ")
        return
    out.quotes -= 1
    if out.quotes:
        out.margins.pop()
    else:
        out.close("blockquote")


def _item(token: "Token", following: "Sequence[Token]", out: Writer) -> None:
    out.ask(1)
    number = out.lists[-1]
    marker = "• " if number is None else f"{number}{token.markup} "
    if number is not None:
        out.lists[-1] = number + 1
    children = following[1].children if len(following) == 2 and following[1].type == "inline" else None
    if children and (box := children[0].content[:4]) in TASKS:
        children[0].content = children[0].content[4:]
        marker = _marker(marker, box, numbered=number is not None)
    out.write(marker)
    out.fresh = True
    out.margins.append(" " * len(marker))
