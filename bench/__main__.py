"""`make bench`: Parley and a bare bot, by turns, on the same fake servers; one table of what each costs."""

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from bench.measure import OUT, Numbers, Side, Size, only_start, whole_life

QUICK = Size(long=40, short=20, each=4, pace=0.08, rest=1.5)
PACKAGES = ("python-telegram-bot", "openai", "anthropic", "pydantic-ai-slim", "aiosqlite", "fastapi")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table. *goal* is for Parley's value over the bare bot's, or for the value itself."""

    title: str
    unit: str
    values: Callable[[Numbers], Iterable[float]]
    most: float | None = None
    least: float | None = None
    absolute: bool = False
    starts: bool = False  # the lives that were only started count too
    quantile: float = 0.5

    def of(self, lives: list[Numbers]) -> float:
        found = sorted(value for life in lives for value in self.values(life))
        return found[min(len(found) - 1, int(len(found) * self.quantile))]

    def met(self, bare: float, parley: float) -> bool | None:
        value = parley if self.absolute else parley / bare
        if self.most is not None:
            return value <= self.most
        return value >= self.least if self.least is not None else None

    @property
    def goal(self) -> str:
        unit = f" {self.unit}" if self.absolute else "x"
        if self.most is not None:
            return f"<= {self.most:g}{unit}"
        return f">= {self.least:g}{unit}" if self.least is not None else ""


LINES = (
    Line("final text, 200 words, p50", "ms", lambda n: (1e3 * s for s in n.long), most=1.8),
    Line("final text, 200 words, p95", "ms", lambda n: (1e3 * s for s in n.long), quantile=0.95),
    Line("final text, 60 characters, p50", "ms", lambda n: (1e3 * s for s in n.short), most=1.8),
    Line("final text, 60 characters, p95", "ms", lambda n: (1e3 * s for s in n.short), quantile=0.95),
    Line("throughput, 50 chats", "/s", lambda n: [n.throughput], least=0.8),
    Line("CPU an answer, 50 chats", "ms", lambda n: [1e3 * n.cpu_per_answer]),
    Line("50 chats at once, 2 s model", "s", lambda n: [n.at_once], most=2.6, absolute=True),
    Line("memory after the first answer", "MB", lambda n: [n.rss_idle], most=1.5),
    Line("memory after 200 messages", "MB", lambda n: [n.rss_after], most=1.5),
    Line("memory, peak", "MB", lambda n: [n.rss_peak], most=1.5),
    Line("start to first poll", "s", lambda n: [n.first_poll], most=1.0, starts=True),
    Line("start to first answer", "s", lambda n: [n.first_answer], most=2.0, starts=True),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: a look, no result")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=3, help="more cold starts of each in every round")
    parser.add_argument("--vendor", choices=("openai", "anthropic"), default="openai")
    parser.add_argument("--whole", action="store_true", help="the bare bot asks for answers in one piece")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds, chosen.starts = 1, 1
    OUT.mkdir(exist_ok=True)
    bare = Side("bare", chosen.vendor, ("--whole",) if chosen.whole else ())
    sides = (bare, Side("parley", chosen.vendor))
    lives: dict[str, list[Numbers]] = {side.name: [] for side in sides}
    starts: dict[str, list[Numbers]] = {side.name: [] for side in sides}
    size = QUICK if chosen.quick else Size()
    for side in sides:
        _fresh(side, "warm-up", only_start)  # so that no start compiles Python
    for number in range(chosen.rounds):
        order = sides if number % 2 == 0 else sides[::-1]
        for side in order:
            print(f"round {number + 1}: {side.name}", file=sys.stderr)
            life = _fresh(
                side,
                f"round-{number + 1}",
                lambda each, run, data: whole_life(each, run=run, data=data, size=size),
            )
            lives[side.name].append(life)
        for again in range(chosen.starts):
            for side in order:
                starts[side.name].append(_fresh(side, f"start-{number + 1}-{again + 1}", only_start))
    text, missed = table(lives, starts)
    heading = _heading(chosen)
    print(f"{heading}\n\n{text}")
    _keep(chosen, heading, text, lives, starts)
    return 1 if missed and not chosen.quick else 0


def _fresh(side: Side, run: str, measure: Callable[..., Numbers]) -> Numbers:
    data = Path(tempfile.mkdtemp(prefix=f"bench-{side.name}-"))
    try:
        return measure(side, run=run, data=data)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def table(lives: dict[str, list[Numbers]], starts: dict[str, list[Numbers]]) -> tuple[str, int]:
    """The table as Markdown, and how many goals were missed."""
    rows = [
        "| | unit | bare | Parley | ratio | rounds | goal | |",
        "|---|---|---:|---:|---:|---|---|---|",
    ]
    missed = 0
    for line in LINES:
        both = [lives[name] + (starts[name] if line.starts else []) for name in ("bare", "parley")]
        bare, parley = (line.of(each) for each in both)
        ratios = [line.of([p]) / line.of([b]) for b, p in zip(*both, strict=True)]
        met = line.met(bare, parley)
        missed += met is False
        verdict = {True: "met", False: "MISSED", None: ""}[met]
        rows.append(
            f"| {line.title} | {line.unit} | {bare:.3g} | {parley:.3g} | {parley / bare:.2f} "
            f"| {min(ratios):.2f} to {max(ratios):.2f} | {line.goal} | {verdict} |"
        )
    return "\n".join(rows), missed


def _heading(chosen: argparse.Namespace) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    whole = "in one piece" if chosen.whole else "streamed"
    return (
        f"{time.strftime('%Y-%m-%d')}, {chosen.vendor}, {chosen.rounds} rounds, the bare bot's answers {whole}; "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {versions}"
    )


def _keep(
    chosen: argparse.Namespace,
    heading: str,
    text: str,
    lives: dict[str, list[Numbers]],
    starts: dict[str, list[Numbers]],
) -> None:
    name = f"{chosen.vendor}{'-whole' if chosen.whole else ''}"
    (OUT / f"{name}.md").write_text(f"{heading}\n\n{text}\n")
    raw = {
        "lives": {side: [asdict(each) for each in found] for side, found in lives.items()},
        "starts": {side: [asdict(each) for each in found] for side, found in starts.items()},
    }
    raw["medians"] = {
        side: statistics.median(value for life in found for value in life.long)
        for side, found in lives.items()
    }
    (OUT / f"{name}.json").write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    sys.exit(main())
