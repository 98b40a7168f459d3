"""The provider of a load as a process of its own: what a question meets stands in it, as in `w00012 [429, cut]`.

It can hold all answers back until it is told otherwise, and gives away its books.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from dataclasses import asdict
from pathlib import Path

from aiohttp import web

from tests.bill.load import FATES, Books
from tests.bill.truth import Seen, asked_last
from tests.crash.clock import FileClock
from tests.fakes.llm import Ask, Pace, Reply, Usage, dumps, serve
from tests.fakes.llm_shape import Body

MET = re.compile(r"(w\d{5}) \[([a-z0-9 ,]*)\]")


def question(word: str, fates: tuple[str, ...] = ()) -> str:
    """A question that meets those one after the other, then the echo."""
    return f"{word} [{', '.join(fates)}] please"


def from_json(body: Body) -> Seen:
    return Seen(**{**body, "made": Usage(**body["made"]) if body["made"] else None})


class Provider(Books):
    """As Books; *clock*: the gateway's."""

    def __init__(self, clock: FileClock, pace: Pace) -> None:
        super().__init__(clock)
        self.pace = pace
        self._open = asyncio.Event()
        self._open.set()

    async def _next(self, ask: Ask) -> Reply | None:  # type: ignore[override]
        await self._open.wait()
        word = asked_last(ask.body)
        if word not in self.fates:
            met = dict(MET.findall(dumps(ask.body["messages"])))
            self.fates[word].extend(FATES[each] for each in met.get(word, "").split(", ") if each)
        waiting = self.fates[word]
        return waiting.popleft() if waiting else None

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        super()._add_routes(router)
        router.add_get("/control/books", self._books)
        router.add_post("/control/hold", self._hold)

    async def _books(self, request: web.Request) -> web.Response:
        """Every request that has arrived; whose sender was gone before it was whole never did."""
        told = {"open": self.open, "books": [asdict(each) for each in self.read() if each.model]}
        return web.json_response(told, dumps=dumps)

    async def _hold(self, request: web.Request) -> web.Response:
        """All answers from now on, or none any more."""
        if (await request.json())["hold"]:
            self._open.clear()
        else:
            self._open.set()
        return web.json_response({})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bill.provider", description=__doc__)
    parser.add_argument("--clock", type=Path, required=True)
    parser.add_argument("--before", type=float, default=0.0, help="seconds before the first event")
    parser.add_argument("--between", type=float, default=0.0, help="seconds between events")
    chosen = parser.parse_args()
    pace = Pace(before=chosen.before, between=chosen.between, chunk=20)
    asyncio.run(serve(Provider(FileClock(chosen.clock), pace)))


if __name__ == "__main__":
    main()
