"""Room in the model's context, made unasked: within a turn when it is needed, after a turn when little is left."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway import bounds, compaction, log
from gateway.billing import Booking
from gateway.compacting import Compactor, Done
from gateway.drafts import Order, window
from gateway.errors import ModelError, Refused
from gateway.failpoints import Point
from gateway.journal import check
from gateway.progress import Options, Progress, Started
from gateway.protocols.model import Model
from gateway.protocols.prompt import Prompt
from gateway.texts import say
from gateway.texts.forms import percent
from gateway.types.compactions import Compaction
from gateway.types.sessions import Session
from gateway.types.turns import Entry
from gateway.types.usage import Weighed

if TYPE_CHECKING:
    from storage import Store, Unit

SAID: Mapping[str, str] = {
    "notes": "window.auto",
    "beginnings": "window.auto_beginnings",
    "pruned": "window.auto_pruned",
}
ATTEMPTS = 2  # at making room in one turn: the second also cuts what the tools gave in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A line for the person; one *origin* is told once."""

    origin: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a session stands after a turn: *turn* is before the first at which it may be shortened unasked again."""

    latest: Compaction | None
    vain: int
    turn: int
    automatic: bool


class Room:
    """Decides when a compaction is made unasked. One that makes no room is followed by a pause, and a longer one."""

    def __init__(
        self,
        *,
        store: Store,
        compactor: Compactor,
        options: Callable[[], Options],
        model: Callable[[Session, str | None], Model],
        bound: Callable[[Model, Prompt], Awaitable[int]],
    ) -> None:
        """*bound*: the most tokens that a prompt can come to; pictures count where they are shown."""
        self._store = store
        self._compactor = compactor
        self._options = options
        self._model = model
        self._bound = bound

    # -- within a turn ----------------------------------------------------------------------------------------

    async def landed(self, started: Started, progress: Progress) -> None:
        """Wait for a compaction of the session that is being made, and begin with what it left."""
        if await self._compactor.flights.landed(started.session.id):
            progress.entries = await self._live(started)

    async def before(self, started: Started, progress: Progress, prompt: Prompt) -> bool:
        """Before *prompt* is sent: where it would not fit, put the earlier part away, and say whether that was done.

        What cannot be helped is sent as it is.
        """
        session, options = started.session, self._options()
        if progress.shortened or not compaction.automatic(session, options.auto_compact):
            return False
        model = self._model(session, started.model)
        most = window(model, options.context_window)
        if compaction.fits(bounds.whole(model, prompt), prompt.max_output_tokens, most):
            return False  # it does even if each byte were a token
        last, standing = await self._store.read(self._weighed, session)
        if started.turn.n < standing.turn or _taken_back(standing):
            return False
        needed = compaction.estimated(await self._bound(model, prompt), last)
        if compaction.fits(needed, prompt.max_output_tokens, most):
            return False
        return await self._made(started, progress, standing)

    async def refused(self, started: Started, progress: Progress) -> bool:
        """The model says that it is too much: whether there is more room now."""
        session = started.session
        progress.refused = True
        if not compaction.automatic(session, self._options().auto_compact):
            return False
        standing = await self._store.read(self._standing, session)
        while progress.shortened < ATTEMPTS:
            if await self._made(started, progress, standing):
                return True
        return False

    async def _made(self, started: Started, progress: Progress, standing: Standing) -> bool:
        first = next((each.seq for each in progress.entries if each.turn == started.turn.id), None)
        progress.shortened += 1
        if first is None:
            return False
        turn, failed = started.turn, progress.put_away is not None and progress.put_away.failed

        async def still(unit: Unit) -> None:
            await check(unit, turn)

        done = await self._compactor.compact(
            Order(
                session=started.session,
                cause="overflow",
                booking=replace(_booking(started), over=started.turn.over),
                model=started.model,
                first=first,
                within=progress.shortened == ATTEMPTS,
                # What made no room the last times, or has just failed, is not tried once more.
                unaided=failed or turn.n < standing.turn,
                check=still,
            )
        )
        if done is None:
            return False
        progress.put_away = done
        progress.entries = await self._live(started)
        return True

    async def _live(self, started: Started) -> list[Entry]:
        return list(await self._store.read(lambda unit: unit.transcript.live(started.session.id)))

    # -- after a turn -----------------------------------------------------------------------------------------

    async def after(self, started: Started, progress: Progress, used: int) -> Told | None:
        """After a turn whose last request had *used* tokens (0: nobody counted): what the person is to be told."""
        made = progress.put_away
        if not used and not progress.refused and made is None:
            return None
        session, turn = started.session, started.turn
        most = window(self._model(session, started.model), self._options().context_window)
        if made is None and not progress.refused and not compaction.full(used, most):
            # As after nearly every turn: unless compactions are paused there is nothing to look up.
            vain, _ = await self._store.read(lambda unit: unit.compactions.pause(session.id))
            if not vain:
                return None
        standing = await self._store.read(self._standing, session)
        if progress.refused and not used:
            if made is not None:
                await self._paused(started, standing.vain + 1)
            return None  # the answer has said so
        if not compaction.full(used, most):
            if made is not None and made.failed:
                await self._paused(started, standing.vain + 1)
            elif standing.vain and used and not _unaided(standing):
                await self._paused(started, 0)
            return self._shortened(started, made)
        if made is not None:
            await self._paused(started, standing.vain + 1)
            return self._shortened(started, made)
        if not standing.automatic or _taken_back(standing):
            latest = standing.latest.id if standing.latest is not None else 0
            share = percent(100 * used / most, started.lang)
            text = say("window.near", started.lang, percent=share)
            return Told(origin=f"near:{session.id}:{latest}", text=text)
        return await self._shorten(started, standing) if turn.n >= standing.turn else None

    async def _shorten(self, started: Started, standing: Standing) -> Told | None:
        """By itself, with room for the moment: what fails or is in vain is told once, and tried again later."""
        session, lang, told = started.session, started.lang, ""
        try:
            made = await self._compactor.compact(
                Order(session=session, cause="auto", booking=_booking(started), model=started.model)
            )
            if made is not None and not made.vain:
                return self._shortened(started, made)
            told = say("window.stuck", lang)
        except (ModelError, Refused) as error:
            log.warning("compaction.failed", session=session.id, error=str(error))
            if isinstance(error, ModelError) and error.kind != "halted":
                told = say("window.failed", lang, why=error.told(lang))
        await self._paused(started, standing.vain + 1)
        if standing.vain or not told:
            return None
        return Told(origin=f"stuck:{started.turn.id}", text=told)

    def _shortened(self, started: Started, made: Done | None) -> Told | None:
        if made is None or not self._options().compact_notice:
            return None
        return Told(origin=f"compacted:{started.turn.id}", text=say(SAID[made.row.method], started.lang))

    async def _paused(self, started: Started, vain: int) -> None:
        """So many compactions in a row made no room: how long none is made unasked."""
        session, turn = started.session.id, started.turn.n + compaction.pause(vain)
        log.info("compaction.pause", session=session, vain=vain, until_turn=turn)
        await self._store.commit(
            Point.META, lambda unit: unit.compactions.set_pause(session, vain=vain, turn=turn)
        )

    async def _standing(self, unit: Unit, session: Session) -> Standing:
        current = await unit.sessions.get(session.id)
        vain, turn = await unit.compactions.pause(session.id)
        return Standing(
            latest=await unit.compactions.latest(session.id),
            vain=vain,
            turn=turn,
            automatic=compaction.automatic(current or session, self._options().auto_compact),
        )

    async def _weighed(self, unit: Unit, session: Session) -> tuple[Weighed | None, Standing]:
        return await unit.ledger.context(session.id), await self._standing(unit, session)


def _taken_back(standing: Standing) -> bool:
    """Somebody wanted it as it was: it is left so while it fits."""
    return standing.latest is not None and standing.latest.state == "off"


def _unaided(standing: Standing) -> bool:
    """There is room, but nobody has written notes since that failed."""
    return standing.latest is not None and standing.latest.method == "beginnings"


def _booking(started: Started) -> Booking:
    turn = started.turn
    return Booking(
        purpose="compaction",
        channel=started.conversation.channel,
        session=started.session.id,
        conversation=turn.conversation,
        identity=turn.identity,
        trigger=turn.trigger,
    )
