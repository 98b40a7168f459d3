"""One run of the agent: prompt, stream, journal, tools, usage. Every step is on disk before the next begins."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from gateway import compaction, history, log, transcript, verbose
from gateway.billing import Biller, Booking, Request
from gateway.budgets import Budget
from gateway.compacting import Compactor, Done, window
from gateway.errors import KEPT, OPERATOR_FAULTS, RETRYABLE, LeaseLost, ModelError, Refused
from gateway.failpoints import Point, passing
from gateway.lanes import LOCAL
from gateway.media import telling
from gateway.media.gallery import Gallery
from gateway.media.kinds import SUFFIXES
from gateway.protocols import (
    THINK,
    Answer,
    Clock,
    Delta,
    Made,
    Model,
    Prompt,
    Think,
    Thought,
    Tool,
    ToolContext,
    ToolFailed,
    UserMessage,
)
from gateway.runaway import circling
from gateway.texts import say
from gateway.transcript import Text, ToolResult, ToolUse
from gateway.types import Conversation, Entry, File, Identity, Json, Session, Turn, Waiting

if TYPE_CHECKING:
    from storage import Store, Unit

T = TypeVar("T")

BYTES = 4  # of a token, about; for what stays after a compaction
MOST_WAIT = 30.0  # seconds; a longer retry-after is not waited for inside a turn
TOOL_TIMEOUT = 60.0  # seconds
# Tokens for thinking, besides those for the answer: the model layer's budgets for Anthropic's older models, which
# the newer ones and OpenAI's seldom reach.
THOUGHT: Mapping[Think, int] = {"off": 0, "low": 2048, "medium": 10_000, "high": 16_384}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What bounds a turn; times in seconds. Swapped whole on reload."""

    system_prompt: str = ""
    max_output_tokens: int = 4096
    temperature: float | None = None
    cache: bool = True
    retries: int = 2
    max_requests: int = 25
    max_tool_calls: int = 50
    max_same_calls: int = 5  # of one tool with the same arguments
    max_errors: int = 6  # results in a row
    turn_timeout: float = 600.0
    auto_compact: bool = True
    context_window: int | None = None  # tokens; None: what is listed for the model
    zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A turn that has begun: what it needs to run, as it stands on disk."""

    turn: Turn
    session: Session
    conversation: Conversation
    identity: Identity | None
    rows: tuple[Waiting, ...]
    entries: tuple[Entry, ...]
    last_step: int = -1
    model: str | None = None  # overrides the session's (a job's own model)
    overheard: tuple[Json, ...] = ()  # said in the group before, not to us; never in the transcript
    lang: str = ""  # BCP 47 tag of the language whoever asked is spoken to in
    zone: str = ""  # IANA name of the zone they chose; '': the gateway's

    @property
    def picked(self) -> str | None:
        """The model that a person picked for this session; None: nobody did."""
        return self.session.model if self.model is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a turn ended; *text* is what the person is to read; *request* is still to be settled.

    state 'kept': the operator must mend something first; nothing is lost and it will run again.
    """

    state: str  # done, failed, cancelled, kept, parked
    text: str = ""
    parts: tuple[transcript.Part, ...] = ()
    model: str = ""
    error_kind: str | None = None
    error: str | None = None
    request: Request | None = None
    files: tuple[File, ...] = ()  # that the model has made


@dataclass(slots=True)
class Progress:
    """What a turn has come to so far; read when it is cancelled."""

    entries: list[Entry]
    step: int
    lang: str = ""  # as of the turn
    requests: int = 0
    tool_calls: int = 0
    request: Request | None = None
    shown: str = ""  # visible text of earlier steps, with what /verbose adds
    taken: list[Waiting] = field(default_factory=list)  # messages that were taken in on the way
    models: list[str] = field(default_factory=list)
    files: tuple[File, ...] = ()  # that the model has made
    places: list[str] = field(default_factory=list)  # where they lie
    shortened: bool = False  # the conversation before it was put away on the way
    without: str = ""  # what the person is told where their pictures were not shown
    near: list[Budget] = field(default_factory=list)  # budgets of which little is left, to be told of


class TurnRunner:
    """Runs turns; knows nothing of channels: *show* is told the visible text so far."""

    def __init__(
        self,
        *,
        store: Store,
        biller: Biller,
        compactor: Compactor,
        chain: Callable[[str | None], Sequence[Model]],
        tools: Mapping[str, Tool],
        gallery: Gallery,
        options: Options,
        clock: Clock,
        on_fault: Callable[[ModelError, Model], None] = lambda error, model: None,
        on_answer: Callable[[Model], None] = lambda model: None,
        steers: Callable[[int], bool] = lambda conversation: False,
    ) -> None:
        self._store = store
        self._biller = biller
        self._compactor = compactor
        self._chain = chain
        self._tools = tools
        self._gallery = gallery
        self.options = options
        self._clock = clock
        self._on_fault = on_fault
        self._on_answer = on_answer
        self._steers = steers

    async def run(self, started: Started, progress: Progress, show: Callable[[str], None]) -> Outcome:
        """To the end of the turn. Raises LeaseLost and StoreError; a cancellation passes through.

        What a model or a tool says has no configured secret in it: not for people, the transcript or the model.
        """

        def veiled(text: str) -> None:
            show(log.veiled(text, growing=True))

        try:
            async with asyncio.timeout(self.options.turn_timeout):
                return await self._loop(started, progress, veiled)
        except TimeoutError:
            return self._stopped(progress, say("turn.timed_out", progress.lang), "timeout")
        except ModelError as error:
            # A picked model can be given up by whoever picked it: their message need not wait for the operator.
            if error.kind in OPERATOR_FAULTS and (started.picked is None or error.kind == "halted"):
                return Outcome(
                    state="kept", error_kind=error.kind, error=str(error), request=progress.request
                )
            return self._stopped(progress, _told(started, error), error.kind, str(error))
        except Refused as error:
            return self._stopped(progress, _hinted(started, error.told(started.lang)), "refused", str(error))

    @property
    def tools(self) -> Mapping[str, Tool]:
        """By name."""
        return self._tools

    def cancelled(self, progress: Progress, *, interrupted: bool = False) -> Outcome:
        """What is left of a turn that was stopped: the text so far is kept and marked.

        *interrupted*: by the person's next message, which says enough where nothing was shown yet.
        """
        text, parts = _so_far(progress)
        why = say("during.interrupted" if interrupted else "turn.stopped", progress.lang)
        return Outcome(
            state="cancelled",
            text=f"{text.rstrip()} …\n\n*{why}*" if text.strip() else "" if interrupted else why,
            parts=parts,
            request=progress.request,
        )

    def _stopped(self, progress: Progress, notice: str, kind: str, error: str | None = None) -> Outcome:
        text, parts = _so_far(progress)
        return Outcome(
            state="failed",
            text=f"{text.rstrip()} …\n\n*{notice}*" if text.strip() else notice,
            parts=parts,
            error_kind=kind,
            error=error,
            request=progress.request,
        )

    async def _loop(self, started: Started, progress: Progress, show: Callable[[str], None]) -> Outcome:
        while True:
            calls, _ = history.pending_calls(progress.entries, started.turn.id)
            if calls:
                await self._run_tools(started, progress, calls, show)
                continue
            await self._steered(started, progress)
            if (
                progress.requests >= self.options.max_requests
                or progress.tool_calls > self.options.max_tool_calls
                or circling(
                    progress.entries,
                    started.turn.id,
                    same=self.options.max_same_calls,
                    errors=self.options.max_errors,
                )
            ):
                return self._stopped(progress, say("turn.too_many", progress.lang), "runaway")
            try:
                answer = await self._ask(started, progress, show)
            except ModelError as error:
                if error.kind != "context" or not await self._shortened(started, progress):
                    raise
                continue
            text = "".join(part.text for part in answer.parts if isinstance(part, Text))
            uses = [part for part in answer.parts if isinstance(part, ToolUse)]
            progress.models.append(answer.model)
            progress.files += await self._kept(progress, answer.files)
            if not uses:
                said = (progress.shown + text).strip()
                if not said and not progress.files:
                    said = say("turn.empty", progress.lang)
                if progress.places and started.conversation.channel in LOCAL:
                    # Whoever reads the transcript is sent no files.
                    said += "\n\n" + "\n".join(f"📎 `{place}`" for place in progress.places)
                if progress.without:
                    said += f"\n\n*{progress.without}*"
                for budget in progress.near:
                    said += f"\n\n*{self._near(budget, progress.lang)}*"
                return Outcome(
                    state="done",
                    text=said.strip(),
                    parts=answer.parts,
                    model=answer.model,
                    request=progress.request,
                    files=progress.files,
                )
            await self._journal(started, progress, answer, uses, text)

    async def _shortened(self, started: Started, progress: Progress) -> bool:
        """The model says that it is too much: put away what was before this turn; False when that was done or nothing
        is there.
        """
        turn = started.turn
        first = next((each.seq for each in progress.entries if each.turn == turn.id), None)
        if first is None or progress.shortened or not self.options.auto_compact:
            return False
        progress.shortened = True
        await self._settle(progress)
        done = await self.compact(started, progress.entries, keep=first, cause="overflow")
        if done is None:
            return False
        progress.entries = list(await self._store.read(lambda unit: unit.transcript.live(turn.session)))
        return True

    async def compact(
        self, started: Started, entries: Sequence[Entry], *, keep: int, cause: str
    ) -> Done | None:
        """Put away what is before the entry *keep*, on the bill of who asked; None: there is nothing to put away.

        Raises LeaseLost and StoreError, and ModelError when halted.
        """
        turn, session = started.turn, started.session
        model = self._chain(started.model or session.model)[0]

        async def still(unit: Unit) -> None:
            if cause == "overflow":
                await check(unit, turn)
            else:
                latest = await unit.turns.latest(session.id)
                if latest is not None and latest.state in ("running", "parked"):
                    raise Refused(key="session.busy")

        return await self._compactor.compact(
            session,
            model,
            Booking(
                purpose="compaction",
                channel=started.conversation.channel,
                session=session.id,
                conversation=turn.conversation,
                identity=turn.identity,
                trigger=turn.trigger,
            ),
            entries,
            keep=keep,
            cause=cause,
            most=self.options.max_output_tokens,
            check=still,
        )

    async def tidied(self, started: Started, used: int) -> Done | None:
        """After a turn whose last request had *used* tokens: put the earlier part away if there is little room left."""
        model = self._chain(started.model or started.session.model)[0]
        most = window(model, self.options.context_window)
        if not self.options.auto_compact or not compaction.full(used, most):
            return None
        entries = await self._store.read(lambda unit: unit.transcript.live(started.session.id))
        keep = compaction.keep_from(entries, most=most * BYTES // 5)
        return await self.compact(started, entries, keep=keep, cause="auto")

    def _near(self, budget: Budget, lang: str) -> str:
        line = budget.line(now=self._clock(), zone=self.options.zone, lang=lang)
        return f"{say('budget.near', lang, name=budget.name(lang))} {line}"

    async def _kept(self, progress: Progress, made: Sequence[Made]) -> tuple[File, ...]:
        """Files of the model's, on disk and with their rows."""
        found: list[File] = []
        for each in made:
            name = f"{each.type.partition('/')[0] or 'file'}{SUFFIXES.get(each.type, '')}"
            found.append(await self._gallery.enter(each, name=name, now=self._clock()))
            progress.places.append(await self._gallery.place(found[-1]))
        return tuple(found)

    async def _steered(self, started: Started, progress: Progress) -> None:
        """Take in what people have sent for the running answer; it waits until the next request of the turn."""
        turn = started.turn
        if progress.requests == 0 or not self._steers(turn.conversation):
            return
        now = self._clock()

        async def work(unit: Unit) -> list[tuple[Waiting, Entry]]:
            await check(unit, turn)
            taken = []
            for row in await unit.inbox.steering(turn.conversation, turn.id):
                body = transcript.said(row)
                seq = await unit.transcript.add(turn.session, "user", body, now=now, turn=turn.id)
                await unit.inbox.take(row.id, turn.id)
                entry = Entry(seq=seq, turn=turn.id, kind="user", body=body, created=now)
                taken.append((row, entry))
            if taken:
                last = taken[-1][0].received
                await unit.sessions.count(turn.session, now=now, messages=len(taken), person=last)
            return taken

        def stored(taken: list[tuple[Waiting, Entry]]) -> None:
            progress.taken += [row for row, _ in taken]
            progress.entries += [entry for _, entry in taken]

        await whole(self._store.commit(Point.STEER, work), stored)

    def prompt(self, session: Session, entries: Sequence[Entry], overheard: Sequence[Json] = ()) -> Prompt:
        """What the model is sent: the same prefix for the whole session, what changes comes last."""
        options, think = self.options, think_of(session)
        return Prompt(
            stable=session.system_prompt or options.system_prompt,
            messages=history.with_overheard(history.build(entries), overheard),
            tools=tuple(tool.spec for tool in self._tools.values()),
            # What a model thinks counts: the room for its answer stays the same.
            max_output_tokens=options.max_output_tokens + THOUGHT[think or "off"],
            temperature=options.temperature,
            cache=options.cache,
            think=think,
        )

    async def _ask(self, started: Started, progress: Progress, show: Callable[[str], None]) -> Answer:
        """One step: the chosen model, asked again while that makes sense, then each fallback in turn."""
        prompt = self.prompt(started.session, progress.entries, started.overheard)
        progress.step += 1
        attempt = 0
        error: ModelError | None = None
        models = self._chain(started.model or started.session.model)
        # Who has picked a model is answered by that one or told that it failed, never by another.
        for model in models[:1] if started.picked is not None else models:
            asked = await self._with_pictures(started, progress, prompt, model)
            again = 0
            while True:
                try:
                    answer = await self._attempt(started, progress, show, model, asked, attempt)
                    self._on_answer(model)
                    return answer
                except ModelError as failure:
                    error = failure
                    log.warning(
                        "model.failed", turn=started.turn.id, model=model.ref, kind=failure.kind, status=failure.status,
                        attempt=attempt, error=str(failure),
                    )  # fmt: skip
                    attempt += 1
                    if failure.kind in OPERATOR_FAULTS or failure.kind == "not_found":
                        self._on_fault(failure, model)
                    if failure.kind in ("shape", "refused") and _has_pictures(asked):
                        # A picture that it will not take must not keep it from answering, now and for ever.
                        asked = replace(asked, messages=history.with_pictures(asked.messages, {}))
                        progress.without = say("media.untaken", progress.lang, model=model.ref)
                        await self._settle(progress)
                        continue
                    wait = failure.retry_after if failure.retry_after is not None else 0.5 * 2**again
                    if failure.kind not in RETRYABLE or again == self.options.retries or wait > MOST_WAIT:
                        break
                    again += 1
                    await self._settle(progress)
                    await asyncio.sleep(wait)
            # The next model is asked only where another one may do better.
            if error is not None and error.kind in ("context", "shape", "refused", "budget"):
                break
            await self._settle(progress)
        if error is None:
            raise Refused(key="model.none")
        if error.kind == "connect":
            self._on_fault(error, model)
        raise error

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

    async def _settle(self, progress: Progress) -> None:
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
            ),
            check=still_ours,
        )
        progress.requests += 1
        progress.near += progress.request.near
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
                        return _veiled(event)
        raise ModelError("the stream ended without an answer", kind="cut")

    async def _journal(
        self, started: Started, progress: Progress, answer: Answer, uses: list[ToolUse], text: str
    ) -> None:
        """The answer that asks for tools, its ledger row and the intents, in one commit."""
        turn, request = started.turn, progress.request
        body = transcript.assistant(answer.parts, model=answer.model)
        now = self._clock()

        async def work(unit: Unit) -> Entry:
            await check(unit, turn)
            if request is not None and request.settled is not None:
                await unit.ledger.settle(request.uid, request.settled)
            seq = await unit.transcript.add(turn.session, "assistant", body, now=now, turn=turn.id)
            for use in uses:
                digest = hashlib.sha256(use.args.encode("utf-8", "replace")).hexdigest()
                await unit.turns.call(
                    turn.id, progress.step, use.id, name=use.name, effect="effectful", args_hash=digest
                )
            return Entry(seq=seq, turn=turn.id, kind="assistant", body=body, created=now)

        def stored(entry: Entry) -> None:
            progress.entries.append(entry)
            progress.request = None
            progress.shown += text.rstrip() + "\n\n" if text.strip() else ""

        await whole(self._store.commit(Point.SETTLE, work), stored)

    async def _run_tools(
        self, started: Started, progress: Progress, calls: Sequence[ToolUse], show: Callable[[str], None]
    ) -> None:
        """Each call once. One that had started when the process died is reported as interrupted, never repeated."""
        turn, step = started.turn, progress.step
        now = self._clock()

        async def begin(unit: Unit) -> dict[str, tuple[str, int | None]]:
            await check(unit, turn)
            known = {id: (state, at) for id, _, state, at in await unit.turns.calls(turn.id, step)}
            for call in calls:
                if known.get(call.id, ("", None))[1] is None:
                    await unit.turns.call_started(turn.id, step, call.id, now=now)
            return known

        known = await self._store.commit(Point.TOOLS_STARTED, begin)
        fresh = [call for call in calls if known.get(call.id, ("", None))[1] is None]
        given = dict(
            zip(
                (c.id for c in fresh),
                await asyncio.gather(*(self._call(started, c) for c in fresh)),
                strict=True,
            )
        )
        results = [
            given.get(call.id)
            or ToolResult(
                call.id,
                call.name,
                "interrupted by a restart: it may or may not have taken effect; not repeated",
                True,
            )
            for call in calls
        ]
        progress.tool_calls += len(calls)
        body = transcript.results(results)
        done = self._clock()

        async def finish(unit: Unit) -> Entry:
            await check(unit, turn)
            for result in results:
                state = "unknown" if result.id not in given else "failed" if result.error else "done"
                await unit.turns.call_ended(
                    turn.id, step, result.id, state=state, is_error=result.error, now=done
                )
            seq = await unit.transcript.add(turn.session, "results", body, now=done, turn=turn.id)
            return Entry(seq=seq, turn=turn.id, kind="results", body=body, created=done)

        await whole(self._store.commit(Point.RESULTS, finish), progress.entries.append)
        if lines := verbose.lines(
            started.conversation.settings.get("verbose"), calls, results, progress.lang
        ):
            progress.shown += lines + "\n\n"
            show(progress.shown)

    async def _call(self, started: Started, call: ToolUse) -> ToolResult:
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolResult(call.id, call.name, f"there is no tool named {call.name}", True)
        try:
            args: Json = json.loads(call.args or "{}")
            if not isinstance(args, dict):
                raise ToolFailed("the arguments must be a JSON object")
            passing(Point.TOOL, "before")
            async with asyncio.timeout(TOOL_TIMEOUT):
                text = await tool.call(
                    args,
                    ToolContext(
                        session=started.turn.session,
                        turn=started.turn.id,
                        conversation=started.conversation.id,
                        identity=started.turn.identity,
                        zone=started.zone or self.options.zone,
                        now=self._clock(),
                    ),
                )
            passing(Point.TOOL, "after")
        except json.JSONDecodeError as error:
            return ToolResult(call.id, call.name, f"the arguments are not JSON: {error}", True)
        except TimeoutError:
            return ToolResult(call.id, call.name, f"timed out after {TOOL_TIMEOUT:.0f} s", True)
        except ToolFailed as error:
            return ToolResult(call.id, call.name, log.veiled(str(error)), True)
        return ToolResult(call.id, call.name, log.veiled(text))


def _veiled(answer: Answer) -> Answer:
    parts = tuple(Text(log.veiled(part.text)) if isinstance(part, Text) else part for part in answer.parts)
    return answer if parts == answer.parts else replace(answer, parts=parts)


def _so_far(progress: Progress) -> tuple[str, tuple[transcript.Part, ...]]:
    """What the person has seen of a turn that ends early, and what of it no entry holds yet."""
    rest = log.veiled(progress.request.text, growing=True) if progress.request else ""
    return progress.shown + rest, (Text(rest),) if rest.strip() else ()


def _has_pictures(prompt: Prompt) -> bool:
    return any(isinstance(each, UserMessage) and each.pictures for each in prompt.messages)


def resumed(started: Started) -> Progress:
    """Where a turn stands: at its beginning, or where an earlier run of it was cut off."""
    progress = Progress(entries=list(started.entries), step=started.last_step, lang=started.lang)
    how, uses = started.conversation.settings.get("verbose"), list[ToolUse]()
    for entry in started.entries:
        if entry.turn == started.turn.id and entry.kind == "assistant":
            parts = transcript.parts(entry.body)
            text = "".join(part.text for part in parts if isinstance(part, Text))
            progress.shown += text.rstrip() + "\n\n" if text.strip() else ""
            uses = [part for part in parts if isinstance(part, ToolUse)]
        elif entry.turn == started.turn.id and entry.kind == "results":
            lines = verbose.lines(how, uses, transcript.tool_results(entry.body), started.lang)
            progress.shown += lines + "\n\n" if lines else ""
    return progress


def think_of(session: Session) -> Think | None:
    """None: nothing was said of it."""
    return next((level for level in THINK if level == session.settings.get("think")), None)


def _told(started: Started, error: ModelError) -> str:
    """Why there is no answer, or no more of it."""
    if error.kind == "budget":
        return error.told(started.lang)
    kind = "unreachable" if started.picked is not None and error.kind in KEPT else error.kind
    return _hinted(started, say(f"failed.{kind}", started.lang))


def _hinted(started: Started, text: str) -> str:
    """Where the model was picked: which it was, and how to get rid of it."""
    if started.picked is None:
        return text
    return f"{text} {say('failed.picked', started.lang, model=f'`{started.picked}`')}"


async def whole(commit: Coroutine[Any, Any, T], stored: Callable[[T], None]) -> None:
    """Wait for a commit to its end, also when cancelled meanwhile, and note what it stored.

    It cannot be called back: who forgot what it has stored would store it again, as the last words of a turn.
    """
    task = asyncio.ensure_future(commit)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if task.exception() is None:
            stored(task.result())
        raise
    stored(task.result())


async def check(unit: Unit, turn: Turn) -> None:
    """Raises LeaseLost unless the turn still has its conversation: a stopped and woken process must store nothing."""
    if not await unit.places.holds(turn.conversation, turn.fence):
        raise LeaseLost(f"turn {turn.id} has lost its conversation")
