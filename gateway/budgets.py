"""How much may be spent: caps, the periods they hold for, and what still fits; pure. Money is nano-dollars."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal, get_args

from gateway.errors import ModelError, Refused
from gateway.moments import local, midnight, shown
from gateway.texts import say
from gateway.texts.forms import money
from gateway.types.measures import DOLLAR
from gateway.types.people import Role

Scope = Literal["person", "chat", "session", "job", "channel", "gateway", "request"]
Period = Literal["day", "month", "total"]
Source = Literal["own", "role", "all", "config"]
"""Where a cap comes from: set for whoever it holds for, configured for their role, set for all, configured for all."""

LEAST_OUTPUT = 256  # tokens; with fewer an answer is of no use
NEAR = 80  # percent
EVERYBODY = "*"  # the id of a cap for all who have none of their own
ENDLESS = 2**62  # microseconds; later than any request
# What a cap of each scope can hold for.
PERIODS: Mapping[Scope, tuple[Period, ...]] = {
    "person": ("day", "month"),
    "chat": ("day", "month"),
    "session": ("total",),
    "job": ("day", "month"),
    "channel": ("day", "month"),
    "gateway": ("day", "month"),
    "request": ("total",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is configured. *unpriced*: what becomes of a model without a price where a cap holds.

    *roles*: a person's caps by role, which go before *caps*; None: no cap for that role.
    """

    caps: Mapping[tuple[Scope, Period], int] = field(default_factory=dict)
    roles: Mapping[tuple[Role, Period], int | None] = field(default_factory=dict)
    unpriced: Literal["refuse", "warn"] = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """On whose account a request goes; ids of rows. *job* is its name."""

    channel: str
    session: int | None = None
    conversation: int | None = None
    identity: int | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A cap and what is used of it in the period that runs from *since* to *until* (None: for ever).

    *reserved* is what requests under way may cost at most. *role*: whose role the cap is for, where that is its source.
    """

    scope: Scope
    id: str
    period: Period
    cap: int
    spent: int = 0
    reserved: int = 0
    since: int = 0
    until: int | None = None
    source: Source = "config"
    role: Role | None = None

    @property
    def left(self) -> int:
        """Below nought where a cap was lowered after more had been spent."""
        return self.cap - self.spent - self.reserved

    @property
    def near(self) -> bool:
        """Whether so much is spent that whoever spends it should know."""
        return self.cap > 0 and 100 * self.spent >= NEAR * self.cap

    @property
    def common(self) -> bool:
        """Whether it is everybody's: who asks can do nothing about it, the operator can."""
        return self.scope in ("channel", "gateway")

    @property
    def shared(self) -> bool:
        """Whether it is a cap for each who has none of their own: then nothing is used of it."""
        return self.id == EVERYBODY and self.scope not in ("gateway", "request")

    @property
    def kind(self) -> str:
        """As in person:day; of whoever pays for a request there is one of each kind at most."""
        return f"{self.scope}:{self.period}"

    def name(self, lang: str = "") -> str:
        """As in 'your budget of today'."""
        return say(f"budget.{self.scope}_{self.period}", lang)

    def origin(self, lang: str = "") -> str:
        """Where the cap comes from, as in 'for the role user'."""
        return say(f"budget.from_{self.source}", lang, role=self.role or "")

    def line(self, *, now: int, zone: str, lang: str = "") -> str:
        """What is used and left, and when it begins anew."""
        if self.shared:
            return say("budget.each", lang, cap=money(self.cap, lang))
        facts = {
            "spent": money(self.spent, lang),
            "reserved": money(self.reserved, lang),
            "left": money(max(self.left, 0), lang),
            "cap": money(self.cap, lang),
        }
        text = say("budget.line", lang, **facts)
        if self.until is None:
            return text
        when = shown(self.until, now=now, zone=zone, lang=lang)
        return f"{text} {say('budget.resets', lang, when=when, zone=zone)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """*output*: the most tokens that the answer may have. *reserved*: what that costs at most."""

    output: int
    reserved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A request that might cost *worst*, more than was left of *budget* at the moment *at*; times by *zone*.

    *budget* None: the price of *model* is not known, so nothing can be promised about it.
    """

    budget: Budget | None
    model: str
    worst: int
    at: int
    zone: str

    def told(self, lang: str = "") -> str:
        """What whoever asked is to read."""
        if self.budget is None:
            return say("budget.unpriced", lang, model=self.model)
        worst = money(self.worst, lang)
        if self.budget.scope == "request":
            return say("budget.request", lang, worst=worst, cap=money(self.budget.cap, lang))
        head = say("budget.over", lang, name=self.budget.name(lang), worst=worst)
        return f"{head} {self.budget.line(now=self.at, zone=self.zone, lang=lang)}"


class OverBudget(ModelError):
    """A request that was not made because it might cost more than may be spent."""

    def __init__(self, budget: Budget | None, *, model: str, worst: int, now: int, zone: str) -> None:
        why = "no known price" if budget is None else f"{budget.scope} {budget.period} budget"
        super().__init__(f"{model}: {why}", kind="budget", sent=False)
        self.shortfall = Shortfall(budget=budget, model=model, worst=worst, at=now, zone=zone)

    @property
    def budget(self) -> Budget | None:
        return self.shortfall.budget

    def told(self, lang: str = "") -> str:
        return self.shortfall.told(lang)


def raised(budget: Budget, worst: int = 0) -> int:
    """What one press makes of a cap: twice as much, or as much as a request for *worst* needs where that is more.

    The second in figures that fit on a button: two that count, rounded up.
    """
    needed = budget.spent + budget.reserved + worst
    step = int(10 ** max(0, len(str(needed)) - 2))
    return max(2 * budget.cap, -(-needed // step) * step)


def judge(budgets: Sequence[Budget], cost: Callable[[int], int], output: int) -> Allowed | Budget:
    """What a request may do that wants *output* tokens; or the budget that it does not fit into.

    *cost* of a number of output tokens is the most the request can come to; it never falls as they grow.
    What costs exactly as much as is left is allowed, and what is free always.
    """
    worst = cost(output)
    tightest = min(budgets, key=lambda each: each.left, default=None)
    if tightest is None or not worst or worst <= tightest.left:
        return Allowed(output=output, reserved=worst)
    sizes = range(LEAST_OUTPUT, output)
    fitting = bisect_right(sizes, tightest.left, key=cost)
    if not fitting:
        return tightest
    lowered = sizes[fitting - 1]
    return Allowed(output=lowered, reserved=cost(lowered))


def span(period: Period, now: int, zone: str) -> tuple[int, int | None]:
    """When the period that holds *now* begins and ends, by the midnights of *zone*; None: it does not end."""
    today = local(now, zone).date()
    if period == "total":
        return 0, None
    if period == "day":
        return midnight(today, zone), midnight(today + timedelta(days=1), zone)
    first = today.replace(day=1)
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return midnight(first, zone), midnight(following, zone)


def amount_of(text: str) -> int | Literal["default"] | None:
    """Nano-dollars of what people write; None for 'off'. Raises Refused for what is no amount."""
    word = text.strip().lower().removeprefix("$")
    if word == "default":
        return "default"
    if word == "off":
        return None
    if re.fullmatch(r"[0-9]{1,7}([.,][0-9]{1,9})?", word, re.ASCII):
        return int(Decimal(word.replace(",", ".")) * DOLLAR)
    raise Refused(key="budget.no_amount", text=text[:40])


def scope_of(text: str) -> Scope:
    """Raises Refused for what is none."""
    for scope in get_args(Scope):
        if text == scope:
            return scope  # type: ignore[no-any-return]
    raise Refused(key="budget.no_scope", scopes=", ".join(get_args(Scope)))


def period_of(text: str, scope: Scope) -> Period:
    """Raises Refused for one that this scope does not have."""
    for period in PERIODS[scope]:
        if text == period:
            return period
    raise Refused(key="budget.no_period", scope=scope, periods=", ".join(PERIODS[scope]))
