"""One step of a turn: the chosen model is asked, again where that makes sense, then each fallback in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import history, log, sources, verbose
from gateway.billing import Biller, Booking
from gateway.errors import OPERATOR_FAULTS, RETRYABLE, ModelError, Refused
from gateway.journal import check
from gateway.media import telling
from gateway.media.gallery import Gallery
from gateway.others_words import with_overheard
from gateway.progress import Options, Progress, Started, think_of
from gateway.protocols.answer import Answer, Delta, Thought
from gateway.protocols.messages import UserMessage
from gateway.protocols.model import Model
from gateway.protocols.prompt import Prompt, Think
from gateway.protocols.tool import ToolSpec
from gateway.retention import Retention
from gateway.texts import say
from gateway.transcript import Text
from gateway.types.json import Json
from gateway.types.sessions import Session
from gateway.types.turns import Entry

if TYPE_CHECKING:
    from storage import Unit

NOT_SO = frozenset({"shape", "refused", "not_found"})  # perhaps not with searches
NO_SEARCH = "set providers.<name>.web_search = false, or let the account search"
MOST_WAIT = 30.0  # seconds; a longer retry-after is not waited for inside a turn
# Tokens for thinking, besides those for the answer: the model layer's budgets for Anthropic's older models, which
# the newer ones and OpenAI's seldom reach.
THOUGHT: Mapping[Think, int] = {"off": 0, "low": 2048, "medium": 10_000, "high": 16_384}


class Asker:
    """Asks the models; each attempt has its own ledger row."""

    def __init__(
        self,
        *,
        biller: Biller,
        retention: Retention,
        chain: Callable[[str | None], Sequence[Model]],
        gallery: Gallery,
        options: Options,
        on_fault: Callable[[ModelError, Model], None],
        on_answer: Callable[[Model], None],
    ) -> None:
        self._biller = biller
        self._retention = retention
        self._chain = chain
        self._gallery = gallery
        self.options = options
        self._on_fault = on_fault
        self._on_answer = on_answer
        self._searchless: set[str] = set()  # models that have refused to be asked with searches

    def model(self, session: Session, other: str | None = None) -> Model:
        """The one that is asked first: *other*, else the session's own, else the default."""
        return self._chain(other or session.model)[0]

    def prompt(
        self, session: Session, entries: Sequence[Entry], tools: Sequence[ToolSpec], overheard: Sequence[Json]
    ) -> Prompt:
        """What the model is sent: the same prefix for the whole session, what changes comes last."""
        options, think = self.options, think_of(session)
        return Prompt(
            stable=session.system_prompt or options.system_prompt,
            messages=with_overheard(history.build(entries), overheard),
            tools=tuple(tools),
            # What a model thinks counts: the room for its answer stays the same.
            max_output_tokens=options.max_output_tokens + THOUGHT[think or "off"],
            temperature=options.temperature,
            key=session.code,
            think=think,
        )

    async def ask(
        self, started: Started, progress: Progress, prompt: Prompt, show: Callable[[str], None]
    ) -> Answer:
        """One step. Raises ModelError when nobody answered, and LeaseLost; its request is then in *progress*."""
        progress.step += 1
        attempt = 0
        error: ModelError | None = None
        models = self._chain(started.model or started.session.model)
        # Who has picked a model is answered by that one or told that it failed, never by another.
        for model in models[:1] if started.picked is not None else models:
            asked = await self._with_pictures(started, progress, prompt, model)
            cache = await self._retention.of(
                model, asked, session=started.session.id, setting=self.options.cache
            )
            searches = self.options.web_search if await self._searches(model) else 0
            asked = replace(asked, cache=cache, searches=searches)
            again, refused = 0, False
            while True:
                try:
                    answer = await self._attempt(started, progress, show, model, asked, attempt)
                    self._on_answer(model)
                    if refused:
                        self._searchless.add(model.ref)
                    return answer
                except ModelError as failure:
                    error = failure
                    log.warning(
                        "model.failed", turn=started.turn.id, model=model.ref, kind=failure.kind, status=failure.status,
                        attempt=attempt, error=str(failure),
                    )  # fmt: skip
                    attempt += 1
                    if failure.kind in NOT_SO and progress.request and progress.request.searches:
                        # A model that cannot search, or an account that may not: asked without, and so from then on.
                        log.warning("search.refused", model=model.ref, remedy=NO_SEARCH)
                        asked, refused = replace(asked, searches=0), True
                        await self.settle(progress)
                        continue
                    if failure.kind in OPERATOR_FAULTS or failure.kind == "not_found":
                        self._on_fault(failure, model)
                    if failure.kind in ("shape", "refused") and _has_pictures(asked):
                        # A picture that it will not take must not keep it from answering, now and for ever.
                        shown = history.with_pictures(asked.messages, {})
                        asked, refused = replace(asked, messages=shown, searches=searches), False
                        progress.without = say("media.untaken", progress.lang, model=model.ref)
                        await self.settle(progress)
                        continue
                    wait = failure.retry_after if failure.retry_after is not None else 0.5 * 2**again
                    if failure.kind not in RETRYABLE or again == self.options.retries or wait > MOST_WAIT:
                        break
                    again += 1
                    await self.settle(progress)
                    await asyncio.sleep(wait)
            # The next model is asked only where another one may do better.
            if error is not None and error.kind in ("context", "shape", "refused", "budget"):
                break
            await self.settle(progress)
        if error is None:
            raise Refused(key="model.none")
        if error.kind == "connect":
            self._on_fault(error, model)
        raise error

    async def _searches(self, model: Model) -> bool:
        return model.ref not in self._searchless and await model.searches()

    async def _with_pictures(
        self, started: Started, progress: Progress, prompt: Prompt, model: Model
    ) -> Prompt:
        """The prompt as that model can take it: with what is in its pictures, or without them."""
        progress.without = ""
        if not _has_pictures(prompt):
            return prompt
        sees = await model.sees()
        now = any(
            entry.turn == started.turn.id and telling.pictures(entry.body) for entry in progress.entries
        )
        progress.without = say("media.blind", progress.lang, model=model.ref) if now and not sees else ""
        found = await self._gallery.pictures(prompt.messages) if sees else {}
        return replace(prompt, messages=history.with_pictures(prompt.messages, found))

    async def settle(self, progress: Progress) -> None:
        """A failed attempt's row, before the next attempt is opened."""
        if progress.request is not None:
            request, progress.request = progress.request, None
            await self._biller.settle(request)

    async def _attempt(
        self,
        started: Started,
        progress: Progress,
        show: Callable[[str], None],
        model: Model,
        prompt: Prompt,
        attempt: int,
    ) -> Answer:
        turn = started.turn

        async def still_ours(unit: Unit) -> None:
            await check(unit, turn)

        # Before the row is written: whoever dies while an SDK is being imported has asked nothing.
        await model.ready()
        progress.request = await self._biller.open(
            model,
            prompt,
            Booking(
                purpose="chat",
                channel=started.conversation.channel,
                turn=turn.id,
                step=progress.step,
                attempt=attempt,
                session=turn.session,
                conversation=turn.conversation,
                identity=turn.identity,
                trigger=turn.trigger,
                over=turn.over,
            ),
            check=still_ours,
        )
        progress.requests += 1
        progress.near += progress.request.near
        if (short := progress.request.short) is not None:
            progress.unsearched = say("search.short", progress.lang, name=short.name(progress.lang))
        request, thought, how = progress.request, "", started.conversation.settings.get("verbose")
        async with aclosing(self._biller.stream(request, prompt)) as events:
            async for event in events:
                match event:
                    case Delta():
                        show(progress.shown + verbose.thinking(how, thought) + request.text)
                    case Thought(text):
                        thought += text
                        if shown := verbose.thinking(how, thought):
                            show(progress.shown + shown + request.text)
                    case Answer():
                        progress.shown += log.veiled(verbose.thinking(how, thought))
                        request.text = log.veiled(request.text)
                        return _veiled(sources.named(event, progress.lang))
        raise ModelError("the stream ended without an answer", kind="cut")


def _veiled(answer: Answer) -> Answer:
    parts = tuple(Text(log.veiled(part.text)) if isinstance(part, Text) else part for part in answer.parts)
    return answer if parts == answer.parts else replace(answer, parts=parts)


def _has_pictures(prompt: Prompt) -> bool:
    return any(isinstance(each, UserMessage) and each.pictures for each in prompt.messages)
