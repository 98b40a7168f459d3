"""`parley reload`, `backup`, `restore` and `migrate`."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.options import AsJson, Config, Yes
from gateway.errors import Locked, Refused, StoreError
from gateway.ownership import hand_over, hand_over_all

if TYPE_CHECKING:
    from gateway.settings import Settings


def reload(config: Config = None, json: AsJson = False) -> None:
    """Let the running gateway read its configuration again.

    The same as SIGHUP, but you see what came of it. Nothing is changed when anything is wrong with it.

    \b
    Examples:
      parley config check && parley reload
    """
    changes = asyncio.run(_reload(config))
    if json:
        show.as_json(changes)
        return
    if not changes["now"] and not changes["restart"]:
        print("Nothing has changed.")
    if changes["now"]:
        print("In force now: " + ", ".join(changes["now"]))
    if changes["restart"]:
        print("After a restart: " + ", ".join(changes["restart"]))


async def _reload(config: Path | None) -> dict[str, Any]:
    from gateway.cli.client import answers, connect, settings_of
    from gateway.socket_path import socket_path

    settings = settings_of(config)
    if not await answers(socket_path(settings.gateway.data_dir)):
        raise Refused("no gateway is running here; the next `parley run` reads the configuration anyway")
    async with connect(settings) as gateway:
        changes: dict[str, Any] = await gateway.ask("POST", "/v1/reload")
        return changes


def backup(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]",
            help="A file, or a folder for parley-TIME.tar.gz. Left out: the folder of backups.",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of such backups in the folder so many stay, the latest; nightly ones do not count."
        ),
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Save everything to one file, also while it runs.

    That is the database, media and the settings without their secrets. The copy is consistent, and it is
    checked before it gets its name.

    \b
    Examples:
      parley backup
      parley backup --keep 14
      parley backup /mnt/backups --keep 14
      parley backup before-the-move.tar.gz
    """
    from gateway.cli.client import settings_of

    settings = settings_of(config)
    into = path if path is not None and path.is_dir() else None
    if path is not None and into is None:
        if path.exists():
            raise Refused(f"{path} is there already; name another file")
        if keep is not None:
            raise Refused("--keep counts the backups of a folder; name a folder that is there, or none")
        _folder(path.absolute().parent)
    made = asyncio.run(_backup(settings, 0 if path is not None else keep or 0))
    file, removed = Path(made["path"]), list(made["removed"])
    if path is not None:
        file, removed = _brought(file, into / file.name if into else path, keep or 0)
    if json:
        about = {"path": str(file.absolute()), "bytes": made["bytes"], "sessions": made["sessions"]}
        show.as_json(about | {"removed": removed})
        return
    print(f"✓ {file} ({show.size(made['bytes'])}, {show.many(made['sessions'], 'session')}), checked")
    if removed:
        print(f"  Removed: {', '.join(removed)}")


async def _backup(settings: Settings, keep: int) -> dict[str, Any]:
    """The gateway makes it, where it may write: not all that we see is there for a service."""
    from gateway.cli.client import connect

    async with connect(settings) as gateway:
        made: dict[str, Any] = await gateway.ask("POST", "/v1/backup", keep=keep)
        return made


def _brought(made: Path, target: Path, keep: int) -> tuple[Path, list[str]]:
    """Where it was wanted, whole or not at all, and which older ones had to go for it. Raises Refused."""
    from gateway.backup import rotation

    if not (target.exists() and target.samefile(made)):
        _copied(made, target)
        made.unlink()
    removed = rotation.too_many((each.name for each in target.parent.iterdir()), target.name, keep)
    for old in removed:
        target.with_name(old).unlink(missing_ok=True)
    return target, removed


def _copied(made: Path, target: Path) -> None:
    """Whole or not at all. Raises Refused; then what was made stays where it is."""
    part = target.with_name(f".{target.name}.part")
    try:
        with (
            open(made, "rb") as source,
            open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as copy,
        ):
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Refused(f"{target} cannot be written: {error.strerror}; the backup is {made}") from None


def _folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Refused(f"{folder} cannot be made: {error.strerror}") from None


def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Made by `parley backup`; a bare .db file does too.")
    ],
    config: Config = None,
    yes: Yes = False,
) -> None:
    """Put a backup in the place of the database.

    The present database is kept beside it under another name. Only while the gateway is stopped. The
    backup is checked first; settings are not restored.

    \b
    Examples:
      parley restore ~/.parley/backups/parley-20261101-030000.tar.gz
    """
    from gateway.backup import archive
    from gateway.backup.schema import latest
    from gateway.chores import backups
    from gateway.cli.client import settings_of

    settings = settings_of(config)
    database, data = settings.database, settings.gateway.data_dir
    if not file.is_file():
        raise Refused(
            f"there is no file {file}; backups are in {backups(settings)} unless you put them elsewhere"
        )
    _folder(database.parent)
    with _alone(database), tempfile.TemporaryDirectory(prefix=".restore-", dir=database.parent) as folder:
        archive.unpack(file, Path(folder))
        found = archive.verify(Path(folder, archive.DATABASE))
        if found.schema > latest():
            raise Refused(
                f"{file} has schema {found.schema}; this Parley knows {latest()}: install the newer one"
            )
        if not yes and not typer.confirm(
            f"{file} is sound ({show.many(found.sessions, 'session')}). Put it in place?"
        ):
            raise typer.Exit(1)
        hand_over_all(Path(folder), database.parent)
        kept = archive.put_in_place(
            Path(folder), database=database, media=data / archive.MEDIA, stamp=_stamp()
        )
    print(f"✓ {database} is restored ({show.many(found.sessions, 'session')}).")
    for each in kept:
        print(f"  What was there is now {each}")


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Hold the instance lock as a gateway would. Raises Locked."""
    import fcntl

    handle = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        hand_over(handle, database.parent)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            raise Locked(f"process {holder} has {database}; stop that Parley first: kill {holder}") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def migrate(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Only say what is pending; exit code 1 if anything is.", show_default=False
        ),
    ] = False,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Bring the database up to this version's schema.

    A copy of it is made beside it first. `parley run` does all this by itself; this is for doing it at a
    time of your own.

    \b
    Examples:
      parley migrate --check
      parley migrate
    """
    from gateway.cli.client import settings_of

    settings = settings_of(config)
    at, pending = _schema(settings.database)
    if pending and not check:
        asyncio.run(_migrate(settings))
    if json:
        show.as_json({"schema": at, "pending": pending} if check else {"before": at, "applied": pending})
    elif not pending:
        print(f"Schema {at}: nothing is pending.")
    else:
        print(f"Schema {at}; {'pending' if check else 'applied'}:")
        for number, name in pending.items():
            print(f"  {number:04d} {name}")
    if pending and check:
        raise typer.Exit(1)


async def _migrate(settings: Settings) -> None:
    """Opening the store is what migrates it, and makes the copy."""
    from gateway.cli.client import connect

    async with connect(settings) as gateway:
        await gateway.ask("GET", "/v1/store")


def _schema(database: Path) -> tuple[int, dict[int, str]]:
    """Its number (0 when there is no database yet), and number and name of what is pending. Raises StoreError."""
    from gateway.backup.schema import migrations, pending, version

    if not database.exists():
        return 0, migrations()
    try:
        with closing(
            sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
        ) as connection:
            return version(connection), pending(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{database}: {error}; see `parley doctor`") from None


def _stamp() -> str:
    return time.strftime("%Y%m%d-%H%M%S")
