"""The store; it knows the vocabulary and no channel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.store import Store, Unit

__all__ = ["Store", "Unit", "open_store", "sqlite_path"]


def sqlite_path(url: str, data_dir: Path) -> Path:
    """The file behind a [storage] url; '' means parley.db in the data folder. Raises ValueError otherwise."""
    if not url:
        return data_dir / "parley.db"
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///")).expanduser()
    raise ValueError(f"[storage] url = {url!r}: only sqlite:///path is supported")


async def open_store(path: Path, *, wait: float = 0.0, migrate: bool = True) -> Store:
    """Lock, connect, and bring the schema up to date, after a backup when there was something to lose.

    *wait* seconds for another process to let go. Raises Locked, SchemaTooNew, StoreError.
    """
    from storage.migrate import migrate as apply
    from storage.migrate import pending, version
    from storage.sqlite import Sqlite
    from storage.store import Store

    database = await Sqlite(path).open(wait=wait)
    try:
        todo = await pending(database)
        if todo and migrate:
            at = await database.read(version)
            if at:
                await database.backup(path.with_name(f"{path.name}.before-{todo[-1]}"))
            await apply(database)
    except BaseException:  # cancelled, too: nobody else could let go of its lock
        await database.close()
        raise
    return Store(database)


def __getattr__(name: str) -> object:
    if name in ("Store", "Unit"):
        import storage.store

        return getattr(storage.store, name)
    raise AttributeError(name)
