"""Every command and button, by name."""

from __future__ import annotations

from functools import partial
from typing import Literal

from gateway.calls import Call, Commands, Reply
from gateway.commands import about, session, window, work
from gateway.commands.command import Command, Handler, Press, unknown
from gateway.commands.cost import cost
from gateway.commands.people import People
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.roster import Roster
from gateway.types import Json, Role

ALIASES = {"reset": "new"}
PRESSES: dict[str, Press] = {
    "resume": session.press_resume,
    "continue-previous": session.press_previous,
    "away-answer": work.press_answer,
    "away-drop": work.press_drop,
    "stop": work.press_stop,
}


class Table(Commands):
    """What the dispatcher asks. Uptime is counted from when the table was made."""

    def __init__(self, *, manager: SessionManager, roster: Roster) -> None:
        self._manager = manager
        self.roster = roster
        people = People(roster)
        self._presses = PRESSES | dict(people.presses())
        listed = [
            *_commands(self._help, partial(work.status, started=manager.core.clock())),
            *people.commands(),
        ]
        self.commands: dict[str, Command] = {each.name: each for each in listed}

    def mode(self, name: str) -> Literal["now", "between"] | None:
        found = self._find(name)
        return None if found is None else found.mode

    async def run(self, call: Call) -> Reply:
        command = self._find(call.name)
        if command is None or not _may(command, call.role):
            raise self._unknown(call.name, call.role)
        return await command.handler(self._manager, call)

    async def press(self, action: str, args: Json, call: Call) -> Reply:
        found = self._presses.get(action)
        if found is None:
            raise Refused(key="button.stale")
        return await found(self._manager, args, call)

    def menu(self) -> list[tuple[str, str]]:
        """(name, description) for a platform's list of commands, which everybody sees."""
        return [(each.name, each.summary) for each in self._for("user")]

    def _find(self, name: str) -> Command | None:
        return self.commands.get(ALIASES.get(name, name))

    def _for(self, role: Role) -> list[Command]:
        return [each for each in self.commands.values() if _may(each, role)]

    def _unknown(self, name: str, role: Role) -> Refused:
        return unknown(name, [*(each.name for each in self._for(role)), *ALIASES])

    async def _help(self, manager: SessionManager, call: Call) -> Reply:
        name = call.args.removeprefix("/").strip().lower()
        if not name:
            return about.listing(self._for(call.role))
        command = self._find(name)
        if command is None or not _may(command, call.role):
            raise self._unknown(name, call.role)
        return about.details(command, [alias for alias, real in ALIASES.items() if real == command.name])


def _may(command: Command, role: Role) -> bool:
    return not command.admin or role in ("owner", "admin")


def _commands(help: Handler, status: Handler) -> list[Command]:
    """In the order in which they are listed."""
    return [
        Command(
            name="start",
            summary="Say hello and what this is",
            mode="now",
            handler=about.start,
            usage="/start",
        ),
        Command(
            name="help",
            summary="List the commands, or explain one",
            mode="now",
            handler=help,
            usage="/help lists them all, /help new explains /new.",
        ),
        Command(
            name="new",
            summary="Close this session and begin a new one",
            mode="between",
            handler=session.new,
            usage="/new closes the current session once the running answer is done. Nothing is lost: "
            "/resume goes back.",
        ),
        Command(
            name="resume",
            summary="Go back to an earlier session",
            mode="between",
            handler=session.resume,
            usage="/resume lists the latest sessions of this chat, /resume 7K2M9QX4TD goes back to the one with "
            "that code.",
        ),
        Command(
            name="stop",
            summary="Stop the answer being written",
            mode="now",
            handler=work.stop,
            usage="/stop stops the running answer and keeps what it said so far, /stop all drops the messages "
            "that wait too.",
        ),
        Command(
            name="status",
            summary="Show model, session and what is going on",
            mode="now",
            handler=status,
            usage="/status",
        ),
        Command(
            name="usage",
            summary="Show tokens and cost of this session",
            mode="now",
            handler=window.usage,
            usage="/usage shows the last answer and the whole session. Requests whose price is not known are "
            "counted as unpriced; what could only be estimated is shown apart.",
        ),
        Command(
            name="cost",
            summary="Show the bill: today, 7d, 30d, by model, day, …",
            mode="now",
            handler=cost,
            usage="/cost today, /cost 7d by day, /cost 2026-07-01..2026-07-15 by user. "
            "Times: today, 7d, 30d, 90d, all, or two dates (both included); 30d when none is given. "
            "By: user, model, day, channel, trigger, purpose, tool; model when none is given. "
            "Owners and admins see everybody's, all others their own.",
        ),
        Command(
            name="context",
            summary="Show how full the model's window is",
            mode="now",
            handler=window.context,
            usage="/context shows the tokens of the last request and how many fit.",
        ),
        Command(
            name="compact",
            summary="Shorten this session to a summary",
            mode="between",
            handler=window.compact,
            usage="/compact lets the model summarise what was said so far; the next messages build on that "
            "summary. It takes one request, which is on the bill; the transcript stays whole.",
        ),
        Command(
            name="whoami",
            summary="Show your id, role and address",
            mode="now",
            handler=about.whoami,
            usage="/whoami shows the address by which the operator can let you in or change your role.",
        ),
    ]
