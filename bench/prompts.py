"""`python -m bench.prompts`: what a scripted conversation costs in dollars, and what it would cost otherwise.

The path is the gateway's own, from a message to the ledger, with the vendors' SDKs and the fake of their servers at its
end, on a clock that is moved. Beside the ledger's sum: the same prompts without any cache, with a breakpoint on the
system prompt only, and the least that the rules allow somebody who knows the script.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

from bench.least import Sent, least
from gateway.price import Rates
from gateway.progress import Options
from gateway.protocols.tool import Tool, ToolContext, ToolSpec
from gateway.tools import default_tools
from gateway.types.json import Json
from gateway.types.measures import DOLLAR, SECOND
from gateway.types.usage import Tokens
from gateway.usage import find_price
from gateway.vendors import VENDORS
from storage import open_store
from tests.conftest import Clock
from tests.fakes.llm import Body, Call, Reply, Usage, anthropic_parts, openai_parts
from tests.fakes.prompt_cache import Counts, Part, PromptCache
from tests.wires import CountingLLM, Wired, wired

MODELS = {"anthropic": "claude-sonnet-5", "openai": "gpt-5.1"}
# About 1,300 tokens, so that it can be cached by itself.
SYSTEM = (
    "You are the assistant of a small publishing house. You help its editors with plans, letters, sources and "
    "figures. Answer briefly and in the language you are asked in. Say so when you do not know something. "
) * 26
WORDS = (
    "the river carries small boats past quiet gardens while evening light settles on warm stone and somebody "
    "counts the bridges twice because the first number was not what the old map had promised them"
)
PAUSES = ("0", "2", "6", "40", "180", "1,1,12,2,90")
MOST = 1.03  # of the least, without pauses
NOT_KEPT = 1.01  # of what no cache costs, where every pause is too long for one
LONGEST = 10.0  # seconds that a turn may take here


class Archive:
    """A tool that gives about 400 tokens."""

    spec = ToolSpec(
        name="archive",
        description="Look a subject up in the archive of the house.",
        parameters={
            "type": "object",
            "properties": {"subject": {"type": "string"}},
            "required": ["subject"],
            "additionalProperties": False,
        },
    )

    async def call(self, args: Json, context: ToolContext) -> str:
        return prose(str(args["subject"]), 280)


@dataclass(frozen=True, slots=True)
class Script:
    """A conversation of so many *turns*, the person's *pauses* in minutes, over and over, and with *tools* or not."""

    vendor: str
    turns: int
    pauses: tuple[float, ...] = (0.0,)
    tools: bool = False

    @property
    def title(self) -> str:
        pauses = ", ".join(f"{pause:g}" for pause in self.pauses)
        rhythm = f"pauses of {pauses} min" if any(self.pauses) else "no pauses"
        return f"{self.vendor}, {self.turns} turns, {'tools' if self.tools else 'no tools'}, {rhythm}"

    def steps(self, turn: int) -> int:
        """How often the model asks for a tool in that turn: none to three times."""
        return turn % 4 if self.tools else 0


@dataclass(frozen=True, slots=True)
class Found:
    """Nano-dollars. *told*: by what the server counted; *system* None: there is no such choice."""

    script: Script
    ledger: int
    told: int
    plain: int
    system: int | None
    least: int
    read: float  # share of the input

    @property
    def ratio(self) -> float:
        return self.ledger / self.least

    @property
    def met(self) -> bool:
        """Near the least without pauses, below no cache with some, hardly above it where nothing is kept so long."""
        if not any(self.script.pauses):
            return self.ratio <= MOST
        if min(self.script.pauses) > 60:
            return self.ledger <= NOT_KEPT * self.plain
        return self.ledger < self.plain


def prose(about: str, words: int) -> str:
    return f"{about}: " + " ".join(islice(cycle(WORDS.split()), words)) + "."


@asynccontextmanager
async def gateway(
    vendor: str, folder: Path, *, cache: str = "auto"
) -> AsyncIterator[tuple[Wired, Clock, Rates]]:
    """With the fake at the vendor's own address, and the listed price of its model."""
    clock, model = Clock(), MODELS[vendor]
    price = find_price(
        provider_kind=vendor,
        provider_name=vendor,
        base_url=None,
        model=model,
        at=clock(),
        tokens=Tokens(),
        overrides={},
    )
    assert price is not None
    tools: dict[str, Tool] = {**default_tools(), Archive.spec.name: Archive()}
    options = Options(system_prompt=SYSTEM, max_output_tokens=2000, cache=cast("Any", cache))
    store = await open_store(folder / "parley.db")
    async with CountingLLM(clock=lambda: clock() / SECOND) as llm:
        vendors, own = cast("dict[str, Any]", VENDORS), VENDORS["openai"]
        vendors["openai"] = replace(own, url=f"{llm.url}/v1")
        try:
            async with wired(
                store, llm, clock=clock, default=f"{vendor}:{model}", rates={f"{vendor}/{model}": price.rates},
                tools=tools, options=options,
            ) as p:  # fmt: skip
                yield p, clock, price.rates
        finally:
            vendors["openai"] = own
            await store.close()


async def answered(p: Wired, text: str) -> None:
    """One turn to its end, in the terminal's conversation: no platform's pace is waited for."""
    async with asyncio.timeout(LONGEST):
        async for _ in p.manager.say(text):
            pass


async def played(script: Script, folder: Path) -> Found:
    async with gateway(script.vendor, folder) as (p, clock, rates):
        for turn, pause in zip(range(script.turns), cycle(script.pauses), strict=False):
            for step in range(script.steps(turn)):
                p.llm.reply(Reply(text="", calls=(Call("archive", {"subject": f"entry {turn}.{step}"}),)))
            p.llm.say(prose(f"Answer {turn}", 110))
            await answered(p, prose(f"Question {turn}", 45))
            clock.forward(minutes=pause)
        return await counted(p, script, rates)


async def counted(p: Wired, script: Script, rates: Rates) -> Found:
    """The bill of all requests so far, and what their prompts would have cost otherwise."""
    rows = await p.rows(
        "SELECT at, cost, tok_read, tok_in + tok_read + tok_w5m + tok_w1h FROM usage ORDER BY id"
    )
    bodies = [each.body for each in p.llm.requests]
    assert len(rows) == len(bodies) == len(p.llm.sent)
    times = [cast("int", row[0]) / SECOND for row in rows]
    model, output = MODELS[script.vendor], sum(each.output_tokens for each in p.llm.sent)
    parts = [anthropic_parts(body) if script.vendor == "anthropic" else openai_parts(body) for body in bodies]
    written = Fraction(rates.output or 0) * output
    plain = Fraction(rates.uncached) * sum(each.prompt_tokens for each in p.llm.sent)
    system: Fraction | None = None
    if script.vendor == "anthropic":
        lowest = least(model, [Sent(at, each) for at, each in zip(times, parts, strict=True)], rates)
        marked = [_system_only(body) for body in bodies]
        system = _simulated(model, times, marked, rates, vendor="anthropic")
    else:
        lowest = _simulated(model, times, parts, rates, vendor="openai")
    return Found(
        script=script,
        ledger=sum(cast("int", row[1]) for row in rows),
        told=sum(priced(each, rates) for each in p.llm.sent),
        plain=_nano(plain + written),
        system=None if system is None else _nano(system + written),
        least=_nano(lowest + written),
        read=sum(cast("int", row[2]) for row in rows) / sum(cast("int", row[3]) for row in rows),
    )


def priced(usage: Usage, rates: Rates) -> int:
    """Nano-dollars of what the server has counted."""
    kinds = (
        (usage.input_tokens, rates.uncached),
        (usage.cache_read_tokens, rates.read),
        (usage.cache_write_5m_tokens, rates.write_5m),
        (usage.cache_write_1h_tokens, rates.write_1h),
        (usage.output_tokens, rates.output),
    )
    return _nano(sum((Fraction(rate or 0) * count for count, rate in kinds), Fraction()))


def _nano(dollars_per_million: Fraction) -> int:
    return round(dollars_per_million * (DOLLAR // 1_000_000))


def _system_only(body: Body) -> list[Part]:
    """The prompt with the one breakpoint that many clients set."""
    parts = [replace(part, ttl=None) for part in anthropic_parts(body)]
    last = len(body.get("tools") or []) + len(body["system"]) - 1
    parts[last] = replace(parts[last], ttl="5m")
    return parts


def _simulated(
    model: str, times: Sequence[float], prompts: Sequence[Sequence[Part]], rates: Rates, *, vendor: str
) -> Fraction:
    now = [0.0]
    cache, total = PromptCache(clock=lambda: now[0]), Fraction()
    for at, parts in zip(times, prompts, strict=True):
        now[0] = at
        found: Counts = (
            cache.anthropic(model, parts)
            if vendor == "anthropic"
            else cache.openai(model, parts, extended=True)
        )
        kinds = ((found.uncached, rates.uncached), (found.read, rates.read), (found.write_5m, rates.write_5m))
        total += sum((Fraction(rate or 0) * count for count, rate in kinds), Fraction())
    return total


def table(found: Sequence[Found]) -> str:
    rows = [
        "| conversation | Parley | no cache | system prompt only | least | over the least | read from a cache | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for each in found:
        money = [f"${each.ledger / DOLLAR:.4f}", f"${each.plain / DOLLAR:.4f}"]
        money += [
            "" if each.system is None else f"${each.system / DOLLAR:.4f}",
            f"${each.least / DOLLAR:.4f}",
        ]
        rows.append(
            f"| {each.script.title} | {' | '.join(money)} | {each.ratio:.3f}x | {100 * each.read:.0f} % "
            f"| {'met' if each.met else 'MISSED'} |"
        )
    return "\n".join(rows)


async def all_of(scripts: Sequence[Script]) -> list[Found]:
    found = []
    for script in scripts:
        print(script.title, file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="bench-prompts-") as folder:
            found.append(await played(script, Path(folder)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.prompts", description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[30, 100])
    parser.add_argument(
        "--pauses", nargs="+", default=PAUSES, help="minutes; by turns where commas are between them"
    )
    parser.add_argument("--vendor", choices=tuple(MODELS), nargs="+", default=list(MODELS))
    chosen = parser.parse_args()
    scripts = [
        Script(vendor, turns, tuple(map(float, pauses.split(","))), tools)
        for vendor in chosen.vendor
        for turns in chosen.turns
        for tools in (False, True)
        for pauses in chosen.pauses
    ]
    found = asyncio.run(all_of(scripts))
    versions = ", ".join(f"{name} {version(name)}" for name in ("pydantic-ai-slim", "genai-prices"))
    print(f"{time.strftime('%Y-%m-%d')}, {', '.join(MODELS[each] for each in chosen.vendor)}; {versions}\n")
    print(table(found))
    assert all(each.ledger == each.told for each in found), "the ledger is not what the server counted"
    return 0 if all(each.met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
