"""The whole API against its own description, by schemathesis: python -m tests.api --seconds 300

Random requests, valid and not, each alone and in sequences of what the description links; with the right key, a wrong
one and none. Whatever is answered must be as described. Exit code 0: nothing was found.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.api.server import TOKEN

HERE = Path(__file__).parent
# It writes a file wherever it is told to, which a judge who invents names had better not try.
LEFT_OUT = "gateway_copied"


def judged(*how: str) -> tuple[int, str]:
    """(exit code, report) of schemathesis with these options, over a gateway of its own."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "server.log")
        with log.open("wb") as said:
            server = subprocess.Popen(
                [sys.executable, "-m", "tests.api.server", folder, str(port)], stdout=said, stderr=said
            )
        try:
            done = subprocess.run(
                [
                    Path(sys.executable).with_name("schemathesis"),
                    "--no-color",
                    *("--config-file", HERE / "schemathesis.toml"),
                    *("run", f"http://127.0.0.1:{port}/v1/openapi.json"),
                    *("--header", f"Authorization: Bearer {TOKEN}"),
                    *("--exclude-operation-id", LEFT_OUT),
                    *("--wait-for-schema", "30"),
                    "--continue-on-failure",
                    *how,
                ],
                cwd=folder,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        finally:
            server.terminate()
            server.wait(30)
        return done.returncode, done.stdout + log.read_text("utf-8", "replace")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def main() -> int:
    told = argparse.ArgumentParser(prog="python -m tests.api", description=__doc__)
    told.add_argument("--seconds", type=int, default=300, help="how long (300)")
    told.add_argument("--examples", type=int, default=100, help="random requests for each operation (100)")
    told.add_argument("--seed", type=int, help="of an earlier run, to have it again")
    given = told.parse_args()
    seed = [] if given.seed is None else ["--seed", str(given.seed)]
    code, report = judged("--max-time", str(given.seconds), "--max-examples", str(given.examples), *seed)
    print(report)
    return code


if __name__ == "__main__":
    sys.exit(main())
