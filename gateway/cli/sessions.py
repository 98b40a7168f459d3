"""`parley sessions`: conversations, and what was said in them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import compactions, show
from gateway.cli.client import asked
from gateway.cli.options import AsJson, Config

app = typer.Typer(no_args_is_help=True, help="Conversations on every channel, and what was said in them.")

HEADINGS = {"user": "you", "assistant": "agent"}


@app.command("list")
def recent(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many at most.")] = 20,
    channel: Annotated[str | None, typer.Option(help="Only of this channel: main, telegram, job.")] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """The sessions that were active last.

    \b
    Examples:
      parley sessions list
      parley sessions list --channel telegram -n 5
      parley sessions list --json | jq -r '.[].id'
    """
    found: list[dict[str, Any]] = asked(config, "GET", "/v1/sessions", limit=limit, channel=channel)
    if json:
        show.as_json(found)
    elif not found:
        print("No session yet. Start one with: parley chat")
    else:
        show.table(
            ("id", "channel", "title", "messages", "state", "active"),
            [_row(each) for each in found],
            right=(3,),
        )


def _row(session: dict[str, Any]) -> tuple[str, ...]:
    by = f"job {session['triggered_by']}: " if session["triggered_by"] else ""
    return (
        session["id"],
        session["channel"],
        by + (session["title"] or "-"),
        show.count(session["message_count"]),
        ("closed" if session["is_closed"] else "open") + ("" if session["is_read"] else ", unread"),
        show.ago(session["last_active_at"]),
    )


@app.command("show")
def one(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `parley sessions list` shows it.")],
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=500, help="The last so many messages.")
    ] = 100,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """What was said in a session.

    \b
    Examples:
      parley sessions show K7M2Q9XT4B
      parley sessions show K7M2Q9XT4B -n 2 --json
    """
    session = asked(config, "GET", f"/v1/sessions/{id}")
    messages = asked(config, "GET", f"/v1/sessions/{id}/messages", limit=limit)
    if json:
        show.as_json({"session": session, "messages": messages})
        return
    print(
        f"{session['title'] or 'Untitled'}   {session['id']}, {session['channel']}, {show.when(session['created_at'])}"
    )
    for message in messages:
        print(f"\n{HEADINGS.get(message['role'], message['role'])}, {show.when(message['created_at'])}")
        print(show.safe(message["text"]))


app.command()(compactions.compact)
app.command()(compactions.compactions)
