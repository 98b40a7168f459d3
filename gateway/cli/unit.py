"""The systemd unit of a gateway; pure. Directives as in systemd.service(5), systemd.exec(5), systemd.unit(5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "# Written by `parley service install`, which writes it anew."
STOP_BEYOND = 30  # seconds after drain_seconds: the outbox, the alerts, the channels and the database
FATAL = 2  # the exit code for a wrong configuration: starting again would not mend it

# These need nothing that a user's own systemd does not have.
ANYWHERE = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "UMask=0077",
)
# No MemoryDenyWriteExecute: libraries for pictures and encryption make code as they run.
BY_ROOT = (
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "RemoveIPC=yes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is to run. *command* begins with an absolute path.

    *user*: who it runs as, in a unit of the system; None: a unit of one's own. *writable*: folders, which must exist;
    nothing else of the disk can be written by a unit of the system. *private_tmp*: False where the socket lies among
    the temporary files, for others would look for it in theirs.
    """

    command: Sequence[str]
    folder: Path
    writable: Sequence[Path]
    drain: float = 20.0
    user: str | None = None
    private_tmp: bool = True


def unit(service: Service) -> str:
    """The text of the unit file."""
    system = service.user is not None
    lines = [
        MARK,
        "[Unit]",
        "Description=Parley, a gateway between people on chat platforms and an LLM agent",
        # A user's systemd knows no network; the gateway waits for it by itself.
        *(("Wants=network-online.target", "After=network-online.target") if system else ()),
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(quoted(each, command=True) for each in service.command)}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        f"WorkingDirectory={_path(service.folder)}",
        *((f"User={service.user}",) if system else ()),
        "Restart=always",
        "RestartSec=5",
        f"RestartPreventExitStatus={FATAL}",
        # Running answers come to their end, the rest is put aside; only then is anything killed.
        "KillMode=mixed",
        f"TimeoutStopSec={int(service.drain) + STOP_BEYOND}",
        "",
        *ANYWHERE,
        *(BY_ROOT if system else ()),
        *(("PrivateTmp=yes",) if system and service.private_tmp else ()),
        *(
            (f"ReadWritePaths={' '.join(quoted(str(each)) for each in service.writable)}",)
            if system and service.writable
            else ()
        ),
        "",
        "[Install]",
        f"WantedBy={'multi-user' if system else 'default'}.target",
        "",
    ]
    return "\n".join(lines)


def quoted(text: str, *, command: bool = False) -> str:
    """As one word of a directive; *command*: of ExecStart, where $ begins the name of a variable."""
    text = text.replace("%", "%%")
    if command:
        text = text.replace("$", "$$")
    if text and all(each.isalnum() or each in "-_./%+=:,@$" for each in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _path(path: Path) -> str:
    """A directive with one path takes it as it is, blanks as well."""
    return str(path).replace("%", "%%")
