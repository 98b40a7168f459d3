"""Where a text may be taken apart so that each part reads the same alone: its blocks at the outermost level."""

import re
from dataclasses import dataclass

_LIST = re.compile(r"^ {0,3}(?:[-+*]|\d{1,9}[.)])(?=[ \t\n]|\Z)", re.M)
_POINT = re.compile(
    r"^(?P<indent> {0,3})(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})(?P<info>.*)$|\n[ \t]*\n(?=\S)", re.M
)
# By an indent of 1 to 3: lines that begin before it.
_BEFORE = {indent: re.compile(rf"^ {{0,{indent - 1}}}[^ \n]", re.M) for indent in (1, 2, 3)}
_FENCED = re.compile(r"(?P<fence>`{3,}(?=[^`\n]*(?:\n|\Z))|~{3,})(?P<info>[^\n]*)")
# Lines of letters and such signs as mean nothing in Markdown: no parser is needed to read them.
_LINE = r"[^\W\d_](?:[^\\`*_~|\[\]<>&$\n]*[^\\`*_~|\[\]<>&$\s])?"
_PROSE = re.compile(rf"{_LINE}(?:\n{_LINE})*")
# A line that can be nothing but one of a paragraph: it begins with a word, perhaps in a style, and has no cells.
_PLAIN = r"(?:\*\*|[*`\"'(])?[^\W_](?:[^\n|]*[^\s|])?"
_PARAGRAPH = re.compile(rf"(?![0-9]){_PLAIN}(?:\n(?![0-9]){_PLAIN})*")
_HEADING = re.compile(rf"#{{1,6}} ((?![^\n]*#){_PLAIN})")
_ITEM = re.compile(
    rf"(?P<mark>[-+*]|(?P<number>\d{{1,9}})[.)]) (?P<box>\[[ xX]\] )?(?=(?P<text>{_PLAIN})(?:\n|\Z))"
)
_NESTED = re.compile(rf"\n( +)(?:(?:[-+*]|\d{{1,9}}[.)]) )?(?:\[[ xX]\] )?{_PLAIN}(?=\n|\Z)")
_IN_LIST = re.compile(r"\d{1,9}[.)] |\*\*\*")


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced block: *info* is what stands behind its fence; *closed*: whether its end is there."""

    info: str
    content: str
    closed: bool


def starts(markdown: str) -> list[int]:
    """Where its blocks begin, 0 first: cut there, each part is read alone as it is within the whole.

    What may belong to the block before it is not cut off, so that a part can be several blocks.
    *markdown* is clean text.
    """
    found = [0]
    fence = ""  # the open one, at the outermost level
    maybe: re.Match[str] | None = None  # one that is open in a list, if it is in the list
    for point in _POINT.finditer(markdown):
        mark = point["fence"]
        if mark is None:
            if fence:
                continue
            if maybe is not None:
                break  # whether this is code depends on the list: the rest stays in one part
            listed = _LIST.match(markdown, point.end())
            if not listed or not _LIST.search(markdown, found[-1], point.start()):
                found.append(point.end())
        elif fence:
            if _closes(mark, point["info"], fence):
                fence = ""
                found.append(min(point.end() + 1, len(markdown)))
        elif maybe is not None:
            if _BEFORE[len(maybe["indent"])].search(markdown, maybe.end() + 1, point.end()):
                break  # such a line ends the list, and with it the code in it
            if _closes(mark, point["info"], maybe["fence"]):
                maybe = None
        elif not point["indent"]:
            found.append(point.start())
            fence = mark
        elif _LIST.search(markdown, found[-1], point.start()):
            maybe = point
        else:
            fence = mark
    return found


def parts(markdown: str) -> list[str]:
    """The blocks of a clean text, without the empty lines around them."""
    borders = starts(markdown)
    cut = [
        markdown[start:end].rstrip("\n")
        for start, end in zip(borders, [*borders[1:], len(markdown)], strict=True)
    ]
    return [each for each in cut if each and not each.isspace()]


def code(part: str) -> Code | None:
    """The part as the fenced code that it is; None if it is anything else."""
    opened = _FENCED.match(part)
    if opened is None:
        return None
    body = part[opened.end() + 1 :]
    at = body.rfind("\n") + 1
    last = body[at:]
    closer = last.lstrip(" ")
    run = len(closer) - len(closer.lstrip(opened["fence"][0]))
    closed = len(last) - len(closer) < 4 and _closes(closer[:run], closer[run:], opened["fence"])
    return Code(opened["info"].strip(), body[: max(at - 1, 0)] if closed else body, closed)


def is_prose(part: str) -> bool:
    """Whether the part is one paragraph without any mark in it."""
    return _PROSE.fullmatch(part) is not None


def is_paragraph(part: str) -> bool:
    """Whether the part is certainly one paragraph and nothing else."""
    return _PARAGRAPH.fullmatch(part) is not None


def heading(part: str) -> str | None:
    """The text of a heading, where the part is nothing else and certainly one."""
    found = _HEADING.fullmatch(part)
    return found[1] if found else None


def item(part: str) -> re.Match[str] | None:
    """A list item of one line, as its mark, number (None for bullets), box (None if it is no task) and text."""
    found = _ITEM.match(part)
    return found if found and found.end("text") == len(part) and not _IN_LIST.match(found["text"]) else None


def items(part: str) -> list[str]:
    """The items of a list that is simple enough to be read one by one, else the part alone."""
    found: list[str] = []
    at = 0
    before: re.Match[str] | None = None
    while at < len(part):
        here = _ITEM.match(part, at)
        if here is None or (before is not None and not _follows(before, here)):
            return [part]
        end = here.end("text")
        while (inner := _NESTED.match(part, end)) and len(inner[1]) > len(here["mark"]):
            end = inner.end()
        found.append(part[at:end])
        if end < len(part) and part[end] != "\n":
            return [part]
        at, before = end + 1, here
    return found


def _follows(before: re.Match[str], here: re.Match[str]) -> bool:
    if before["number"] is None or here["number"] is None:
        return before["mark"] == here["mark"]
    return before["mark"][-1] == here["mark"][-1] and int(here["number"]) == int(before["number"]) + 1


def _closes(mark: str, info: str, fence: str) -> bool:
    return mark[:1] == fence[0] and len(mark) >= len(fence) and not info.strip(" \t")
