"""Every command and button, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

from gateway import log
from gateway.access import enough
from gateway.calls import Call, Commands, Reply
from gateway.commands import (
    about,
    announce,
    clock,
    compact,
    consent,
    data,
    details,
    documents,
    emergency,
    instruct,
    job,
    labels,
    lists,
    model,
    place,
    session,
    speech,
    turns,
    window,
    work,
)
from gateway.commands import budget as budgets
from gateway.commands.command import Command, Handler, Press, admin, asker, changing, unknown
from gateway.commands.cost import cost
from gateway.commands.digest import digest
from gateway.commands.people import People
from gateway.commands.rights import Administers, check
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.roster import Roster
from gateway.texts import ENGLISH, LANGUAGES
from gateway.types.json import Json
from gateway.types.outbound import MenuEntry
from gateway.types.people import Role

# What the same things are called elsewhere.
ALIASES = {
    "reset": "new",
    "commands": "help",
    "cancel": "stop",
    "abort": "stop",
    "id": "whoami",
    "stats": "usage",
    "insights": "cost",
    "costs": "cost",
    "compress": "compact",
    "forget": "clear",
    "models": "model",
    "reasoning": "think",
    "busy": "queue",
    "language": "lang",
    "timezone": "zone",
    "find": "search",
    "show": "session",
    "rename": "title",
    "branch": "fork",
    "save": "export",
    "jobs": "job",
    "cron": "job",
}
# By action: whose rights count for it ('' nobody's), and what it does.
PRESSES: dict[str, tuple[str, Press]] = {
    "resume": ("resume", session.press_resume),
    "delete": ("delete", documents.press_delete),
    "continue-previous": ("", session.press_previous),
    "away-answer": ("", work.press_answer),
    "away-drop": ("", work.press_drop),
    "stop": ("stop", work.press_stop),
    "approval-yes": ("", consent.press_yes),
    "approval-no": ("", consent.press_no),
    "announce": ("announce", announce.press_announce),
    "budget-allow": ("budget", budgets.press_allow),
    "budget-raise": ("budget", budgets.press_raise),
}
Right = Literal["user", "admin", "owner", "off"]


class Table(Commands):
    """What the dispatcher asks. Uptime is counted from when the table was made.

    *rights* by a command's name go before those it comes with; 'off': there is no such command. *administers*
    says who administers a chat; None: the platform is asked.
    """

    def __init__(
        self,
        *,
        manager: SessionManager,
        roster: Roster,
        rights: Mapping[str, Right] | None = None,
        administers: Administers | None = None,
    ) -> None:
        self._manager = manager
        self.roster = roster
        self._administers = administers or manager.administers
        people = People(roster)
        self._presses = PRESSES | dict(people.presses())
        listed = [
            *_commands(self._help, partial(work.status, started=manager.core.clock())),
            *people.commands(),
        ]
        self.commands: dict[str, Command] = {each.name: each for each in listed}
        self.rights = rights or {}

    @property
    def rights(self) -> Mapping[str, Right]:
        """By the command's own name; may be swapped while running."""
        return self._rights

    @rights.setter
    def rights(self, rights: Mapping[str, Right]) -> None:
        self._rights = {ALIASES.get(name, name): right for name, right in rights.items()}
        for name in self._rights.keys() - self.commands.keys():
            log.warning(
                "commands.unknown", name=name, remedy="take it out of [commands], or spell it as /help does"
            )

    def mode(self, name: str) -> Literal["now", "between"] | None:
        found = self._find(name)
        return None if found is None else found.mode

    async def run(self, call: Call) -> Reply:
        command = self._find(call.name)
        if command is None:
            raise self._unknown(call.name, call.role)
        await self._check(command, call)
        reply = await command.handler(self._manager, call)
        return replace(reply, private=True) if command.private else reply

    async def press(self, action: str, args: Json, call: Call) -> Reply:
        if action == "run":
            return await self.run(
                replace(call, name=str(args.get("name", "")), args=str(args.get("args", "")))
            )
        found = self._presses.get(action)
        if found is None:
            raise Refused(key="button.stale")
        name, press = found
        command = self._find(name)
        if command is not None:
            await self._check(command, replace(call, name=name))
        elif name:
            raise Refused(key="button.stale")
        return await press(self._manager, args, call)

    def menu(self) -> list[MenuEntry]:
        """Every command for a platform's list of them, in English and in every other language we speak."""
        return [
            MenuEntry(
                name=each.name,
                description=each.summary(),
                private=each.private,
                admin=self._needed(each) != "user",
                translated={lang: each.summary(lang) for lang in LANGUAGES if lang != ENGLISH},
            )
            for each in self._for("owner")
        ]

    async def _check(self, command: Command, call: Call) -> None:
        live = self._manager.core.dispatcher.running(call.conversation.id)
        await check(
            command,
            call,
            needed=self._needed(command),
            running=live.started.identity if live is not None else None,
            administers=self._administers,
        )

    def _needed(self, command: Command) -> Role:
        right = self.rights.get(command.name, command.role)
        return command.role if right == "off" else right

    def _find(self, name: str) -> Command | None:
        """None also for one that is switched off."""
        found = self.commands.get(ALIASES.get(name, name))
        return None if found is not None and self.rights.get(found.name) == "off" else found

    def _for(self, role: Role) -> list[Command]:
        known = [each for name in self.commands if (each := self._find(name)) is not None]
        return [each for each in known if enough(role, self._needed(each))]

    def _unknown(self, name: str, role: Role) -> Refused:
        return unknown(name, [each.name for each in self._for(role)], ALIASES)

    async def _help(self, manager: SessionManager, call: Call) -> Reply:
        name = call.args.removeprefix("/").strip().lower()
        if not name:
            return about.listing(self._for(call.role), call.lang)
        command = self._find(name)
        if command is None:
            raise self._unknown(name, call.role)
        same = [alias for alias, real in ALIASES.items() if real == command.name]
        return about.details(command, same, self._needed(command), call.lang)


def _commands(help: Handler, status: Handler) -> list[Command]:
    """In the order in which they are listed."""
    return [
        Command(name="start", mode="now", handler=about.start),
        Command(name="help", mode="now", handler=help),
        Command(name="new", mode="between", handler=session.new),
        Command(name="resume", mode="between", handler=session.resume),
        Command(name="sessions", mode="now", handler=lists.sessions),
        Command(name="search", mode="now", handler=lists.search),
        Command(name="session", mode="now", handler=details.session),
        Command(name="history", mode="now", handler=details.history),
        Command(name="title", mode="now", handler=labels.title),
        Command(name="tag", mode="now", handler=labels.tag),
        Command(name="untag", mode="now", handler=labels.untag),
        Command(name="unread", mode="now", handler=labels.unread),
        Command(name="undo", mode="between", handler=turns.undo, shared=admin),
        Command(name="redo", mode="between", handler=turns.redo, shared=admin),
        Command(name="retry", mode="between", handler=turns.retry, shared=admin),
        Command(name="rewind", mode="between", handler=turns.rewind, shared=admin),
        Command(name="fork", mode="between", handler=turns.fork),
        Command(name="close", mode="between", handler=documents.close),
        Command(name="archive", mode="between", handler=labels.archive, shared=admin),
        Command(name="unarchive", mode="now", handler=labels.unarchive, shared=admin),
        Command(name="pause", mode="now", handler=labels.pause, shared=admin),
        Command(name="unpause", mode="now", handler=labels.unpause, shared=admin),
        Command(name="export", mode="now", handler=documents.export),
        Command(name="delete", mode="now", handler=documents.delete, shared=admin),
        Command(name="stop", mode="now", handler=work.stop, shared=asker),
        Command(name="approve", mode="now", handler=consent.approve),
        Command(name="deny", mode="now", handler=consent.deny),
        Command(name="status", mode="now", handler=status),
        Command(name="usage", mode="now", handler=window.usage, private=True),
        Command(name="cost", mode="now", handler=cost, private=True),
        Command(name="budget", mode="now", handler=budgets.budget, private=True),
        Command(name="job", mode="now", handler=job.job),
        Command(name="context", mode="now", handler=window.context),
        Command(name="compact", mode="between", handler=compact.compact, shared=compact.rule),
        Command(name="compactions", mode="now", handler=compact.compactions),
        Command(name="clear", mode="between", handler=session.clear, shared=admin),
        Command(name="model", mode="between", handler=model.model, shared=changing),
        Command(name="think", mode="between", handler=model.think, shared=changing),
        Command(name="queue", mode="now", handler=place.queue.handle, shared=changing),
        Command(name="verbose", mode="now", handler=place.verbose.handle, shared=changing),
        Command(name="footer", mode="now", handler=place.footer.handle, shared=changing),
        Command(name="gap", mode="now", handler=place.gap, shared=changing),
        Command(name="overhear", mode="now", handler=place.overhear, shared=changing),
        Command(name="tools", mode="now", handler=about.tools),
        Command(name="lang", mode="now", handler=speech.lang, private=True),
        Command(name="zone", mode="now", handler=clock.zone, private=True),
        Command(name="digest", mode="now", handler=digest, shared=changing),
        Command(name="data", mode="now", handler=data.data, private=True),
        Command(name="whoami", mode="now", handler=about.whoami, private=True),
        Command(name="system", mode="between", handler=instruct.system, role="admin"),
        Command(name="announce", mode="now", handler=announce.announce, role="admin", private=True),
        Command(name="halt", mode="now", handler=emergency.halt, role="admin"),
        Command(name="unhalt", mode="now", handler=emergency.unhalt, role="admin"),
    ]
