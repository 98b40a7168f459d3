"""/data: everything there is of who asks, written out or forgotten."""

from __future__ import annotations

from gateway import archive
from gateway.access import LOCAL
from gateway.calls import Call, Offer, Reply
from gateway.commands.command import misread
from gateway.errors import DeliveryError, Refused
from gateway.manager import SessionManager
from gateway.texts import say
from gateway.types.outbound import File
from gateway.types.people import Identity
from gateway.types.places import Address


async def data(manager: SessionManager, call: Call) -> Reply:
    who = call.identity
    if who is None:
        raise Refused(key="about.nobody")
    address, asked = f"{who.channel}:{who.user_id}", call.args.strip().lower()
    if asked == "export":
        text = archive.dump(await manager.export_person(address))
        if call.conversation.channel in LOCAL:
            return Reply(text=text)
        file = File(name="parley-data.json", type="application/json", text=text)
        return Reply(text=say("data.exported", call.lang), files=[file])
    if asked == "erase yes":
        return await _erased(manager, call, who)
    if asked == "erase":
        offer = Offer.run(say("data.sure", call.lang), "data", "erase yes")
        return Reply(text=say("data.ask", call.lang), offers=[offer])
    if asked:
        raise misread(call, "data")
    return Reply(text=say("data.what", call.lang))


async def _erased(manager: SessionManager, call: Call, who: Identity) -> Reply:
    """The receipt goes out where they wrote, or to them alone, and nothing is kept of it."""
    delivery, place = manager.core.delivery, call.conversation
    line, address = delivery.line(place.account), place.address
    if line is not None and place.shared:
        try:
            chat = await line.channel.direct(who.user_id)
        except DeliveryError:
            raise Refused(key="data.private") from None
        address = Address(account=place.account, conversation=place.id, chat_id=chat)
    name = f"{who.channel}:{who.user_id}"
    done = await manager.erase_person(name, by=name)
    text = say(
        "data.erased",
        call.lang,
        sessions=done.sessions,
        messages=done.messages,
        files=done.files,
        requests=done.requests_kept,
        number=done.number,
    )
    if done.audit_kept:
        text += f" {say('data.audit', call.lang, count=done.audit_kept)}"
    if line is None:
        return Reply(text=text)
    await delivery.farewell(address, text)
    return Reply()
