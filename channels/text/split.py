"""Where a long text may be cut: at a paragraph, a line, a sentence, a word; never inside a character."""

import re
import sys
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

Range = tuple[int, int]

# Two letters before the mark, so that "1." and "e.g." do not end a sentence.
SENTENCE = re.compile(
    r"(?:(?<=[^\W\d_]{2})|(?<=[)\]\"'”’»*`])|(?<=\d{3}))[.!?…]+[\"')\]”’»]*(?=\s)|[。！？]+[」』”’）]*"
)
_PARAGRAPH = re.compile(r"\n(?=\n)")
_LINE = re.compile(r"\n")
_SPACE = re.compile(r"\s")
_VISIBLE = re.compile(
    r"[^\s\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
_DROPPED = re.compile(r"[\x00\r\u030a\u0333\u033f\u202a-\u202e]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_SPACED = re.compile(r"[\x00-\x09\x0b-\x1f\u030a\u0333\u033f\u2028-\u202e]")
_CLUSTER_REACH = 64  # code points; the longest emoji sequence in Unicode has 10, so more is not a character


def utf16_len(text: str) -> int:
    """The length in UTF-16 code units, in which Telegram counts."""
    return len(text) + len(_ASTRAL.findall(text)) if astral(text) else len(text)


def astral(text: str) -> bool:
    """Whether a character in it takes two UTF-16 units."""
    return not text.isascii() and _ASTRAL.search(text) is not None


def clean(text: str) -> str:
    """The text as valid Unicode, newlines as \\n, without NUL and what changes the direction of writing.

    Two surrogates that make a pair become their character, a lone one becomes U+FFFD.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if "\u030a" in text:  # a ring that stands alone is dropped; with its letter it is one character
        text = unicodedata.normalize("NFC", text)
    return _DROPPED.sub("", text)


def spaced(text: str) -> str:
    """The text, as long as before, with spaces for the characters that Telegram drops or makes spaces."""
    return _SPACED.sub(" ", text)


def visible(text: str) -> bool:
    """Whether anything in the text can be seen; a message without it is refused as empty."""
    return _VISIBLE.search(text) is not None


def parts(
    text: str,
    limit: int,
    *,
    blocks: Sequence[Range] = (),
    whole: Sequence[Range] = (),
    marks: Sequence[int] = (),
    most_marks: int = 0,
    points: bool = False,
) -> Iterator[Range]:
    """The ranges of *text* to send one by one, each at most *limit* UTF-16 units and with something to see.

    *blocks* (code) keep their indentation and are cut at lines; *whole* (links) are cut only when
    nothing else is left; a part has at most *most_marks* of the positions *marks*. All are sorted and
    disjoint. *points*: the limit counts Unicode characters.
    Raises ValueError for a limit under 2, in which not every character has room.
    """
    if limit < 2:
        raise ValueError("limit must be at least 2 UTF-16 units")
    units: Sequence[int] | None = range(len(text) + 1) if points else None
    if not points and astral(text):
        units = _units(text)
    start = _skip(text, 0, blocks)
    while start < len(text):
        end = fit(text, start, limit, units)
        later = bisect_left(marks, start) + most_marks
        if later < len(marks):
            end = min(end, max(marks[later], start + 1))
        if end < len(text):
            end = _border(text, start, end, blocks, whole)
        stop = start + len(text[start:end].rstrip())
        if visible(text[start:stop]):
            yield start, stop
        start = _skip(text, end, blocks)


def fit(text: str, start: int, limit: int, units: Sequence[int] | None = None) -> int:
    """The last position to which *text* has at most *limit* UTF-16 units from *start* on."""
    if units is None:
        end = min(len(text), start + limit)
        if not astral(text[start:end]):
            return end
        units, offset = _units(text[start:end]), start
    else:
        offset = 0
    return offset + bisect_right(units, units[start - offset] + limit) - 1


def opening_end(text: str, limit: int) -> int:
    """Where the first sentence or line ends, or the last word that *limit* UTF-16 units have room for."""
    end = fit(text, 0, limit)
    ends = [match.end() for match in [SENTENCE.search(text, 0, end + 1)] if match]
    ends += [at for at in [text.find("\n", 0, end)] if at > 0]
    if ends and min(ends) <= end:
        return min(ends)
    return _last(_SPACE, text, 1, end, ()) or unbroken(text, 0, end)


def unbroken(text: str, start: int, end: int) -> int:
    """The nearest position at or before *end* that does not cut a character as people see it.

    It is *end* itself when the sequence is too long to be one character.
    """
    for cut in range(end, max(start, end - _CLUSTER_REACH), -1):
        if not _joined(text, cut):
            return cut
    return end


def _units(text: str) -> list[int]:
    return list(accumulate((1 + (char > "\uffff") for char in text), initial=0))


def _skip(text: str, start: int, blocks: Sequence[Range]) -> int:
    """Past the white space at *start*, but not past the indentation of a line of code."""
    while start < len(text) and text[start].isspace():
        block = _within(blocks, start, inclusive=True)
        if block and (start == block[0] or text[start - 1] == "\n"):
            line_end = text.find("\n", start, block[1])
            if text[start : line_end if line_end >= 0 else block[1]].strip():
                break
        start += 1
    return start


def _border(text: str, start: int, end: int, blocks: Sequence[Range], whole: Sequence[Range]) -> int:
    for low in (start + (end - start + 1) // 2, start + 1):  # after the start, or nothing would go on
        for pattern in (_PARAGRAPH, _LINE, SENTENCE, _SPACE):
            closed = (whole,) if pattern in (_LINE, _SPACE) else (whole, blocks)
            cut = _last(pattern, text, low, end, closed)
            if cut is not None:
                return cut
    held = _within(whole, end)
    if held is not None and held[0] > start and not _joined(text, held[0]):
        return held[0]
    cut = _last(_SPACE, text, start + 1, end, ())
    return cut if cut is not None else unbroken(text, start, end)


def _last(
    pattern: re.Pattern[str], text: str, low: int, high: int, closed: Sequence[Sequence[Range]]
) -> int | None:
    """The last border in [low, high] outside the *closed* ranges; a sentence's border is its end."""
    found = None
    for match in pattern.finditer(text, max(low - 1, 0), min(high + 1, len(text))):
        cut = match.end() if pattern is SENTENCE else match.start()
        if low <= cut <= high and not any(_within(ranges, cut) for ranges in closed):
            found = cut
    return found


def _within(ranges: Sequence[Range], position: int, *, inclusive: bool = False) -> Range | None:
    """The range that a cut at *position* would divide (or that begins there, if *inclusive*)."""
    at = bisect_right(ranges, (position, sys.maxsize)) - 1
    if at < 0:
        return None
    first, last = ranges[at]
    return ranges[at] if position < last and (first < position or inclusive) else None


def _joined(text: str, cut: int) -> bool:
    """Whether the characters on both sides of *cut* are shown as one."""
    if not 0 < cut < len(text):
        return False
    before, after = text[cut - 1], text[cut]
    if after < "\u0300":
        return False
    if before == "\u200d" or after == "\u200d" or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    return _regional(after) and _regional(before) and _flags_before(text, cut) % 2 == 1


def _regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flags_before(text: str, cut: int) -> int:
    """How many regional indicators stand right before *cut*: two make one flag."""
    first = cut
    while first > 0 and _regional(text[first - 1]):
        first -= 1
    return cut - first
