"""What is done by night, as it is configured."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.ageing import Keep, Keeping
from gateway.manager import SessionManager
from gateway.nightly import Chore
from gateway.schedule import Cron
from gateway.settings import Settings, redacted
from gateway.types.measures import DAY

if TYPE_CHECKING:
    from gateway.backup.making import Made

BACKUPS = "backups"  # in the data folder
MEDIA = "media"  # likewise, what people sent and models made


def chores(settings: Settings, manager: SessionManager) -> list[Chore]:
    """In the order in which they are done when several are due."""
    found = []
    if settings.backup.at:
        found.append(
            Chore(
                name="backup",
                schedule=_daily(settings.backup.at, settings),
                work=partial(_backup, settings, manager),
                fails="The nightly backup failed",
                works="The nightly backup works again.",
            )
        )
    found.append(
        Chore(
            name="retention",
            schedule=_daily(settings.retention.at, settings),
            work=partial(_tidy, settings, manager),
            fails="What is too old could not be tidied away",
            works="What is too old is tidied away again.",
        )
    )
    return found


def keeping(settings: Settings) -> Keeping:
    """How long everything is kept."""
    told = settings.retention
    channels: dict[str, Keep] = {
        channel: Keep(
            archive=_days(told.archive_days if each.archive_days is None else each.archive_days),
            delete=_days(told.delete_days if each.delete_days is None else each.delete_days),
        )
        for channel, each in told.channels.items()
    }
    return Keeping(
        channels=channels,
        other=Keep(archive=_days(told.archive_days), delete=_days(told.delete_days)),
        inbox=_days(told.inbox_days),
        outbox=_days(told.outbox_days),
        undelivered=_days(told.undelivered_days),
    )


def _days(count: int) -> int | None:
    return count * DAY or None


def backups(settings: Settings) -> Path:
    """Where backups are put that name no other place."""
    return settings.backup.folder or settings.gateway.data_dir / BACKUPS


def backed_up(settings: Settings) -> set[str]:
    """The names of the files in that place."""
    folder = backups(settings)
    return {each.name for each in folder.iterdir()} if folder.is_dir() else set()


def _daily(at: str, settings: Settings) -> Cron:
    hour, minute = at.split(":")
    return Cron(f"{int(minute)} {int(hour)} * * *", settings.gateway.timezone)


async def back_up(settings: Settings, manager: SessionManager, *, name: str, keep: int) -> Made:
    """Into the folder of backups; of those named in its way *keep* stay, with 0 all. Raises StoreError."""
    # Not before it is needed: nobody who writes waits for it at the start.
    from gateway.backup.making import make

    return await make(
        manager.core.store.database,
        file=settings.database,
        media=settings.gateway.data_dir / MEDIA,
        settings=redacted(settings),
        folder=backups(settings),
        name=name,
        keep=keep,
    )


async def _backup(settings: Settings, manager: SessionManager, planned: int) -> str:
    from gateway.backup.rotation import name_of

    name = name_of(planned, settings.gateway.timezone)
    made = await back_up(settings, manager, name=name, keep=settings.backup.keep)
    return (
        f"{made.path}, {made.bytes} bytes, {made.sessions} sessions, {len(made.removed)} older ones removed"
    )


async def _tidy(settings: Settings, manager: SessionManager, planned: int) -> str:
    done = await manager.tidy(keeping(settings))
    return (
        f"{sum(done.archived.values())} sessions archived, {sum(done.deleted.values())} deleted; {done.inbox} messages"
        f" emptied, {done.outbox} references forgotten, {done.undelivered} undelivered ones emptied"
    )
