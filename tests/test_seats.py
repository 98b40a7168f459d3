"""How many turns run at once, and whose they are."""

import asyncio

import pytest

from gateway.seats import Seats


class Hall:
    """Takes seats, keeps them until they are given back, and knows who has sat down."""

    def __init__(self, most: int) -> None:
        self.seats = Seats(most)
        self.seated: list[str] = []
        self.up: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, *, job: bool = False) -> None:
        self.up[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._sit(name, job))
        await settle()

    async def _sit(self, name: str, job: bool) -> None:
        async def scheduled() -> bool:
            return job

        async with self.seats.taken(scheduled):
            self.seated.append(name)
            await self.up[name].wait()
            self.seated.remove(name)

    async def go(self, name: str) -> None:
        self.up[name].set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_jobs_leave_a_part_to_people() -> None:
    hall = Hall(8)
    for number in range(20):
        await hall.come(f"job{number}", job=True)
    assert len(hall.seated) == 6
    await hall.come("anna")
    await hall.come("ben")
    assert {"anna", "ben"} <= set(hall.seated) and len(hall.seated) == 8
    await hall.come("carl")
    assert "carl" not in hall.seated


async def test_who_waits_longest_is_next_and_people_go_before_jobs() -> None:
    hall = Hall(2)
    await hall.come("anna")
    await hall.come("ben")
    await hall.come("job", job=True)
    await hall.come("carl")
    await hall.come("dora")
    await hall.go("anna")
    assert hall.seated == ["ben", "carl"]
    await hall.go("ben")
    assert hall.seated == ["carl", "dora"]
    await hall.go("carl")
    assert hall.seated == ["dora"]  # one seat is people's alone
    await hall.go("dora")
    assert hall.seated == ["job"]


async def test_with_one_seat_a_job_gets_it_when_nobody_else_is_there() -> None:
    hall = Hall(1)
    await hall.come("job", job=True)
    assert hall.seated == ["job"]


@pytest.mark.parametrize("job", [False, True])
async def test_who_gives_up_waiting_takes_no_seat_along(job: bool) -> None:
    hall = Hall(2)
    await hall.come("anna")
    await hall.come("ben")
    await hall.come("late", job=job)
    hall.tasks["late"].cancel()
    await settle()
    await hall.go("anna")
    await hall.go("ben")
    await hall.come("carl")
    await hall.come("dora")
    assert hall.seated == ["carl", "dora"]


async def test_who_is_called_and_gives_up_in_the_same_moment_hands_the_seat_on() -> None:
    hall = Hall(2)
    for name in ("anna", "ben", "carl", "dora"):
        await hall.come(name)
    hall.up["anna"].set()
    await asyncio.sleep(0)  # the seat is carl's now, who does not know yet
    hall.tasks["carl"].cancel()
    await settle()
    assert hall.seated == ["ben", "dora"]


async def test_everybody_sits_down_in_the_end() -> None:
    hall = Hall(3)
    names = [f"{'job' if number % 2 else 'person'}{number}" for number in range(30)]
    for name in names:
        await hall.come(name, job=name.startswith("job"))
    sat: set[str] = set()
    async with asyncio.timeout(10):
        while len(sat) < len(names):
            assert len(hall.seated) <= 3
            assert sum(name.startswith("job") for name in hall.seated) <= 2
            for name in list(hall.seated):
                sat.add(name)
                await hall.go(name)
