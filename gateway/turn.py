"""One run of the agent: prompt, stream, journal, tools, usage. Every step is on disk before the next begins."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import history, log, transcript
from gateway.access import LOCAL
from gateway.approvals import Approvals
from gateway.asker import Asker
from gateway.budgets import Budget, OverBudget
from gateway.errors import KEPT, OPERATOR_FAULTS, ModelError, Refused
from gateway.failpoints import Point
from gateway.journal import check, whole
from gateway.media.gallery import Gallery
from gateway.media.kinds import SUFFIXES
from gateway.progress import Options, Outcome, Progress, Started
from gateway.protocols.answer import Answer, Made
from gateway.protocols.clock import Clock
from gateway.protocols.prompt import Prompt
from gateway.room import Room
from gateway.runaway import circling
from gateway.texts import say
from gateway.toolbox import Toolbox
from gateway.transcript import Text, ToolUse
from gateway.types.inbound import Waiting
from gateway.types.outbound import File
from gateway.types.turns import Entry

if TYPE_CHECKING:
    from storage import Store, Unit


class TurnRunner:
    """Runs turns; knows nothing of channels: *show* is told the visible text so far."""

    def __init__(
        self,
        *,
        store: Store,
        room: Room,
        asker: Asker,
        toolbox: Toolbox,
        approvals: Approvals,
        gallery: Gallery,
        clock: Clock,
        digest: Callable[[Started, Progress], Awaitable[Outcome]],
        steers: Callable[[int], bool] = lambda conversation: False,
    ) -> None:
        """*digest* makes the answer of a job that asks no model for it."""
        self._store = store
        self._room = room
        self._asker = asker
        self._toolbox = toolbox
        self._approvals = approvals
        self._gallery = gallery
        self._clock = clock
        self._digest = digest
        self._steers = steers

    @property
    def options(self) -> Options:
        """What bounds a turn; those under way see the new ones as well."""
        return self._asker.options

    @options.setter
    def options(self, options: Options) -> None:
        self._asker.options = self._toolbox.options = options

    async def run(self, started: Started, progress: Progress, show: Callable[[str], None]) -> Outcome:
        """To the end of the turn. Raises LeaseLost and StoreError; a cancellation passes through.

        What a model or a tool says has no configured secret in it: not for people, the transcript or the model.
        """

        def veiled(text: str) -> None:
            show(log.veiled(text, growing=True))

        try:
            async with asyncio.timeout(self._seconds(started)):
                return await self._loop(started, progress, veiled)
        except TimeoutError:
            return self._stopped(progress, say("turn.timed_out", progress.lang), "timeout")
        except ModelError as error:
            # A picked model can be given up by whoever picked it: their message need not wait for the operator.
            if error.kind in OPERATOR_FAULTS and (started.picked is None or error.kind == "halted"):
                return Outcome(
                    state="kept", error_kind=error.kind, error=str(error), request=progress.request
                )
            stopped = self._stopped(progress, _told(started, error), error.kind, str(error))
            return replace(stopped, over=error.shortfall) if isinstance(error, OverBudget) else stopped
        except Refused as error:
            return self._stopped(progress, _hinted(started, error.told(started.lang)), "refused", str(error))

    def _seconds(self, started: Started) -> float:
        own = started.job.spec.timeout if started.job is not None else None
        return self.options.turn_timeout if own is None else own

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
        if started.job is not None and started.job.spec.kind == "digest":
            return await self._digest(started, progress)
        await self._room.landed(started, progress)
        while True:
            calls, _ = history.pending_calls(progress.entries, started.turn.id)
            if self._beyond(started, progress, len(calls)):
                return self._stopped(progress, say("turn.too_many", progress.lang), "runaway")
            if calls:
                await self._toolbox.run(started, progress, calls, show)
                continue
            await self._steered(started, progress)
            prompt = self._prompt(started, progress)
            if await self._room.before(started, progress, prompt):
                prompt = self._prompt(started, progress)
            try:
                answer = await self._asker.ask(started, progress, prompt, show)
            except ModelError as error:
                if error.kind != "context":
                    raise
                await self._asker.settle(progress)
                if not await self._room.refused(started, progress):
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
                if started.conversation.channel in LOCAL:
                    # Whoever reads the transcript is sent no files, and no question with buttons.
                    if progress.places:
                        said += "\n\n" + "\n".join(f"📎 `{place}`" for place in progress.places)
                    if progress.tool_calls:
                        said += "\n\n" + await self._approvals.questions(started.turn, progress.lang)
                for told in filter(None, (progress.without, progress.unsearched)):
                    said += f"\n\n*{told}*"
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

    def _prompt(self, started: Started, progress: Progress) -> Prompt:
        return self._asker.prompt(started.session, progress.entries, self._toolbox.specs, started.overheard)

    def _beyond(self, started: Started, progress: Progress, calls: int) -> bool:
        """Whether to run so many *calls*, or without any to ask once more, would go past one of the limits."""
        options = self.options
        return (
            (not calls and progress.requests >= options.max_requests)
            or progress.tool_calls + calls > options.max_tool_calls
            or circling(
                progress.entries, started.turn.id, same=options.max_same_calls, errors=options.max_errors
            )
        )

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


def _so_far(progress: Progress) -> tuple[str, tuple[transcript.Part, ...]]:
    """What the person has seen of a turn that ends early, and what of it no entry holds yet."""
    rest = log.veiled(progress.request.text, growing=True) if progress.request else ""
    return progress.shown + rest, (Text(rest),) if rest.strip() else ()


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
