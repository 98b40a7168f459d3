"""/zone: whose clock somebody is answered by, wherever they write."""

from __future__ import annotations

import asyncio

from gateway import zones
from gateway.calls import Call, Offer, Reply
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.moments import clock
from gateway.texts import say

DEFAULT = "default"
LONGEST = 64  # characters; no zone's name is half as long


async def zone(manager: SessionManager, call: Call) -> Reply:
    """/zone [Europe/Berlin | Berlin | default]."""
    wanted, now, who = call.args.strip(), manager.core.clock(), call.identity
    if not wanted:
        key = "zone.own" if who is not None and who.zone else "zone.usual"
        return Reply(text=say(key, call.lang, zone=call.zone, clock=clock(now, call.zone, call.lang)))
    if who is None or who.person is None:
        raise Refused(key="zone.nobody")
    if wanted.lower() == DEFAULT:
        await manager.set_zone(who.person, "")
        usual = manager.zone
        return Reply(text=say("zone.default", call.lang, zone=usual, clock=clock(now, usual, call.lang)))
    # In a thread: the names of all zones take 25 ms to gather the first time.
    found = await asyncio.to_thread(zones.meant, wanted[:LONGEST])
    if len(found) != 1:
        key = "zone.several" if found else "zone.near"
        found = found or await asyncio.to_thread(zones.near, wanted[:LONGEST])
        return _which(key if found else "zone.unknown", plain(wanted, LONGEST), found, call)
    (name,) = found
    await manager.set_zone(who.person, name)
    return Reply(text=say("zone.set", call.lang, zone=name, clock=clock(now, name, call.lang)))


def _which(key: str, wanted: str, found: tuple[str, ...], call: Call) -> Reply:
    """Nothing was set; a button for each that may have been meant."""
    names = ", ".join(f"`{each}`" for each in found)
    offers = [Offer.run(each, "zone", each) for each in found]
    return Reply(text=say(key, call.lang, name=wanted, zones=names), offers=offers)
