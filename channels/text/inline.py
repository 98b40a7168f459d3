"""What stands within a line: words, styles, code, links."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from channels.text.latex import readable
from channels.text.spans import Kind
from channels.text.split import visible
from channels.text.writer import Writer

if TYPE_CHECKING:
    from markdown_it.token import Token

_DATA_SHOWN = 60  # characters of a data: address, which can be a whole file
_STYLES: dict[str, Kind] = {"strong": "bold", "em": "italic", "s": "strikethrough", "spoiler": "spoiler"}
# What the server takes as an address: a host with a dot, no user name before it. Others are an error 400.
_WEB = re.compile(
    r"https?://(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_](?:[\w-]*[^\W_])?"
    r"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?(?:[/?#]\S*)?",
    re.I,
)


def inline(tokens: "Sequence[Token]", out: Writer) -> None:
    """Writes the inside of a paragraph, a heading or a cell."""
    for token in tokens:
        match token.type:
            case "code_inline":
                if out.links or out.quotes or out.opened.get("spoiler"):  # none of them may hold code
                    out.write(token.content)
                else:
                    out.solid("code", token.content)
            case "softbreak" | "hardbreak":
                out.write("\n" + "".join(out.margins))
            case "math_inline":
                out.write(" ".join(readable(token.content).split("\n")))
            case "link_open":
                out.links.append((str(token.attrs.get("href", "")), out.here(), len(out.parts)))
            case "link_close":
                _link(*out.links.pop(), out)
            case "image":
                label = "".join(child.content or " " for child in token.children or ())
                start, part = out.here(), len(out.parts)
                out.write(label)
                if not out.links:
                    _link(str(token.attrs.get("src", "")), start, part, out)
            case _ if token.nesting:
                kind = _STYLES[token.tag]
                (out.open if token.nesting > 0 else out.close)(kind)
            case _:
                out.write(token.content)


def _link(url: str, start: int, part: int, out: Writer) -> None:
    """Marks what was written since *start*; an address that cannot be opened is shown behind it instead."""
    label = "".join(out.parts[part:])
    if not visible(label):
        out.write(shown(url))
    if is_web(url) and not out.flat and not out.links:  # an address can stand within a link
        out.mark("text_link", start, url)
    elif visible(label) and url and shown(url) not in label:
        out.write(f" ({shown(url)})")


def is_web(url: str) -> bool:
    """Whether a link to *url* is accepted: http or https, and a host with a dot."""
    return _WEB.fullmatch(url) is not None


def shown(url: str) -> str:
    """An address as it is shown in a text."""
    if url.lower().startswith("data:") and len(url) > _DATA_SHOWN:
        return url[:_DATA_SHOWN] + "…"
    # The server would make "mailto:a@b.c" the web address http://mailto:a@b.c; a bare one it finds itself.
    return url[7:] if url.lower().startswith("mailto:") else url


def flat(tokens: "Sequence[Token]") -> str:
    """The text alone, addresses of links behind them."""
    cell = Writer(flat=True)
    inline(tokens, cell)
    return "".join(cell.parts)
