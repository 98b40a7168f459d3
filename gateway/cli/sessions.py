"""`parley sessions`: conversations, and what was said in them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import compactions, session_documents, session_labels, session_turns, show
from gateway.cli.client import asked
from gateway.cli.options import AsJson, Config
from gateway.cli.session_asking import Id, asked_of
from gateway.types.sessions import SessionState

app = typer.Typer(no_args_is_help=True, help="Conversations on every channel, and what was said in them.")

HEADINGS = {"user": "you", "assistant": "agent"}
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")]
Skip = Annotated[int, typer.Option(min=0, help="Leave out so many at the beginning, for the next page.")]
Channel = Annotated[str | None, typer.Option(help="Only of this channel: main, telegram, job.")]
Tag = Annotated[str | None, typer.Option(help="Only with this tag.")]
State = Annotated[SessionState | None, typer.Option(help="Only such.")]
Person = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only theirs, as telegram:12345.")]
Trigger = Annotated[str | None, typer.Option(metavar="JOB", help="Only those that this job began.")]
Unread = Annotated[bool, typer.Option("--unread", help="Only unread ones.")]


@app.command("list")
def recent(
    limit: Limit = 20,
    skip: Skip = 0,
    channel: Channel = None,
    tag: Tag = None,
    state: State = None,
    person: Person = None,
    trigger: Trigger = None,
    unread: Unread = False,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """The sessions that were active last; archived ones only with --state archived.

    \b
    Examples:
      parley sessions list
      parley sessions list --channel telegram --unread -n 5
      parley sessions list -n 100 --skip 100
      parley sessions list --json | jq -r '.[].id'
    """
    only = _only(channel, tag, state, person, trigger, unread)
    found: list[dict[str, Any]] = asked(config, "GET", "/v1/sessions", limit=limit, skip=skip, **only)
    if json:
        show.as_json(found)
    elif not found:
        some = skip or any(each is not None for each in only.values())
        print("There is no such session." if some else "No session yet. Start one with: parley chat")
    else:
        show.table(
            ("id", "channel", "title", "messages", "state", "active"),
            [_row(each) for each in found],
            right=(3,),
        )


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="All must be there; word* for a beginning.")],
    limit: Limit = 20,
    skip: Skip = 0,
    channel: Channel = None,
    tag: Tag = None,
    state: State = None,
    person: Person = None,
    trigger: Trigger = None,
    unread: Unread = False,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Find sessions by words in their titles and messages, newest activity first.

    Case and accents do not count. Archived ones only with --state archived.

    \b
    Examples:
      parley sessions search whale
      parley sessions search 'blue whal*' --tag sea
      parley sessions search '"one after another"' --channel telegram
    """
    only = _only(channel, tag, state, person, trigger, unread)
    found: list[dict[str, Any]] = asked(
        config, "GET", "/v1/sessions/search", q=" ".join(words), limit=limit, skip=skip, **only
    )
    if json:
        show.as_json(found)
    elif not found:
        print("No session has that in it.")
    else:
        rows = [(*_named(each["session"]), each["snippet"]) for each in found]
        show.table(("id", "title", "active", "found"), rows)


def _only(
    channel: str | None,
    tag: str | None,
    state: SessionState | None,
    person: str | None,
    trigger: str | None,
    unread: bool,
) -> dict[str, Any]:
    """Which sessions are meant, as the API is asked."""
    return {
        "channel": channel,
        "tag": tag,
        "state": state,
        "person": person,
        "trigger": trigger,
        "unread": unread or None,
    }


def _named(session: dict[str, Any]) -> tuple[str, ...]:
    return session["id"], session["title"] or "-", show.ago(session["last_active_at"])


def _row(session: dict[str, Any]) -> tuple[str, ...]:
    by = f"job {session['triggered_by']}: " if session["triggered_by"] else ""
    return (
        session["id"],
        session["channel"],
        by + (session["title"] or "-"),
        show.count(session["message_count"]),
        _state(session),
        show.ago(session["last_active_at"]),
    )


def _state(session: dict[str, Any]) -> str:
    return f"{session['state']}{'' if session['is_read'] else ', unread'}"


@app.command("show")
def one(
    id: Id,
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
    details: dict[str, Any] = asked_of(config, id, "GET", "/details")
    session = details["session"]
    messages = asked(config, "GET", f"/v1/sessions/{session['id']}/messages", limit=limit)
    if json:
        show.as_json({"session": session, "details": details, "messages": messages})
        return
    print(show.safe(session["title"] or "Untitled"))
    for name, value in _facts(details):
        print(f"  {name:<9}{show.safe(value)}")
    for message in messages:
        print(f"\n{HEADINGS.get(message['role'], message['role'])}, {show.when(message['created_at'])}")
        print(show.safe(message["text"]))


def _facts(details: dict[str, Any]) -> list[tuple[str, str]]:
    session, usage = details["session"], details["usage"]
    facts = [
        ("id", session["id"]),
        ("channel", session["channel"]),
        ("state", "answering" if details["running"] else _state(session)),
        ("begun", show.when(session["created_at"])),
        ("lasted" if session["is_closed"] else "lasts", show.lasting(details["duration"])),
        ("model", details["effective_model"]),
        ("turns", show.count(details["turns"]) + _back(details)),
        ("tools", f"{show.count(details['tool_calls'])} used" if details["tool_calls"] else ""),
        ("requests", show.count(usage["requests"])),
        ("cost", show.dollars(usage["cost"])),
        ("tags", " ".join(f"#{each}" for each in session["tags"])),
        ("job", session["triggered_by"] or ""),
        ("summary", session["summary"] or ""),
        ("from", details["parent"] or ""),
        ("children", " ".join(details["children"])),
        ("copies", " ".join(details["forks"])),
    ]
    return [(name, value) for name, value in facts if value]


def _back(details: dict[str, Any]) -> str:
    gone = details["turns_run"] - details["turns"]
    return f" ({show.count(gone)} taken back)" if gone > 0 else ""


for _command in (*session_labels.COMMANDS, *session_turns.COMMANDS, *session_documents.COMMANDS):
    app.command()(_command)
app.command("import")(session_documents.read_in)
app.command()(compactions.compact)
app.command()(compactions.compactions)
