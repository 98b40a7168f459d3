"""How things are printed: tables, times, amounts of money, tokens."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

SECOND = 1_000_000  # microseconds
NANO = 1_000_000_000  # nano-dollars in a dollar

# What a terminal would obey; also the marks that make text run the other way.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# As gateway.plain writes them.
ESCAPED = re.compile(r"\\([\\`*_\[<>|~&])")
DOCUMENTS = ("/export", "/save", "/data")


def safe(text: str) -> str:
    """*text* without anything that could steer the terminal; line breaks and tabs stay."""
    return CONTROL.sub("", text)


def unmarked(text: str) -> str:
    """Markdown without the backslashes before its marks: nobody renders it in a terminal."""
    return ESCAPED.sub(r"\1", text)


def is_document(asked: str) -> bool:
    """Whether the answer to that line is the content of a file, to be printed as it is."""
    return asked.strip().lower().startswith(DOCUMENTS)


def as_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def told(found: Any, sentence: str, *, json: bool) -> None:
    """What came of a command: as it was answered, or in a sentence."""
    if json:
        as_json(found)
    else:
        print(safe(sentence))


def listed(
    found: Sequence[dict[str, Any]],
    names: Sequence[str],
    row: Callable[[dict[str, Any]], Sequence[str]],
    *,
    none: str,
    json: bool,
) -> None:
    """A table with a row for each, or as it was answered; *none* is said where there are none."""
    if json:
        as_json(found)
    elif not found:
        print(none)
    else:
        table(names, [row(each) for each in found])


def error(text: str) -> None:
    print(text, file=sys.stderr)


def table(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    foot: Sequence[str] = (),
) -> None:
    """Columns in numbers of *right* are set flush right; *foot* is a last row apart."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_footer=bool(foot), header_style="bold"
    )
    for number, name in enumerate(names):
        made.add_column(
            name,
            justify="right" if number in right else "left",
            footer=foot[number] if foot else "",
            no_wrap=number in right or number == 0,
        )
    for row in rows:
        made.add_row(*(Text(safe(cell)) for cell in row))
    # Piped output is never cut at a width that nobody sees.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(made)


def dollars(nano: int) -> str:
    """Nano-dollars as the chat commands show them."""
    from gateway.texts.forms import money

    return money(nano)


def size(number: int) -> str:
    """Bytes, roughly."""
    from gateway.texts import forms

    return forms.size(number)


def many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def count(number: int) -> str:
    return f"{number:,}"


def when(at: int | None) -> str:
    """Microseconds UTC as local time; - for None."""
    return "-" if at is None else datetime.fromtimestamp(at / SECOND).strftime("%Y-%m-%d %H:%M")


def lasting(duration: int) -> str:
    """Microseconds, roughly."""
    seconds = duration / SECOND
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name}"
    return "less than a minute"


def ago(at: int | None) -> str:
    """Microseconds UTC as a distance from now, roughly; - for None."""
    if at is None:
        return "-"
    passed = int(time.time() * SECOND) - at
    return "just now" if passed < 60 * SECOND else f"{lasting(passed)} ago"
