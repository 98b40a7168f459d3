"""A web page as Markdown, in the process that opens what strangers have made."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.media.charset import decoded

MOST_TEXT = 400_000  # characters
LONGEST_LINK = 200  # characters; what is longer is made for machines to count clicks
DEEPEST = 400  # elements within each other
_TITLE = re.compile(r"<title[^>]{0,200}>(.{0,1000}?)</title", re.I | re.S)
_LINK = re.compile(r"\[((?:[^\[\]]|\\.)*)\]\(<?((?:[^\s()<>]|\([^\s()<>]*\))*)>?(?:\s+\"[^\"\n]*\")?\)")
_BLANK = re.compile(r"\n{3,}")


def page(path: Path, *, url: str, charset: str) -> dict[str, Any]:
    """{"title", "text"} of a page that was at *url*; without menus, forms, pictures and what a browser hides."""
    import html_to_markdown as converter

    source = decoded(path.read_bytes(), said=charset)
    options = converter.ConversionOptions(
        base_url=url,
        bullets="-",
        compact_tables=True,
        extract_metadata=False,
        max_depth=DEEPEST,
        preprocessing=converter.PreprocessingOptions(preset="aggressive"),
        skip_images=True,
    )
    text = converter.convert(source, options).content or ""
    title = _TITLE.search(source[:100_000])
    return {
        "title": " ".join(html.unescape(title[1]).split())[:300] if title else "",
        "text": _BLANK.sub("\n\n", short_links(text, url)).strip()[:MOST_TEXT],
        "cut": len(text) > MOST_TEXT,
    }


def short_links(text: str, url: str) -> str:
    """Links of the same host as a path, those of others whole; those that lead nowhere as their words."""
    parts = urlsplit(url)
    origin, here = f"{parts.scheme}://{parts.netloc}", f"{parts.scheme}://{parts.netloc}{parts.path}"

    def short(found: re.Match[str]) -> str:
        words, link = found[1], found[2].partition("#")[0]
        if not words.strip():
            return ""
        if (
            len(link) > LONGEST_LINK
            or not link.startswith(("http://", "https://", "mailto:"))
            or link == here
        ):
            return words
        if link == origin or link.startswith(f"{origin}/"):
            link = link.removeprefix(origin) or "/"
        return f"[{words}]({link})"

    return _LINK.sub(short, text)
