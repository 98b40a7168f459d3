"""Whose files are: what root makes in somebody else's folder is theirs, or their gateway could not open it."""

from __future__ import annotations

import os
from pathlib import Path


def hand_over(handle: int, folder: Path) -> None:
    """An open file of ours goes to whom *folder* belongs. Only root can, and only root need."""
    if (whose := _whose(folder)) is not None:
        os.fchown(handle, *whose)


def folder_at(path: Path) -> None:
    """Make a folder for its owner only, with those above it; whoever owns where it is put owns it."""
    if path.is_dir():
        return
    folder_at(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    if (whose := _whose(path.parent)) is not None:
        os.chown(path, *whose, follow_symlinks=False)


def hand_over_all(tree: Path, folder: Path) -> None:
    """Everything below *tree*, which nobody else can reach yet, goes to whom *folder* belongs."""
    if (whose := _whose(folder)) is not None:
        for each in (tree, *tree.rglob("*")):
            os.chown(each, *whose, follow_symlinks=False)


def _whose(folder: Path) -> tuple[int, int] | None:
    """User and group; None: there is nothing to hand over."""
    if os.geteuid() != 0:
        return None
    found = folder.stat()
    return None if found.st_uid == 0 else (found.st_uid, found.st_gid)
