"""What is done by night, as it is configured."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gateway.manager import SessionManager
from gateway.nightly import Chore
from gateway.schedule import Cron
from gateway.settings import Settings, redacted

BACKUPS = "backups"  # in the data folder
MEDIA = "media"  # likewise


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
    return found


def backups(settings: Settings) -> Path:
    """Where backups are put that name no other place."""
    return settings.backup.folder or settings.gateway.data_dir / BACKUPS


def _daily(at: str, settings: Settings) -> Cron:
    hour, minute = at.split(":")
    return Cron(f"{int(minute)} {int(hour)} * * *", settings.gateway.timezone)


async def _backup(settings: Settings, manager: SessionManager, planned: int) -> str:
    # Not before it is needed: nobody who writes waits for it at the start.
    from gateway.backup import rotation
    from gateway.backup.making import make

    made = await make(
        manager.core.store.database,
        file=settings.database,
        media=settings.gateway.data_dir / MEDIA,
        settings=redacted(settings),
        folder=backups(settings),
        name=rotation.name_of(planned, settings.gateway.timezone),
        keep=settings.backup.keep,
    )
    return (
        f"{made.path}, {made.bytes} bytes, {made.sessions} sessions, {len(made.removed)} older ones removed"
    )
