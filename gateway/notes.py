"""Notes of a conversation, asked of models piece by piece; each request is on the bill."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway import compaction, log
from gateway.billing import Biller, Booking, Request
from gateway.errors import RETRYABLE, ModelError, Refused
from gateway.protocols.answer import Answer
from gateway.protocols.model import Model
from gateway.protocols.prompt import Prompt
from gateway.transcript import Text

if TYPE_CHECKING:
    from storage import Unit

MOST_WAIT = 30.0  # seconds; a longer retry-after is not waited for
MERGES = 3  # of notes that are too long beside each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Notes of *text*, asked of the *models* in turn; *check* runs with each ledger row and may raise.

    *output*: tokens of one set of notes, at most. *window*: how many tokens a model takes. *density*: bytes of a token,
    in this text. *retries* of a request.
    """

    text: str
    models: Sequence[Model]
    booking: Booking
    output: int
    window: Callable[[Model], int]
    density: float
    retries: int = 0
    focus: str = ""
    check: Callable[[Unit], Any] | None = None


class Notes:
    """Notes as they come together. *left* is what nobody has taken notes of; *error* says why.

    *request* is the last one, which whoever stores the notes settles; every other one is settled. *costs* of those that
    used something, in nano-dollars; None: not known.
    """

    def __init__(self, biller: Biller, wanted: Wanted) -> None:
        self._biller = biller
        self._wanted = wanted
        self._model: Model | None = None
        self.parts: list[str] = []
        self.left = wanted.text
        self.error: ModelError | Refused | None = None
        self.request: Request | None = None
        self.costs: list[int | None] = []

    @property
    def model(self) -> str | None:
        """Who wrote the last of them; None: nobody has written anything."""
        return self._model.ref if self._model is not None else None

    @property
    def text(self) -> str:
        return _joined(self.parts)

    async def take(self) -> None:
        """As far as the models will; what one has written stays when the next takes over.

        Raises ModelError when halted.
        """
        try:
            for model in self._wanted.models:
                await self._by(model)
                if not self.left:
                    break
            if self._model is not None and not self.left:
                await self._merge(self._model)
        except BaseException:  # whatever ends it: what they have cost so far is on the bill
            await self.settle()
            raise

    async def settle(self) -> None:
        """The last request, when nothing is stored with it."""
        if self.request is not None:
            request, self.request = self.request, None
            if request.settled is not None:
                if request.settled.state != "failed":
                    self.costs.append(request.settled.cost)
                await self._biller.settle(request)

    async def _by(self, model: Model) -> None:
        """As far as that model goes. What is too much for it after all is halved."""
        wanted = self._wanted
        room = compaction.room(wanted.window(model), wanted.output, wanted.density)
        while self.left:
            piece, rest = compaction.cut(self.left, room)
            part = len(self.parts) + 1 if rest or self.parts else 0
            ask = compaction.prompt(piece, part=part, output=wanted.output, focus=wanted.focus)
            try:
                said = await self._asked(model, ask)
            except (ModelError, Refused) as error:
                if _halted(error):
                    raise
                self.error = error
                size = len(piece.encode("utf-8", "replace"))
                if isinstance(error, ModelError) and error.kind == "context" and size > compaction.SMALLEST:
                    room = max(compaction.SMALLEST, min(room, size) // 2)
                    continue
                log.warning("compaction.notes", model=model.ref, left=len(self.left), error=str(error))
                return
            self.parts.append(said)
            self.left, self._model, self.error = rest, model, None

    async def _merge(self, model: Model) -> None:
        """One set of notes, where several are too long beside each other; where that fails they stay as they are."""
        wanted = self._wanted
        window = wanted.window(model)
        most = max(compaction.SMALLEST, min(wanted.output * 2, window // 5) * compaction.BYTES)
        for _ in range(MERGES):
            before = len(self.text.encode())
            if len(self.parts) < 2 or before <= most:
                return
            merged: list[str] = []
            left = self.text
            while left:
                piece, left = compaction.cut(left, compaction.room(window, wanted.output, wanted.density))
                try:
                    ask = compaction.merging(piece, output=wanted.output, focus=wanted.focus)
                    merged.append(await self._asked(model, ask))
                except (ModelError, Refused) as error:
                    if _halted(error):
                        raise
                    log.warning("compaction.merge", model=model.ref, error=str(error))
                    return
            if len(_joined(merged).encode()) >= before:
                return
            self.parts = merged

    async def _asked(self, model: Model, prompt: Prompt) -> str:
        """Asked again while that makes sense. Raises ModelError, and Refused for an empty answer, and it is settled."""
        again = 0
        while True:
            await self.settle()
            try:
                return await self._once(model, prompt)
            except ModelError as error:
                await self.settle()
                wait = error.retry_after if error.retry_after is not None else 0.5 * 2**again
                if error.kind not in RETRYABLE or again >= self._wanted.retries or wait > MOST_WAIT:
                    raise
            again += 1
            await asyncio.sleep(wait)

    async def _once(self, model: Model, prompt: Prompt) -> str:
        await model.ready()
        self.request = await self._biller.open(model, prompt, self._wanted.booking, check=self._wanted.check)
        async with aclosing(self._biller.stream(self.request, prompt)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    said = "".join(part.text for part in event.parts if isinstance(part, Text)).strip()
                    if not said:
                        await self.settle()
                        raise Refused(key="window.no_summary")
                    return log.veiled(said)
        raise ModelError("the notes were cut off", kind="cut")


def _joined(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return "\n\n".join(f"({number} of {len(parts)})\n{part}" for number, part in enumerate(parts, 1))


def _halted(error: ModelError | Refused) -> bool:
    return isinstance(error, ModelError) and error.kind == "halted"
