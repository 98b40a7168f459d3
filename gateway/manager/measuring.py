"""What whoever watches the gateway is shown: numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.gauges import Gauges
from gateway.manager.accounting import Accounting
from gateway.reports import By, CostOverview

if TYPE_CHECKING:
    from storage import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """*count* in a *state*; *age* of the oldest in microseconds, 0 when there is none."""

    state: str
    count: int
    age: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """*bill* since ever, by model. *turns* by how they ended, *commits* and *requests* since the start."""

    bill: CostOverview
    inbox: list[Waiting]
    outbox: list[Waiting]
    turns_running: int
    turns: Mapping[str, int]
    commits: int
    commits_failed: int
    requests: Gauges


class Measuring(Accounting):
    """Read from sums and indexes, so that it can be asked every few seconds."""

    async def measured(self) -> Measured:
        now = self.core.clock()

        async def work(unit: Unit) -> tuple[list[Waiting], list[Waiting]]:
            rows = (await unit.depths.inbox(), await unit.depths.outbox())
            inbox, outbox = (
                [
                    Waiting(
                        state=each.state,
                        count=each.count,
                        age=0 if each.oldest is None else max(0, now - each.oldest),
                    )
                    for each in found
                ]
                for found in rows
            )
            return inbox, outbox

        inbox, outbox = await self._store.read(work)
        model: tuple[By, ...] = ("model",)
        return Measured(
            bill=await self.cost_overview(by=model),
            inbox=inbox,
            outbox=outbox,
            turns_running=self.core.dispatcher.turns_running,
            turns=dict(self.core.hub.ended),
            commits=self._store.commits,
            commits_failed=self._store.failed,
            requests=self.core.biller.gauges,
        )
