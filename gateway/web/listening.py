"""The sockets the API listens on."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path


class Unix:
    """A Unix socket that only this user may connect to; raises OSError when the path will not do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _folder(path.parent)
        _clear(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Nobody can connect before it listens, which is after the mode is set.
            self.socket.bind(str(path))
            path.chmod(0o600)
        except OSError:
            self.socket.close()
            raise
        self._inode = path.stat().st_ino

    def remove(self) -> None:
        """Close, and delete the file unless it is somebody else's by now."""
        self.socket.close()
        try:
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            return


def _folder(folder: Path) -> None:
    """Ours alone: in a shared folder for temporary files somebody else may have made it first."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if folder.name.startswith("parley-") and (
        not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077
    ):
        raise PermissionError(errno.EPERM, "the folder is not this user's alone", str(folder))


def _clear(path: Path) -> None:
    """Remove what a killed process left behind."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "there is something else than a socket", str(path))
    if _answers(path):
        raise OSError(errno.EADDRINUSE, "another process listens there", str(path))
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def tcp(host: str, port: int) -> list[socket.socket]:
    """One for each address that *host* stands for. Raises OSError when none can be had."""
    found: list[socket.socket] = []
    problem: OSError | None = None
    for family, kind, proto, _, address in socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        try:
            found.append(_bound(family, kind, proto, address))
        except OSError as error:
            problem = error
            # A machine without IPv6 still has a name that stands for both.
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue
            break
    else:
        if found:
            return found
    for each in found:
        each.close()
    assert problem is not None
    raise problem


def _bound(family: int, kind: int, proto: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, kind, proto)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
