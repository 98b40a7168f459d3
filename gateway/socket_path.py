"""Where the local API listens; only this user may connect (0600)."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107  # bytes; sun_path in unix(7), less its final null


def socket_path(data_dir: Path) -> Path:
    """In *data_dir*; in a folder of this user's among the temporary files when that path is too long for a socket."""
    path = data_dir.absolute() / "parley.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"parley-{os.getuid()}", f"{name}.sock")
