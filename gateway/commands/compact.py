"""/compact and /compactions: shorten what the model is told, look at what was put away, take it back."""

from __future__ import annotations

from typing import Literal

from gateway.amounts import cost, messages, requests, sizes
from gateway.calls import Call, Offer, Reply
from gateway.commands.command import Rule, by, misread, session_of
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import Compacted, SessionManager
from gateway.moments import shown
from gateway.reports import UsageSummary
from gateway.texts import say
from gateway.texts.forms import money, tokens

LISTED = 10
QUOTED = 80  # characters of what notes were to attend to
SWITCH: dict[str, bool | None] = {"on": True, "off": False, "default": None}
Asked = Literal["make", "undo", "redo", "auto"]


def asked(args: str) -> tuple[Asked, str]:
    """What is wanted, and the rest; whatever is none of the few words is what the notes should attend to."""
    match args.lower().split():
        case ["undo" | "redo" as word]:
            return ("undo" if word == "undo" else "redo"), ""
        case ["auto"]:
            return "auto", ""
        case ["auto", word] if word in SWITCH:
            return "auto", word
        case _:
            return "make", args.strip()


def rule(args: str) -> Rule:
    """Anybody may shorten and look; what it does by itself, and going back, is for administrators."""
    what, rest = asked(args)
    return "member" if what == "make" or (what == "auto" and not rest) else "admin"


async def compact(manager: SessionManager, call: Call) -> Reply:
    """/compact [what to attend to | undo | redo | auto [on | off | default]]."""
    what, rest = asked(call.args)
    session = await session_of(manager, call)
    if session.is_closed:
        raise Refused(key="window.closed")
    match what:
        case "make":
            return await _make(manager, call, session.id, rest)
        case "auto":
            return await _auto(manager, call, session.id, rest)
        case "undo":
            back = await manager.undo_compaction(session.id)
            return _turned(call, "compact.undone", back.before)
        case "redo":
            again = await manager.redo_compaction(session.id)
            return _turned(call, "compact.redone", again.after)


async def _make(manager: SessionManager, call: Call, id: str, focus: str) -> Reply:
    before = await manager.session_usage(id)
    identity = call.identity.id if call.identity else None
    done = await manager.compact(id, focus=focus, identity=identity)
    spent = difference(await manager.session_usage(id), before)
    lang = call.lang
    facts = {"before": tokens(done.before, lang), "after": _about(done.after, lang)}
    if done.method == "pruned":
        text = say("compact.pruned", lang, **facts)
    else:
        given, made = sizes(spent, lang)
        text = say("window.compacted", lang, **facts, cost=cost(spent, lang), given=given, made=made)
    return Reply(text=by(call, text), offers=[Offer.run(say("compact.undo", lang), "compact", "undo")])


async def _auto(manager: SessionManager, call: Call, id: str, word: str) -> Reply:
    if word:
        await manager.set_auto_compact(id, SWITCH[word])
    now, said = await manager.auto_compact(id)
    text = say("compact.auto_on" if now else "compact.auto_off", call.lang)
    if said is None:
        text += f" {say('compact.auto_usual', call.lang)}"
    if word:
        return Reply(text=by(call, text))
    others = [each for each, value in SWITCH.items() if value != said]
    return Reply(text=text, offers=[Offer.run(each, "compact", f"auto {each}") for each in others])


def _turned(call: Call, key: str, size: int | None) -> Reply:
    return Reply(text=by(call, say(key, call.lang, size=_about(size, call.lang))))


def _about(size: int | None, lang: str) -> str:
    return say("window.unknown", lang) if size is None else say("window.about", lang, size=tokens(size, lang))


async def compactions(manager: SessionManager, call: Call) -> Reply:
    """/compactions [NUMBER]: the newest of them, or what one of them put in the place of what was said."""
    session = await session_of(manager, call)
    found = await manager.compactions(session.id)
    if not found:
        return Reply(text=say("compact.none", call.lang))
    wanted = call.args.strip()
    if not wanted:
        numbered = list(enumerate(found, 1))[-LISTED:]
        lines = [f"{number}. {_line(manager, call, each)}" for number, each in reversed(numbered)]
        return Reply(
            text="\n".join([say("compact.head", call.lang), "", *lines, "", say("compact.hint", call.lang)])
        )
    if not wanted.isdecimal() or not 1 <= int(wanted) <= len(found):
        raise misread(call, "compactions")
    one = found[int(wanted) - 1]
    return Reply(text=f"{_line(manager, call, one)}\n\n{one.summary or say('compact.no_notes', call.lang)}")


def _line(manager: SessionManager, call: Call, one: Compacted) -> str:
    lang = call.lang
    parts = [
        shown(one.created_at, now=manager.core.clock(), zone=call.zone, lang=lang),
        say(
            f"compact.by_{one.trigger}"
            if one.trigger in ("manual", "auto", "overflow")
            else "compact.by_api",
            lang,
        ),
        say("compact.sizes", lang, before=tokens(one.before, lang), after=_about(one.after, lang)),
        messages(one.messages, lang),
        _how(one, lang),
    ]
    if one.focus:
        parts.append(f"“{plain(one.focus, QUOTED)}”")
    line = " · ".join(parts)
    return f"{line} · **{say('compact.taken_back', lang)}**" if one.undone else line


def _how(one: Compacted, lang: str) -> str:
    if one.method == "pruned":
        return say("compact.how_pruned", lang)
    if one.model is None:
        return say("compact.how_beginnings" if one.method == "beginnings" else "compact.how_elsewhere", lang)
    price = say("amount.unpriced", lang, number=one.requests) if one.cost is None else money(one.cost, lang)
    return (
        f"{say('compact.how_notes', lang, model=f'`{one.model}`')} · {requests(one.requests, lang)} · {price}"
    )


def difference(after: UsageSummary, before: UsageSummary) -> UsageSummary:
    """What was booked between two looks at the same sum."""
    new, old = after.tokens, before.tokens
    return UsageSummary(
        tokens=type(new)(
            new.uncached - old.uncached,
            new.read - old.read,
            new.write_5m - old.write_5m,
            new.write_1h - old.write_1h,
            new.output - old.output,
        ),
        cost=after.cost - before.cost,
        requests=after.requests - before.requests,
        turns=after.turns - before.turns,
        unpriced=after.unpriced - before.unpriced,
        estimated=after.estimated - before.estimated,
        estimated_cost=after.estimated_cost - before.estimated_cost,
    )
