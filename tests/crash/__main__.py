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
from functools import partial
from pathlib import Path

from tests.crash.harness import Evidence, Plan, Stuck, run
from tests.crash.judge import Verdict, judge

MODES = ("opening", "placeholder", "draft")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--chats", type=int, default=8)
    parser.add_argument("--platform", choices=("telegram", "discord"), default="telegram")
    parser.add_argument("--delivery", choices=(*MODES, "all"), default="all", help="on Telegram")
    parser.add_argument("--at-once", type=int, default=2, help="gateways side by side, each with its share")
    parser.add_argument("--provider", choices=("openai", "anthropic"), default="openai")
    parser.add_argument("--seed", type=int, help="none: a new one, which is printed")
    parser.add_argument("--keep", action="store_true", help="keep the folders even when all is well")
    parser.add_argument("--control", action="store_true", help="the same against a plain python-telegram-bot")
    parser.add_argument(
        "--points", nargs="?", const="", help="every fail-point, or those named, both sides, five kills each"
    )
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.randrange(1_000_000)
    if chosen.control:
        from tests.crash.control import main as control

        return control(kills=chosen.kills, messages=chosen.messages, seed=seed)
    if chosen.points is not None:
        from tests.crash.points import main as points

        return points(chosen.points)
    modes = MODES if chosen.delivery == "all" else (chosen.delivery,)
    if chosen.platform == "discord":
        modes = ("nonce",)
    good = [proved(mode, chosen, seed) for mode in modes]
    return 0 if all(good) else 1


def proved(delivery: str, chosen: argparse.Namespace, seed: int) -> bool:
    """One mode, with its table; False when a promise was broken."""
    folder = Path(tempfile.mkdtemp(prefix="parley-crash-"))
    plans = [
        Plan(
            kills=share(chosen.kills, chosen.at_once, number),
            messages=share(chosen.messages, chosen.at_once, number),
            chats=chosen.chats,
            seed=seed + number,
            platform=chosen.platform,
            delivery=delivery,
            provider=chosen.provider,
        )
        for number in range(chosen.at_once)
    ]
    began = time.monotonic()
    mode = f" --delivery {delivery}" if delivery in MODES else ""
    again = f"again with --seed {seed} --platform {chosen.platform}{mode} --provider {chosen.provider}"
    print(f"\n{chosen.platform}, {delivery}, {chosen.provider}, seed {seed}, in {folder}", flush=True)
    try:
        all_evidence = asyncio.run(side_by_side(plans, folder))
    except ExceptionGroup as group:
        stuck, other = group.split(Stuck)
        if other is not None or stuck is None:
            raise
        print("\n".join(f"  STUCK: {each}" for each in stuck.exceptions), f"\n  {again}")
        return False
    verdicts = [judge(evidence) for evidence in all_evidence]
    print(table(all_evidence, verdicts, time.monotonic() - began))
    broken = any(verdict.wrong for verdict in verdicts)
    if broken:
        print(f"  {again}; everything is in {folder}")
    elif not chosen.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return not broken


def share(whole: int, parts: int, number: int) -> int:
    """What part *number* of *parts* gets."""
    return whole // parts + (number < whole % parts)


async def side_by_side(plans: list[Plan], folder: Path) -> list[Evidence]:
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number, plan in enumerate(plans):
            (folder / str(number)).mkdir()
            told = partial(tell, number)
            tasks.append(group.create_task(run(plan, folder / str(number), told)))
    return [task.result() for task in tasks]


def tell(number: int, text: str) -> None:
    print(f"  [{number}] {text}", flush=True)


def table(all_evidence: list[Evidence], verdicts: list[Verdict], seconds: float) -> str:
    """What happened, in one column; what was broken below it."""
    numbers = {name: sum(verdict.numbers[name] for verdict in verdicts) for name in verdicts[0].numbers}
    wrong = [each for verdict in verdicts for each in verdict.wrong]
    rows: list[tuple[str, object]] = [("kill -9", sum(each.kills for each in all_evidence)), *numbers.items()]
    rows += [
        ("start to first poll, p50", median([at for each in all_evidence for at in each.polled_after])),
        ("start to first answer, p50", median([at for each in all_evidence for at in each.answered_after])),
        ("took", f"{seconds:.0f} s"),
        ("broken promises", len(wrong)),
    ]
    lines = [f"  {name:28}{value:>10}" for name, value in rows]
    return "\n".join([*lines, *[f"  BROKEN: {each[:600]}" for each in wrong[:40]]])


def median(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s" if seconds else "-"


if __name__ == "__main__":
    sys.exit(main())
