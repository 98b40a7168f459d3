"""/budget: what is left to spend here, and setting it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from gateway.appeals import capped
from gateway.budgets import Budget
from gateway.budgets import raised as doubled
from gateway.calls import Call, Offer, Reply
from gateway.commands.command import misread, name_of, session_of
from gateway.commands.quote import plain
from gateway.errors import NotFound, Refused
from gateway.manager import SessionManager
from gateway.texts import say
from gateway.texts.forms import money
from gateway.types.json import Json
from gateway.types.measures import DOLLAR
from gateway.views import BudgetSet

Decision = Literal["allow", "raise"]
HERE = "here"  # this chat, or its session
ME = "me"


async def budget(manager: SessionManager, call: Call) -> Reply:
    """/budget, /budget show [SCOPE ID], /budget set SCOPE ID PERIOD AMOUNT, /budget allow."""
    match call.args.split():
        case [] | ["show"]:
            return await _here(manager, call)
        case ["show", scope, id]:
            _admin(call)
            return _list(await manager.budgets(scope, await _named(manager, call, scope, id)), manager, call)
        case ["set", scope, id, period, amount]:
            _admin(call)
            whose = await _named(manager, call, scope, id)
            done = await manager.set_budget(scope, whose, period, amount, by=_by(call))
            return Reply(text=told(done, call.lang))
        case ["allow"]:
            _admin(call)
            session = await session_of(manager, call)
            return Reply(text=await _decided(manager, call, await manager.refused_in(session.id), "allow"))
    raise misread(call, "budget")


async def press_allow(manager: SessionManager, args: Json, call: Call) -> Reply:
    """[Allow once] under a refusal, and in the line that asks admins."""
    return await _pressed(manager, args, call, "allow")


async def press_raise(manager: SessionManager, args: Json, call: Call) -> Reply:
    return await _pressed(manager, args, call, "raise")


async def _pressed(manager: SessionManager, args: Json, call: Call, decision: Decision) -> Reply:
    _admin(call)
    turn = args.get("turn")
    if not isinstance(turn, int):
        raise Refused(key="button.stale")
    try:
        return Reply(toast=await _decided(manager, call, turn, decision))
    except NotFound:
        raise Refused(key="button.stale") from None


async def _decided(manager: SessionManager, call: Call, turn: int, decision: Decision) -> str:
    done = await manager.decide(turn, decision, by=_by(call), name=name_of(call))
    return say(
        "appeal.allowed" if decision == "allow" else "appeal.raised",
        call.lang,
        cap=capped(done.cap, call.lang),
    )


def told(done: BudgetSet, lang: str = "") -> str:
    """What was set."""
    usual = say("budget.default" if done.configured else "budget.off", lang)
    cap = usual if done.cap is None else money(done.cap, lang)
    return say("budget.set", lang, scope=done.scope, id=f"`{plain(done.id)}`", period=done.period, cap=cap)


async def _here(manager: SessionManager, call: Call) -> Reply:
    identity = call.identity.id if call.identity is not None else None
    found = await manager.budgets_here(call.conversation.id, identity=identity, named=call.row.session)
    if not _is_admin(call):  # what everybody together spends is not for everybody's eyes
        found = [each for each in found if not each.common]
    return _list(found, manager, call)


def _list(found: list[Budget], manager: SessionManager, call: Call) -> Reply:
    if not found:
        return Reply(text=say("budget.none", call.lang))
    now, zone = manager.core.clock(), manager.core.dispatcher.habits.zone
    lines = [
        f"* {each.name(call.lang)} ({each.origin(call.lang)}): {each.line(now=now, zone=zone, lang=call.lang)}"
        for each in found
    ]
    raised = [_raised(each, call.lang) for each in found if each.near] if _is_admin(call) else []
    return Reply(text="\n".join([say("budget.head", call.lang), "", *lines]), offers=raised)


def _raised(budget: Budget, lang: str) -> Offer:
    """A button that doubles it."""
    cap = doubled(budget)
    label = say("budget.raise", lang, scope=budget.scope, period=budget.period, cap=money(cap, lang))
    id, dollars = budget.id, format(Decimal(cap) / DOLLAR, "f")
    return Offer.run(label, "budget", f"set {budget.scope} {id} {budget.period} {dollars}")


async def _named(manager: SessionManager, call: Call, scope: str, id: str) -> str:
    """What `me` and `here` stand for."""
    if id == ME and scope == "person" and call.identity is not None:
        return f"{call.identity.channel}:{call.identity.user_id}"
    if id == HERE and scope == "chat":
        return f"{call.conversation.channel}:{call.conversation.chat_id}"
    if id == HERE and scope == "session":
        current = await manager.current_session(call.conversation.id, named=call.row.session)
        if current is None:
            raise Refused(key="session.none")
        return current.id
    return id


def _admin(call: Call) -> None:
    if not _is_admin(call):
        raise Refused(key="budget.admins")


def _is_admin(call: Call) -> bool:
    return call.role in ("owner", "admin")


def _by(call: Call) -> str:
    who = call.identity
    return f"{who.channel}:{who.user_id}" if who is not None else call.conversation.channel
