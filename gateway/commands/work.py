"""/stop, /status and the buttons after an absence: what is being done here now."""

from __future__ import annotations

from gateway import __version__
from gateway.amounts import duration, messages
from gateway.calls import Call, Reply
from gateway.commands.command import by, misread
from gateway.commands.quote import titled
from gateway.errors import Refused
from gateway.manager import SessionManager, Standing, Stopped
from gateway.moments import shown
from gateway.texts import say
from gateway.types.json import Json


async def stop(manager: SessionManager, call: Call) -> Reply:
    if call.args.lower() not in ("", "all"):
        raise misread(call, "stop")
    done = await manager.stop_turn(call.conversation.id, waiting=bool(call.args))
    text = _stopped(done, call.lang)
    return Reply(text=by(call, text) if done.running or done.dropped else text)


def _stopped(done: Stopped, lang: str) -> str:
    said = [say("work.stopped" if done.running else "work.nothing", lang)]
    if done.dropped:
        said.append(say("work.dropped", lang, count=done.dropped))
    if done.waiting:
        said.append(say("work.next", lang, count=done.waiting))
    if done.kept:
        said.append(say("work.kept", lang))
    return " ".join(said)


async def status(manager: SessionManager, call: Call, *, started: int) -> Reply:
    """*started*: since when this process runs."""
    now, lang = manager.core.clock(), call.lang
    standing = await manager.standing(call.conversation.id, named=call.row.session)
    since = duration(now - started, lang)
    lines = [
        say("work.version", lang, version=__version__, since=since),
        say("work.model", lang, model=f"`{standing.model}`"),
        say("work.session", lang, session=_session(standing, lang)),
        say("work.now", lang, doing=_doing(standing, now, lang)),
        say("work.waiting", lang, messages=messages(standing.waiting, lang)),
    ]
    if standing.held:
        lines.append(say("work.held", lang, messages=messages(standing.held, lang)))
    if manager.halted is not None:
        lines.append(say("work.halted", lang))
    if standing.outage_since is not None:
        at = shown(standing.outage_since, now=now, zone=call.zone, lang=lang)
        lines.append(say("work.outage", lang, since=at))
    return Reply(text="\n".join(f"- {line}" for line in lines))


def _session(standing: Standing, lang: str) -> str:
    session = standing.session
    if session is None:
        return say("work.no_session", lang)
    count = messages(session.message_count, lang)
    closed = f", {say('work.closed', lang)}" if session.is_closed else ""
    return f"{titled(session, lang)} `{session.id}` ({count}{closed})"


def _doing(standing: Standing, now: int, lang: str) -> str:
    if standing.running_since is not None:
        return say("work.answering", lang, since=duration(now - standing.running_since, lang))
    return say("work.kept_now" if standing.kept else "work.idle", lang)


async def press_answer(manager: SessionManager, args: Json, call: Call) -> Reply:
    """[Answer] under the line about what came while we were away."""
    count = await manager.answer_held(call.conversation.id)
    return Reply(text=say("work.answering_held" if count else "work.none_to_answer", call.lang, count=count))


async def press_drop(manager: SessionManager, args: Json, call: Call) -> Reply:
    count = await manager.drop_held(call.conversation.id)
    return Reply(text=say("work.dropped_held" if count else "work.none_to_drop", call.lang))


async def press_stop(manager: SessionManager, args: Json, call: Call) -> Reply:
    """[Stop] under “Still working”: only the turn that it was shown for; who may is as with /stop."""
    turn, live = args.get("turn"), manager.core.dispatcher.running(call.conversation.id)
    if live is None or live.started.turn.id != turn:
        raise Refused(key="button.stale")
    await manager.stop_turn(call.conversation.id)
    return Reply()
