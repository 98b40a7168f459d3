"""/pair, /link, /people, /block and the buttons under a request: who may talk with us, and as whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gateway.calls import Call, Offer, Reply
from gateway.commands.command import Command, Press
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.linking import address as address_of
from gateway.manager import SessionManager
from gateway.roster import ROLES, Actor, Member, Request, Roster
from gateway.texts import say
from gateway.types.json import Json
from gateway.types.people import Identity

LISTED = 30  # people; more of them push the list itself off a phone's screen


class People:
    """The handlers, over the roster that knows everybody."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster

    def commands(self) -> list[Command]:
        """In the order in which they are listed."""
        return [
            Command(name="link", mode="now", handler=self.link, private=True),
            Command(name="pair", mode="now", handler=self.pair, role="admin", private=True),
            Command(name="people", mode="now", handler=self.people, role="admin", private=True),
            Command(name="block", mode="now", handler=self.block, role="admin", private=True),
        ]

    def presses(self) -> dict[str, tuple[str, Press]]:
        """By action: the command whose rights count, and what it does."""
        return {"pair-allow": ("pair", self.press_allow), "pair-refuse": ("pair", self.press_refuse)}

    # -- letting in -------------------------------------------------------------------------------------------

    async def pair(self, manager: SessionManager, call: Call) -> Reply:
        """Whoever has the code, or the list of those who wait."""
        if call.args.strip():
            done = await self._roster.approve(call.args, by=_actor(call), account=call.conversation.account)
            return Reply(text=_decided("let_in", done, call))
        waiting = await self._roster.requests()
        if not waiting:
            return Reply(text=say("pairing.none", call.lang))
        lines = [f"- {_who(each)}" for each in waiting]
        offers = [
            Offer(
                label=f"{say(f'button.{action}', call.lang)}: {each.name or each.address}"[:40],
                action=action,
                args={"v": 1, "request": each.id},
            )
            for each in waiting
            for action in ("pair-allow", "pair-refuse")
        ]
        text = "\n".join([say("pairing.waiting", call.lang), "", *lines])
        return Reply(text=text, offers=offers)

    async def press_allow(self, manager: SessionManager, args: Json, call: Call) -> Reply:
        return await self._press("used", args, call)

    async def press_refuse(self, manager: SessionManager, args: Json, call: Call) -> Reply:
        return await self._press("refused", args, call)

    async def _press(self, what: Literal["used", "refused"], args: Json, call: Call) -> Reply:
        done = await self._roster.decide(int(args.get("request", 0)), what, by=_actor(call))
        return Reply(text=_decided("let_in" if what == "used" else "refused", done, call))

    # -- one person -------------------------------------------------------------------------------------------

    async def link(self, manager: SessionManager, call: Call) -> Reply:
        """A code, the use of one, or the end of what one did."""
        who, args = _identity(call), call.args.strip()
        if not args:
            code = await self._roster.link_code(who, call.conversation.account)
            return Reply(text=say("link.code", call.lang, code=code))
        if args.lower() == "remove":
            await self._roster.unlink(address_of(who), by=_actor(call))
            return Reply(text=say("link.parted", call.lang))
        if len(args.split()) > 1:
            raise Refused(key="link.usage")
        done = await self._roster.join(who, args, call.conversation.account)
        return Reply(text=say(done.text, call.lang, name=done.name))

    # -- everybody --------------------------------------------------------------------------------------------

    async def people(self, manager: SessionManager, call: Call) -> Reply:
        """The list, or a change to it."""
        match call.args.split():
            case []:
                return Reply(text=_listed(await self._roster.list(), call))
            case ["allow", address]:
                done = await self._roster.allow(address, by=_actor(call))
                return Reply(text=_told("allowed", done, call))
            case ["block", address]:
                return await self._block(address, call)
            case ["role", address, role] if role in ROLES:
                done = await self._roster.set_role(address, role, by=_actor(call))
                return Reply(text=_told("role", done, call))
            case _:
                raise Refused(key="people.usage")

    async def block(self, manager: SessionManager, call: Call) -> Reply:
        """Somebody by address, or whoever wrote the message that this answers."""
        address = call.args.strip()
        if address:
            return await self._block(address, call)
        if not call.row.reply_to:
            raise Refused(key="people.whom")
        writer = await self._roster.writer_of(call.conversation, call.row.reply_to)
        if writer is None:
            raise Refused(key="people.unseen")
        return await self._block(writer, call)

    async def _block(self, address: str, call: Call) -> Reply:
        done = await self._roster.block(address, by=_actor(call))
        return Reply(text=_told("blocked", done, call))


def _identity(call: Call) -> Identity:
    if call.identity is None:
        raise Refused(key="about.nobody")
    return call.identity


def _actor(call: Call) -> Actor:
    who = _identity(call)
    return Actor(name=address_of(who), role=call.role, identity=who)


def _who(request: Request) -> str:
    return f"{plain(request.name) or '?'} ({request.address})"


def _decided(key: str, done: Request, call: Call) -> str:
    name = plain(done.name) or done.address
    return say(f"pairing.{key}", call.lang, name=name, address=done.address)


def _told(key: str, member: Member, call: Call) -> str:
    name = plain(member.name) or member.address
    return say(f"people.{key}", call.lang, name=name, address=member.address, role=member.role or "user")


def _listed(members: Sequence[Member], call: Call) -> str:
    if not members:
        return say("people.nobody", call.lang)
    shown = [each for each in members if not each.address.startswith(("main:", "job:", "http:"))]
    lines = [f"- `{each.address}` {plain(each.name)} — {_standing(each, call)}" for each in shown[:LISTED]]
    if len(shown) > LISTED:
        lines.append(say("people.more", call.lang, count=len(shown) - LISTED))
    return "\n".join(lines) or say("people.nobody", call.lang)


def _standing(member: Member, call: Call) -> str:
    match member.state:
        case "allowed":
            return member.role or "group"
        case "blocked":
            return say("people.shut", call.lang)
        case _:
            return say("people.waits", call.lang)
