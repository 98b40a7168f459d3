"""One provider request and its ledger row: open before it is made, settled whatever becomes of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gateway import bounds, log, searching, usage
from gateway.bounds import Measures
from gateway.budgets import Budget, OverBudget, Payer, Rules
from gateway.errors import ModelError
from gateway.failpoints import Point, passing
from gateway.gauges import Gauges
from gateway.halt import Halt
from gateway.pricing import Pricing
from gateway.protocols.answer import Answer, Counted, Delta, Thought
from gateway.protocols.clock import Clock
from gateway.protocols.hearing import Hearing, Transcript
from gateway.protocols.model import Asked, Model
from gateway.protocols.prompt import Prompt, Think
from gateway.settling import Settling
from gateway.spending import Acting, Past, Reserved, reserve, stored_role
from gateway.types.usage import Purpose, Tokens, UsageOpen, UsageSettled

if TYPE_CHECKING:
    from storage import Store, Unit

WIDEST = 1_050_000  # tokens; OpenAI, models, gpt-5.4: no model that searches is listed with more


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """On whose account a request goes."""

    purpose: Purpose
    channel: str
    turn: int | None = None
    step: int | None = None
    attempt: int | None = None
    session: int | None = None
    conversation: int | None = None
    identity: int | None = None
    trigger: str | None = None
    over: tuple[str, ...] = ()  # budgets it may run past, as person:day

    @property
    def payer(self) -> Payer:
        return Payer(
            channel=self.channel,
            session=self.session,
            conversation=self.conversation,
            identity=self.identity,
            job=self.trigger,
        )


@dataclass(slots=True)
class Request:
    """A request under way; *settled* is what its ledger row must be told, in the commit of what it led to."""

    uid: str
    model: Asked
    at: int
    worst: Tokens
    seconds: int | None = None  # of audio, at most; None: it is no transcription
    whole: int | None = None  # what its bytes bound its input by; None: it is no prompt
    session: int | None = None
    text: str = ""
    counted: Tokens | None = None
    near: tuple[Budget, ...] = ()  # of which little is left; whoever asked is to be told
    searches: int = 0  # that its provider may make for it
    short: Budget | None = None  # what has no room for searches, the first time in its period
    settled: UsageSettled | None = field(default=None)


class Biller:
    """Makes requests; none leaves without its ledger row, and each row is settled by what came back.

    *rules*: the budgets as they are configured at the moment, and the zone of their days. *acting*: as what whoever
    pays acts. *on_short* is told of those that are everybody's and nearly used up, or were in the way of a request.
    """

    def __init__(
        self,
        *,
        store: Store,
        pricing: Pricing,
        halt: Halt,
        clock: Clock,
        rules: Callable[[], tuple[Rules, str]] = lambda: (Rules(), "UTC"),
        acting: Acting = stored_role,
        on_short: Callable[[Budget], None] = lambda budget: None,
    ) -> None:
        self._store = store
        self._pricing = pricing
        self._settling = Settling(pricing, clock)
        self._halt = halt
        self._clock = clock
        self._rules = rules
        self._acting = acting
        self._on_short = on_short
        self._past = Past()
        self._measures = Measures()
        self.gauges = Gauges()

    async def open(
        self, model: Model, prompt: Prompt, booking: Booking, *, check: Callable[[Unit], Any] | None = None
    ) -> Request:
        """Write the row; *check* runs in the same commit and may raise LeaseLost.

        Raises ModelError when halted, and OverBudget when what it may cost does not fit.
        """
        self._halt.check()
        whole = bounds.whole(model, prompt)
        bound = self._measures.bound(model, prompt, session=booking.session, most=whole)
        request = Request(
            uid=str(uuid.uuid4()),
            model=model,
            at=self._clock(),
            worst=worst_case(model, prompt, bound),
            whole=whole,
            session=booking.session,
        )
        wide = None
        if prompt.searches:
            # However small what is configured for a session: what is found is limited by what the model takes.
            window = usage.context_window(model.model, provider_kind=model.kind) or WIDEST
            wide = worst_case(model, prompt, searching.most_input(bound, prompt.searches, window))
        await self._opened(request, booking, check, searches=prompt.searches, wide=wide)
        return request

    async def transcribe(
        self,
        hearing: Hearing,
        audio: Path | bytes,
        booking: Booking,
        *,
        name: str,
        type: str,
        seconds: int | None = None,
    ) -> Transcript:
        """What is said in a recording, on the bill whatever becomes of it. Raises ModelError.

        *seconds*: how long it plays, where that is known; otherwise its size bounds it.
        """
        self._halt.check()
        await hearing.ready()
        length = len(audio) if isinstance(audio, bytes) else (await asyncio.to_thread(audio.stat)).st_size
        units = usage.longest(length) if seconds is None else seconds
        request = Request(
            uid=str(uuid.uuid4()),
            model=hearing,
            at=self._clock(),
            worst=usage.worst_hearing(units),
            seconds=units,
        )
        await self._opened(request, booking, None)
        passing(Point.MODEL, "before")
        try:
            self._halt.check()  # the row took its time to be written
            heard = await hearing.transcribe(audio, name=name, type=type)
            request.settled = self._settling.heard(request, heard)
            passing(Point.MODEL, "after")
        except ModelError as error:
            request.settled = self._settling.failed(request, error)
            raise
        finally:
            # Whoever cancels it is billed as well: the provider may have worked on it.
            request.settled = request.settled or self._settling.estimated(request)
            await self.settle(request)
        return heard

    async def _opened(
        self,
        request: Request,
        booking: Booking,
        check: Callable[[Unit], Any] | None,
        *,
        searches: int = 0,
        wide: Tokens | None = None,
    ) -> None:
        """The row of a request that is about to be made, on disk.

        *searches* that are wanted with it, and the worst case with them (*wide*). It goes without where a budget has no
        room for them.
        """
        model, (rules, zone) = request.model, self._rules()
        row = UsageOpen(
            uid=request.uid,
            worst=request.worst,
            purpose=booking.purpose,
            channel=booking.channel,
            provider=model.provider,
            model_asked=model.model,
            at=request.at,
            units=request.seconds,
            bound=request.whole,
            turn=booking.turn,
            step=booking.step,
            attempt=booking.attempt,
            session=booking.session,
            conversation=booking.conversation,
            identity=booking.identity,
            trigger=booking.trigger,
        )

        def cost(output: int) -> int | None:
            # Nobody tells a transcription how much it may write.
            limited = request.worst if request.seconds is not None else replace(request.worst, output=output)
            return self._pricing.worst(model, limited, at=request.at, seconds=request.seconds)

        whole = self._pricing.worst(model, wide, at=request.at) if wide is not None else None
        found = self._pricing.worst_searches(model, searches, at=request.at) if searches else None

        def searching_cost(output: int) -> int | None:
            """Whatever the output: less of that is no price for searches."""
            if whole is None or (found is None and rules.unpriced == "refuse"):
                return None
            return whole + (found or 0)

        async def judged(unit: Unit, cost: Callable[[int], int | None]) -> Reserved:
            return await reserve(
                unit,
                booking.payer,
                rules=rules,
                now=request.at,
                zone=zone,
                model=model.ref,
                cost=cost,
                output=request.worst.output,
                warn=booking.purpose == "chat",
                past=self._past,
                acting=self._acting,
                over=booking.over,
            )

        async def work(unit: Unit) -> tuple[Reserved, Budget | None, bool]:
            if check is not None:
                await check(unit)
            short = None
            if wide is not None:
                try:
                    reserved = await judged(unit, searching_cost)
                except OverBudget as over:
                    short = await _told(unit, over, model)
                else:
                    opened = replace(
                        row, worst=wide, reserved=whole, searches=searches, searches_reserved=found
                    )
                    await unit.ledger.open(opened)
                    return reserved, None, True
            reserved = await judged(unit, cost)
            worst = replace(request.worst, output=reserved.output)
            await unit.ledger.open(replace(row, worst=worst, reserved=reserved.amount))
            return reserved, short, False

        try:
            reserved, request.short, searches_too = await self._store.commit(Point.REQUEST, work)
            if searches_too and wide is not None:
                request.searches, request.worst = searches, wide
        except asyncio.CancelledError:
            # The row is stored all the same, and nobody would settle it; commits keep their order.
            request.searches = searches  # perhaps: settling a row that is not there changes nothing
            request.settled = self._settling.settled(request, "failed", Tokens())
            await self.settle(request)
            raise
        except OverBudget as over:
            if over.budget is not None and over.budget.common:
                self._on_short(over.budget)
            raise
        request.worst = replace(request.worst, output=reserved.output)
        request.near = tuple(each for each in reserved.near if not each.common)
        for each in reserved.near:
            if each.common:
                self._on_short(each)

    async def stream(self, request: Request, prompt: Prompt) -> AsyncGenerator[Delta | Thought | Answer]:
        """The answer as it comes. Afterwards, also after an error or a cancellation, request.settled is set.

        It is asked for no more than was reserved.
        """
        if request.worst.output < prompt.max_output_tokens:
            # The room for thinking is gone as well: a provider refuses a budget for it above the whole limit.
            think: Think | None = "off" if prompt.think is not None else None
            prompt = replace(prompt, max_output_tokens=request.worst.output, think=think)
        if request.searches != prompt.searches:
            prompt = replace(prompt, searches=request.searches)
        passing(Point.MODEL, "before")
        model = cast("Model", request.model)  # as it was opened with
        begun, first, ended = time.monotonic(), None, "cancelled"
        try:
            self._halt.check()  # the row took its time to be written
            async with aclosing(model.stream(prompt)) as events:
                async for event in events:
                    if first is None and not isinstance(event, Counted):
                        first = time.monotonic() - begun
                    match event:
                        case Counted(tokens):
                            request.counted = tokens
                        case Delta(text):
                            request.text += text
                            yield event
                        case Thought():
                            yield event
                        case Answer():
                            request.settled, ended = self._settling.known(request, event), "ok"
                            # With searches it is the sum of several prompts.
                            if event.tokens is not None and not event.searches:
                                counted = event.tokens.input
                                self._measures.learn(model, prompt, counted, session=request.session)
                            passing(Point.MODEL, "after")
                            yield event
        except ModelError as error:
            request.settled, ended = self._settling.failed(request, error), error.kind
            raise
        except (asyncio.CancelledError, GeneratorExit):
            if request.settled is None:
                request.settled = self._settling.estimated(request)
            raise
        finally:
            self.gauges.asked(model.ref, first=first, whole=time.monotonic() - begun, ended=ended)

    async def settle(self, request: Request) -> None:
        """Settle alone, when there is nothing else to commit with it."""
        assert request.settled is not None
        settled = request.settled

        async def work(unit: Unit) -> None:
            await unit.ledger.settle(request.uid, settled)

        await self._store.commit(Point.SETTLE, work)

    def recover(self, row: tuple[Any, ...], *, kind: str, base_url: str) -> tuple[str, UsageSettled]:
        """See Settling."""
        return self._settling.recover(row, kind=kind, base_url=base_url)


async def _told(unit: Unit, over: OverBudget, model: Asked) -> Budget | None:
    """The budget that has no room for searches, if that was not said in its period before."""
    short = over.budget
    log.info("search.budget", model=model.ref, budget=short.kind if short is not None else "unpriced")
    if short is None or not await unit.budgets.warned(
        short.scope, short.id, f"{short.period}/search", short.since
    ):
        return None
    return short


def worst_case(model: Model, prompt: Prompt, bound: int) -> Tokens:
    """As what the most dear of it may be billed: what is cached may all be written first. *bound*: input tokens."""
    if prompt.cache == "off" or model.kind not in ("anthropic", "openrouter"):
        return Tokens(uncached=bound, output=prompt.max_output_tokens)
    if prompt.cache == "1h":
        return Tokens(write_1h=bound, output=prompt.max_output_tokens)
    return Tokens(write_5m=bound, output=prompt.max_output_tokens)
