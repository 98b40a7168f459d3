"""How a conversation goes on: lease it, gate its first waiting row again, and begin one turn; one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.begin.asking import ask
from gateway.begin.gate import acting, refusal
from gateway.begin.interrupted import resume
from gateway.begin.merging import MOST_ROWS, run_of
from gateway.begin.rules import Rules, language
from gateway.begin.steps import Begun, Collect, Command, Nothing
from gateway.errors import LeaseLost
from gateway.jobs.spec import CHAT, spec_of
from gateway.types.inbound import Kind
from gateway.types.places import Conversation

if TYPE_CHECKING:
    from storage import Unit


async def begin(unit: Unit, id: int, fence: int | None, rules: Rules) -> Begun:
    """What to do next in conversation *id*; *fence* if we hold its lease already."""
    if fence is None:
        fence = await unit.places.lease(id, rules.owner)
        if fence is None:
            return Nothing()
    elif not await unit.places.holds(id, fence):
        raise LeaseLost(f"conversation {id} is somebody else's now")
    place = await unit.places.get(id)
    if not rules.served(place.account, place.channel) or await _early(unit, place, rules):
        await unit.places.release(id, fence)
        return Nothing()
    unfinished = await unit.turns.unfinished(id)
    kept = unfinished is not None and unfinished.state == "parked" and not rules.resume_parked
    if kept or rules.halted:
        # Commands go on while nothing can be asked; messages keep their order behind the turn that waits.
        head = await unit.inbox.head(id, now=rules.now, count=1)
        if head and head[0].kind is Kind.COMMAND:
            who = await unit.people.identity_by_id(head[0].identity) if head[0].identity else None
            if await refusal(unit, head[0], place, who, rules) is None:
                who = acting(place, who, rules)
                await unit.inbox.take(head[0].id, None)
                return Command(row=head[0], conversation=place, identity=who, fence=fence)
        await unit.places.release(id, fence)
        return Nothing(parked=kept, halted=rules.halted and (unfinished is not None or bool(head)))
    if unfinished is not None:
        return await resume(unit, place, unfinished, fence, rules)
    while True:
        head = await unit.inbox.head(id, now=rules.now, count=MOST_ROWS)
        if not head:
            await unit.places.release(id, fence)
            return Nothing(due=await unit.inbox.due(id, now=rules.now))
        identity = await unit.people.identity_by_id(head[0].identity) if head[0].identity else None
        reason = await refusal(unit, head[0], place, identity, rules)
        identity = acting(place, identity, rules)
        if reason is not None:
            await unit.inbox.forget(head[0].id, error=reason)
            if head[0].job_run is not None:
                await unit.jobs.run_state(head[0].job_run, "skipped", reason=reason, ended=rules.now)
        elif head[0].kind is Kind.COMMAND:
            await unit.inbox.take(head[0].id, None)
            return Command(row=head[0], conversation=place, identity=identity, fence=fence)
        else:
            run = run_of(head)
            unread = tuple(row for row in run if row.body.get("attachments"))
            if not unread:
                return await ask(unit, place, identity, run, fence, rules)
            for row in unread:
                await unit.inbox.collecting(row.id)
            return Collect(rows=unread, conversation=place, fence=fence, lang=language(identity, rules))


async def _early(unit: Unit, place: Conversation, rules: Rules) -> bool:
    """Whether a job's answer could not be sent yet: a platform it goes to is still connecting."""
    if place.channel != "job":
        return False
    job = await unit.jobs.get(place.chat_id)
    platforms = (
        {target.partition(":")[0].partition(".")[0] for target in spec_of(job).deliver_to} if job else set()
    )
    if CHAT in platforms and job is not None and job.conversation is not None:
        platforms.add((await unit.places.get(job.conversation)).channel)
    return any(rules.connecting(platform) for platform in platforms)
