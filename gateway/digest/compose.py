"""A digest in words: facts to Markdown, what cannot wait first; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time

from gateway import amounts
from gateway.digest.facts import MOST_TALKS, Bill, Facts, Pending, Ran, Result, Span
from gateway.digest.talks import Talk
from gateway.jobs.reasons import reason
from gateway.moments import clock, shown
from gateway.plain import plain
from gateway.reports import Share
from gateway.texts import say
from gateway.texts.forms import dated

TITLE = 60  # characters, of a question or a title
ANSWER = 110  # of an answer, a result or a summary
MOST_SHARES = 6  # lines of a bill
_DRESS = re.compile(r"\*\*|__|~~|`+|^\s*(#{1,6}\s+|>\s?)", re.MULTILINE)


def composed(facts: Facts, lines: Mapping[int, str], *, now: int, lang: str = "") -> str:
    """*lines*: what a model says of the talks, by their place in the list; the others are quoted."""
    sections = [
        _section("digest.pending", list(_pending(facts, now=now, lang=lang)), lang),
        _section("digest.talks", list(_talks(facts, lines, now=now, lang=lang)), lang),
        _section("digest.results", list(_results(facts, now=now, lang=lang)), lang),
        _section("digest.ran", list(_ran(facts, lang)), lang),
        _costs(facts, lang),
        _bill(facts.bill, lang) if facts.bill is not None else "",
    ]
    return "\n\n".join([_head(facts, lang), *filter(None, sections)])


def nothing(span: Span, lang: str = "") -> str:
    """The whole digest of a day on which nothing happened."""
    return say("digest.empty", lang, day=named(span, lang))


def named(span: Span, lang: str = "") -> str:
    """The day, as people write it."""
    day = _day(span.day, lang)
    return say("digest.today", lang, day=day) if span.today else day


def _day(day: date, lang: str) -> str:
    return dated(datetime.combine(day, time()), say("digest.day", lang), lang)


def _head(facts: Facts, lang: str) -> str:
    """What a phone shows of it: the day, and what is in it."""
    waiting = facts.waiting
    counts = [
        say("digest.count_pending", lang, count=waiting) if waiting else "",
        say("digest.count_talks", lang, count=len(facts.talks)) if facts.talks else "",
        say("digest.count_results", lang, count=len(facts.results)) if facts.results else "",
        amounts.cost(facts.total, lang) if facts.total.requests else "",
    ]
    return " · ".join([f"**{named(facts.span, lang)}**", *filter(None, counts)])


def _section(key: str, lines: Sequence[str], lang: str) -> str:
    return "\n".join([f"**{say(key, lang)}**", "", *lines]) if lines else ""


def _pending(facts: Facts, *, now: int, lang: str) -> Iterator[str]:
    for each in facts.pending:
        yield _waits(each, facts.span.zone, now, lang)
    if facts.held:
        yield f"- {say('digest.held', lang, count=facts.held)}"
    if facts.strangers:
        yield f"- {say('digest.strangers', lang, count=facts.strangers)}"
    if facts.refused:
        yield f"- {say('digest.refused', lang, count=facts.refused)}"


def _waits(each: Pending, zone: str, now: int, lang: str) -> str:
    when = shown(each.at, now=now, zone=zone, lang=lang)
    return f"- {say(f'digest.{each.kind}', lang, text=_words(each.text, ANSWER), when=when)}"


def _talks(facts: Facts, lines: Mapping[int, str], *, now: int, lang: str) -> Iterator[str]:
    talks, zone = facts.talks, facts.span.zone
    for number, talk in enumerate(talks[:MOST_TALKS]):
        # Of a single day the time says it all.
        when = (
            shown(talk.at, now=now, zone=zone, lang=lang) if facts.span.today else clock(talk.at, zone, lang)
        )
        said = _words(lines[number], ANSWER) if number in lines else _quoted(talk, lang)
        where = f" ({say('digest.shared', lang)})" if talk.shared else ""
        yield f"- {when}{where} {said}"
    if talks[MOST_TALKS:]:
        yield f"- {say('digest.more_talks', lang, count=len(talks) - MOST_TALKS)}"


def _quoted(talk: Talk, lang: str) -> str:
    """The first question, the last one if it is another, and how it was answered."""
    first = say("quote.title", lang, text=_words(talk.opened or talk.title, TITLE))
    last = say("quote.title", lang, text=_words(talk.asked, TITLE)) if talk.turns > 1 else ""
    answer = _words(talk.answered, ANSWER)
    return " … ".join(filter(None, (first, last))) + (f" – {answer}" if answer else "")


def _results(facts: Facts, *, now: int, lang: str) -> Iterator[str]:
    for each in facts.results:
        yield _result(each, facts.span.zone, now, lang)
    if facts.earlier:
        yield f"- {say('digest.earlier', lang, count=facts.earlier)}"


def _result(each: Result, zone: str, now: int, lang: str) -> str:
    return f"- `{each.job}`, {shown(each.at, now=now, zone=zone, lang=lang)}: {_words(each.text, ANSWER)}"


def _ran(facts: Facts, lang: str) -> Iterator[str]:
    if (gap := facts.left_out) is not None:
        first, last = (_day(each, lang) for each in (gap.first, gap.last))
        yield f"- {say('digest.left_out', lang, count=gap.days, first=first, last=last)}"
    for each in facts.ran:
        if not each.heartbeat or each.told or each.silent or each.failed:
            yield f"- {_runs(each, lang)}"
    if facts.compactions:
        yield f"- {say('digest.compactions', lang, count=facts.compactions)}"


def _runs(ran: Ran, lang: str) -> str:
    name = say("digest.heartbeat", lang) if ran.heartbeat else f"`{ran.job}`"
    parts = [say("digest.runs", lang, count=ran.told + ran.silent)] if ran.told or ran.silent else []
    if ran.silent:
        parts.append(say("digest.silent", lang, count=ran.silent))
    if ran.failed:
        parts.append(
            say("digest.failed", lang, count=ran.failed, why=_words(reason(ran.reason, lang), TITLE))
        )
    if ran.skipped and not ran.heartbeat:  # it sleeps at night, and does not make up for anything
        parts.append(say("digest.skipped", lang, count=ran.skipped))
    if ran.usage.requests:
        parts.append(amounts.cost(ran.usage, lang))
    return f"{name}: {', '.join(parts)}"


def _costs(facts: Facts, lang: str) -> str:
    total = facts.total
    if not total.requests:
        return ""
    head = say("digest.cost", lang, cost=amounts.cost(total, lang))
    estimated = amounts.estimated(total, lang)
    lines = [*_shares(facts.by_model, lang), *([f"- {estimated}"] if estimated else [])]
    return "\n".join([head, "", *lines])


def _bill(bill: Bill, lang: str) -> str:
    if not bill.total.requests:
        return ""
    head = say("digest.bill", lang, cost=amounts.cost(bill.total, lang))
    people, models = _shares(bill.by_user, lang), _shares(bill.by_model, lang)
    return "\n".join([head, "", *people, "", say("digest.by_model", lang), "", *models])


def _shares(found: Sequence[Share], lang: str) -> list[str]:
    """Dearest first."""
    lines = [
        f"- {plain(each.name, TITLE)}: {amounts.cost(each.usage, lang)}, "
        f"{amounts.requests(each.usage.requests, lang)}"
        for each in found[:MOST_SHARES]
    ]
    if found[MOST_SHARES:]:
        lines.append(f"- {say('cost.others', lang, count=len(found) - MOST_SHARES)}")
    return lines


def _words(text: str, limit: int) -> str:
    """Other people's words without their formatting."""
    return plain(_DRESS.sub("", text), limit)
