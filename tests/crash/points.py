"""Every fail-point, on both sides: the process kills itself there, and nothing may be lost or done twice."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.failpoints import Point
from tests.crash.harness import Stage, Stuck, stage
from tests.crash.judge import judge

SIDES = ("before", "after")
DEATH = 15.0  # seconds within which an armed gateway must have passed its point
PAUSE = 3 * 3600  # seconds; longer ago than the gateway answers unasked


async def talk(on: Stage, number: int) -> None:
    """One of each kind, each in its own chat."""
    for chat, kind in zip(on.chats, ("long", "tool", "tool", "short", "medium"), strict=False):
        await on.say(chat, kind)


async def control(on: Stage, number: int) -> None:
    await on.say(on.chats[0], "short")
    await on.say_text(on.chats[1], "/status")


async def session(on: Stage, number: int) -> None:
    """A /new between two messages."""
    await on.say(on.chats[0], "short")
    await on.say_text(on.chats[0], "/new")
    await on.say(on.chats[0], "medium")


async def compact(on: Stage, number: int) -> None:
    await on.say(on.chats[0], "medium")
    await on.say_text(on.chats[0], "/compact")
    await on.say(on.chats[0], "short")


async def put_off(on: Stage, number: int) -> None:
    """A flood answer to the first send."""
    await on.control("flood", {"method": "sendMessage", "times": 1, "retry_after": 1})
    await on.say(on.chats[number % len(on.chats)], "short")


async def notice(on: Stage, number: int) -> None:
    """A message from long ago: it is offered, not answered."""
    long_ago = int(time.time()) - PAUSE
    await on.say_text(on.chats[number % len(on.chats)], f"old{number:05d} short", date=long_ago)


async def nothing(on: Stage, number: int) -> None:
    """What happens by itself is enough."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a point is reached: what people do, the gateway's arguments, and how often it is passed at most."""

    say: Callable[[Stage, int], Awaitable[None]] = talk
    arguments: tuple[str, ...] = ()
    most: int = 2


WAYS = {
    Point.CONTROL: Way(control, most=1),
    Point.SESSION: Way(session, most=1),
    Point.COMPACT: Way(compact, most=1),
    Point.PUT_OFF: Way(put_off, most=1),
    Point.NOTICE: Way(notice, most=1),
    Point.SWEEP: Way(nothing, ("--prod", "sweep")),
    Point.META: Way(nothing, ("--prod", "alive")),
    Point.JOB: Way(nothing, ("--prod", "job")),
    Point.JOB_DUE: Way(nothing, ("--prod", "job"), most=1),
    Point.ACCEPT: Way(most=1),
    Point.RECOVER: Way(most=1),
    Point.PEOPLE: Way(most=1),
}
# How many kills a point can take in one folder: a run of a job out of turn is begun once.
ONCE = frozenset({Point.JOB_DUE})


async def dies(on: Stage, kill_at: str, *arguments: str) -> None:
    """Start a gateway that kills itself at a point. Raises Stuck when it does not."""
    life = await on.start(*arguments, kill_at=kill_at)
    try:
        await asyncio.wait_for(life.process.wait(), DEATH)
    except TimeoutError:
        raise Stuck(f"{kill_at} was not passed; see {on.folder}/gateway.log") from None
    await on.buried()


async def answers(on: Stage, *arguments: str) -> None:
    """Start a gateway that lives until all is answered."""
    await on.start(*arguments)
    await on.settled()
    await on.stop()


async def besiege(on: Stage, points: Sequence[tuple[Point, str, int]]) -> None:
    """Kill once at each (point, side, count), with a life in between, after every second, that ends all turns.

    Raises Stuck when a point was not passed.
    """
    for number, (point, side, count) in enumerate(points):
        way = WAYS.get(point, Way())
        job = ("--job-to", f"telegram:{on.chats[0]}")
        await way.say(on, number)
        await dies(on, f"{point}:{side}:{count}", *job, *way.arguments)
        if number % 2:
            await on.start(*job)
            await on.settled()
            await on.kill()
    await answers(on, "--job-to", f"telegram:{on.chats[0]}")


async def pressed(on: Stage, moment: int) -> None:
    """A button under the line about what came while we were away, and death at a later moment of its press.

    Messages from long ago wait for [Answer]; the press counts once, and it counts.
    """
    long_ago = int(time.time()) - PAUSE
    await on.start()
    await on.say(on.chats[1], "short")
    await on.settled()
    said = await on.say(on.chats[0], "short", date=long_ago)
    offer: list[tuple[int, str]] = []
    while not offer:
        await asyncio.sleep(0.1)
        messages = (await on.control("state"))["chats"][str(said.chat)]["messages"]
        offer = [
            (message["id"], button["callback_data"])
            for message in messages
            for row in (message["reply_markup"] or {}).get("inline_keyboard", [])
            for button in row
            if button["text"] == "Answer"
        ]
    await on.kill()
    ((message_id, data),) = offer
    await on.control("press", {"chat_id": said.chat, "message_id": message_id, "callback_data": data})
    await dies(on, f"{Point.CONTROL}:after:{moment}")
    await answers(on)


def assaults(point: Point, kills: int) -> list[tuple[Point, str, int]]:
    """So many kills on each side of a point, at its first and at a later passing."""
    most = WAYS.get(point, Way()).most
    times = 1 if point in ONCE else kills
    return [(point, side, 1 + number % most) for number in range(times) for side in SIDES]


async def siege(point: Point, folder: Path, kills: int = 5) -> list[str]:
    """What was wrong with a point, in a folder of its own."""
    async with stage(folder) as on:
        for chat in on.chats:
            await on.control("chat", {"chat_id": chat})
        try:
            await besiege(on, assaults(point, kills))
        except Stuck as stuck:
            return [f"stuck: {stuck}"]
        return judge(await on.collect()).wrong


def main(only: str = "") -> int:
    """Every point; 0 when all is well."""
    chosen = [point for point in Point if not only or point.value in only.split(",")]
    return asyncio.run(_all(chosen))


async def _all(points: Sequence[Point]) -> int:
    seats = asyncio.Semaphore(2)
    top = Path(tempfile.mkdtemp(prefix="parley-points-"))

    async def one(point: Point) -> bool:
        async with seats:
            folder = top / point.value
            folder.mkdir()
            began = time.monotonic()
            wrong = await siege(point, folder)
        kills, seconds = len(assaults(point, 5)), time.monotonic() - began
        print(f"  {point:16}{kills:4} kills {seconds:5.0f} s  {'BROKEN' if wrong else 'ok'}", flush=True)
        for each in wrong[:8]:
            print(f"      {each[:500]}", flush=True)
        return not wrong

    good = await asyncio.gather(*(one(point) for point in points))
    if all(good):
        shutil.rmtree(top, ignore_errors=True)
    else:
        print(f"  everything is in {top}")
    return 0 if all(good) else 1
