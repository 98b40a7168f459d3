"""A compaction as it is made: the model writes the notes, the ledger has its row, the transcript stays whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway import compaction, history, log, transcript, usage
from gateway.billing import Biller, Booking, Request
from gateway.errors import ModelError
from gateway.failpoints import Point
from gateway.protocols import Answer, Asked, Clock, Message, Model, Prompt
from gateway.types import Entry, Session

if TYPE_CHECKING:
    from storage import Store, Unit

DEFAULT_WINDOW = 200_000  # tokens, where nobody knows the model's
BY_ITSELF = ("auto", "overflow")  # causes that nobody has asked for


def window(model: Asked, configured: int | None) -> int:
    """How many tokens a model takes: as configured, else as listed, else what most take."""
    return configured or usage.context_window(model.model, provider_kind=model.kind) or DEFAULT_WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """*messages* were put into *summary*; the context had *before* tokens, about *after* are left of those."""

    messages: int
    before: int
    after: int
    summary: str


class Compactor:
    """Makes compactions. Whoever asks sees to it that no turn of the session runs meanwhile."""

    def __init__(self, *, store: Store, biller: Biller, clock: Clock) -> None:
        self._store = store
        self._biller = biller
        self._clock = clock

    async def compact(
        self,
        session: Session,
        model: Model,
        booking: Booking,
        entries: Sequence[Entry],
        *,
        keep: int,
        cause: str,
        most: int,
        check: Callable[[Unit], Any],
    ) -> Done | None:
        """Put what is before the entry *keep* into notes of at most *most* tokens; None: there is nothing to put away.

        *check* runs in the commit that stores them and may raise. A summary that fails is an error where a person has
        asked for it (ModelError), and else made without a model: the session must go on.
        """
        covered = [entry for entry in entries if entry.seq < keep]
        messages = history.build(covered, ask=False)
        if len(messages) < 2:
            return None
        try:
            summary, request = await self._asked(model, booking, messages, most)
        except ModelError as error:
            # Where there is still room, what must not be spent is no reason to make poor notes.
            if cause not in BY_ITSELF or error.kind == "halted" or (cause, error.kind) == ("auto", "budget"):
                raise
            log.warning("compaction.without_model", session=session.id, kind=error.kind, error=str(error))
            summary, request = compaction.beginnings(messages), None
        now = self._clock()

        async def work(unit: Unit) -> int:
            await check(unit)
            if request is not None and request.settled is not None:
                await unit.ledger.settle(request.uid, request.settled)
            if not summary:
                return 0
            last = await unit.ledger.context(session.id)
            before = last[0] + last[1] if last else history.size(messages) // 4
            uid = request.uid if request is not None else None
            await compacted(unit, session, summary, cause, before, uid, now, len(covered), upto=keep)
            return before

        before = await self._store.commit(Point.COMPACT, work)
        log.info("compacted", session=session.id, cause=cause, messages=len(messages), before=before)
        return Done(messages=len(messages), before=before, after=len(summary) // 4, summary=summary)

    async def _asked(
        self, model: Model, booking: Booking, messages: Sequence[Message], most: int
    ) -> tuple[str, Request]:
        """The notes, and their request, which is still to be settled. Raises ModelError: then it is."""
        ask: Prompt = compaction.prompt(messages, max_output_tokens=most)
        await model.ready()
        request = await self._biller.open(model, ask, booking)
        try:
            async with aclosing(self._biller.stream(request, ask)) as events:
                async for event in events:
                    if isinstance(event, Answer):
                        texts = [part.text for part in event.parts if isinstance(part, transcript.Text)]
                        return "".join(texts).strip(), request
            raise ModelError("the summary was cut off", kind="cut")
        except BaseException:
            if request.settled is not None:
                await self._biller.settle(request)
            raise


async def compacted(
    unit: Unit,
    session: Session,
    summary: str,
    cause: str,
    before: int,
    usage_uid: str | None,
    now: int,
    covered: int,
    *,
    upto: int | None = None,
) -> None:
    """The summary stands for everything before the entry *upto*; None: for all there is."""
    current = await unit.sessions.get(session.id)
    assert current is not None
    upto = current.next_seq if upto is None else min(upto, current.next_seq)
    seq = await unit.transcript.add(session.id, "summary", transcript.summary(summary, upto=upto), now=now)
    await unit.transcript.compacted(
        session.id,
        entry_seq=seq,
        cause=cause,
        from_seq=max(0, upto - covered),
        to_seq=upto,
        before=before,
        after=len(summary) // 4,
        usage_uid=usage_uid,
        now=now,
    )
