"""`parley sessions rewind, undo, redo, retry, fork, clear, cancel, configure`: its turns, and how the model answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from gateway.cli import show
from gateway.cli.options import AsJson, Config
from gateway.cli.session_asking import Id, asked_of

Thinking = Literal["off", "low", "medium", "high", "default"]


def rewind(
    id: Id,
    turns: Annotated[int, typer.Argument(min=0, help="So many stay, counted from the beginning.")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Take back later turns: the model no longer sees them. The bill stays, and what tools did is not undone.

    \b
    Examples:
      parley sessions rewind K7M2Q9XT4B 3
      parley sessions redo K7M2Q9XT4B        brings them back
    """
    _rewound(asked_of(config, id, "POST", "/rewind", turns=turns), "taken back", json)


def undo(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Take the last turn back. The bill stays, and what tools did in it is not undone.

    \b
    Examples:
      parley sessions undo K7M2Q9XT4B
      parley sessions redo K7M2Q9XT4B           brings it back
    """
    _rewound(asked_of(config, id, "POST", "/undo"), "taken back", json)


def redo(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Bring back what was taken back, unless something was said since.

    \b
    Example:
      parley sessions redo K7M2Q9XT4B
    """
    _rewound(asked_of(config, id, "POST", "/redo"), "brought back", json)


def retry(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Take the last turn back and ask its message again; prints the new answer.

    What tools did in the turn that is taken back is not undone: they may do it once more.

    \b
    Example:
      parley sessions retry K7M2Q9XT4B
    """
    done = asked_of(config, id, "POST", "/retry")
    if json:
        show.as_json(done)
    else:
        print(show.safe(done["text"]))
    if done["state"] != "done":
        raise typer.Exit(1)


def fork(
    id: Id,
    turns: Annotated[
        int | None, typer.Option(min=0, help="Copy the first so many; all when left out.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The title of the copy.")] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Copy a session; the copy goes on by itself, and its cost begins at nothing.

    \b
    Example:
      parley sessions fork K7M2Q9XT4B --turns 3 --name "Another way"
    """
    done = asked_of(config, id, "POST", "/fork", turns=turns, name=name)
    show.told(done, f"{done['id']}   {done['title'] or 'Untitled'}", json=json)


def clear(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Let the model forget what was said; transcript and bill stay.

    \b
    Example:
      parley sessions clear K7M2Q9XT4B
    """
    done = asked_of(config, id, "POST", "/clear")
    show.told(done, f"The model has forgotten what was said in {done['id']}.", json=json)


def cancel(id: Id, config: Config = None, json: AsJson = False) -> None:
    """Say no to what waits for a yes in a session, and stop its running turn.

    \b
    Example:
      parley sessions cancel K7M2Q9XT4B
    """
    done = asked_of(config, id, "POST", "/cancel")
    show.told(done, "Stopped." if done["cancelled"] else "Nothing was running.", json=json)


def configure(
    id: Id,
    model: Annotated[str | None, typer.Option(help="provider:model, or default.")] = None,
    thinking: Annotated[Thinking | None, typer.Option(help="How long it thinks.")] = None,
    thinking_tokens: Annotated[
        int | None, typer.Option(min=0, help="The same in tokens: the least level that has as many.")
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="What the model is told of itself; '' for the usual.")
    ] = None,
    auto_compact: Annotated[
        bool | None,
        typer.Option("--auto-compact/--no-auto-compact", help="Shorten it unasked when it is long."),
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Change how the model answers in one session, from the next turn on; what is left out stays.

    \b
    Examples:
      parley sessions configure K7M2Q9XT4B --thinking high
      parley sessions configure K7M2Q9XT4B --model default --no-auto-compact
    """
    if all(each is None for each in (model, thinking, thinking_tokens, system, auto_compact)):
        raise typer.BadParameter("say what to change; --help lists it", param_hint="configure")
    done = asked_of(
        config,
        id,
        "POST",
        "/configure",
        model=model,
        thinking=thinking,
        thinking_tokens=thinking_tokens,
        system_prompt=system,
        auto_compact=auto_compact,
    )
    show.told(done, f"{done['id']}: from the next turn on.", json=json)


def _rewound(done: dict[str, Any], what: str, json: bool) -> None:
    text = f"{show.many(done['turns'], 'turn')} {what}, {done['left']} left."
    if done["tools"]:
        text += " What tools did in it is not undone."
    show.told(done, text, json=json)


COMMANDS = (rewind, undo, redo, retry, fork, clear, cancel, configure)
