"""`python -m tests.bill`: random loads on real processes with kill -9 among them, and caps under two hundred turns."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from gateway.texts.forms import money
from tests.bill.cap import ADMITTED, TURNS, stopped
from tests.bill.kills import killed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bill", description=__doc__)
    parser.add_argument("--loads", type=int, default=20)
    parser.add_argument("--kills", type=int, default=6, help="in each load, and in each run against a cap")
    parser.add_argument("--questions", type=int, default=60, help="in each load")
    parser.add_argument("--caps", type=int, default=4)
    parser.add_argument("--seed", type=int, help="none: a new one, which is printed")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.randrange(1_000_000)
    print(f"seed {seed}", flush=True)
    wrong = loads(chosen, seed) + caps(chosen, seed)
    print("\n".join(f"  WRONG: {each[:600]}" for each in wrong[:40]) or "nothing is wrong")
    return 1 if wrong else 0


def loads(chosen: argparse.Namespace, seed: int) -> list[str]:
    states, wrong = Counter[str](), list[str]()
    for number in range(chosen.loads):
        folder = Path(tempfile.mkdtemp(prefix="parley-bill-"))
        found = asyncio.run(
            killed(folder, seed=seed + number, kills=chosen.kills, questions=chosen.questions)
        )
        states += found.states
        print(f"load {seed + number}: {found.rows} rows, known differ by {found.difference}", flush=True)
        wrong += _kept(folder, seed + number, found.wrong)
    print(f"{chosen.loads} loads, {chosen.loads * chosen.kills} kill -9: {dict(states)}")
    return wrong


def caps(chosen: argparse.Namespace, seed: int) -> list[str]:
    wrong = list[str]()
    for number in range(chosen.caps):
        folder = Path(tempfile.mkdtemp(prefix="parley-cap-"))
        found = asyncio.run(stopped(folder, kills=number * chosen.kills // 2, seed=seed + number))
        print(
            f"cap {seed + number}: {TURNS} turns at once, a cap for {ADMITTED}, {found.kills} kill -9: at most "
            f"{money(found.peak)} of {money(found.cap)}, {found.left_open} still reserved",
            flush=True,
        )
        wrong += _kept(folder, seed + number, found.wrong)
    return wrong


def _kept(folder: Path, seed: int, wrong: list[str]) -> list[str]:
    """The folder is kept where something was wrong."""
    if not wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return [f"{seed}, in {folder}: {each}" for each in wrong]


if __name__ == "__main__":
    sys.exit(main())
