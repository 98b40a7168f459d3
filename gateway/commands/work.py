"""/stop, /status and the buttons after an absence: what is being done here now."""

from __future__ import annotations

from gateway import __version__
from gateway.amounts import duration, messages
from gateway.calls import Call, Reply
from gateway.commands.command import NO_SESSION
from gateway.commands.moment import shown
from gateway.commands.quote import titled
from gateway.errors import Refused
from gateway.manager import SessionManager, Standing, Stopped
from gateway.types import Json

KEPT = "Your message is kept until the model can be reached again."


async def stop(manager: SessionManager, call: Call) -> Reply:
    if call.args.lower() not in ("", "all"):
        raise Refused("Send /stop to stop the running answer, or /stop all to drop what waits too.")
    everything = bool(call.args)
    return Reply(text=_stopped(await manager.stop_turn(call.conversation.id, waiting=everything)))


def _stopped(done: Stopped) -> str:
    said = ["I have stopped." if done.running else "Nothing is running."]
    if done.dropped:
        said.append(f"{messages(done.dropped)} that waited {'was' if done.dropped == 1 else 'were'} dropped.")
    if done.waiting:
        wait = "waits and is" if done.waiting == 1 else "wait and are"
        said.append(f"{messages(done.waiting)} {wait} answered next; /stop all drops what waits.")
    if done.kept:
        said.append(KEPT)
    return " ".join(said)


async def status(manager: SessionManager, call: Call, *, started: int) -> Reply:
    """*started*: since when this process runs."""
    now = manager.core.clock()
    standing = await manager.standing(call.conversation.id, named=call.row.session)
    lines = [
        f"Parley {__version__}, up for {duration(now - started)}",
        f"model: `{standing.model}`",
        f"session: {_session(standing)}",
        f"now: {_doing(standing, now)}",
        f"waiting: {messages(standing.waiting)}",
    ]
    if standing.held:
        lines.append(f"held since I was away: {messages(standing.held)}")
    if standing.outage_since is not None:
        since = shown(standing.outage_since, now=now, zone=manager.zone)
        lines.append(f"outage: the model refuses me since {since}; messages are kept")
    return Reply(text="\n".join(f"- {line}" for line in lines))


def _session(standing: Standing) -> str:
    session = standing.session
    if session is None:
        return NO_SESSION[0].lower() + NO_SESSION[1:]
    closed = ", closed" if session.is_closed else ""
    return f"{titled(session)} `{session.id}` ({messages(session.message_count)}{closed})"


def _doing(standing: Standing, now: int) -> str:
    if standing.running_since is not None:
        return f"answering, for {duration(now - standing.running_since)}"
    return KEPT[0].lower() + KEPT[1:] if standing.kept else "idle"


async def press_answer(manager: SessionManager, args: Json, call: Call) -> Reply:
    """[Answer] under the line about what came while we were away."""
    count = await manager.answer_held(call.conversation.id)
    return Reply(text=f"Answering {messages(count)}." if count else "There is nothing left to answer.")


async def press_drop(manager: SessionManager, args: Json, call: Call) -> Reply:
    count = await manager.drop_held(call.conversation.id)
    return Reply(text="Dropped." if count else "There is nothing left to drop.")


async def press_stop(manager: SessionManager, args: Json, call: Call) -> Reply:
    """[Stop] under “Still working”: only the turn that it was shown for, by who asked or an admin."""
    turn, live = args.get("turn"), manager.core.dispatcher.running(call.conversation.id)
    if live is None or live.started.turn.id != turn:
        raise Refused(key="button.stale")
    mine = call.identity is not None and call.identity.id == live.started.turn.identity
    if not mine and call.role not in ("owner", "admin"):
        raise Refused(key="working.not_yours")
    await manager.stop_turn(call.conversation.id)
    return Reply()
