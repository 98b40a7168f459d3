"""Two hundred turns at once against a cap that admits fifty, on real processes, and with kill -9 among them."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

from gateway.budgets import LEAST_OUTPUT
from gateway.types.measures import DOLLAR
from tests.bill.reckoning import Reckoning
from tests.bill.stage import USED, BillStage, bill_stage

TURNS, ADMITTED = 200, 50
SECONDS = 60.0  # within which everybody must have been judged
REFUSED = "SELECT count(*) FROM turn WHERE state = 'failed'"
OPEN_ROWS = "SELECT count(*) FROM usage WHERE state = 'open'"
PLAIN = {
    "max_output_tokens": LEAST_OUTPUT,
    "fallback_models": [],
    "retries": 0,
    "first_token_timeout_seconds": 120,
}


@dataclass(slots=True)
class Stopped:
    """What came of it; money in nano-dollars. *peak*: the most that was spent and reserved when somebody looked.

    *admitted* and *refused* at the moment when everybody had been judged and nobody answered.
    """

    cap: int
    peak: int = 0
    admitted: int = 0
    refused: int = 0
    left_open: int = 0
    spent: int = 0
    kills: int = 0
    reckoning: Reckoning = field(default_factory=Reckoning)

    @property
    def wrong(self) -> list[str]:
        """*cap* is never run past, nothing stays reserved, and the bill is as the provider has it."""
        found = list(self.reckoning.wrong)
        if self.peak > self.cap or self.spent > self.cap:
            found.append(f"{max(self.peak, self.spent)} was spent or reserved of a cap of {self.cap}")
        if self.left_open:
            found.append(f"{self.left_open} reservations are still open")
        if (self.admitted, self.refused) != (ADMITTED, TURNS - ADMITTED):
            found.append(f"{self.admitted} turns were admitted and {self.refused} refused")
        return found


async def stopped(folder: Path, *, kills: int = 0, seed: int = 0) -> Stopped:
    """Everybody asks before anybody is answered. The first kill comes then, with fifty reserved; others at random."""
    chance = random.Random(seed)
    async with bill_stage(
        folder, chats=TURNS + 1, between=0.02, agent=PLAIN, gateway={"max_turns_at_once": TURNS}
    ) as on:
        first, *everybody = on.chats
        await on.start()
        await on.polling()
        await on.ask(first)
        await on.ended()
        await on.stop()
        worst, spent = int(on.value("SELECT reserved FROM usage")), int(on.value(USED))
        found = Stopped(cap=spent + ADMITTED * worst)
        on.tables["budgets"] = {"gateway_day": f"{found.cap / DOLLAR:.9f}"}
        await on.hold(True)
        await on.start()
        await on.polling()
        await asyncio.gather(*(on.ask(chat) for chat in everybody))
        await on.until(lambda: _judged(on) >= TURNS, SECONDS, lambda: f"{_judged(on)} of {TURNS} judged")
        found.admitted, found.refused = int(on.value(OPEN_ROWS)), int(on.value(REFUSED))
        found.peak = int(on.value(USED))
        for number in range(kills):
            if number:
                await on.hold(False)
                await asyncio.sleep(chance.uniform(0.0, 1.5))
            await on.kill()
            found.kills += 1
            found.peak = max(found.peak, int(on.value(USED)))
            await on.start()
        await on.hold(False)
        await on.polling()
        await on.ended()
        await on.stop()
        found.left_open, found.spent = int(on.value(OPEN_ROWS)), int(on.value(USED))
        found.reckoning = await on.reckoned()
    return found


def _judged(on: BillStage) -> int:
    return int(on.value(OPEN_ROWS)) + int(on.value(REFUSED))
