"""Bytes of a text from outside as text, whatever they are said to be; pure."""

from __future__ import annotations

import codecs
import re

# What pages are written in and Python can read; nothing else that it can decode (utf-7, punycode) is tried.
_KNOWN = re.compile(
    r"(utf-?8|utf-?16(le|be)?|(windows|cp)-?(125\d|874|932|949)|iso-?8859-\d{1,2}|latin-?\d|us-ascii|ascii|koi8-[ru]"
    r"|gb2312|gbk|gb18030|big5(-?hkscs)?|shift[-_]jis|sjis|euc-(jp|kr)|iso-2022-(jp|kr)|macintosh)",
    re.I,
)
# Encoding Standard (WHATWG), names and labels: what pages call so is a larger set.
_MEANT = {
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "ascii": "cp1252", "us-ascii": "cp1252",
    "iso-8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932",
    "sjis": "cp932", "euc-kr": "cp949", "macintosh": "mac_roman",
}  # fmt: skip
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# HTML Standard, prescan: a page names its encoding within the first 1024 bytes.
_IN_PAGE = re.compile(rb"<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
HEAD = 1024


def decoded(data: bytes, *, said: str = "") -> str:
    """As UTF-8 if it is that, which other encodings never are by chance; else as *said*, else as the page says."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    found = _IN_PAGE.search(data[:HEAD])
    names = [said, found[1].decode("ascii", "replace") if found else ""]
    named = next((name.lower() for name in names if _KNOWN.fullmatch(name)), "")
    # These two are ASCII on the wire, and so UTF-8 as well.
    if not named.startswith("iso-2022"):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    if named.startswith("utf-8") or named == "utf8":
        text = data.decode("utf-8", "replace")
        broken = text.count("\ufffd")
        if broken < sum(char > "\x7f" for char in text) - broken:
            return text
        named = ""
    try:
        return data.decode(_MEANT.get(named, named or "cp1252"), "replace")
    except LookupError:
        return data.decode("cp1252", "replace")


def charset_of(content_type: str) -> str:
    """What a Content-Type header says; '' for nothing."""
    found = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", content_type, re.I)
    return found[1] if found else ""
