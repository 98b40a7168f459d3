"""/rewind, /undo, /redo, /retry, /fork: turns taken back, asked again, gone on with in a copy."""

from __future__ import annotations

from gateway.calls import Call, Offer, Reply
from gateway.commands.command import alone, by, misread, session_of, viewer_of
from gateway.commands.quote import titled
from gateway.manager import SessionManager
from gateway.session_views import Rewound
from gateway.texts import say


async def rewind(manager: SessionManager, call: Call) -> Reply:
    """The first n turns stay."""
    word = call.args.strip()
    if not (word.isascii() and word.isdigit()) or len(word) > 6:
        raise misread(call, "rewind")
    session = await session_of(manager, call)
    return _taken_back(await manager.rewind(session.id, int(word), viewer=viewer_of(call)), call)


async def undo(manager: SessionManager, call: Call) -> Reply:
    alone(call)
    session = await session_of(manager, call)
    return _taken_back(await manager.undo(session.id, viewer=viewer_of(call)), call)


async def redo(manager: SessionManager, call: Call) -> Reply:
    alone(call)
    session = await session_of(manager, call)
    done = await manager.redo(session.id, viewer=viewer_of(call))
    left = say("turns.left", call.lang, count=done.left)
    return Reply(text=by(call, f"{say('turns.redone', call.lang, count=done.turns)} {left}"))


async def retry(manager: SessionManager, call: Call) -> Reply:
    """The new answer comes as an answer does."""
    alone(call)
    session = await session_of(manager, call)
    done = await manager.retry_here(
        call.conversation.id,
        session.id,
        identity=call.identity,
        origin=str(call.row.id),
        viewer=viewer_of(call),
    )
    return Reply(text=by(call, f"{say('turns.retried', call.lang)}{_effects(done, call)}"))


def _taken_back(done: Rewound, call: Call) -> Reply:
    text = say("turns.taken_back", call.lang, count=done.turns)
    left = say("turns.left", call.lang, count=done.left)
    return Reply(
        text=by(call, f"{text} {left}{_effects(done, call)}"),
        offers=[Offer.run(say("turns.bring_back", call.lang), "redo")],
    )


def _effects(done: Rewound, call: Call) -> str:
    return f" {say('turns.effects', call.lang)}" if done.tools else ""


async def fork(manager: SessionManager, call: Call) -> Reply:
    """A copy, in a thread of its own where the chat has them, else here.

    A number first keeps so many turns; the rest is its name.
    """
    first, _, rest = call.args.strip().partition(" ")
    counted = first.isascii() and first.isdigit() and len(first) <= 6
    turn, name = (int(first), rest.strip()) if counted else (None, call.args.strip())
    session = await session_of(manager, call)
    done = await manager.fork_here(
        call.conversation.id, session.id, turn, name or None, viewer=viewer_of(call)
    )
    facts = {
        "title": titled(done.session, call.lang),
        "parent": titled(session, call.lang),
        "code": session.id,
    }
    if done.aside:
        return Reply(text=by(call, say("turns.forked_aside", call.lang, **facts)))
    offers = [Offer(label=say("turns.back", call.lang), action="resume", args={"v": 1, "code": session.id})]
    return Reply(text=by(call, say("turns.forked", call.lang, **facts)), offers=offers)
