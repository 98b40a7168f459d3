"""Random loads on real processes, killed with kill -9 again and again; then the same reckoning as of any other load."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests.bill.load import FATES, OPEN, STALLED
from tests.bill.reckoning import Reckoning
from tests.bill.stage import bill_stage

PAUSED = [
    each for each in FATES if each != STALLED
]  # that one takes its time, and real clocks are not hurried
COMMANDS = ("/stop", "/compact")
OPEN_ROWS = "SELECT count(*) FROM usage WHERE state = 'open'"
SOON = 30.0  # seconds


async def killed(folder: Path, *, seed: int, kills: int, questions: int) -> Reckoning:
    """So many lives, each ended at a moment of its own; the last one comes to its end."""
    chance = random.Random(seed)
    excused = 0
    async with bill_stage(folder, chats=12, before=0.15, between=0.05) as on:
        for life in range(kills + 1):
            await on.start()
            await on.polling()
            for _ in range(questions // (kills + 1)):
                chat = chance.choice(on.chats)
                await on.ask(chat, chance.choices(PAUSED, k=chance.randrange(4)))
                if chance.random() < 0.15:
                    command = chance.choice(COMMANDS)
                    excused += command == "/stop"  # a whole answer may be on its way then
                    await on.say_text(chat, command)
                await asyncio.sleep(chance.choice((0.0, 0.0, 0.05, 0.2)))
            if life < kills:
                if chance.random() < 0.8:  # mostly while something is being answered
                    await on.until(
                        lambda: on.value(OPEN_ROWS) or not on.value(OPEN), SOON, "nothing is asked"
                    )
                await asyncio.sleep(chance.uniform(0.0, 0.5))
                await on.kill()
        await on.ended()
        await on.stop()
        return await on.reckoned(excused=excused)
