"""Messages given as the answer to an interaction: the deferred one first, then others behind it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from channels.discord import body
from channels.discord.api import LOADING, Api
from channels.discord.body import HIDDEN
from channels.discord.press import Press
from channels.discord.refusal import LATE, ApiError
from channels.discord.stored import as_meant
from channels.discord.uploads import Upload
from gateway.protocols.clock import Clock
from gateway.types.json import Json
from gateway.types.outbound import Chunk

T = TypeVar("T")

MOST = 1000  # interactions and messages to remember; none is of use for longer than 15 minutes


@dataclass(slots=True)
class Answer:
    """What stands in the place of the deferred answer; *nonce* is of the chunk that was put there.

    *told*: Discord has our acknowledgement, or never will. *hidden*: only who asked sees it. *open*: nothing was
    put there yet. *text*: what was there already when we asked.
    """

    told: asyncio.Event
    hidden: bool | None = None
    open: bool | None = None
    nonce: str = ""
    text: str = ""


class Answers:
    """The interactions of one account. All calls raise ApiError; `late` tells that it was their time that ran out."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api, self._clock = api, clock
        self._answers: OrderedDict[str, Answer] = OrderedDict()  # by interaction
        self._through: OrderedDict[str, Press] = OrderedDict()  # by message

    def expect(self, press: Press) -> None:
        """It will be acknowledged: what is said by it waits for that."""
        if press.id not in self._answers:
            self._remember(self._answers, press.id, Answer(asyncio.Event()))

    def acknowledged(self, press: Press, *, hidden: bool) -> None:
        """Its answer was promised just now; not so for a button, where the message is the answer."""
        answer = self._answers.setdefault(press.id, Answer(asyncio.Event()))
        answer.hidden, answer.open = hidden, not press.button
        answer.told.set()

    def settle(self, press: Press) -> None:
        """Nothing more is to be expected: what was not acknowledged just now must be asked for."""
        answer = self._answers.get(press.id)
        if answer is not None and not answer.told.is_set():
            del self._answers[press.id]
            answer.told.set()

    def settle_all(self) -> None:
        """Nobody acknowledges any more."""
        for id in [id for id, answer in self._answers.items() if not answer.told.is_set()]:
            self._answers.pop(id).told.set()

    def through(self, message: str) -> Press | None:
        """The interaction by which that message was given, while it can still be changed so."""
        press = self._through.get(message)
        return press if press is not None and press.lives(self._clock()) else None

    async def owed(self, press: Press, nonce: str, text: str) -> bool:
        """Whether its deferred answer still waits, or was filled with just that chunk."""
        if press.button or not press.lives(self._clock()):
            return False
        answer = await self._answer(press)
        return bool(answer.open) or answer.nonce == nonce or (bool(text) and answer.text == text)

    async def say(
        self, press: Press, chunk: Chunk, *, nonce: str, whisper: bool | None, file: Upload | None = None
    ) -> str:
        """One message, in the deferred answer's place if nothing is there; its id.

        *whisper* None: as it was deferred.
        """
        if press.button:
            await self._told(press)
            return await self._follow(press, chunk, hidden=bool(whisper), file=file)
        answer = await self._answer(press)
        known = answer.nonce == nonce or (bool(chunk.text) and answer.text == chunk.text)
        if not answer.open and not known:
            hidden = bool(answer.hidden if whisper is None else whisper)
            return await self._follow(press, chunk, hidden=hidden, file=file)
        if whisper and answer.hidden is False:
            return await self._instead(press, answer, chunk, file)
        # Repeated, it changes nothing: this needs no nonce.
        found = await self._api.edit_answer(press, body.edited(chunk, file), file=file)
        await self._settle_text(press, found, chunk)
        answer.open, answer.nonce, answer.text = False, nonce, ""
        return self._given(press, found)

    async def whisper(self, press: Press, chunk: Chunk) -> None:
        """A line for who asked or pressed, beside the answer."""
        await self._told(press)
        await self._follow(press, chunk, hidden=True)

    async def edit(self, press: Press, message: str, chunk: Chunk) -> None:
        found = await self._api.edit_answer(press, body.edited(chunk), message)
        await self._settle_text(press, found, chunk)

    async def _instead(self, press: Press, answer: Answer, chunk: Chunk, file: Upload | None) -> str:
        """Hidden, although the answer was promised to all: what stands in its place is taken away."""
        # While nothing is there, the next message would take that place, and be seen by all.
        await self._api.edit_answer(press, body.edited(Chunk(text="…")))
        answer.open = False
        said = await self._follow(press, chunk, hidden=True, file=file)
        with suppress(ApiError):
            await self._api.delete_answer(press)
        return said

    async def _follow(self, press: Press, chunk: Chunk, *, hidden: bool, file: Upload | None = None) -> str:
        found = await self._api.follow(press, body.message(chunk, hidden=hidden, file=file), file)
        await self._settle_text(press, found, chunk)
        return self._given(press, found)

    async def _settle_text(self, press: Press, found: Json, chunk: Chunk) -> None:
        # It is there: a repair that fails must not make it look unsent.
        with suppress(ApiError):
            await as_meant(
                found, chunk, lambda: self._api.edit_answer(press, body.edited(chunk), str(found["id"]))
            )

    async def _answer(self, press: Press) -> Answer:
        """As it stands; asked where we do not know, after a restart."""
        known = await self._told(press)
        if known is None:
            found = await self._api.answer(press)
            flags = found.get("flags")
            marks = flags if isinstance(flags, int) else 0
            text = str(found.get("content", ""))
            known = Answer(asyncio.Event(), bool(marks & HIDDEN), bool(marks & LOADING), text=text)
            known.told.set()
            self._remember(self._answers, press.id, known)
        return known

    async def _told(self, press: Press) -> Answer | None:
        known = self._answers.get(press.id)
        if known is not None:
            await known.told.wait()
        return self._answers.get(press.id)

    def _given(self, press: Press, message: Json) -> str:
        id = str(message["id"])
        self._remember(self._through, id, press)
        return id

    @staticmethod
    def _remember(kept: OrderedDict[str, T], key: str, value: T) -> None:
        kept[key] = value
        while len(kept) > MOST:
            kept.popitem(last=False)


def late(error: ApiError) -> bool:
    """Whether the interaction takes no answers any more: it must be said in another way."""
    return error.code in LATE or error.kind in ("gone", "missing", "auth")
