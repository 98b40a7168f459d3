"""`parley sessions close, export, import, delete`: ended, written out, read in, gone."""

from __future__ import annotations

import json as jsons
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from gateway.cli import show
from gateway.cli.client import asked
from gateway.cli.options import AsJson, Config, Yes
from gateway.cli.session_asking import Id, asked_of, text_of
from gateway.errors import Refused

Form = Literal["markdown", "json"]


def close(
    id: Id,
    summary: Annotated[str | None, typer.Option(help="What it was about.")] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Close a session: the next message in its chat opens a new one. /resume in the chat goes back.

    \b
    Example:
      parley sessions close K7M2Q9XT4B --summary "We agreed on Monday."
    """
    done = asked_of(config, id, "POST", "/close", summary=summary)
    if json:
        show.as_json(done)
    else:
        print("Closed." if done["closed"] else "It was closed already.")


def export(
    id: Id,
    form: Annotated[
        Form, typer.Option("--form", "-f", help="markdown, to be read; json, to be read in.")
    ] = "markdown",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A file; left out: printed.")] = None,
    config: Config = None,
) -> None:
    """Write a session out.

    \b
    Examples:
      parley sessions export K7M2Q9XT4B > whales.md
      parley sessions export K7M2Q9XT4B -f json -o whales.json
    """
    if form == "json":
        text = jsons.dumps(asked_of(config, id, "GET", "/export"), ensure_ascii=False, indent=1) + "\n"
    else:
        text = text_of(config, id, "/markdown")
    if out is None:
        print(text, end="")
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Refused(f"{out} cannot be written: {error.strerror}") from None
        print(f"Written: {out}")


def read_in(
    file: Annotated[
        Path, typer.Argument(help="From `parley sessions export -f json`; - is the standard input.")
    ],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Make a new session of an exported one. Its cost begins at nothing.

    \b
    Examples:
      parley sessions import whales.json
      parley sessions export K7M2Q9XT4B -f json | parley sessions import -
    """
    text = sys.stdin.read() if str(file) == "-" else _read(file)
    try:
        told = jsons.loads(text)
    except ValueError:
        raise Refused(f"{file} is no JSON. Export with: parley sessions export ID -f json") from None
    done = asked(config, "POST", "/v1/sessions/import", session=told)
    if json:
        show.as_json(done)
    else:
        print(show.safe(f"{done['id']}   {done['title'] or 'Untitled'}"))


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Refused(f"{file} is no text") from None


def delete(id: Id, yes: Yes = False, config: Config = None, json: AsJson = False) -> None:
    """Delete what was said in a session, with its files, for good; the bill stays. A running turn is stopped first.

    \b
    Examples:
      parley sessions delete K7M2Q9XT4B
      parley sessions delete K7M2Q9XT4B --yes   asks nothing
    """
    if not yes:
        found = asked_of(config, id, "GET")
        id, title = found["id"], found["title"] or "Untitled"
        typer.confirm(show.safe(f"Delete {id}, {title}, for good?"), abort=True)
    done = asked_of(config, id, "DELETE")
    if json:
        show.as_json(done)
    else:
        gone = f"{show.many(done['messages'], 'message')} and {show.many(done['files'], 'file')}"
        print(
            f"{done['id']} is deleted: {gone}. The bill keeps {show.many(done['requests_kept'], 'request')}."
        )


COMMANDS = (close, export, delete)
