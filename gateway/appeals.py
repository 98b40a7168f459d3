"""A question that a budget refused: admins are asked, and when one of them lets it pass it is asked again.

Nobody types it anew: what was said stands in the transcript, and goes to the turn that answers it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from gateway import marking
from gateway.access import Policy, enough
from gateway.budgets import Budget, Payer, Shortfall, raised
from gateway.delivery import Delivery
from gateway.lanes import AGAIN
from gateway.linking import named
from gateway.notices import Pen, enter, under
from gateway.pairing import deciders, private_chat
from gateway.progress import Outcome, Started
from gateway.texts import say
from gateway.texts.forms import money
from gateway.types.inbound import Inbound, Kind, Lane
from gateway.types.json import Json
from gateway.types.measures import DAY, DOLLAR, HOUR
from gateway.types.outbound import Button, Chunk, OutboxRow
from gateway.types.places import Conversation
from gateway.types.turns import Turn

if TYPE_CHECKING:
    from storage import Store, Unit
    from storage.appeals import Appeal, Decision

VALID = DAY  # an older question is not asked again
QUIET = HOUR  # admins are told once of a budget, until they decide, or so long
BUTTONS: tuple[Decision, ...] = ("allow", "raise")


class Desk(Pen, Protocol):
    """What is known where a question is refused."""

    @property
    def policy(self) -> Policy: ...
    @property
    def language(self) -> str: ...  # of whoever's is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """What was refused, and the *text* of the refusal; *buttons* where somebody who may press could see them."""

    budget: Budget
    shortfall: Shortfall
    text: str
    buttons: tuple[Button, ...] = ()

    def under(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        return under(chunks, self.buttons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """*turn* was refused; its question waits in *conversation* now. *cap*: of the budget, nano-dollars (None: none).

    *notices*: (outbox origin, language, text) of the messages that asked.
    """

    turn: Turn
    conversation: Conversation
    decision: Decision
    cap: int | None
    notices: Sequence[tuple[str, str, str]] = ()

    def told(self, name: str, lang: str = "") -> str:
        """Who has decided what; *name* '': the operator."""
        name = name or say("appeal.operator", lang)
        return say(f"appeal.{self.decision}", lang, name=name, cap=capped(self.cap, lang))


def capped(cap: int | None, lang: str = "") -> str:
    """As a figure; None: there is no cap any more."""
    return say("budget.off", lang) if cap is None else money(cap, lang)


def filing(started: Started, outcome: Outcome) -> Filing | None:
    """None where no budget was in the way, or one that no admin can do anything about here."""
    over = outcome.over
    if over is None or over.budget is None:
        return None
    there = started.turn.trigger is None and (started.conversation.shared or _by_admin(started))
    buttons = _buttons(over.budget, over.worst, started.lang) if there else ()
    return Filing(budget=over.budget, shortfall=over, text=outcome.text, buttons=buttons)


async def file(unit: Unit, started: Started, filed: Filing, desk: Desk) -> list[OutboxRow]:
    """Note it, in the commit that ends its turn, and ask the admins; their rows."""
    turn, place = started.turn, started.conversation
    await unit.appeals.add(
        turn.id,
        scope=filed.budget.scope,
        scope_id=filed.budget.id,
        period=filed.budget.period,
        facts=_facts(filed.shortfall, filed.budget),
        now=desk.now,
    )
    if filed.buttons:
        await _offer(unit, turn.id, filed.buttons, place, desk.now)
        await unit.appeals.notice(turn.id, f"turn:{turn.id}", lang=started.lang, text=filed.text)
    if _by_admin(started) or not await unit.appeals.ask(turn.id, since=desk.now - QUIET):
        return []
    rows: list[OutboxRow] = []
    for channel, user_id in await deciders(unit, desk.policy):
        rows += await _ask(unit, started, filed, channel, user_id, desk)
    return rows


async def _ask(
    unit: Unit, started: Started, filed: Filing, channel: str, user_id: str, desk: Desk
) -> list[OutboxRow]:
    """The line for one admin."""
    account = await unit.people.account_by_id(started.conversation.account)
    place = await private_chat(unit, account, channel, user_id) if account is not None else None
    if place is None:
        return []
    admin = await unit.people.identity(channel, user_id)
    lang = (admin.lang if admin is not None else "") or desk.language
    text, origin = _asked(started, filed, lang), f"appeal:{started.turn.id}:{channel}:{user_id}"
    buttons = _buttons(filed.budget, filed.shortfall.worst, lang)
    rows = await enter(
        unit,
        desk,
        account=place.account,
        conversation=place.id,
        origin=origin,
        text=text,
        buttons=buttons,
    )
    if rows:
        await _offer(unit, started.turn.id, buttons, place, desk.now)
        await unit.appeals.notice(started.turn.id, origin, lang=lang, text=text)
    return rows


def _asked(started: Started, filed: Filing, lang: str) -> str:
    who, budget, over = started.identity, filed.budget, filed.shortfall
    if who is not None:
        asker = say("appeal.person", lang, name=named(who), address=f"`{who.channel}:{who.user_id}`")
    else:
        asker = say("appeal.job", lang, name=f"`{started.turn.trigger or started.session.code}`")
    return say(
        "appeal.asked",
        lang,
        asker=asker,
        worst=money(over.worst, lang),
        scope=budget.scope,
        id=f"`{budget.id}`",
        period=budget.period,
        line=budget.line(now=over.at, zone=over.zone, lang=lang),
    )


def _buttons(budget: Budget, worst: int, lang: str) -> tuple[Button, ...]:
    """In the order of BUTTONS."""
    cap = money(raised(budget, worst), lang)
    return tuple(
        Button(label=say(f"button.budget-{each}", lang, cap=cap), token=secrets.token_urlsafe(16))
        for each in BUTTONS
    )


async def _offer(unit: Unit, turn: int, buttons: Sequence[Button], place: Conversation, now: int) -> None:
    for what, button in zip(BUTTONS, buttons, strict=True):
        # In a group each member may have a conversation of their own: who may decide need not be who asked.
        args: Json = {"v": 1, "turn": turn, "chat": 1}
        await unit.outbox.button(
            button.token,
            action=f"budget-{what}",
            args=args,
            conversation=place.id,
            expires=now + VALID,
        )


def _by_admin(started: Started) -> bool:
    """Whether whoever asked can decide it."""
    who = started.identity
    return started.turn.trigger is None and who is not None and enough(who.role or "user", "admin")


def _facts(over: Shortfall, budget: Budget) -> Json:
    kept = {**asdict(budget), "model": over.model, "worst": over.worst, "at": over.at, "zone": over.zone}
    return {"v": 1, **kept}


def shortfall_of(appeal: Appeal) -> Shortfall:
    """As it stood when it was refused."""
    facts = {name: value for name, value in appeal.facts.items() if name != "v"}
    model, worst, at, zone = (facts.pop(name) for name in ("model", "worst", "at", "zone"))
    return Shortfall(budget=Budget(**facts), model=model, worst=worst, at=at, zone=zone)


async def decide(
    unit: Unit,
    turn: int,
    decision: Decision,
    *,
    actor: str,
    now: int,
    budgets: Callable[[Unit, Payer], Awaitable[list[Budget]]],
) -> Decided | None:
    """Let it pass once, or raise the budget, and put the question in line again; None: that was decided, or is too old.

    *actor* as channel:id, or cli. *budgets*: those that hold for a payer now.
    """
    found, asked = await unit.appeals.get(turn), await unit.turns.get(turn)
    if found is None or asked is None or found.created + VALID <= now:
        return None
    if not await unit.appeals.settle(turn, decision, actor=actor, now=now):
        return None
    place = await unit.places.get(asked.conversation)
    over, cap = asked.over, None
    action = f"budget {decision} {found.scope} {found.scope_id} {found.period}"
    if decision == "raise":
        payer = Payer(
            channel=place.channel,
            session=asked.session,
            conversation=asked.conversation,
            identity=asked.identity,
            job=asked.trigger,
        )
        cap = await _raise(unit, found, await budgets(unit, payer))
        action += f" {format(Decimal(cap) / DOLLAR, 'f')}" if cap is not None else " off"
    else:
        over = tuple(dict.fromkeys([*over, f"{found.scope}:{found.period}"]))
    await unit.audit.add(at=now, actor=actor, action=f"{action} for turn {turn}", outcome="done")
    await _again(unit, asked, place, over, now)
    notices = await unit.appeals.notices(turn)
    await unit.appeals.forget(turn)
    return Decided(turn=asked, conversation=place, decision=decision, cap=cap, notices=notices)


async def _raise(unit: Unit, found: Appeal, budgets: Sequence[Budget]) -> int | None:
    """The cap from now on; never lower than what somebody has made of it meanwhile. None: there is none any more."""
    over = shortfall_of(found)
    assert over.budget is not None
    held = next((each for each in budgets if each.kind == over.budget.kind), None)
    if held is None:
        return None
    cap = raised(over.budget, over.worst)
    if held.cap >= cap:
        return held.cap
    await unit.budgets.put(found.scope, found.scope_id, found.period, cap)
    return cap


def event_of(turn: int) -> str:
    """The event by which the question of a refused turn is asked again."""
    return f"{AGAIN}:{turn}"


async def _again(unit: Unit, asked: Turn, place: Conversation, over: Sequence[str], now: int) -> None:
    """A row that waits for its turn as any message; it has no words of its own."""
    rows = await unit.inbox.of_turn(asked.id)
    event = Inbound(
        event_id=event_of(asked.id),
        kind=rows[0].kind if rows else Kind.MESSAGE,
        message_id=rows[0].message_id if rows else "",
        trigger=asked.trigger,
        job_run=asked.job_run,
    )
    await unit.inbox.add(
        event,
        account=place.account,
        lane=Lane.TURN,
        state="waiting",
        received=now,
        body={"v": 1, "text": "", AGAIN: asked.id, "over": list(over)},
        conversation=place.id,
        identity=asked.identity,
        session=asked.session,
    )


async def mark(store: Store, delivery: Delivery, done: Decided, name: str) -> None:
    """Each message that asked says who has decided what, and has no buttons any more. What cannot be edited stays."""
    for origin, lang, text in done.notices:
        await marking.mark(store, delivery, origin, text, done.told(name, lang))
