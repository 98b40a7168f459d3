"""The tables of parley.toml about budgets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from gateway.config_values import Budget, Table

BudgetOrOff = Annotated[
    Annotated[Literal["off"], Tag("off")] | Annotated[Budget, Tag("dollars")],
    Discriminator(lambda value: "off" if value == "off" else "dollars"),
]


class RoleBudgets(Table):
    """US dollars of each person of a role; None: as for everybody. They go before [budgets]."""

    person_day: BudgetOrOff | None = None  # off: no cap
    person_month: BudgetOrOff | None = None


class BudgetSettings(Table):
    """US dollars, by whom and how long; None: no cap."""

    person_day: Budget | None = None
    person_month: Budget | None = None
    chat_day: Budget | None = None
    chat_month: Budget | None = None
    session: Budget | None = None
    job_day: Budget | None = None
    job_month: Budget | None = None
    channel_day: Budget | None = None
    channel_month: Budget | None = None
    gateway_day: Budget | None = None
    gateway_month: Budget | None = None
    request: Budget | None = None  # a single one
    unpriced: Literal["refuse", "warn"] = "refuse"  # a model without a known price, where a cap holds
    roles: dict[Literal["user", "admin", "owner"], RoleBudgets] = Field(default_factory=dict)
