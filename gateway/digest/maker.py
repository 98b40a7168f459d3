"""The making of a digest, in a turn of its job: gathered, summed up where a model is set, written, and drawn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway import log
from gateway.access import Policy, enough, standing
from gateway.billing import Biller, Booking
from gateway.chart import chart, drawn
from gateway.delivery import Delivery
from gateway.digest import summaries, whose
from gateway.digest.compose import composed, nothing
from gateway.digest.facts import CHARTED, MOST_TALKS, Facts, gap, gather, span_of
from gateway.digest.whose import Whose
from gateway.errors import DeliveryError, ModelError, Refused
from gateway.jobs.slots import on_schedule
from gateway.jobs.spec import CHAT, MAIN, JobSpec
from gateway.journal import check
from gateway.media.gallery import Gallery
from gateway.progress import Outcome, Progress, Started
from gateway.protocols.answer import Answer, Made
from gateway.protocols.clock import Clock
from gateway.protocols.model import Model
from gateway.texts import say
from gateway.transcript import Text
from gateway.types.outbound import File
from gateway.types.people import Identity
from gateway.types.places import Conversation
from gateway.whereabouts import conversation_of

if TYPE_CHECKING:
    from storage import Store, Unit

PATIENCE = 60.0  # seconds for a model's lines; without them the conversations are quoted
LOCAL_USER = ("main", "local")  # who reads at the terminal


class DigestMaker:
    """*cheap* is the model that writes the lines, '' for none; *model* raises Refused for one that cannot be asked."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        biller: Biller,
        gallery: Gallery,
        clock: Clock,
        model: Callable[[str], Model],
        cheap: Callable[[], str],
        policy: Callable[[], Policy],
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._biller = biller
        self._gallery = gallery
        self._clock = clock
        self._model = model
        self._cheap = cheap
        self._policy = policy

    async def make(self, started: Started, progress: Progress) -> Outcome:
        """The whole digest as the turn's answer. Raises ModelError (connect) when its chat cannot be found yet."""
        assert started.job is not None
        spec, now = started.job.spec, self._clock()
        mine = await self._whose(started)
        lang = mine.lang or started.lang

        async def work(unit: Unit) -> Facts | None:
            run = started.turn.job_run
            job = await unit.jobs.of_run(run) if run is not None else None
            assert run is not None and job is not None
            planned = await unit.jobs.planned(run)
            manual = not on_schedule(job, planned)
            # Two identities that were joined after each had set one: nobody gets two.
            if mine.person is not None and not manual and await unit.digests.older(job.id, mine.person):
                return None
            span = span_of(planned, spec.zone, manual=manual)
            facts = await gather(unit, mine, span, now, bill=spec.bill and mine.admin)
            return facts if manual else replace(facts, left_out=await gap(unit, job.id, planned, spec.zone))

        facts = await self._store.read(work)
        if facts is None:
            log.info("digest.twin", job=spec.name, why="another digest of the same person is older")
            return Outcome(state="done")
        if facts.empty:
            text = "" if spec.silent else nothing(facts.span, lang)
            return Outcome(state="done", text=text, parts=(Text(text),) if text else ())
        lines = await self._lines(started, progress, spec, facts, lang)
        text = log.veiled(composed(facts, lines, now=now, lang=lang))
        files = await self._picture(facts, lang)
        if MAIN in spec.deliver_to:  # whoever reads the transcript is sent no files
            text = "\n\n".join([text, *[f"📎 `{await self._gallery.place(each)}`" for each in files]])
        return Outcome(state="done", text=text, parts=(Text(text),), files=files)

    async def _whose(self, started: Started) -> Whose:
        """From where it goes: a chat's digest is that chat's, whoever has set it up."""
        assert started.job is not None
        target = started.job.spec.deliver_to[0] if started.job.spec.deliver_to else MAIN
        place = await self._place(target, started.job.made_in)

        async def work(unit: Unit) -> Whose:
            if place is not None and place.shared:
                return await whose.of_chat(unit, place, started.lang)
            who = started.identity or await _reader(unit, target, place)
            if who is None:
                return Whose(person=None)
            role = standing(who, self._policy())
            return await whose.of_person(unit, who, owner=role == "owner", admin=enough(role, "admin"))

        return await self._store.read(work)

    async def _place(self, target: str, made_in: int | None) -> Conversation | None:
        """Where it goes; None: to the terminal."""
        if target == MAIN:
            return None
        if target == CHAT:
            assert made_in is not None
            return await self._store.read(lambda unit: unit.places.get(made_in))
        try:
            found = await conversation_of(self._store, self._delivery, target)
        except DeliveryError as error:
            raise ModelError(f"{target} could not be found: {error}", kind="refused") from error
        if found is None:
            raise ModelError(f"{target} could not be found yet", kind="connect")
        return found[1]

    async def _lines(
        self, started: Started, progress: Progress, spec: JobSpec, facts: Facts, lang: str
    ) -> dict[int, str]:
        """What a model says of the talks; {} where none is set, it may not be paid for, or it fails."""
        ref, talks = spec.model or self._cheap(), facts.talks[:MOST_TALKS]
        if not ref or not talks:
            return {}
        try:
            async with asyncio.timeout(PATIENCE):
                text = await self._asked(started, progress, self._model(ref), facts, lang)
        except (ModelError, Refused, TimeoutError) as error:
            log.info("digest.quoted", job=spec.name, model=ref, why=str(error) or type(error).__name__)
            return {}
        return summaries.read(text, len(talks))

    async def _asked(
        self, started: Started, progress: Progress, model: Model, facts: Facts, lang: str
    ) -> str:
        turn = started.turn
        ask = summaries.prompt(facts.talks[:MOST_TALKS], lang)
        progress.step += 1
        await model.ready()
        request = await self._biller.open(
            model,
            ask,
            Booking(
                purpose="summary",
                channel=started.conversation.channel,
                turn=turn.id,
                step=progress.step,
                attempt=0,
                session=turn.session,
                conversation=turn.conversation,
                identity=turn.identity,
                trigger=turn.trigger,
            ),
            check=lambda unit: check(unit, turn),
        )
        try:
            async with aclosing(self._biller.stream(request, ask)) as events:
                async for event in events:
                    if isinstance(event, Answer):
                        return "".join(part.text for part in event.parts if isinstance(part, Text))
            raise ModelError("the lines were cut off", kind="cut")
        finally:
            if request.settled is not None:
                await self._biller.settle(request)

    async def _picture(self, facts: Facts, lang: str) -> tuple[File, ...]:
        """The week's bill, where the day has cost anything."""
        if facts.total.cost <= 0:
            return ()
        dates = [facts.span.day - timedelta(days=ago) for ago in reversed(range(CHARTED))]
        if facts.span.today:
            dates.append(facts.span.day + timedelta(days=1))
        bars = drawn(facts.days, dates, lang)
        data = await asyncio.to_thread(
            chart,
            bars,
            title=say("period.dates", lang, first=bars[0].label, last=bars[-1].label),
            others=say("cost.rest", lang),
            lang=lang,
        )
        made = Made(type="image/png", data=data)
        return (await self._gallery.enter(made, name="digest.png", now=self._clock()),)


async def _reader(unit: Unit, target: str, place: Conversation | None) -> Identity | None:
    """Who reads a private chat that the configuration names."""
    if place is None:
        return await unit.people.identity(*LOCAL_USER)
    named = await unit.people.identity(place.channel, target.partition(":")[2])
    if named is not None:
        return named
    writers = await unit.people.writers(place.id, place.chat_id, place.channel)
    return writers[0] if len(writers) == 1 else None
