"""Trouble is told once per cause and hour, and once when it is over."""

from __future__ import annotations

import asyncio

from gateway.alerts import Alerts
from storage import Store
from tests.conftest import Clock
from tests.path import Path, path

OWNER = "900"


def alerts(p: Path, clock: Clock) -> Alerts:
    async def owners() -> list[str]:
        return [f"telegram:{OWNER}"]

    return Alerts(store=p.store, delivery=p.core.delivery, clock=clock, addresses=owners)


async def test_a_cause_is_told_once_an_hour_and_once_when_it_is_over(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        told = alerts(p, clock)
        told.over("disk", "never told, so nothing is over")
        told.tell("disk", "the disk is nearly full")
        told.tell("disk", "the disk is nearly full")
        await p.channel.until(OWNER, "nearly full")
        clock.forward(minutes=59)
        told.tell("disk", "still")
        clock.forward(minutes=2)
        told.tell("disk", "still nearly full")
        await p.channel.until(OWNER, "the disk is nearly full", "still nearly full")
        told.over("disk", "there is space again")
        told.over("disk", "there is space again")
        texts = await p.channel.until(OWNER, "there is space again")
        await asyncio.sleep(0.05)
        assert len(texts) == len(p.channel.texts(OWNER)) == 3
        told.tell("disk", "full again")
        await p.channel.until(OWNER, "full again")


async def test_causes_do_not_hide_each_other(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        told = alerts(p, clock)
        told.tell("provider:a", "a refuses")
        told.tell("provider:b", "b refuses")
        await p.channel.until(OWNER, "a refuses", "b refuses")


async def test_an_alert_never_carries_a_secret(store: Store, clock: Clock) -> None:
    async with path(store, clock=clock) as p:
        alerts(p, clock).tell(
            "x", "the URL was https://h/bot123456:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi/getMe"
        )
        (text,) = await p.channel.until(OWNER, "***")
        assert "ABCDEF" not in text
