"""`python -m tests.crash`: kill -9 at random points, then look whether every promise was kept."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.harness import Evidence, Plan, Stuck, run
from tests.crash.judge import Verdict, judge

MODES = ("opening", "placeholder")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--chats", type=int, default=8)
    parser.add_argument("--delivery", choices=(*MODES, "both"), default="both")
    parser.add_argument("--provider", choices=("openai", "anthropic"), default="openai")
    parser.add_argument("--seed", type=int, help="none: a new one, which is printed")
    parser.add_argument("--keep", action="store_true", help="keep the folders even when all is well")
    parser.add_argument("--control", action="store_true", help="the same against a plain python-telegram-bot")
    parser.add_argument("--points", action="store_true", help="every fail-point, both sides, five kills each")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.randrange(1_000_000)
    if chosen.control:
        from tests.crash.control import main as control

        return control(kills=chosen.kills, messages=chosen.messages, seed=seed)
    if chosen.points:
        from tests.crash.points import main as points

        return points()
    modes = MODES if chosen.delivery == "both" else (chosen.delivery,)
    good = [
        proved(
            Plan(
                kills=chosen.kills, messages=chosen.messages, chats=chosen.chats,
                seed=seed, delivery=mode, provider=chosen.provider,
            ),
            keep=chosen.keep,
        )
        for mode in modes
    ]  # fmt: skip
    return 0 if all(good) else 1


def proved(plan: Plan, *, keep: bool) -> bool:
    """One mode, with its table; False when a promise was broken."""
    folder = Path(tempfile.mkdtemp(prefix="parley-crash-"))
    began = time.monotonic()
    print(f"\n{plan.delivery}, {plan.provider}, seed {plan.seed}, in {folder}", flush=True)
    try:
        evidence = asyncio.run(run(plan, folder, lambda text: print(f"  {text}", flush=True)))
        verdict = judge(evidence)
    except Stuck as stuck:
        print(f"  STUCK: {stuck}\n  again with --seed {plan.seed} --delivery {plan.delivery}")
        return False
    print(table(evidence, verdict, time.monotonic() - began))
    if verdict.wrong:
        print(f"  again with --seed {plan.seed} --delivery {plan.delivery}; everything is in {folder}")
    elif not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return not verdict.wrong


def table(evidence: Evidence, verdict: Verdict, seconds: float) -> str:
    """What happened, in one column; what was broken below it."""
    rows: list[tuple[str, object]] = [("kill -9", evidence.kills), *verdict.numbers.items()]
    rows += [
        ("start to first poll, p50", f"{median(evidence.polled_after)} s"),
        ("start to first answer, p50", f"{median(evidence.answered_after)} s"),
        ("took", f"{seconds:.0f} s"),
        ("broken promises", len(verdict.wrong)),
    ]
    lines = [f"  {name:28}{value:>10}" for name, value in rows]
    return "\n".join([*lines, *[f"  BROKEN: {each[:600]}" for each in verdict.wrong[:40]]])


def median(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f}" if seconds else "-"


if __name__ == "__main__":
    sys.exit(main())
