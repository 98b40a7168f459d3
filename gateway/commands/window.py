"""/usage, /context: what this session has used, and how much fits still."""

from __future__ import annotations

from gateway.amounts import cost, estimated, line, requests, spared
from gateway.calls import Call, Reply
from gateway.commands.command import session_of
from gateway.commands.quote import titled
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
    searched = await manager.session_searches(session.id)
    if searched.requests:
        spent = cost(searched, lang)
        lines.append(say("search.session", lang, number=searched.requests, cost=spent))
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
    key = "window.full_about" if found.estimated else "window.full"
    full = say(key, call.lang, used=used, most=most, title=titled(session, call.lang))
    if found.percent >= 100 * NEAR_LIMIT:
        full += f" {say('window.nearly', call.lang)}"
    return Reply(text=f"`{bar(found.percent)}` {percent(found.percent, call.lang)}\n\n{full}")


def bar(percent: float) -> str:
    """A bar of BAR characters; anything above nothing shows, and only full looks full."""
    full = int(min(percent, 100.0) * BAR / 100)
    if percent > 0:
        full = max(full, 1)
    return "█" * full + "░" * (BAR - full)
