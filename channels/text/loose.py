"""A paragraph that is still being written: what is open in it is closed, or held back until it is clear."""

import re
from dataclasses import dataclass

from channels.text.dialect import LINK
from channels.text.formula import begun, formula
from channels.text.rules import SPOILER_BEGIN

HELD = 60  # characters of a label that may become a link's; a longer one is shown without its bracket
REACH = 300  # characters from the end in which a half-written tag or address is looked for
_SIGNS = "*_~|`\\![ \t\n"
_TAIL = re.compile(
    r"(?:(?<![\w$])\$+|&#?\w{0,31}|<[^\s<>]*"
    r"|</?[A-Za-z][\w.-]*(?:\s+[\w:-]+=(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))*\s+(?:[\w:-]*|[\w:-]+=(?:\"[^\"]*|'[^']*)?)"
    r"|<!--?)\Z"
)
_TOKEN = re.compile(
    r"(?P<math>\$\$?|\\[(\[])|(?P<escape>\\.)|(?P<ticks>`+)|(?P<auto><[A-Za-z][\w.+-]*:[^\s<>]*>)"
    r"|(?P<spoiler>\|\|+)|(?P<open>!?\[)|(?P<close>\])|(?P<run>\*+|_+|~+)",
    re.S,
)
# An address, perhaps with a title, of which the end is missing.
_ADDRESS = re.compile(
    r"\(\s*(?:<[^<>\n]*|(?:<[^<>\n]*>|(?:\\.|[^\s()\\]|\((?:\\.|[^\s()\\])*\)?)*)"
    r"(?:\s+(?:\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|\((?:\\.|[^()\\])*\)?)?)?\s*)\\?\Z",
    re.S,
)


def finished(text: str) -> str:
    """The paragraph *text*, whose end is missing, as one that is complete."""
    while True:
        bare = text.rstrip(_SIGNS)
        cut = _TAIL.search(bare, max(0, len(bare) - REACH))
        scan = _Scan(bare[: cut.start()] if cut else bare)
        held = scan.run()
        if held == text:
            return held + scan.closing
        text = held


@dataclass(slots=True)
class _Mark:
    """What has been opened: *left* of *length* signs have no partner yet; *closes*: it could close, too."""

    char: str
    left: int
    length: int
    closes: bool

    def apart(self, length: int, *, opens: bool) -> bool:
        """Whether it does not go with a closing run of that length: CommonMark, the multiples of three."""
        thirds = (self.length + length) % 3 == 0 and (self.length % 3 != 0 or length % 3 != 0)
        return self.char in "*_" and (self.closes or opens) and thirds


class _Scan:
    """One walk over a paragraph. *closing*: the marks that close what is open at its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._marks: list[_Mark] = []
        self._brackets: list[tuple[int, int, int]] = []  # bracket, label, how many marks were open
        self.closing = ""

    def run(self) -> str:
        """The text up to what must be held back, without the marks of half-written links."""
        text, at = self._text, 0
        while found := _TOKEN.search(text, at):
            at = found.end()
            start = found.start()
            match found.lastgroup:
                case "math":
                    whole = formula(text, start)
                    if whole is not None:
                        at = whole[0]
                    elif begun(text, start):
                        return text[:start]
                case "ticks":
                    close = re.compile(rf"(?<!`){found.group()}(?!`)").search(text, at)
                    if close is None and self._brackets:
                        break
                    if close is None:
                        self._close(found.group())
                        return text
                    at = close.end()
                case "spoiler":
                    at = self._spoiler(found)
                case "open":
                    self._brackets.append((start, at, len(self._marks)))
                case "close" if self._brackets:
                    opened, label, marks = self._brackets.pop()
                    link = LINK.match(text, opened)
                    if link and link.end() > start:
                        at = link.end()
                        del self._marks[marks:]
                    elif at == len(text):
                        return self._unlinked(opened, label, start)
                    elif text[at] == "(" and _ADDRESS.match(text, at):
                        return text[:opened] + text[label:start]
                case "run":
                    self._run(found)
                case _:
                    pass
        if self._brackets:
            return self._unlinked(*self._brackets[0][:2], len(text))
        self._close("")
        return text

    def _unlinked(self, opened: int, label: int, end: int) -> str:
        """A bracket of which it is not known yet whether it is a link's."""
        text = self._text
        return text[:opened] if end - label <= HELD else text[:opened] + text[label:end]

    def _close(self, last: str) -> None:
        self.closing = last + "".join(mark.char * mark.left for mark in reversed(self._marks))

    def _spoiler(self, found: re.Match[str]) -> int:
        chars = [mark.char for mark in self._marks]
        if "|" in chars:
            del self._marks[chars.index("|") :]
        elif SPOILER_BEGIN.match(self._text, found.start()):
            self._marks.append(_Mark("|", 2, 2, closes=False))
        return found.end()

    def _run(self, found: re.Match[str]) -> None:
        """Stars, lines below and waves, by the rules of CommonMark for what can open and close."""
        text, run = self._text, found.group()
        char, left = run[0], len(run)
        before, after = (
            text[found.start() - 1 : found.start()] or " ",
            text[found.end() : found.end() + 1] or " ",
        )
        opens = not after.isspace() and (after.isalnum() or not before.isalnum())
        closes = not before.isspace() and (before.isalnum() or not after.isalnum())
        if char == "_":
            opens, closes = (
                opens and not (closes and before.isalnum()),
                closes and not (opens and after.isalnum()),
            )
        if char == "~":
            left -= left % 2
        length = left
        for at in range(len(self._marks) - 1 if closes else -1, -1, -1):
            mark = self._marks[at]
            if mark.char != char or not left or mark.apart(length, opens=opens):
                continue
            used = min(mark.left, left)
            left -= used
            mark.left -= used
            del self._marks[at + (mark.left > 0) :]
        if opens and left:
            self._marks.append(_Mark(char, left, length, closes=closes))
