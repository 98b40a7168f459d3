"""The beginning of a text that is still being written, without what would be read otherwise a moment later."""

import re

from channels.text import blocks
from channels.text.formula import begun, formula
from channels.text.loose import finished

_EMPTY = re.compile(r"[ \t>]*")
# A line that is nothing but marks, or may be a number before a point: what it is shows when more of it is there.
_MARKER = re.compile(
    r"[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*"
    r"(?:(?:[-+*]|\d{1,9}[.)]?)(?:[ \t]+\[(?:[ xX]?|[ xX]\]))?|#{1,6}|-#?|[-*_=~`$|: \t]*)[ \t]*"
)
_HEAD = re.compile(r"[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*")
_FENCE = re.compile(r"(`{3,}(?=[^`]*$)|~{3,})(.*)")
_DELIMITERS = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_UNSURE = re.compile(r"[-:| \t]*")
_CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
_PIPE = re.compile(r"(?<![\\|])\|(?!\|)")
_DISPLAY = re.compile(r"^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(\$\$|\\\[)", re.M)


def settled(markdown: str) -> str:
    """The longest beginning of a clean text that reads as finished Markdown; what is open there is closed.

    Held back are: marks at the end, a half-written entity, tag or formula, a table until it has a row, the row
    of a table that is being written, and brackets that may become a link. Of a link whose address is not
    complete the label is left.
    """
    start = blocks.starts(markdown)[-1]
    return markdown[:start] + _block(markdown[start:])


def _block(part: str) -> str:
    code = blocks.code(part)
    if code is not None:
        return part if code.closed else _inside(part, code.content)
    part, formula_ends = _without_half_formula(part)
    lines = part.split("\n")
    if formula_ends or (len(lines) > 1 and _blank(lines[-1]) and _blank(lines[-2])):
        return part
    opened, closed = _fences(lines)
    if opened is not None:
        return _inside(part, "\n".join(lines[opened + 1 :]))
    ended = len(lines) > 1 and _blank(lines[-1])
    if ended:
        lines.pop()
    if closed == len(lines) - 1:
        return "\n".join(lines)
    if (delimiters := _table(lines)) is not None:
        rows = len(lines) if ended else len(lines) - 1
        if rows > delimiters + 1:
            return "\n".join(lines[:rows])
        lines = _until_pipe(lines[:delimiters])
    else:
        lines = _without_marks(lines, ended=ended)
    return _with_leaf(lines, closed + 1) if lines else ""


def _without_half_formula(part: str) -> tuple[str, bool]:
    """The part up to a formula on lines of its own that has no end; and whether it ends with one that has."""
    done = 0
    for found in _DISPLAY.finditer(part):
        if found.start() < done:
            continue
        whole = formula(part, found.start(1))
        if whole is not None:
            done = whole[0]
        elif begun(part, found.start(1)):
            return part[: found.start()], False
    return part, bool(done) and not part[done:].strip()


def _blank(line: str) -> bool:
    return _EMPTY.fullmatch(line) is not None


def _inside(part: str, content: str) -> str:
    """Open code, without a last line that may become its end."""
    last = content.rpartition("\n")[2]
    bare = last.strip(" \t>")
    may_end = bare and bare[0] in "`~" and not bare.strip(bare[0])
    return part[: len(part) - len(last)] if may_end else part


def _fences(lines: list[str]) -> tuple[int | None, int]:
    """Where a fence within a list or a quote begins that has no end yet, and where the last one ended (or -1)."""
    fence, opened, closed = "", None, -1
    if not any("```" in line or "~~~" in line for line in lines):
        return opened, closed
    for at, line in enumerate(lines):
        if opened is not None and line[:1] not in (
            ("", ">", " ") if ">" in lines[opened] else ("", " ", "\t")
        ):
            opened, closed = None, at - 1  # the list or the quote has ended
        found = _FENCE.match(_bare(line))
        if not found:
            continue
        if opened is None:
            fence, opened = found[1], at
        elif found[1][0] == fence[0] and len(found[1]) >= len(fence) and not found[2].strip():
            opened, closed = None, at
    return opened, closed


def _bare(line: str) -> str:
    """The line behind the marks of quotes and lists."""
    return _HEAD.sub("", line, count=1)


def _begins(line: str) -> bool:
    """Whether a list item or a heading begins here."""
    head = _HEAD.match(line)
    return head is not None and (head.group().strip(" \t>") != "" or line.startswith("#", head.end()))


def _pipe(line: str) -> int | None:
    """Where the first sign of a table row stands; None if it is none."""
    masked = _CODE_SPAN.sub(lambda found: "x" * len(found.group()), line)
    found = _PIPE.search(masked)
    return found.start() if found else None


def _table(lines: list[str]) -> int | None:
    """The second row of the table to which the last line belongs."""
    for at in range(len(lines) - 1, 0, -1):
        line = lines[at]
        if _blank(line) or _begins(line):
            return None
        bare = _bare(line)
        if "-" in bare and _DELIMITERS.fullmatch(bare) and _pipe(lines[at - 1]) is not None:
            return at
    return None


def _without_marks(lines: list[str], *, ended: bool) -> list[str]:
    """Without last lines of marks alone, and without what may become the first row of a table."""
    if len(lines) > 1 and _UNSURE.fullmatch(_bare(lines[-1])) and _pipe(lines[-2]) is not None:
        return _until_pipe(lines[:-1])
    while lines and not ended and not _blank(lines[-1]) and _MARKER.fullmatch(lines[-1]):
        lines = lines[:-1]
    return _until_pipe(lines)


def _until_pipe(lines: list[str]) -> list[str]:
    pipe = _pipe(lines[-1]) if lines else None
    return lines if pipe is None else [*lines[:-1], lines[-1][:pipe].rstrip()]


def _with_leaf(lines: list[str], least: int) -> str:
    """With the last paragraph complete; it does not begin before the line *least*."""
    if _blank(lines[-1]) or least >= len(lines):
        return "\n".join(lines)
    first = len(lines) - 1
    while first > least and not (
        _begins(lines[first]) or _blank(lines[first - 1]) or _heading(lines[first - 1])
    ):
        first -= 1
    deep = lines[first].startswith(("    ", "\t"))
    if deep and first and _blank(lines[first - 1]) and not any(map(_begins, lines[:first])):
        return "\n".join(lines)  # indented code
    head = len(lines[first]) - len(_bare(lines[first]))
    kept = "\n".join([*lines[:first], lines[first][:head]])
    shown = finished("\n".join([lines[first][head:], *lines[first + 1 :]]))
    return kept + shown if shown.strip() else "\n".join(lines[:first])


def _heading(line: str) -> bool:
    return _bare(line).startswith("#")
