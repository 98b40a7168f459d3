"""/digest: yesterday summed up every day, where it was asked for."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Literal

from gateway import zones
from gateway.access import LOCAL, enough
from gateway.calls import Call, Offer, Reply
from gateway.commands.command import by
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.jobs.rights import Requester
from gateway.jobs.views import JobView
from gateway.manager import SessionManager
from gateway.moments import clock, coming
from gateway.texts import say

LONGEST = 64  # characters of a zone's name
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(am|pm|uhr|h)?")
_APART = re.compile(r"(?<=\d) +(am|pm|uhr)\b")
# Keyboards of phones make one long dash of two short ones.
_DASHES = "-–—"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """*at* (hour, minute) and *zone* as somebody calls it: None and '' where they were left out."""

    what: Literal["show", "on", "off", "now"]
    at: tuple[int, int] | None = None
    zone: str = ""
    bill: bool = False
    quiet: bool = False


async def digest(manager: SessionManager, call: Call) -> Reply:
    """/digest [on [8:00] [Europe/Berlin] [quiet] [bill] | off | now]."""
    wanted, digests = asked(call.args), manager.digests
    who = call.identity
    mine = Requester(
        identity=who.id if who is not None else None,
        admin=enough(call.role, "admin"),
        conversation=call.conversation.id,
    )
    match wanted.what:
        case "show":
            found = await digests.show(mine)
            if found is None or found.state != "on":
                return Reply(text=say("digest.off", call.lang))
            return _standing(manager, call, found)
        case "on":
            zone = await _zone(wanted.zone)
            if not zone and await digests.show(mine) is None:
                zone = call.zone
            view = await digests.turn_on(mine, at=wanted.at, zone=zone, bill=wanted.bill, silent=wanted.quiet)
            return _standing(manager, call, view)
        case "off":
            key = "digest.stopped" if await digests.turn_off(mine) else "digest.none"
            return Reply(text=by(call, say(key, call.lang)))
        case "now":
            if call.conversation.channel in LOCAL:
                text = await digests.read_now(mine, zone=call.zone)
                return Reply(text=text or say("digest.nothing", call.lang))
            await digests.now(mine, zone=call.zone)
            return Reply(text=say("digest.making", call.lang))


def asked(args: str) -> Asked:
    """Raises Refused, with examples, for what makes no sense; pure."""
    words = _APART.sub(r"\1", args.strip().lower()).split()
    what = words.pop(0) if words else "show"
    if what not in ("show", "on", "off", "now") or (words and what != "on"):
        raise Refused(key="digest.misread")
    at: tuple[int, int] | None = None
    bill = quiet = False
    zone: list[str] = []
    for word in words:
        name = word.lstrip(_DASHES)
        if name in ("bill", "quiet"):
            bill, quiet = bill or name == "bill", quiet or name == "quiet"
        elif word[0].isdigit() and at is None:
            at = time_of(word)
        else:
            zone.append(word)
    return Asked(what=what, at=at, zone=" ".join(zone), bill=bill, quiet=quiet)  # type: ignore[arg-type]


def time_of(word: str) -> tuple[int, int]:
    """(hour, minute) of 8, 8:00, 8.00, 8am, 8:30pm. Raises Refused; pure."""
    found = _TIME.fullmatch(word)
    if found is None:
        raise Refused(key="digest.misread")
    hour, minute, half = int(found[1]), int(found[2] or 0), found[3]
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            raise Refused(key="digest.misread")
        hour = hour % 12 + (12 if half == "pm" else 0)
    if hour > 23 or minute > 59:
        raise Refused(key="digest.misread")
    return hour, minute


async def _zone(name: str) -> str:
    if not name:
        return ""
    # In a thread: the names of all zones take 25 ms to gather the first time.
    found = await asyncio.to_thread(zones.meant, name[:LONGEST])
    if len(found) != 1:
        raise Refused(key="digest.zone", name=plain(name, LONGEST))
    return found[0]


def _standing(manager: SessionManager, call: Call, view: JobView) -> Reply:
    """What is set, and when it comes next."""
    zone, at = view.spec.zone, view.next_at
    if at is None:
        return Reply(text=say("digest.off", call.lang))
    lines = [
        say(
            "digest.on_chat" if call.conversation.shared else "digest.on",
            call.lang,
            clock=clock(at, zone, call.lang),
            zone=zone,
            next=coming(at, now=manager.core.clock(), zone=zone, lang=call.lang),
        )
    ]
    if view.spec.silent:
        lines.append(say("digest.quiet", call.lang))
    if view.spec.bill:
        lines.append(say("digest.with_bill", call.lang))
    offers = [
        Offer.run(say("digest.now", call.lang), "digest", "now"),
        Offer.run(say("digest.stop", call.lang), "digest", "off"),
    ]
    return Reply(text=by(call, " ".join(lines)) if call.args else " ".join(lines), offers=offers)
