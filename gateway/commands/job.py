"""/job: what runs by the clock, made and looked after in a chat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from difflib import get_close_matches

from gateway.calls import Call, Offer, Reply
from gateway.commands.command import by
from gateway.commands.quote import plain
from gateway.errors import NotFound, Refused
from gateway.jobs import line, told
from gateway.jobs.told import Reader
from gateway.manager import JobView, Requester, SessionManager
from gateway.texts import say

Does = Callable[[SessionManager, Call, Requester, str], Awaitable[Reply]]

SHOWN_RUNS = 10
MOST_LISTED = 40
MOST_NAMED = 12  # names in a line that asks which one is meant


async def job(manager: SessionManager, call: Call) -> Reply:
    """/job [list], add, show, run, pause, resume, rm, history; what else is behind it is the job's."""
    what, *more = call.args.split(maxsplit=1) or [""]
    rest = "".join(more)
    name = ALIASES.get(what.lower(), what.lower())
    does = DOES.get(name)
    if does is None:
        near = get_close_matches(name, [*DOES, *ALIASES], n=1)
        # “/job every 90m Drink” is as good as said.
        if near or not _is_line(call.args):
            meant = ALIASES.get(near[0], near[0]) if near else "add"
            raise Refused(key="job_line.unknown", name=plain(what, 40), known=", ".join(DOES), near=meant)
        does, rest = add, call.args
    who = await manager.requester(call.conversation, call.identity, call.role, posting=does is add)
    return await does(manager, call, who, rest.strip())


async def add(manager: SessionManager, call: Call, who: Requester, text: str) -> Reply:
    """Says when it runs next, and offers to try it out."""
    if not text:
        raise Refused(key="job_line.empty")
    made = await manager.jobs.add(line.read(text).spec(call.zone), who)
    said = by(call, told.added(made, _reader(manager, call)))
    return Reply(text=said, offers=[_offer(call, "run", made)])


async def listing(manager: SessionManager, call: Call, who: Requester, text: str) -> Reply:
    """One's own; an admin's are everybody's."""
    found = await manager.jobs.list(who)
    if not found:
        return Reply(text=say("job_line.none", call.lang), private=True)
    said = told.listed(found[:MOST_LISTED], _reader(manager, call), owners=who.admin)
    if len(found) > MOST_LISTED:
        said += "\n" + say("job_said.more", call.lang, count=len(found) - MOST_LISTED)
    return Reply(text=said, private=True)


async def show(manager: SessionManager, call: Call, who: Requester, text: str) -> Reply:
    found = await manager.jobs.show(await _name(manager, who, text, call, "show"), who)
    other = "pause" if found.state == "on" else "resume"
    offers = [_offer(call, what, found) for what in ("run", other, "history")]
    said = told.detailed(found, _reader(manager, call), owners=who.admin)
    return Reply(text=said, offers=offers, private=True)


async def run(manager: SessionManager, call: Call, who: Requester, text: str) -> Reply:
    name = await _name(manager, who, text, call, "run")
    await manager.jobs.run_now(name, who)
    return Reply(text=by(call, say("job_said.runs", call.lang, name=f"`{name}`", plain=name)))


async def pause(manager: SessionManager, call: Call, who: Requester, text: str) -> Reply:
    found = await manager.jobs.pause(await _name(manager, who, text, call, "pause"), who)
    said = say("job_said.pauses", call.lang, name=f"`{found.spec.name}`")
    return Reply(text=by(call, said), offers=[_offer(call, "resume", found)])


async def resume(manager: SessionManager, call: Call, who: Requester, text: str) -> Reply:
    found = await manager.jobs.resume(await _name(manager, who, text, call, "resume"), who)
    return Reply(text=by(call, told.added(found, _reader(manager, call))))


async def remove(manager: SessionManager, call: Call, who: Requester, text: str) -> Reply:
    if not text:
        raise await _which(manager, who, call, "rm")
    name = await _name(manager, who, text, call, "rm")
    await manager.jobs.remove(name, who)
    return Reply(text=by(call, say("job_said.removed", call.lang, name=f"`{name}`", plain=name)))


async def history(manager: SessionManager, call: Call, who: Requester, text: str) -> Reply:
    """Of a job that was removed too."""
    name = await _name(manager, who, text, call, "history", removed=True)
    found = await manager.jobs.history(name, SHOWN_RUNS, who)
    reader = _reader(manager, call)
    lines = [f"- {told.run_line(each, reader)}" for each in found]
    said = "\n".join(lines) if lines else say("job_said.no_runs", call.lang)
    return Reply(text=f"**`{name}`**\n\n{said}", private=True)


DOES: dict[str, Does] = {
    "list": listing,
    "add": add,
    "show": show,
    "run": run,
    "pause": pause,
    "resume": resume,
    "rm": remove,
    "history": history,
}
# What the same is called elsewhere.
ALIASES = {
    "": "list", "ls": "list", "new": "add", "create": "add", "info": "show", "start": "run", "test": "run",
    "stop": "pause", "off": "pause", "on": "resume", "unpause": "resume", "remove": "rm", "delete": "rm",
    "del": "rm", "runs": "history", "log": "history",
}  # fmt: skip


def _is_line(text: str) -> bool:
    try:
        return bool(line.read(text).prompt)
    except Refused:
        return False


async def _name(
    manager: SessionManager, who: Requester, text: str, call: Call, what: str, *, removed: bool = False
) -> str:
    """The name that is meant: written in other letters, or left out where there is one job only. Raises Refused."""
    known = [each.spec.name for each in await manager.jobs.list(who)]
    wanted = text.strip('`"“” ')
    if not wanted:
        if len(known) == 1:
            return known[0]
        raise await _which(manager, who, call, what)
    same = [name for name in known if name.casefold() == wanted.casefold()]
    if wanted in known or len(same) == 1:
        return wanted if wanted in known else same[0]
    if removed:
        return wanted
    near = get_close_matches(wanted, known, n=1)
    if near:
        raise NotFound(key="job_line.near", name=plain(wanted), near=f"`{near[0]}`")
    raise NotFound(key="job.none", name=plain(wanted))


async def _which(manager: SessionManager, who: Requester, call: Call, what: str) -> Refused:
    known = [each.spec.name for each in await manager.jobs.list(who)]
    if not known:
        return Refused(key="job_line.none")
    return Refused(
        key="job_line.which",
        names=", ".join(f"`{each}`" for each in known[:MOST_NAMED]),
        what=what,
        name=known[0],
    )


def _reader(manager: SessionManager, call: Call) -> Reader:
    return Reader(now=manager.core.clock(), zone=call.zone, lang=call.lang)


def _offer(call: Call, what: str, job: JobView) -> Offer:
    """A button that gives the command."""
    return Offer.run(say(f"job_button.{what}", call.lang), "job", f"{what} {job.spec.name}")
