"""What was used, and how long it took, as people read it; pure."""

from __future__ import annotations

from gateway.reports import UsageSummary
from gateway.texts import say
from gateway.texts.forms import money, tokens
from gateway.types.measures import MINUTE


def cost(usage: UsageSummary, lang: str = "") -> str:
    """A sum, and beside it how many requests have no known price (they are not in the sum)."""
    if not usage.unpriced:
        return money(usage.cost, lang)
    unpriced = say("amount.unpriced", lang, number=usage.unpriced)
    return f"{money(usage.cost, lang)} + {unpriced}" if usage.cost else unpriced


def line(usage: UsageSummary, lang: str = "") -> str:
    """Tokens and cost on one line."""
    cached = ""
    if usage.total_cache_read or usage.total_cache_write:
        read, written = tokens(usage.total_cache_read, lang), tokens(usage.total_cache_write, lang)
        cached = say("amount.cached", lang, read=read, written=written)
    given, made = sizes(usage, lang)
    return say("amount.line", lang, given=given, cached=cached, made=made, cost=cost(usage, lang))


def sizes(usage: UsageSummary, lang: str = "") -> tuple[str, str]:
    """The tokens that went in, and those that came out."""
    return tokens(usage.total_input_tokens, lang), tokens(usage.total_output_tokens, lang)


def spared(usage: UsageSummary, lang: str = "") -> str:
    """By how much a cache has changed the bill; '' where it has not."""
    if not usage.saved:
        return ""
    key = "amount.saved" if usage.saved > 0 else "amount.dearer"
    return say(key, lang, amount=money(abs(usage.saved), lang))


def estimated(usage: UsageSummary, lang: str = "") -> str:
    """What part of a sum is an upper bound; '' when all of it is exact."""
    if not usage.estimated:
        return ""
    if not usage.estimated_cost and usage.unpriced:  # what has no price cannot be said to cost nothing
        return say("amount.estimated", lang, requests=requests(usage.estimated, lang))
    most = money(usage.estimated_cost, lang)
    return say("amount.estimated_cost", lang, most=most, requests=requests(usage.estimated, lang))


def duration(micros: int, lang: str = "") -> str:
    """A length of time as people say it."""
    minutes = micros // MINUTE
    if minutes < 1:
        return say("span.little", lang)
    if minutes < 120:
        return say("span.minutes", lang, count=minutes)
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        if rest:
            return say("span.clock", lang, hours=hours, minutes=f"{rest:02d}")
        return say("span.hours", lang, count=hours)
    return say("span.days", lang, count=hours // 24)


def requests(count: int, lang: str = "") -> str:
    return say("amount.requests", lang, count=count)


def messages(count: int, lang: str = "") -> str:
    return say("amount.messages", lang, count=count)
