"""What chats know beyond CommonMark: formulas, spoilers and footnotes, as rules for the parser."""

import re
from typing import TYPE_CHECKING

from channels.text.formula import LONGEST, formula

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

# Not between letters or after a bracket: there it is an "or".
SPOILER_BEGIN = re.compile(r"(?<![0-9A-Za-z_)\]])\|\|(?=[^\s|])")
SPOILER = re.compile(
    SPOILER_BEGIN.pattern + r"((?:[^\n|`]|`[^`\n]*`|\|(?!\|)|\n(?!\n))+?)(?<![\s|])\|\|(?![|0-9A-Za-z_(])"
)
FOOTNOTE = re.compile(r"\[\^([\w.-]{1,20})\]")
_DISPLAY = re.compile(r"\$\$|\\\[")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def add(made: "MarkdownIt") -> None:
    """Adds them to a parser; the tokens are math_block, math_inline, spoiler_open and spoiler_close."""
    made.block.ruler.before(
        "table", "math_block", _math_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    made.inline.ruler.before("escape", "math_inline", _math_inline)
    made.inline.ruler.before("emphasis", "spoiler", _spoiler)
    made.inline.ruler.before("link", "footnote", _footnote)
    for char in "$|":
        made.inline.add_terminator_char(char)


def noted(id: str) -> str:
    """The sign of a footnote."""
    return id.translate(_RAISED) if id.isdecimal() and id.isascii() else f"[{id}]"


def _math_block(state: "StateBlock", line: int, last: int, silent: bool) -> bool:
    """A formula that begins a line and ends one."""
    start = state.bMarks[line] + state.tShift[line]
    if state.is_code_block(line) or not _DISPLAY.match(state.src, start):
        return False
    lines: list[str] = []
    for at in range(line, last):
        if at > line and (state.isEmpty(at) or state.sCount[at] < state.blkIndent):
            return False
        lines.append(state.src[state.bMarks[at] + state.tShift[at] : state.eMarks[at]])
        text = "\n".join(lines)
        found = formula(text, 0)
        if found is None:
            if len(text) > LONGEST:
                return False
            continue
        end, inside = found
        if text[end:].strip(" \t.,;"):
            return False
        if not silent:
            token = state.push("math_block", "math", 0)
            token.content, token.map = inside + text[end:].strip(), [line, at + 1]
            state.line = at + 1
        return True
    return False


def _math_inline(state: "StateInline", silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    found = formula(state.src[: state.posMax], state.pos)
    if found is None:
        return False
    if not silent:
        state.push("math_inline", "math", 0).content = found[1]
    state.pos = found[0]
    return True


def _spoiler(state: "StateInline", silent: bool) -> bool:
    if state.src[state.pos] != "|":
        return False
    found = SPOILER.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        end = state.posMax
        state.pos, state.posMax = found.span(1)
        state.push("spoiler_open", "spoiler", 1)
        state.md.inline.tokenize(state)
        state.push("spoiler_close", "spoiler", -1)
        state.posMax = end
    state.pos = found.end()
    return True


def _footnote(state: "StateInline", silent: bool) -> bool:
    if state.src[state.pos] != "[":
        return False
    found = FOOTNOTE.match(state.src, state.pos, state.posMax)
    if found is None or state.src.startswith("(", found.end()):
        return False
    if not silent:
        state.pending += noted(found[1])
    state.pos = found.end()
    # At the begin of a line it is the note itself: "¹ text" rather than "¹: text".
    if found.start() == 0 or state.src[found.start() - 1] == "\n":
        state.pos += state.src.startswith(":", state.pos)
    return True
