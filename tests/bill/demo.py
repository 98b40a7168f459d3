"""`make demo-bill`: a random week, the provider's own books beside the bill, and two hundred turns that stop at a cap.

All of it on real processes: the gateway on a clock that is set forward, the providers' servers, a chat platform, and
`parley costs` as anybody calls it. The exit code is 1 when anything is not as it says.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

from gateway.texts.forms import money
from gateway.types.measures import DOLLAR, SECOND
from gateway.types.usage import Tokens
from tests.bill.cap import ADMITTED, TURNS, stopped
from tests.bill.stage import BillStage, bill_stage, providers
from tests.bill.truth import PRICES, Seen, due, rates_of, told
from tests.crash.harness import ROOT
from tests.fakes import exports
from tests.wires import MINI, SONNET

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
WEEK = f"{MONDAY.date()}..{(MONDAY + timedelta(days=6)).date()}"
PEOPLE = 6
JOB = {"name": "news", "schedule": "0 7 * * *", "prompt": "w90000 [] please"}
# What a provider does now and then, and bills exactly: answers, calls of tools, refusals, which another one answers.
FATES = ("long answer", "thinking", "tool", "tools", "bad call", "429", "500", "503", "529", "404", "nothing")
RUNS = "SELECT count(*) FROM job_run"
SOON = 30.0  # seconds


@dataclass(slots=True)
class Steps:
    """What is told, and whether all of it was true."""

    wrong: int = 0

    def head(self, text: str) -> None:
        print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)

    def note(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def check(self, true: object, text: str) -> None:
        self.wrong += not true
        print(f"  {'✓' if true else '✗ NOT TRUE:'} {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bill.demo", description=__doc__)
    parser.add_argument("--seed", type=int, help="none: a new one, which is printed")
    parser.add_argument("--keep", action="store_true", help="keep the folders even when all is well")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.randrange(1_000_000)
    folder, steps = Path(tempfile.mkdtemp(prefix="parley-demo-")), Steps()
    print(f"The bill, seed {seed}, in {folder}", flush=True)
    for name in ("week", "cap", "killed"):
        (folder / name).mkdir()
    asyncio.run(week(folder / "week", random.Random(seed), steps))
    asyncio.run(capped(folder, seed, steps))
    print(f"\n{steps.wrong} things were not true" if steps.wrong else "\nAll of it is true.")
    if not (steps.wrong or chosen.keep):
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if steps.wrong else 0


async def week(folder: Path, chance: random.Random, steps: Steps) -> None:
    steps.head("1. A random week: six people, a daily job, two vendors, kill -9 at night")
    agent = {"models": [MINI], "fallback_models": [MINI]}
    async with bill_stage(
        folder, chats=PEOPLE, between=0.002, agent=agent, gateway={"away_after_minutes": 100_000}
    ) as on:
        await lived(on, chance, steps)
        steps.head("2. The bill beside the providers' books")
        await on.stop()
        books = await on.books()
        found = await on.reckoned()
        steps.note(f"{found.rows} ledger rows of {found.requests} requests: {dict(found.states)}")
        steps.note(
            f"the ledger says {money(found.billed)}, what the providers counted comes to {money(found.owed)}"
        )
        steps.check(
            found.billed and not found.difference, f"known rows differ by {found.difference} nano-dollars"
        )
        steps.check(
            not found.wrong, f"every row and every report is right {'; '.join(found.wrong[:3])}".rstrip()
        )
        (folder / "parley.toml").write_text(toml(on))
        (folder / "parley.toml").chmod(0o600)
        await reconciled(folder, books, steps)
        await reported(folder, found.total, steps)


async def lived(on: BillStage, chance: random.Random, steps: Steps) -> None:
    """Seven days, from Monday on."""
    on.clock.set(int(MONDAY.timestamp()) * SECOND)
    job = {**JOB, "deliver_to": [f"telegram:{on.chats[0]}"]}
    arguments = ("--jobs", json.dumps([job]), "--prod", "tick")
    await on.start(*arguments)
    await on.polling()
    for day in range(7):
        date = MONDAY + timedelta(days=day)
        on.clock.set(int((date + timedelta(hours=7)).timestamp()) * SECOND)
        await on.until(lambda runs=day + 1: on.value(RUNS) >= runs, SOON, "the job does not run")  # type: ignore[misc]
        asked = 0
        for hour in sorted(chance.sample(range(8, 24), 4)):
            on.clock.set(
                int((date + timedelta(hours=hour, minutes=chance.randrange(60))).timestamp()) * SECOND
            )
            for chat in chance.sample(on.chats, chance.randrange(2, PEOPLE)):
                if chat % 2:  # each session begins with the model that is configured
                    await on.say_text(chat, f"/model {MINI}")
                await on.ask(chat, chance.sample(FATES, chance.choice((0, 0, 1, 2))))
                asked += 1
            await on.ended()
        rows, cost = (
            on.value("SELECT count(*) FROM usage"),
            on.value("SELECT coalesce(sum(cost), 0) FROM usage"),
        )
        killed = day % 3 == 1
        then = "; kill -9 at midnight" if killed else ""
        steps.note(f"{date:%A}: {asked} questions; {rows} requests so far, {money(cost)}{then}")
        if killed:
            await on.kill()
            await on.start(*arguments)
            await on.polling()


async def reconciled(folder: Path, books: Sequence[Seen], steps: Steps) -> None:
    """The providers' exports, in the formats of their documents, through `parley costs reconcile`."""
    for vendor, ref, usage, costs in (
        ("anthropic", SONNET, exports.anthropic_usage, exports.anthropic_cost),
        ("openai", MINI, exports.openai_usage, exports.openai_costs),
    ):
        made = [booked(each, ref) for each in books if each.made and f"{vendor}:{each.model}" == ref]
        for name, export in (("usage", usage), ("cost", costs)):
            file = folder / f"{vendor}_{name}.json"
            file.write_text(export(made))
            code, out = await parley(folder, "costs", "reconcile", str(file), "--provider", vendor, "--json")
            lines = json.loads(out)["lines"] if code in (0, 1) else []
            equal = sum(line["verdict"] == "equal" for line in lines)
            steps.check(
                code == 0 and lines and equal == len(lines),
                f"parley costs reconcile {file.name}: {len(made)} requests, {equal} of {len(lines)} lines (a day and a "
                f"model each) are equal, difference 0",
            )
        wrong = folder / f"{vendor}_more.json"
        wrong.write_text(usage([*made, made[-1]]))
        code, _ = await parley(folder, "costs", "reconcile", str(wrong), "--provider", vendor)
        steps.check(code == 1, "and with one request counted twice it says that they differ")


def booked(each: Seen, ref: str) -> exports.Request:
    """As the provider bills it."""
    assert each.made is not None
    uncached, read, write_5m, write_1h, output = told(each.made)
    tokens = Tokens(uncached, read, write_5m, write_1h, output)
    return exports.Request(each.at, each.model, tokens, due(rates_of(PRICES, ref), each.made) or 0)


async def reported(folder: Path, total: int, steps: Steps) -> None:
    """The same sum by every way that a report goes."""
    exact = Decimal(total) / DOLLAR
    for by in ("user", "model", "day", "chat", "trigger", "purpose", "session", "turn"):
        code, out = await parley(folder, "costs", WEEK, "--by", by, "--json")
        lines = json.loads(out)
        in_json = sum(Decimal(line["usage"]["cost_usd"]) for line in lines[f"by_{by}"])
        _, out = await parley(folder, "costs", WEEK, "--by", by, "--csv", "-")
        in_csv = sum(Decimal(row["cost_usd"]) for row in csv.DictReader(StringIO(out)))
        steps.check(
            code == 0 and exact == in_json == in_csv == Decimal(lines["total"]["cost_usd"]),
            f"parley costs --by {by}: JSON, CSV and the ledger say {money(total)} each",
        )
    _, out = await parley(folder, "costs", WEEK, "--by", "model")
    print("\n" + "\n".join(f"  {line}".rstrip() for line in out.splitlines()))
    _, out = await parley(folder, "doctor")
    line = next((line for line in out.splitlines() if " bill " in line), "nothing about the bill")
    steps.check(line.startswith("✓"), f"parley doctor: {line.lstrip('✓ ')}")


async def capped(folder: Path, seed: int, steps: Steps) -> None:
    for name, kills in (("cap", 0), ("killed", 3)):
        among = f", {kills} kill -9 among them" if kills else ""
        steps.head(
            f"{3 if not kills else 4}. {TURNS} turns at once against a cap that admits {ADMITTED}{among}"
        )
        found = await stopped(folder / name, kills=kills, seed=seed)
        steps.note(f"the cap is {money(found.cap)}; everybody asks before anybody is answered")
        steps.check(
            (found.admitted, found.refused) == (ADMITTED, TURNS - ADMITTED),
            f"{found.admitted} are asked, {found.refused} are told that the budget is used up",
        )
        over = max(found.peak, found.spent) - found.cap
        steps.check(
            over <= 0,
            f"overshoot {money(max(over, 0))}: reserved {money(found.peak)}, spent {money(found.spent)}",
        )
        steps.check(not found.left_open, f"{found.left_open} reservations are open afterwards")
        least, rows = found.reckoning.least, dict(found.reckoning.states)
        steps.check(
            least <= found.spent and not found.wrong,
            f"the provider asks for {money(least)}; rows {rows} {'; '.join(found.wrong[:3])}".rstrip(),
        )


def toml(on: BillStage) -> str:
    """What `parley` needs to know to read that data."""
    lines = [f"[gateway]\ndata_dir = {json.dumps(str(on.data))}\n\n[agent]\nmodel = {json.dumps(SONNET)}\n"]
    for name, table in providers(on.model_url)["providers"].items():
        facts = {key: value for key, value in table.items() if key != "price"}
        lines.append(
            "\n".join([f"[providers.{name}]", *(f"{k} = {json.dumps(v)}" for k, v in facts.items())]) + "\n"
        )
    return "\n".join(lines)


async def parley(folder: Path, *words: str) -> tuple[int, str]:
    """The exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from gateway.cli import main; main()", *words, "--config", str(folder / "parley.toml"),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


if __name__ == "__main__":
    sys.exit(main())
