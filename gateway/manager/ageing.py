"""What has grown too old: sessions are archived, then deleted; messages are emptied. Bill and audit trail stay."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.ageing import Aged, Keeping
from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.manager.forgetting import Forgetting
from gateway.manager.labels import archived
from gateway.types.people import Viewer

if TYPE_CHECKING:
    from storage import Unit

BITE = 200  # rows of one commit: some milliseconds, so that nobody's message waits
ALL = 1_000_000_000
INBOX = "retention:inbox"  # in meta: the row up to which the inbox is emptied
BY = Viewer(everything=True, admin=True, name="retention")


class Ageing(Forgetting):
    """Both say what is, or was, too old. Whatever is answering, paused or waiting is left alone."""

    async def too_old(self, keeping: Keeping) -> Aged:
        """What `tidy` would do now; changes nothing."""
        now = self.core.clock()

        async def work(unit: Unit) -> Aged:
            to_archive: Counter[str] = Counter()
            to_delete: Counter[str] = Counter()
            for account in await unit.people.accounts():
                keep, channel = keeping.of(account.channel), account.channel
                doomed: set[int] = set()
                if keep.delete is not None:
                    before = now - keep.delete
                    doomed = {*await unit.purging.to_delete(account.id, before=before, count=ALL)}
                    to_delete[channel] += len(doomed)
                if keep.archive is not None:
                    before = now - keep.archive
                    found = await unit.purging.to_archive(account.id, before=before, count=ALL)
                    to_archive[channel] += len({*found} - doomed)
            inbox, outbox, undelivered = await unit.purging.old(
                after=await _emptied(unit),
                inbox=_before(now, keeping.inbox),
                outbox=_before(now, keeping.outbox),
                undelivered=_before(now, keeping.undelivered),
            )
            return Aged(
                archived=dict(+to_archive),
                deleted=dict(+to_delete),
                inbox=inbox,
                outbox=outbox,
                undelivered=undelivered,
            )

        return await self._store.read(work)

    async def tidy(self, keeping: Keeping) -> Aged:
        """In bites; another process may go on where this one ends. Gives what was done."""
        found, now = await self.too_old(keeping), self.core.clock()
        deleted: Counter[str] = Counter()
        gone: Counter[str] = Counter()
        for account in await self._store.read(lambda unit: unit.people.accounts()):
            keep = keeping.of(account.channel)
            if keep.delete is not None:
                deleted[account.channel] += await self._delete_old(account.id, now - keep.delete)
            if keep.archive is not None:
                gone[account.channel] += await self._archive_old(account.id, now - keep.archive)
        await self._empty_inbox(_before(now, keeping.inbox))
        await self._forget_outbox(_before(now, keeping.outbox), _before(now, keeping.undelivered))
        return replace(found, archived=dict(+gone), deleted=dict(+deleted))

    async def _delete_old(self, account: int, before: int) -> int:
        """One after another, each with its receipt in the audit trail."""
        done = 0
        while ids := await self._store.read(
            lambda unit: unit.purging.to_delete(account, before=before, count=BITE)
        ):
            progress = 0
            for id in ids:
                session = await self._store.read(lambda unit, id=id: unit.sessions.get(id))  # type: ignore[misc]
                with suppress(NotFound, Refused):  # gone with its parent; or it answers this very moment
                    assert session is not None
                    await self.delete(session.code, viewer=BY)
                    progress += 1
            done += progress
            if not progress:
                break
        return done

    async def _archive_old(self, account: int, before: int) -> int:
        now = self.core.clock()

        async def bite(unit: Unit) -> int:
            # Chosen in the commit: what a person goes back to this very moment is not taken from them.
            ids = await unit.purging.to_archive(account, before=before, count=BITE)
            for id in ids:
                await archived(unit, id, now)
            return len(ids)

        done = 0
        while count := await self._store.commit(Point.SWEEP, bite):
            done += count
        return done

    async def _empty_inbox(self, before: int) -> None:
        async def bite(unit: Unit) -> bool:
            after = await _emptied(unit)
            upto = await unit.purging.old_inbox(after=after, before=before, count=BITE)
            if upto > after:
                await unit.meta.put(INBOX, str(upto))
            return upto > after

        while await self._store.commit(Point.SWEEP, bite):
            pass

    async def _forget_outbox(self, before: int, undelivered: int) -> None:
        while await self._store.commit(
            Point.SWEEP, lambda unit: unit.purging.dead_outbox(before=undelivered, count=BITE)
        ):
            pass
        while await self._store.commit(
            Point.SWEEP, lambda unit: unit.purging.old_outbox(before=before, count=BITE)
        ):
            pass


def _before(now: int, keep: int | None) -> int:
    """What is from before then is too old; 0: nothing is."""
    return 0 if keep is None else now - keep


async def _emptied(unit: Unit) -> int:
    return int(await unit.meta.get(INBOX) or 0)
