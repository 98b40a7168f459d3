"""`parley tidy`: what is too old."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.options import AsJson, Config


def tidy(
    now: Annotated[
        bool, typer.Option("--now", help="Do it now instead of by night.", show_default=False)
    ] = False,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Show what is older than [retention] keeps it.

    The gateway tidies it away by night. Sessions are archived, then their content is deleted, if the
    settings say so; messages lose their text. The bill and the audit trail stay. Without --now nothing
    is changed.

    \b
    Examples:
      parley tidy
      parley backup && parley tidy --now
    """
    from gateway.cli.client import asked

    found = asked(config, "POST" if now else "GET", "/v1/retention")
    if json:
        show.as_json(found)
        return
    lines = _lines(found, done=now)
    if not lines:
        print("Nothing is too old.")
        return
    print("Done:" if now else "Too old; the gateway tidies it away by night, --now does at once:")
    for line in lines:
        print(f"  {line}")


def _lines(found: dict[str, Any], *, done: bool) -> list[str]:
    lines = [
        f"{show.many(count, 'session')} of {channel} {what if done else before}"
        for what, before in (("archived", "to archive"), ("deleted", "to delete"))
        for channel, count in found[what].items()
    ]
    for name, what in (
        ("inbox", "received: their text"),
        ("outbox", "sent: which session they belong to"),
        ("undelivered", "that could not be delivered: their text"),
    ):
        if found[name]:
            lines.append(f"{show.many(found[name], 'message')} {what}")
    return lines
