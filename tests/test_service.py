"""The gateway as a service: the unit, and what is done with it. systemd is a program that notes what it is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app, service
from gateway.cli.unit import Service, quoted, unit

SYSTEMCTL = """#!/bin/sh
echo "$(basename $0) $@" >> "$SAID"
case "$*" in
  *is-active*) test -e "$RUNS" && echo active || { echo inactive; exit 3; } ;;
  *is-enabled*) test -e "$RUNS" && echo enabled || { echo disabled; exit 1; } ;;
  *restart*|*start*) touch "$RUNS" ;;
  *disable*) rm -f "$RUNS" ;;
esac
"""


class Machine:
    """A machine with systemd, as far as one can see from a shell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "config" / "systemd" / "user" / "parley.service"

    def said(self) -> list[str]:
        """What systemd has been told since the last time."""
        file = self.folder / "said"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for name in list(os.environ):
        if name.startswith("PARLEY_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "loginctl"):
        (programs / name).write_text(SYSTEMCTL)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(service, "BOOTED", tmp_path)
    (tmp_path / "parley.toml").write_text(f'[gateway]\ndata_dir = "{tmp_path}/data"\ndrain_seconds = 5\n')
    monkeypatch.chdir(tmp_path)
    return Machine(tmp_path)


def parley(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["service", *words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_installing_writes_the_unit_starts_it_and_lets_it_go_on(machine: Machine) -> None:
    said = parley("install").stdout
    assert f"✓ {machine.file} is written; parley runs." in said and "linger" not in said
    assert machine.said() == [
        "systemctl --user daemon-reload",
        "systemctl --user enable parley.service",
        "systemctl --user restart parley.service",
        "loginctl enable-linger",
    ]
    text = machine.file.read_text()
    assert f"run --no-prompt --config {machine.folder}/parley.toml\n" in text
    assert "TimeoutStopSec=35\n" in text and "WantedBy=default.target" in text and "User=" not in text
    assert (machine.folder / "data").is_dir()


def test_installing_again_changes_nothing_but_what_is_not_as_it_should_be(machine: Machine) -> None:
    parley("install")
    before = machine.file.stat().st_mtime_ns
    machine.said()
    assert "is as it should be" in parley("install").stdout
    assert machine.file.stat().st_mtime_ns == before
    assert [line.split()[2] for line in machine.said()[:-1]] == ["enable", "start"]

    with (machine.folder / "parley.toml").open("a") as file:
        file.write("[backup]\nat = '04:00'\n")
    parley("install")
    assert "restart" not in " ".join(machine.said())  # nothing of that is in the unit
    (machine.folder / "parley.toml").write_text(
        f'[gateway]\ndata_dir = "{machine.folder}/data"\ndrain_seconds = 60\n'
    )
    parley("install")
    assert [line.split()[2] for line in machine.said()[:-1]] == ["daemon-reload", "enable", "restart"]
    assert "TimeoutStopSec=90\n" in machine.file.read_text()


def test_what_would_be_written_can_be_seen_without_systemd(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BOOTED", machine.folder / "nowhere")
    said = parley("install", "--print").stdout
    assert said.startswith("# Written by") and "[Service]" in said
    assert not machine.file.exists() and machine.said() == [] and not (machine.folder / "data").exists()
    assert "systemd does not run this machine" in parley("install", code=1).output


def test_its_removal_leaves_the_data(machine: Machine) -> None:
    parley("install")
    machine.said()
    parley("uninstall")
    assert machine.said() == [
        "systemctl --user disable --now parley.service",
        "systemctl --user daemon-reload",
    ]
    assert not machine.file.exists() and (machine.folder / "data").is_dir()
    assert "nothing to do" in parley("uninstall").stdout


def test_a_unit_of_somebody_elses_is_left_alone(machine: Machine) -> None:
    machine.file.parent.mkdir(parents=True)
    machine.file.write_text("[Service]\nExecStart=/bin/true\n")
    for words in (("install",), ("uninstall",)):
        assert "was not written by parley; move it away first" in parley(*words, code=1).output
    assert machine.file.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert not any("start" in line for line in machine.said())


def test_how_it_stands(machine: Machine) -> None:
    assert "To do so: parley service install" in parley("status", code=1).stdout
    parley("install")
    assert f"{machine.file}: active, starts at boot\n" == parley("status").stdout
    machine.file.write_text(machine.file.read_text() + "Nice=5\n")
    assert "to renew it: parley service install" in parley("status").stdout
    assert json.loads(parley("status", "--json").stdout) == {
        "file": str(machine.file),
        "installed": True,
        "current": False,
        "enabled": True,
        "state": "active",
    }


def test_what_stands_in_the_shells_environment_only_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLEY_GATEWAY__LANGUAGE", "de")
    said = parley("install", code=1).output
    assert "gateway.language: set in your shell's environment only" in said and "parley.toml" in said
    assert not machine.file.exists()


def test_what_systemd_refuses_is_told_in_its_words(machine: Machine) -> None:
    (machine.folder / "bin" / "systemctl").write_text("#!/bin/sh\necho 'No such bus' >&2\nexit 1\n")
    assert "systemctl daemon-reload: No such bus" in parley("install", code=1).output


def test_a_unit_of_the_system_takes_root_and_a_folder_that_its_user_can_reach(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "takes root: sudo parley" in parley("install", "--system", code=1).output
    monkeypatch.setenv("HOME", str(machine.folder))
    said = parley("install", "--system", "--user", "nobody", "--print", code=1).output
    assert "would run as nobody" in said and "/var/lib/parley" in said
    assert "--user is for --system" in parley("install", "--user", "nobody", code=1).output


# -- the unit -------------------------------------------------------------------------------------------------

PLAIN = Service(command=["/opt/parley/bin/parley", "run"], folder=Path("/opt/parley"), writable=[])
ODD = Service(
    command=["/opt/a b/par$ley", "run", "--config", '/etc/100%/"parley".toml'],
    folder=Path("/srv/a b/100%"),
    writable=[Path("/var/lib/parley"), Path("/mnt/back ups/100%")],
    drain=60,
    user="parley",
)


def test_a_unit_of_the_system_can_write_its_folders_only() -> None:
    text = unit(ODD)
    assert 'ReadWritePaths=/var/lib/parley "/mnt/back ups/100%%"\n' in text
    assert "ProtectSystem=strict\n" in text and "PrivateTmp=yes\n" in text and "User=parley\n" in text
    assert "WantedBy=multi-user.target" in text and "After=network-online.target" in text
    assert "Protect" not in unit(PLAIN) and "network-online" not in unit(PLAIN)


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/parley", "/usr/bin/parley"),
        ("/a b/c", '"/a b/c"'),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ('say "x"\\', '"say \\"x\\"\\\\"'),
        ("", '""'),
        ("a;b", '"a;b"'),
    ],
)
def test_a_word_of_a_command_stays_one(word: str, written: str) -> None:
    assert quoted(word, command=True) == written


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="only systemd can judge its units, and it is not here"
)
@pytest.mark.parametrize("user", [None, "root"])
def test_systemd_itself_finds_nothing_wrong_with_it(tmp_path: Path, user: str | None) -> None:
    """Odd paths as well; the programs are there, so that it can look at them."""
    program = tmp_path / "a b" / "100%" / "par ley"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    file = tmp_path / "parley.service"
    command = [str(program), "run", "--config", '/etc/100%/"parley".toml']
    file.write_text(
        unit(Service(command=command, folder=program.parent, writable=[tmp_path, program.parent], user=user))
    )
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
