"""The pages that an answer cites, as links under it; pure. What they are called is theirs, and not trusted."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote, urlsplit

from gateway.protocols.answer import Answer, Source
from gateway.texts import say
from gateway.transcript import Part, Text

MOST = 10  # that are named
LENGTH = 80  # characters of a title
LINKED = "%/:?#@!$&'*+,;=~-._"  # RFC 3986, section 2, without brackets: a link ends at one
MARKUP = re.compile(r"[\[\]()<>*_`~|\\!#]+")


def named(answer: Answer, lang: str) -> Answer:
    """With a line of the sources that its text does not name; before what it asks for, if it does."""
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    links = [link for each in answer.sources if each.url not in text and (link := _link(each))]
    if not links or not text.strip():
        return answer
    line = Text(f"\n\n{say('search.sources', lang, list=', '.join(links[:MOST]))}")
    end = max(at for at, part in enumerate(answer.parts) if isinstance(part, Text)) + 1
    parts: tuple[Part, ...] = (*answer.parts[:end], line, *answer.parts[end:])
    return replace(answer, parts=parts)


def _link(source: Source) -> str:
    """'' for what is no address of the web. Its host stands beside it: the title may promise another."""
    try:
        host = urlsplit(source.url).hostname
    except ValueError:
        return ""
    if not host or not re.match(r"https?://", source.url):
        return ""
    title = " ".join(MARKUP.sub(" ", source.title).split())[:LENGTH].strip()
    link = f"[{title or host}]({quote(source.url, safe=LINKED)})"
    return f"{link} ({host})" if title else link
