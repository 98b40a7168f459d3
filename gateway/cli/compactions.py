"""`parley sessions compact` and `compactions`: what the model is told no more, and bringing it back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from gateway.cli import show
from gateway.cli.client import asked
from gateway.cli.options import AsJson, Config

Code = Annotated[str, typer.Argument(metavar="ID", help="As `parley sessions list` shows it.")]
Switch = Literal["on", "off", "default"]
HOW = {"notes": "notes", "beginnings": "notes without a model", "pruned": "old results"}
WHY = {"manual": "asked for", "auto": "by itself", "overflow": "did not fit", "api": "by a program"}


def compact(
    id: Code,
    focus: Annotated[
        str, typer.Option(metavar="TEXT", help="What the notes should attend to: 'the prices we agreed on'.")
    ] = "",
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the newest back instead.", show_default=False)
    ] = False,
    redo: Annotated[
        bool, typer.Option("--redo", help="Put back what was taken back last.", show_default=False)
    ] = False,
    auto: Annotated[
        Switch | None,
        typer.Option(
            metavar="on|off|default", help="Whether it is done by itself when the session gets too long."
        ),
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Put the earlier part of a session away, for the model: the transcript stays whole.

    Old results of tools go first; when that does not make room enough, a model writes notes ([agent]
    summary_model, else the session's own); that is on the bill.

    \b
    Examples:
      parley sessions compact K7M2Q9XT4B
      parley sessions compact K7M2Q9XT4B --focus "the prices we agreed on"
      parley sessions compact K7M2Q9XT4B --undo
      parley sessions compact K7M2Q9XT4B --auto off
    """
    if sum((bool(focus), undo, redo, auto is not None)) > 1:
        raise typer.BadParameter("give one of --focus, --undo, --redo and --auto")
    base = f"/v1/sessions/{id}"
    if auto is not None:
        told = asked(config, "POST", f"{base}/compactions/automatic", automatic=auto)
        show.as_json(told) if json else print(_automatic(told))
        return
    path = f"{base}/compactions/{'undo' if undo else 'redo'}" if undo or redo else f"{base}/compact"
    done: dict[str, Any] = asked(config, "POST", path, focus=focus or None)
    if json:
        show.as_json(done)
    elif undo:
        print(f"Taken back: about {show.count(done['before'])} tokens again. To put it back: --redo")
    elif redo:
        print(f"Put back: {_size(done['after'])} tokens.")
    else:
        print(f"{show.count(done['before'])} tokens before, {_size(done['after'])} after: {_how(done)}.")
        print(f"To take it back: parley sessions compact {id} --undo")


def _automatic(told: dict[str, Any]) -> str:
    usual = ", as configured" if told["said"] is None else ""
    return f"It is {'' if told['automatic'] else 'not '}shortened by itself{usual}."


def compactions(
    id: Code,
    number: Annotated[
        int | None, typer.Argument(metavar="NUMBER", min=1, help="Show the notes of that one.")
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """What was put away of a session: when, why, how, at what cost.

    \b
    Examples:
      parley sessions compactions K7M2Q9XT4B
      parley sessions compactions K7M2Q9XT4B 2
      parley sessions compactions K7M2Q9XT4B --json | jq '.[-1].summary'
    """
    found: list[dict[str, Any]] = asked(config, "GET", f"/v1/sessions/{id}/compactions")
    if number is not None:
        if number > len(found):
            raise typer.BadParameter(f"there are {len(found)} of them", param_hint="NUMBER")
        one = found[number - 1]
        show.as_json(one) if json else print(show.safe(one["summary"] or "There are no notes of it."))
    elif json:
        show.as_json(found)
    elif not found:
        print(f"Nothing was put away yet. To do it: parley sessions compact {id}")
    else:
        show.table(
            ("no.", "when", "why", "how", "before", "after", "messages", "cost", ""),
            [_row(place, each) for place, each in enumerate(found, 1)],
            right=(0, 4, 5, 6, 7),
        )


def _row(number: int, one: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(number),
        show.when(one["created_at"]),
        WHY.get(one["trigger"], one["trigger"]) + (f": {one['focus']}" if one["focus"] else ""),
        _how(one),
        show.count(one["before"]),
        _size(one["after"]),
        show.count(one["messages"]),
        "-" if not one["requests"] else "unpriced" if one["cost"] is None else show.dollars(one["cost"]),
        "taken back" if one["undone"] else "",
    )


def _how(one: dict[str, Any]) -> str:
    how = HOW.get(one["method"], one["method"])
    return f"{how} by {one['model']}" if one["model"] else how


def _size(tokens: int | None) -> str:
    return "?" if tokens is None else f"~{show.count(tokens)}"
