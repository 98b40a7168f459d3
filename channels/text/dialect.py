"""Inline Markdown as Discord reads it: kept as it was written, but for what Discord reads otherwise."""

import html
import re

from channels.text.formula import formula
from channels.text.inline import is_web, shown
from channels.text.latex import readable
from channels.text.rules import FOOTNOTE, SPOILER, noted
from channels.text.split import visible

_SPECIAL = re.compile(r"[\\*_`~|<>\[\]#-]")
_LABEL = r"\[((?:\\.|[^\[\]\\]|!?\[(?:\\.|[^\[\]\\])*\])*)\]"
_ADDRESS = r"\(\s*(<[^<>\n]*>|(?:\\.|[^\s()\\]|\((?:\\.|[^\s()\\])*\))*)"
_TITLE = r"""(?:\s+(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\((?:\\.|[^()\\])*\)))?\s*\)"""
LINK = re.compile(rf"(!?){_LABEL}{_ADDRESS}{_TITLE}", re.S)
# Whatever has a meaning of its own, in the order in which it is looked for.
_TOKEN = re.compile(
    r"(?P<math>\$\$?|\\[(\[])"
    r"|(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`+)"
    r"|(?P<auto><https?://[^\s<>`]+>)"
    r"|(?P<note>\[\^)"
    r"|(?P<link>!?\[)"
    r"|(?P<url>https?://[^\s<>`]+)"
    r"|(?P<entity>&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)"
    r"|(?P<spoiler>\|\|+)"
    r"|(?P<run>\*\*|~~|__)"
)
# What is not cut in two where that can be avoided.
_WHOLE = re.compile(
    r"\\.|(`+)(?!`).*?(?<!`)\1(?!`)|!?\[[^\[\]\n]*\]\([^\s()]*\)|<?https?://\S+|<[@#:a][^\s<>]*>"
    r"|\*\*[^*\n]+\*\*|\*[^*\n]+\*|~~[^~\n]+~~|__[^_\n]+__|\|\|[^|\n]+\|\|"
)
_HOST = re.compile(r"(?:https?:)?//|^\s*(?:[\w-]+\.)+[a-z]{2,}(?:[/?#:]|\s*$)", re.I)


def rewritten(text: str) -> str:
    """One paragraph's inside in Discord's dialect; pure."""
    out: list[str] = []
    runs: dict[str, list[int]] = {"**": [], "~~": [], "__": []}
    at = hidden = 0  # hidden: where the marks of an open spoiler end
    while found := _TOKEN.search(text, at):
        out.append(text[at : found.start()])
        at = found.end()
        match found.lastgroup:
            case "math":
                at = _formula(text, found, out)
            case "note":
                at = _note(text, found, out)
            case "spoiler":
                spoiler = SPOILER.match(text, found.start())
                if found.end() == hidden or spoiler is None:
                    out.append(found.group() if found.end() == hidden else escaped(found.group()))
                else:
                    out.append(found.group())
                    hidden = spoiler.end()
            case "ticks":
                at = _code(text, found, out)
            case "link":
                at = _link(text, found, out)
            case "entity":
                out.append(_character(found.group()))
            case "run":
                if _stands_alone(text, found):
                    out.append(escaped(found.group()))
                else:
                    runs[found.group()].append(len(out))
                    out.append(found.group())
            case _:
                out.append(found.group())
    out.append(text[at:])
    for run, places in runs.items():
        # One without a partner would find it in a later paragraph: Discord looks across empty lines.
        if len(places) % 2:
            out[places[-1]] = escaped(run)
    return "".join(out)


def escaped(text: str) -> str:
    """The text so that Discord shows every character of it."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def whole(text: str) -> list[tuple[int, int]]:
    """The ranges of a line that belong together: code, links, what is bold."""
    return [found.span() for found in _WHOLE.finditer(text)]


def _code(text: str, ticks: re.Match[str], out: list[str]) -> int:
    """Code of one or two backticks; three would be a block. Gives where it ends."""
    run = ticks.group()
    close = re.compile(rf"(?<!`){run}(?!`)").search(text, ticks.end())
    if close is None:
        # A single one would find its partner in a later paragraph, too.
        out.append("\\`" * len(run))
        return ticks.end()
    inside = text[ticks.end() : close.start()]
    if not inside.strip(" \n"):
        out.append("\\`" * len(run) + inside + "\\`" * len(run))
    elif "`" not in inside:
        out.append(f"`{inside}`")
    else:
        inside = inside.replace("``", "`\u200b`")
        pad = "" if inside[0] == inside[-1] == " " else " " if "`" in (inside[0], inside[-1]) else ""
        # Behind an escaped backtick two more would look like the fence of a block.
        apart = "\u200b" if next((each for each in reversed(out) if each), "").endswith("`") else ""
        out.append(f"{apart}``{pad}{inside}{pad}``")
    return close.end()


def _formula(text: str, mark: re.Match[str], out: list[str]) -> int:
    found = formula(text, mark.start())
    if found is None:
        out.append(mark.group())
        return mark.end()
    end, latex = found
    out.append(escaped(" ".join(readable(latex).split("\n"))))
    return end


def _note(text: str, mark: re.Match[str], out: list[str]) -> int:
    """The sign of a footnote; at the begin of a line the note itself follows."""
    found = FOOTNOTE.match(text, mark.start())
    if found is None or text.startswith("(", found.end()):
        return _link(text, re.compile(r"\[").match(text, mark.start()) or mark, out)
    out.append(noted(found[1]))
    begins = not found.start() or text[found.start() - 1] == "\n"
    return found.end() + (begins and text.startswith(":", found.end()))


def _link(text: str, bracket: re.Match[str], out: list[str]) -> int:
    """A link or an image, which becomes a link. Gives where it ends."""
    found = LINK.match(text, bracket.start())
    if found is None:
        out.append(bracket.group())
        return bracket.end()
    label = " ".join(LINK.sub(r"\2", found[2]).split("\n")).strip()
    url = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", html.unescape(found[3].strip("<>")))
    # RFC 3986 has no backtick in addresses, and three of them would begin a block of code.
    out.append(_linked(rewritten(label) if visible(label) else "", url.replace("`", "%60")))
    return found.end()


def _linked(label: str, url: str) -> str:
    """A label with an address behind it, or both to be read where that could not be opened or would deceive."""
    if not is_web(url):
        address = escaped(shown(url)) if url else ""
        return f"{label} ({address})" if label and address and shown(url) not in label else label or address
    if not label or label == url:
        return url
    if _HOST.search(label):
        # Text that names one place and opens another. Discord shows none of those as links, either.
        return f"{label} ({url})" if url not in label else label
    return f"[{label}]({url.replace('(', '%28').replace(')', '%29')})"


def _character(entity: str) -> str:
    char = html.unescape(entity)
    if char == entity or not char.isprintable():
        return " " if char != entity else entity
    return escaped(char)


def _stands_alone(text: str, run: re.Match[str]) -> bool:
    """Whether it can neither open nor close: CommonMark shows it, Discord would take it all the same."""
    before, after = text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1]
    return (not before or before.isspace()) and (not after or after.isspace())
