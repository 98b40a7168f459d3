"""Parley on the fake servers: a parley.toml from arguments, then `parley run` as everybody starts it."""

import argparse
import sys
from pathlib import Path

PARLEY_TOML = """\
[gateway]
data_dir = {data}

[agent]
model = "{vendor}:{model}"

[providers.{vendor}]
api_key = "{key}"
base_url = "{llm}"
price = {{ "{model}" = {{ input = 1, output = 5, cache_read = 0.1, cache_write_5m = 1.25 }} }}

[channels.telegram]
token = "{token}"
api_url = "{telegram}"
allow = [{allow}]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("telegram", "token", "llm", "key", "model", "data"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--vendor", choices=("openai", "anthropic"), default="openai")
    parser.add_argument("--people", type=int, default=400, help="user ids from 1 on that may write")
    chosen = parser.parse_args()
    data = Path(chosen.data)
    data.mkdir(parents=True, exist_ok=True)
    file = data / "parley.toml"
    file.touch(mode=0o600)
    facts = vars(chosen) | {
        "data": f'"{data}"',
        "llm": chosen.llm + ("/v1" if chosen.vendor == "openai" else ""),
        "allow": ", ".join(map(str, range(1, chosen.people + 1))),
    }
    file.write_text(PARLEY_TOML.format(**facts))
    sys.argv = ["parley", "run", "--config", str(file)]
    from gateway.cli import main as parley

    parley()


if __name__ == "__main__":
    main()
