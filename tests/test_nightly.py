"""What the gateway does by itself once a day."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.errors import StoreError
from gateway.nightly import AGAIN, Chore, Nightly
from gateway.schedule import Cron
from gateway.types.measures import DAY, HOUR, MINUTE
from storage import Store
from tests.jobs import HandClock, at

EVENING = at("2026-03-02 20:00")
NIGHT = at("2026-03-03 03:30")


class Night:
    """Two chores that note when they are done; one fails as long as it has *trouble*."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = HandClock(EVENING)
        self.done: list[tuple[str, int]] = []
        self.told: list[tuple[str, str]] = []
        self.trouble: Exception | None = None
        self.nightly = self.started()

    def started(self) -> Nightly:
        return Nightly(
            store=self.store,
            clock=self.clock,
            chores=lambda: [self.chore("backup", self.copies), self.chore("tidy", self.tidies)],
            tell=lambda cause, text: self.told.append((cause, text)),
        )

    def chore(self, name: str, work: object) -> Chore:
        return Chore(
            name=name,
            schedule=Cron("30 3 * * *", "UTC"),
            work=work,  # type: ignore[arg-type]
            fails=f"{name} failed",
            works=f"{name} works again.",
        )

    async def copies(self, planned: int) -> str:
        if self.trouble is not None:
            raise self.trouble
        self.done.append(("backup", planned))
        return "copied"

    async def tidies(self, planned: int) -> str:
        self.done.append(("tidy", planned))
        return "tidied"

    async def at(self, now: int) -> int:
        self.clock.now = now
        return await self.nightly.look()


@pytest.fixture
async def night(store: Store) -> AsyncIterator[Night]:
    yield Night(store)


async def test_each_chore_is_done_once_a_night_in_its_turn(night: Night) -> None:
    for now in range(EVENING, NIGHT + 2 * DAY, 30 * MINUTE):
        await night.at(now)
    planned = [NIGHT, NIGHT + DAY]
    assert night.done == [(name, each) for each in planned for name in ("backup", "tidy")]
    assert night.told == []


async def test_a_new_gateway_waits_for_its_first_night(night: Night) -> None:
    assert await night.at(NIGHT + HOUR) == 0
    assert await night.at(NIGHT + DAY) == 2


async def test_a_night_that_it_was_down_is_made_up_for_once(night: Night) -> None:
    await night.at(EVENING)
    night.nightly = night.started()
    assert await night.at(NIGHT + 3 * DAY + 9 * HOUR) == 2
    assert night.done[0] == ("backup", NIGHT + 3 * DAY)
    night.nightly = night.started()
    assert await night.at(NIGHT + 3 * DAY + 10 * HOUR) == 0


async def test_death_in_a_chore_repeats_it(night: Night) -> None:
    class Dead(BaseException):
        pass

    await night.at(EVENING)
    night.trouble = Dead()  # type: ignore[assignment]
    with pytest.raises(Dead):
        await night.at(NIGHT)
    night.trouble, night.nightly = None, night.started()
    assert await night.at(NIGHT + MINUTE) == 2


@pytest.mark.parametrize("trouble", [StoreError("the disk is full"), KeyError("the disk is full")])
async def test_a_failure_is_told_holds_up_nothing_and_is_tried_again_in_an_hour(
    night: Night, trouble: Exception
) -> None:
    await night.at(EVENING)
    night.trouble = trouble
    assert await night.at(NIGHT) == 1
    assert night.done == [("tidy", NIGHT)]
    ((cause, text),) = night.told
    assert cause == "nightly:backup" and text.startswith("backup failed: ") and "the disk is full" in text

    night.trouble = None
    assert await night.at(NIGHT + AGAIN - MINUTE) == 0
    assert await night.at(NIGHT + AGAIN) == 1
    assert night.done[-1] == ("backup", NIGHT)
    assert night.told[-1] == ("nightly:backup-over", "backup works again.")
    assert await night.at(NIGHT + AGAIN + MINUTE) == 0


async def test_a_clock_that_was_years_ahead_for_a_while_ends_no_nights(night: Night) -> None:
    await night.at(EVENING)
    await night.at(NIGHT + 1000 * DAY)
    await night.at(EVENING)
    assert await night.at(NIGHT) == 2
