"""A random load on the path of a message: everything that makes a request, ends one early or lets it fail."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from aiohttp import web
from hypothesis import strategies as st

from gateway.errors import ParleyError
from gateway.failpoints import Point
from gateway.types.inbound import Kind
from gateway.types.places import Place
from tests.bill.truth import Seen, asked_last, seen
from tests.conftest import Clock
from tests.fakes.llm import Ask, Call, Pace, Page, Recorded, Reply, Search, Vendor
from tests.fakes.llm_shape import Body
from tests.path import ANN, BOB
from tests.wires import MINI, MUTE, SONNET, UNLISTED, CountingLLM, Wired

CAT = "103"
PEOPLE = (ANN, BOB, CAT)
GROUPS = ("-500", "-501")
MODELS = (SONNET, SONNET, MINI, MINI, MUTE, UNLISTED)
LONG = "word " * 60
FOUND = (Search("w", (Page("https://a.example/", "A"),)), Search("ww", (Page("https://b.example/", "B"),)))
SOON = 0.01  # seconds
# What a provider may do with a request; several in a row are an answer, its retries and its fallbacks.
FATES: dict[str, Reply] = {
    "answer": Reply(),
    "long answer": Reply(text=LONG, between=0.05),
    "nothing": Reply(text=""),
    "thinking": Reply(text="Yes.", thinking="Well, " * 40),
    "tool": Reply(text="", calls=(Call("now", {}),)),
    "tools": Reply(text="Both.", calls=(Call("now", {}), Call("nobody", {}))),
    "bad call": Reply(text="", calls=(Call("now", "{broken"),)),
    "searches": Reply(text="Found.", searches=FOUND),
    "searches, tool": Reply(text="", opening="I look.", searches=FOUND, calls=(Call("now", {}),)),
    "searches, cut": Reply(text=LONG, searches=FOUND, cut_after=5),
    "429": Reply(status=429, retry_after=SOON),
    "500": Reply(status=500),
    "503": Reply(status=503, retry_after=SOON),
    "529": Reply(status=529, retry_after=SOON),
    "context": Reply(status=400, code="context_length_exceeded"),
    "cut at once": Reply(text=LONG, cut_after=0),
    "cut": Reply(text=LONG, cut_after=6),
    "cut late": Reply(text=LONG, cut_after=14),
    "error at once": Reply(text=LONG, error_after=0),
    "error": Reply(text=LONG, error_after=1),
    "error late": Reply(text=LONG, error_after=7),
    "stalled": Reply(text=LONG, stall_after=5),
    # Whoever is answered after these is taken for one that cannot search.
    "400": Reply(status=400, message="no"),
    "404": Reply(status=404),
    "413": Reply(status=413),
}
STALLED = "stalled"
OPEN = """
SELECT (SELECT count(*) FROM usage WHERE state = 'open')
     + (SELECT count(*) FROM turn WHERE state IN ('running', 'parked'))
     + (SELECT count(*) FROM inbox WHERE state IN ('waiting', 'taken'))"""


class Books(CountingLLM):
    """The provider: each question meets its fates in their order, then the echo; every request is in the books."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(script=self._next, pace=Pace(chunk=20))
        self.fates: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._when: dict[str, int] = {}
        self._clock = clock

    def _next(self, ask: Ask) -> Reply | None:
        waiting = self.fates[asked_last(ask.body)]
        return waiting.popleft() if waiting else None

    async def _accept(self, request: web.Request, vendor: Vendor, record: Recorded) -> Body:
        self._when[record.request_id] = self._clock()
        return await super()._accept(request, vendor, record)

    def read(self) -> list[Seen]:
        return [
            seen(each, self.made.get(each.request_id), at=self._when[each.request_id])
            for each in self.requests
        ]


class World:
    """Who asks what; *excused*: answers nobody waited for, which may be estimated though they are whole."""

    def __init__(self, gw: Wired, books: Books) -> None:
        self.gw, self.books = gw, books
        self.excused = 0
        self._number = 0
        self._said: tuple[str, str, Sequence[str]] = ("", "", ())
        self._clients = list[asyncio.Task[object]]()

    def word(self, fates: Sequence[str]) -> str:
        self._number += 1
        word = f"w{self._number:05d}"
        self.books.fates[word].extend(FATES[each] for each in fates)
        self.excused += fates.count(STALLED)
        return word

    async def says(self, who: str, place: str, fates: Sequence[str]) -> None:
        self._said = (who, place, fates)
        text = f"{self.word(fates)}, please"
        where = Place(chat_id=place, kind="group") if place in GROUPS else Place(chat_id=who)
        await self.gw.says(text, user=who, place=where)

    async def job(self, name: str, fates: Sequence[str]) -> None:
        account = await self.gw.store.commit(
            Point.PEOPLE, lambda unit: unit.people.account("job", "local", "")
        )
        event = self.gw.message(
            f"{self.word(fates)} is due",
            kind=Kind.JOB,
            trigger=name,
            sender=None,
            place=Place(chat_id=name, kind="job"),
        )
        await self.gw.core.dispatcher.accept(account, [event])

    async def client(self, fates: Sequence[str]) -> None:
        code = await self.gw.manager.create_session("main", "desk")
        self._clients.append(asyncio.ensure_future(self._generated(code, f"{self.word(fates)}, now")))

    async def _generated(self, code: str, text: str) -> object:
        with suppress(ParleyError):
            return await self.gw.manager.generate(code, text)
        return None

    async def stop(self, which: int) -> None:
        """Of one of the turns that are running, as /stop does it."""
        if running := list(self.gw.core.dispatcher.runs):
            live = running[which % len(running)]
            self.excused += await self.gw.core.dispatcher.cancel(live.started.conversation.id)

    async def compact(self, who: str) -> None:
        with suppress(ParleyError, IndexError):
            await self.gw.manager.compact(await self.gw.session(who))

    async def quiet(self) -> None:
        """Until everything has come to its end."""
        await asyncio.gather(*self._clients)
        async with asyncio.timeout(1200):
            while self.books.open or self.gw.core.dispatcher.turns_running or await self.gw.value(OPEN):
                await asyncio.sleep(0.1)

    async def begun(self) -> None:
        """Until the answer of a running turn is coming in.

        On a machine that is busy a request may be given up before it has begun, and another answer is whole by now:
        then the question is asked again.
        """
        async with asyncio.timeout(600):
            while not any(
                live.progress.request and live.progress.request.text for live in self.gw.core.dispatcher.runs
            ):
                if not (
                    self.books.open or self.gw.core.dispatcher.turns_running or await self.gw.value(OPEN)
                ):
                    await self.says(*self._said)
                await asyncio.sleep(0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happens; *pause*: seconds until the next thing does."""

    what: Literal["says", "job", "client", "stop", "compact", "model", "later", "begun"]
    who: str = ANN
    place: str = ""
    fates: tuple[str, ...] = ()
    number: int = 0
    pause: float = 0.0

    async def happen(self, world: World, clock: Clock) -> None:
        match self.what:
            case "says":
                await world.says(self.who, self.place, self.fates)
            case "job":
                await world.job(f"job{self.number % 2}", self.fates)
            case "client":
                await world.client(self.fates)
            case "stop":
                await world.stop(self.number)
            case "compact":
                await world.compact(self.who)
            case "model":
                await world.gw.use(MODELS[self.number % len(MODELS)])
            case "begun":
                await world.begun()
            case "later":
                # Nobody is kept waiting for hours: who asks now is answered before.
                await world.quiet()
                clock.forward(minutes=60 * self.number)
        await asyncio.sleep(self.pause)


PAUSES = st.sampled_from([0.0, 0.0, 0.3, 2.0])
SOME_FATES = st.lists(st.sampled_from(list(FATES)), max_size=4).map(tuple)
WHO, NUMBER = st.sampled_from(PEOPLE), st.integers(0, 30)
SAYS = st.builds(
    Step, what=st.just("says"), who=WHO, place=st.sampled_from(["", "", *GROUPS]), fates=SOME_FATES, pause=PAUSES
)  # fmt: skip
OTHERS = st.builds(
    Step,
    what=st.sampled_from(["job", "client", "stop", "stop", "compact", "model", "later"]),
    who=WHO,
    fates=SOME_FATES,
    number=NUMBER,
    pause=PAUSES,
)
STEPS = st.lists(SAYS | SAYS | OTHERS, min_size=10, max_size=40)
