"""`parley doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gateway.cli import show
from gateway.cli.finding import Row, bad, ok, server, warning
from gateway.cli.options import AsJson, Config

if TYPE_CHECKING:
    from gateway.cli.probe import Probe
    from gateway.settings import Settings

MARKS = {"ok": "✓", "warning": "!", "bad": "✗"}
MOST_SKEW = 60.0  # seconds
LITTLE, NO_SPACE = 1_000_000_000, 200_000_000  # bytes free
WAL_RESET = (3, 51, 3)  # sqlite.org/wal.html, "WAL-reset bug": fixed in this release
PACKAGES = ("gateway", "channels", "storage")


def doctor(config: Config = None, json: AsJson = False) -> None:
    """Check everything, and say what to do.

    That is the configuration, keys, servers, database, clock and disk. Changes nothing, and may run
    beside the gateway. The exit code is 1 when something is broken (✗).

    \b
    Examples:
      parley doctor
      parley doctor --json | jq '.[] | select(.state != "ok")'
    """
    rows = asyncio.run(examine(config))
    if json:
        show.as_json([asdict(row) for row in rows])
    else:
        width = max(len(row.name) for row in rows)
        for row in rows:
            print(f"{MARKS[row.state]} {row.name:{width}}  {row.text}")
            if row.remedy:
                print(f"  {'':{width}}  → {row.remedy}")
    if any(row.state == "bad" for row in rows):
        raise typer.Exit(1)


async def examine(config: Path | None) -> list[Row]:
    from gateway.cli.client import settings_of
    from gateway.config_file import SettingsError

    try:
        settings = settings_of(config)
    except SettingsError as error:
        wrong = [bad("configuration", f"{each.where}: {each.what}", each.remedy) for each in error.problems]
        return [*wrong, packages(), engine()]
    from gateway.cli import bots

    asked = await _servers(settings)
    seen = await bots.examine(settings)
    rows = [*configuration(settings), packages(), *(row for row, _ in asked)]
    rows += [row for each in seen for row in each.rows]
    rows += [engine(), *database(settings.database), await lock(settings)]
    skews = [*(found.skew for _, found in asked), *(each.skew for each in seen)]
    return [*rows, clock([skew for skew in skews if skew is not None]), disk(settings.gateway.data_dir)]


def configuration(settings: Settings) -> Iterator[Row]:
    yield ok("configuration", str(settings.source) if settings.source else "none here: the defaults hold")
    for each in settings.warnings:
        yield warning("configuration", f"{each.where}: {each.what}", each.remedy)
    if not settings.providers:
        yield warning("model", "the offline demo answers", "run `parley init`, or set ANTHROPIC_API_KEY")


def packages() -> Row:
    """An installed package of the same name elsewhere would be imported in place of ours."""
    homes = {}
    for name in PACKAGES:
        spec = find_spec(name)
        homes[name] = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
    if len(set(homes.values())) == 1:
        return ok("packages", f"{', '.join(PACKAGES)} are together in {homes['gateway']}")
    places = ", ".join(f"{name} in {home or 'no place'}" for name, home in homes.items())
    return bad("packages", places, "install Parley into a virtual environment of its own")


async def _servers(settings: Settings) -> list[tuple[Row, Probe]]:
    from gateway.cli import probe

    names, probes = [], []
    for name, each in settings.providers.items():
        names.append((name, f"[providers.{name}] api_key", f"[providers.{name}] base_url"))
        probes.append(probe.provider(each.kind, each.api_key.get_secret_value(), each.base_url))
    found = await asyncio.gather(*probes)
    return [(server(*name, each), each) for name, each in zip(names, found, strict=True)]


def engine() -> Row:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < (3, 37, 0):
        return bad("sqlite", f"{version} is too old", "use a Python build that brings SQLite 3.37 or newer")
    if sqlite3.sqlite_version_info < WAL_RESET:
        return ok(
            "sqlite", f"{version}; its WAL-reset bug (before 3.51.3) needs two writers, and Parley has one"
        )
    return ok("sqlite", version)


def database(path: Path) -> list[Row]:
    if not path.exists():
        return [ok("database", f"{path} does not exist yet; `parley run` makes it")]
    try:
        with_uri = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    except sqlite3.Error as error:
        return [bad("database", f"{path}: {error}", "run this as the user who runs the gateway")]
    try:
        return [
            _intact(with_uri, path),
            _schema(with_uri),
            _mode(with_uri),
            *_sums(with_uri),
            *_halted(with_uri),
        ]
    except sqlite3.Error as error:
        return [bad("database", f"{path}: {error}", RESTORE)]
    finally:
        with_uri.close()


RESTORE = "parley restore FILE brings a backup back; see data_dir/backups"


def _intact(connection: sqlite3.Connection, path: Path) -> Row:
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    size = path.stat().st_size
    if said != "ok":
        return bad("database", f"{path}: {said}", RESTORE)
    return ok("database", f"{path} ({show.size(size)}) is intact")


def _sums(connection: sqlite3.Connection) -> Iterator[Row]:
    """Whether the bill by day is the ledger's; reads all of it."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'usage_drift'").fetchone():
        return
    # storage.rollup.MAKING: whoever makes them writes so in the place of the zone.
    made = "SELECT value FROM meta WHERE key = 'report_zone' AND value NOT LIKE 'being made %'"
    zone = connection.execute(made).fetchone()
    if zone is None:
        yield ok("bill", "its sums by day are made at the next start; until then the ledger itself is read")
        return
    (wrong,) = connection.execute("SELECT found FROM usage_drift").fetchone()
    if wrong:
        remedy = "the ledger is whole; another [gateway] timezone for one start makes the sums anew"
        yield bad("bill", f"{show.many(wrong, 'sum')} by day are not what the ledger says", remedy)
    else:
        yield ok("bill", f"the sums by day ({zone[0].split(' ')[0]}) are what the ledger says")


def _schema(connection: sqlite3.Connection) -> Row:
    from gateway.backup.schema import latest, pending, version

    at, known = version(connection), latest()
    if at > known:
        return bad("schema", f"{at}, newer than this Parley ({known})", "install the newer Parley again")
    if lacking := pending(connection):
        found = f"{at}; this Parley has {known}, {show.many(len(lacking), 'migration')} to apply"
        return warning("schema", found, "the next start brings it up, or: parley migrate")
    return ok("schema", str(at))


def _mode(connection: sqlite3.Connection) -> Row:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode == "wal":
        return ok("journal", "WAL")
    return warning(
        "journal", f"{mode}, not WAL", "the next start sets it; a network file system cannot have it"
    )


def _halted(connection: sqlite3.Connection) -> Iterator[Row]:
    """The emergency stop holds over restarts, so it must not be forgotten."""
    from gateway.halt import KEY, read

    row = connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    if (halted := read(row[0] if row else None)) is not None:
        since = f"since {show.when(halted.at)}, by {halted.by}"
        yield warning("halted", since + (f": {halted.why}" if halted.why else ""), "parley unhalt")


async def lock(settings: Settings) -> Row:
    from gateway.cli.client import answers, lock_holder
    from gateway.errors import StoreError
    from gateway.socket_path import socket_path

    socket = socket_path(settings.gateway.data_dir)
    try:
        holder = lock_holder(settings.database)
    except StoreError as error:
        return bad("gateway", str(error), "see the remedy above")
    if holder is None:
        return ok("gateway", "is not running")
    if await answers(socket):
        return ok("gateway", f"runs as process {holder} and answers")
    return bad(
        "gateway", f"process {holder} has the database, but nobody answers at {socket}", f"kill {holder}"
    )


def clock(skews: list[float]) -> Row:
    if not skews:
        return ok("clock", "not compared: no server to ask is configured")
    worst = max(skews, key=abs)
    if abs(worst) <= MOST_SKEW:
        return ok("clock", f"right to {max(1, round(abs(worst)))} s")
    way = "ahead of" if worst > 0 else "behind"
    return warning("clock", f"{abs(worst):.0f} s {way} the servers'", "switch on time synchronisation (NTP)")


def disk(folder: Path) -> Row:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{show.size(free)} free in {folder}"
    if free < NO_SPACE:
        return bad("disk", text, "make space: nothing can be accepted without")
    return warning("disk", text, "make space soon") if free < LITTLE else ok("disk", text)
