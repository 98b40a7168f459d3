"""Money and tokens as people read them; pure."""

from __future__ import annotations

from gateway.reports import UsageSummary
from gateway.texts import say
from gateway.types import MINUTE

LEAST = 100_000  # nano-dollars in the last decimal shown: $0.0001


def money(nano: int) -> str:
    """Nano-dollars with four decimals; what is less than the last of them is never shown as nothing."""
    if 0 < nano < LEAST:
        return "<$0.0001"
    whole, part = divmod((nano + LEAST // 2) // LEAST, 10_000)
    return f"${whole:,}.{part:04d}"


def tokens(count: int) -> str:
    """999, 12.3k, 1.23M."""
    if count < 1000:
        return str(count)
    # From here on the next unit: 999 950 would round to 1000.0k.
    if count < 999_950:
        return f"{count / 1000:.1f}".removesuffix(".0") + "k"
    return f"{count / 1_000_000:.2f}M"


def cost(usage: UsageSummary, lang: str = "") -> str:
    """A sum, and beside it how many requests have no known price (they are not in the sum)."""
    if not usage.unpriced:
        return money(usage.cost)
    unpriced = say("amount.unpriced", lang, number=usage.unpriced)
    return f"{money(usage.cost)} + {unpriced}" if usage.cost else unpriced


def line(usage: UsageSummary, lang: str = "") -> str:
    """Tokens and cost on one line."""
    cached = ""
    if usage.total_cache_read or usage.total_cache_write:
        read, written = tokens(usage.total_cache_read), tokens(usage.total_cache_write)
        cached = say("amount.cached", lang, read=read, written=written)
    given, made = tokens(usage.total_input_tokens), tokens(usage.total_output_tokens)
    return say("amount.line", lang, given=given, cached=cached, made=made, cost=cost(usage, lang))


def estimated(usage: UsageSummary, lang: str = "") -> str:
    """What part of a sum is an upper bound; '' when all of it is exact."""
    if not usage.estimated:
        return ""
    if not usage.estimated_cost and usage.unpriced:  # what has no price cannot be said to cost nothing
        return say("amount.estimated", lang, requests=requests(usage.estimated, lang))
    most = money(usage.estimated_cost)
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
