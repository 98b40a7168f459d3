"""`parley sessions rename, tag, untag, mark, archive, unarchive, pause, unpause`: what is written on a session."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.options import AsJson, Config
from gateway.cli.session_asking import Id, asked_of


def rename(
    id: Id,
    title: Annotated[list[str], typer.Argument(help="One line of at most 60 characters.")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Give a session another title.

    \b
    Example:
      parley sessions rename K7M2Q9XT4B What whales eat
    """
    done = asked_of(config, id, "POST", "/rename", title=" ".join(title))
    show.told(done, f"{done['id']} is called {done['title']} now.", json=json)


def tag(
    id: Id,
    tags: Annotated[list[str], typer.Argument(help="Letters, digits and - _ . / + :")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Add tags; `parley sessions list --tag sea` lists what has one.

    \b
    Example:
      parley sessions tag K7M2Q9XT4B sea biology
    """
    _tags(asked_of(config, id, "POST", "/tag", tags=tags), json)


def untag(
    id: Id,
    tags: Annotated[list[str] | None, typer.Argument(help="All of them when none is named.")] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Take tags off.

    \b
    Examples:
      parley sessions untag K7M2Q9XT4B sea
      parley sessions untag K7M2Q9XT4B          takes off all
    """
    _tags(asked_of(config, id, "POST", "/untag", tags=tags or None), json)


def mark(
    id: Id,
    read: Annotated[bool, typer.Option("--read/--unread", help="Which.")] = True,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Mark a session read, or unread.

    \b
    Examples:
      parley sessions mark K7M2Q9XT4B --unread
      parley sessions list --unread
    """
    done = asked_of(config, id, "POST", "/read", read=read)
    show.told(done, f"{done['id']} is {'read' if read else 'unread'}.", json=json)


def archive(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Close a session and take it out of the lists.

    \b
    Examples:
      parley sessions archive K7M2Q9XT4B
      parley sessions list --state archived
    """
    done = asked_of(config, id, "POST", "/archive")
    show.told(
        done, f"{done['id']} is in the archive; parley sessions list --state archived lists them.", json=json
    )


def unarchive(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Take a session out of the archive.

    \b
    Example:
      parley sessions unarchive K7M2Q9XT4B
    """
    done = asked_of(config, id, "POST", "/unarchive")
    show.told(done, f"{done['id']} is out of the archive.", json=json)


def pause(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Turn messages in a session away; a running answer goes on.

    \b
    Examples:
      parley sessions pause K7M2Q9XT4B
      parley sessions unpause K7M2Q9XT4B
    """
    done = asked_of(config, id, "POST", "/pause")
    show.told(done, "Paused." if done["changed"] else "It is paused already.", json=json)


def unpause(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Go on with a session that was paused.

    \b
    Example:
      parley sessions unpause K7M2Q9XT4B
    """
    done = asked_of(config, id, "POST", "/unpause")
    show.told(done, "It goes on." if done["changed"] else "It was not paused.", json=json)


def _tags(done: dict[str, Any], json: bool) -> None:
    show.told(done, " ".join(f"#{each}" for each in done["tags"]) or "It has no tags.", json=json)


COMMANDS = (rename, tag, untag, mark, archive, unarchive, pause, unpause)
