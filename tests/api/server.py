"""A gateway for the judge of its API: python -m tests.api.server FOLDER PORT; the demo agent answers."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway import log
from gateway.process import run
from gateway.settings import load
from gateway.web import admission, feed

TOKEN = "the-token-of-whoever-has-the-machine"
SETTINGS = """
[gateway]
data_dir = {folder!r}
log_level = "warning"

[web]
port = {port}
token = {token!r}

[[jobs]]
name = "daily"
schedule = "0 8 * * *"
prompt = "What is new?"
"""


def main() -> None:
    folder, port = sys.argv[1:]
    # The judge shows hundreds of wrong keys within a minute, and is not to be turned away for that.
    admission.MOST_WRONG = sys.maxsize
    feed.LONGEST = 0.2  # seconds; it waits for the end of each answer
    log.set_up(level="warning")
    file = Path(folder, "parley.toml")
    file.write_text(SETTINGS.format(folder=folder, port=int(port), token=TOKEN), "utf-8")
    asyncio.run(run(load(file, environ={}), environ={}))


if __name__ == "__main__":
    main()
