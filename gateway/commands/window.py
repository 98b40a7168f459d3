"""/usage, /context, /compact: what this session has used, and how much fits still."""

from __future__ import annotations

from gateway.amounts import cost, estimated, line, requests, sizes, spared
from gateway.calls import Call, Reply
from gateway.commands.command import alone, by, session_of
from gateway.commands.quote import titled
from gateway.errors import Refused
from gateway.manager import NEAR_LIMIT, SessionManager
from gateway.reports import UsageSummary
from gateway.texts import say
from gateway.texts.forms import percent, tokens

BAR = 20  # characters


async def usage(manager: SessionManager, call: Call) -> Reply:
    session = await session_of(manager, call)
    last = await manager.last_turn_usage(session.id)
    whole = await manager.session_usage(session.id)
    lang = call.lang
    lines = [say("window.last", lang, used=_used(last, lang))] if last is not None else []
    total = f"{_used(whole, lang)} · {requests(whole.requests, lang)}"
    lines.append(say("window.session", lang, used=total))
    head = say("window.used", lang, title=titled(session, lang))
    return Reply(text="\n".join([head, "", *(f"- {each}" for each in lines)]))


def _used(usage: UsageSummary, lang: str) -> str:
    return " · ".join(
        each for each in (line(usage, lang), spared(usage, lang), estimated(usage, lang)) if each
    )


async def context(manager: SessionManager, call: Call) -> Reply:
    session = await session_of(manager, call)
    found = await manager.context_usage(session.id)
    used, most = tokens(found.used_tokens, call.lang), tokens(found.max_tokens, call.lang)
    full = say("window.full", call.lang, used=used, most=most, title=titled(session, call.lang))
    if found.percent >= 100 * NEAR_LIMIT:
        full += f" {say('window.nearly', call.lang)}"
    return Reply(text=f"`{bar(found.percent)}` {percent(found.percent, call.lang)}\n\n{full}")


def bar(percent: float) -> str:
    """A bar of BAR characters; anything above nothing shows, and only full looks full."""
    full = int(min(percent, 100.0) * BAR / 100)
    if percent > 0:
        full = max(full, 1)
    return "█" * full + "░" * (BAR - full)


async def compact(manager: SessionManager, call: Call) -> Reply:
    alone(call)
    session = await session_of(manager, call)
    if session.is_closed:
        raise Refused(key="window.closed")
    before = await manager.session_usage(session.id)
    done = await manager.compact(session.id, identity=call.identity.id if call.identity else None)
    spent = difference(await manager.session_usage(session.id), before)
    lang, after = call.lang, done.after
    given, made = sizes(spent, lang)
    text = say(
        "window.compacted",
        lang,
        before=tokens(done.before, lang),
        after=say("window.unknown", lang)
        if after is None
        else say("window.about", lang, size=tokens(after, lang)),
        cost=cost(spent, lang),
        given=given,
        made=made,
    )
    return Reply(text=by(call, text))


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
