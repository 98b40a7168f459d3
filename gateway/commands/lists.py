"""/sessions and /search: finding a session again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import get_args

from gateway.calls import Call, Offer, Reply
from gateway.commands.command import misread, viewer_of
from gateway.commands.listed import OFFERED, current, line, offer
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import Match, SessionManager
from gateway.manager.labels import tag_of
from gateway.texts import say
from gateway.types.people import Viewer
from gateway.types.sessions import Filter, SessionState

PAGE = 20
LAST_PAGE = 10_000
FOUND = 10  # of a search
STATES: tuple[SessionState, ...] = get_args(SessionState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be listed. *everywhere*: not only what belongs to this chat."""

    filter: Filter = field(default_factory=Filter)
    everywhere: bool = False
    page: int = 1


async def sessions(manager: SessionManager, call: Call) -> Reply:
    """A page at a time, newest activity first."""
    asked = wanted(call)
    here = await current(manager, call)
    viewer = viewer_of(call)
    found = await manager.list(
        _scope(asked, viewer), limit=PAGE + 1, skip=(asked.page - 1) * PAGE, viewer=viewer
    )
    if not found:
        if asked.page > 1:
            raise Refused(key="session.no_page", page=asked.page)
        raise Refused(key="session.none" if asked == Wanted() else "listed.none")
    lines = [line(manager, each, here, call) for each in found[:PAGE]]
    head = say("listed.everywhere" if asked.everywhere else "session.page", call.lang, page=asked.page)
    words = [word for word in call.args.split() if not word.isdigit()]
    older = " ".join([*words, str(asked.page + 1)])
    more = [Offer.run(say("session.next_page", call.lang), "sessions", older)] if found[PAGE:] else []
    return Reply(text="\n".join([head, "", *lines, "", say("session.resume_hint", call.lang)]), offers=more)


def _scope(asked: Wanted, viewer: Viewer) -> Filter:
    """What jobs began, and what nobody has opened, belongs to no chat: in their own, people see all that is theirs."""
    if asked.everywhere:
        return asked.filter
    if asked.filter.trigger is not None or asked.filter.unread:
        if viewer.everything:
            return asked.filter
        if viewer.person is not None:
            return replace(asked.filter, person=viewer.person)
    return replace(asked.filter, conversation=viewer.conversation)


def wanted(call: Call) -> Wanted:
    """Words in any order: a page, #tag, unread, a state, job or job:NAME, all. Raises Refused for any other."""
    found = Wanted()
    for word in call.args.split():
        low = word.lower()
        if low.isascii() and low.isdigit() and 1 <= int(low) <= LAST_PAGE:
            found = replace(found, page=int(low))
        elif low == "all":
            found = replace(found, everywhere=True)
        elif word.startswith("#"):
            found = replace(found, filter=replace(found.filter, tag=tag_of(word)))
        elif low == "unread":
            found = replace(found, filter=replace(found.filter, unread=True))
        elif low in STATES:
            state = next(each for each in STATES if each == low)
            found = replace(found, filter=replace(found.filter, state=state))
        elif low == "job" or low.startswith("job:"):
            found = replace(found, filter=replace(found.filter, trigger=word[4:]))
        else:
            raise misread(call, "sessions")
    return found


async def search(manager: SessionManager, call: Call) -> Reply:
    """Words in titles and messages, of all the sessions that who asks may see from here; #tag: only with that tag."""
    words = call.args.split()
    tag = next((word for word in words if word.startswith("#") and word != "#"), None)
    if tag is not None:
        words.remove(tag)
    filter, text, seen = Filter(tag=None if tag is None else tag_of(tag)), " ".join(words), viewer_of(call)
    if tag is not None and not words:
        listed = await manager.list(filter, limit=FOUND + 1, viewer=seen)
        found = [Match(session=each, seq=None, snippet="") for each in listed]
    else:
        found = await manager.search(text, filter, limit=FOUND + 1, viewer=seen)
    if not found:
        raise Refused(key="listed.no_match")
    here = await current(manager, call)
    lines: list[str] = []
    for match in found[:FOUND]:
        lines.append(line(manager, match.session, here, call))
        if match.seq is not None:
            lines.append(f"  {plain(match.snippet, 200)}")
    if found[FOUND:]:
        lines.append(say("listed.more", call.lang))
    offers = [offer(each.session) for each in found[:FOUND] if each.session.id != here][:OFFERED]
    return Reply(text="\n".join([*lines, "", say("session.resume_hint", call.lang)]), offers=offers)
