"""A gateway for the judge of its API: python -m tests.api.server FOLDER PORT; the demo agent answers."""

from __future__ import annotations

import asyncio
import sys

from gateway.app import run
from gateway.settings import Settings
from gateway.web import guard

TOKEN = "the-token-of-whoever-has-the-machine"


def main() -> None:
    folder, port = sys.argv[1:]
    # The judge shows hundreds of wrong keys within a minute, and is not to be turned away for that.
    guard.MOST_WRONG = sys.maxsize
    settings = Settings.model_validate(
        {
            "gateway": {"data_dir": folder, "log_level": "warning"},
            "web": {"port": int(port), "token": TOKEN},
            "jobs": [{"name": "daily", "schedule": "0 8 * * *", "prompt": "hello"}],
        }
    )
    asyncio.run(run(settings, environ={}))


if __name__ == "__main__":
    main()
