"""`parley service`: the gateway as a service of systemd."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import show
from gateway.cli.options import AsJson, Config
from gateway.cli.unit import MARK, Service, unit
from gateway.errors import Refused

if TYPE_CHECKING:
    from gateway.settings import Settings

NAME = "parley.service"
SYSTEM = Path("/etc/systemd/system")
BOOTED = Path("/run/systemd/system")  # it is there where systemd runs the machine, as sd_booted(3) says
PATIENCE = 120.0  # seconds for systemctl; stopping takes as long as running answers may

System = Annotated[
    bool,
    typer.Option(
        "--system", help="A unit of the system, for which root is needed, not your own.", show_default=False
    ),
]

app = typer.Typer(
    no_args_is_help=True,
    help="""Run it as a service of systemd, from boot on.

    Without --system it is a unit of your own user; it goes on when you log out (lingering). Logs: journalctl
    --user -u parley, or journalctl -u parley.
    """,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """systemd of the whole machine, or of one user."""

    system: bool

    @property
    def file(self) -> Path:
        if self.system:
            return SYSTEM / NAME
        home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(home, "systemd", "user", NAME)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """systemctl. Raises Refused when there is none."""
        done = _called("systemctl", *(() if self.system else ("--user",)), *words)
        if done is None:
            raise Refused("there is no systemd here; run `parley run` under what this machine has instead")
        return done

    def do(self, *words: str) -> None:
        """The same. Raises Refused with what it said when it failed."""
        done = self.run(*words)
        if done.returncode:
            said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
            raise Refused(f"systemctl {' '.join(words)}: {said}")


@app.command()
def install(
    system: System = False,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Who it runs as, with --system. Left out: whose the data folder is."
        ),
    ] = None,
    text: Annotated[
        bool, typer.Option("--print", help="Only print the unit; change nothing.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Write the unit, start the gateway, and start it again at each boot.

    What is there already is brought up to date. Your shell's environment is not the service's: keys belong
    into the configuration, or into files that it names.

    \b
    Examples:
      parley service install
      sudo parley service install --system -c /etc/parley/parley.toml
      parley service install --print
    """
    from gateway.cli.client import settings_of

    settings = settings_of(config)
    manager = Manager(system=system)
    if user is not None and not system:
        raise Refused("--user is for --system: a unit of your own runs as you")
    owner = (user or _owner(settings.gateway.data_dir)) if system else None
    if owner is not None:
        _reachable(settings.gateway.data_dir, owner)
    wanted = unit(_service(settings, owner))
    if text:
        print(wanted, end="")
        return
    _alone(settings, config)
    _allowed(manager)
    before = _present(manager.file)
    _folders(settings, owner)
    if before != wanted:
        _write(manager.file, wanted)
        manager.do("daemon-reload")
    manager.do("enable", NAME)
    manager.do("start" if before == wanted else "restart", NAME)
    print(f"✓ {manager.file} {'is as it should be' if before == wanted else 'is written'}; parley runs.")
    if not system and not _lingers():
        print(f"  It ends when you log out; to let it go on: loginctl enable-linger {getpass.getuser()}")
    print(f"  Logs: journalctl {'' if system else '--user '}-u parley -f")


@app.command()
def uninstall(system: System = False) -> None:
    """Stop it and remove the unit. Data and configuration stay.

    \b
    Examples:
      parley service uninstall
    """
    manager = Manager(system=system)
    if _present(manager.file) is None:
        print(f"{manager.file} is not there; nothing to do.")
        return
    _allowed(manager)
    manager.do("disable", "--now", NAME)
    manager.file.unlink()
    manager.do("daemon-reload")
    print(f"✓ {manager.file} is removed. Data and configuration are untouched.")


@app.command()
def status(system: System = False, config: Config = None, json: AsJson = False) -> None:
    """Whether it is installed, up to date, and runs; exit code 1 when it does not run.

    \b
    Examples:
      parley service status
    """
    from gateway.cli.client import settings_of

    manager = Manager(system=system)
    written = _present(manager.file)
    owner = None
    if system:
        owner = next((line[5:] for line in (written or "").splitlines() if line.startswith("User=")), "root")
    current = written == unit(_service(settings_of(config), owner))
    state = manager.run("is-active", NAME).stdout.strip() or "unknown"
    enabled = manager.run("is-enabled", NAME).stdout.strip() == "enabled"
    if json:
        show.as_json(
            {
                "file": str(manager.file),
                "installed": written is not None,
                "current": current,
                "enabled": enabled,
                "state": state,
            }
        )
    elif written is None:
        print("Not installed. To do so: parley service install" + (" --system" if system else ""))
    else:
        print(f"{manager.file}: {state}, {'starts' if enabled else 'does not start'} at boot")
        if not current:
            print("  It is not what would be written now; to renew it: parley service install")
    if state != "active":
        raise typer.Exit(1)


def _service(settings: Settings, owner: str | None) -> Service:
    """*owner* None: of one's own user."""
    from gateway.socket_path import socket_path

    data = settings.gateway.data_dir.absolute()
    source = settings.source
    return Service(
        command=[_program(), "run", "--no-prompt", *(("--config", str(source.absolute())) if source else ())],
        folder=source.absolute().parent if source else data,
        writable=_writable(settings),
        drain=settings.gateway.drain_seconds,
        user=owner,
        private_tmp=socket_path(data).parent == data,
    )


def _program() -> str:
    """`parley` beside the Python that runs this, which has what it needs."""
    beside = Path(sys.executable).parent / "parley"
    found = str(beside) if beside.exists() else shutil.which("parley")
    if found is None:
        raise Refused("the program `parley` is not found; install it into an environment: pip install .")
    return os.path.abspath(found)


def _writable(settings: Settings) -> list[Path]:
    from gateway.chores import backups

    folders = (settings.gateway.data_dir, settings.database.parent, backups(settings))
    found = [folder.absolute() for folder in folders]
    return [
        folder
        for number, folder in enumerate(found)
        if folder not in found[:number] and not any(above in folder.parents for above in found)
    ]


def _folders(settings: Settings, owner: str | None) -> None:
    """Those that are not there yet are made, for whom it runs as. Raises Refused."""
    for folder in _writable(settings):
        if folder.is_dir():
            continue
        try:
            folder.mkdir(parents=True, mode=0o700)
            if owner is not None:
                shutil.chown(folder, owner)
        except (OSError, LookupError) as error:
            raise Refused(f"{folder} cannot be made for {owner or 'you'}: {error}") from None


def _owner(data: Path) -> str:
    """Whose the data folder is; who called sudo when there is none yet."""
    return data.owner() if data.exists() else os.environ.get("SUDO_USER") or getpass.getuser()


def _reachable(data: Path, owner: str) -> None:
    """Raises Refused for a folder in the home of whoever calls this, where somebody else's service has no business."""
    if owner != getpass.getuser() and data.absolute().is_relative_to(Path.home()):
        raise Refused(
            f"[gateway] data_dir is {data}, in the home folder of {getpass.getuser()}, and the service would run as"
            f" {owner}; set it to a folder of its own, for example /var/lib/parley"
        )


def _alone(settings: Settings, config: Path | None) -> None:
    """Raises Refused when something of the configuration is in this shell's environment only."""
    from gateway.config_file import SettingsError
    from gateway.settings import compare, load

    try:
        bare = load(config, environ={"HOME": str(Path.home())})
    except SettingsError as error:
        raise Refused(
            f"without your shell's environment the configuration is not complete: {error}"
        ) from None
    changes = compare(bare, settings)
    if missing := sorted({*changes.now, *changes.restart}):
        raise Refused(
            f"{', '.join(missing)}: set in your shell's environment only, where a service has none of it;"
            " put it into parley.toml"
        )


def _allowed(manager: Manager) -> None:
    if manager.system and os.geteuid() != 0:
        raise Refused("a unit of the system takes root: sudo parley service … --system")
    if not BOOTED.is_dir():
        raise Refused("systemd does not run this machine; `parley service install --print` shows the unit")


def _present(file: Path) -> str | None:
    """The unit as it is; None: there is none. Raises Refused for one that somebody else has written."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from None
    if not text.startswith(MARK):
        raise Refused(f"{file} was not written by parley; move it away first")
    return text


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.write_text(text, encoding="utf-8")
        os.replace(new, file)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None


def _lingers() -> bool:
    """Let one's own services go on after the last logout; False when that was refused."""
    done = _called("loginctl", "enable-linger")
    return done is not None and done.returncode == 0


def _called(program: str, *words: str) -> subprocess.CompletedProcess[str] | None:
    """None: there is no such program. Raises Refused when it does not end."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        return subprocess.run(  # noqa: S603 - a program of systemd's, with words of ours
            [path, *words], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"{program} {' '.join(words)} did not end within {PATIENCE:.0f} s") from None
