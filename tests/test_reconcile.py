"""The ledger beside the providers' own accounts of the same requests."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import SessionManager
from gateway.cli import app
from gateway.errors import Refused
from gateway.exports import ExportError, read
from gateway.failpoints import Point
from gateway.models.catalogue import Catalogue, ProviderConfig
from gateway.reconciliation import Reconciliation, called
from gateway.types.measures import SECOND
from gateway.types.usage import Purpose, Tokens, UsageOpen, UsageSettled
from storage import Store, Unit, open_store
from tests.fakes import exports
from tests.fakes.exports import ANTHROPIC, OPENAI, Request

BEGIN = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
SNAPSHOTS = {
    "anthropic": ("claude-haiku-4-5-20251001", "claude-sonnet-5"),
    "openai": ("gpt-5-mini-2025-08-07", "gpt-4.1"),
}
FORMATS = [
    *(("anthropic", name, made) for name, made in ANTHROPIC.items()),
    *(("openai", name, made) for name, made in OPENAI.items()),
]
by_format = pytest.mark.parametrize("vendor, name, made", FORMATS, ids=[name for _, name, _ in FORMATS])
ODD = ["", "9", "-", '"', "\n", "{", "[", "x", "\0", "e9", ",", "null", "1e400", "é"]


def requests(vendor: str, seed: int, count: int = 60, days: int = 5) -> list[Request]:
    chance = random.Random(f"{vendor} {seed}")
    found = []
    for _ in range(count):
        tokens = Tokens(*(chance.randrange(1, 5000) for _ in range(5)))
        if vendor == "openai":
            tokens = replace(tokens, write_1h=0)
        at = BEGIN * SECOND + chance.randrange(days * 86400 * SECOND)
        found.append(Request(at, chance.choice(SNAPSHOTS[vendor]), tokens, chance.randrange(1, 10**8)))
    return found


async def booked(
    store: Store,
    made: Sequence[Request],
    provider: str,
    *,
    state: str = "known",
    priced: bool = True,
    units: int | None = None,
    purpose: Purpose = "chat",
) -> None:
    async def work(unit: Unit) -> None:
        for number, each in enumerate(made):
            uid = f"{provider} {state} {units} {priced} {purpose} {number}"
            await unit.ledger.open(
                UsageOpen(
                    uid=uid, worst=Tokens(), purpose=purpose, channel="main", provider=provider,
                    model_asked=called(each.model), at=each.at, units=units,
                )
            )  # fmt: skip
            await unit.ledger.settle(
                uid,
                UsageSettled(
                    state=state,  # type: ignore[arg-type]
                    tokens=each.tokens,
                    ended=each.at,
                    model=None if state == "estimated" else each.model,
                    cost=each.cost if priced else None,
                    cost_state="priced" if priced else "unpriced",
                ),
            )

    await store.commit(Point.SESSION, work)


def off(found: Reconciliation) -> list[tuple[str, str, str]]:
    return [(line.day, line.model, line.verdict) for line in found.lines if line.verdict != "equal"]


@by_format
async def test_what_both_have_is_equal_in_every_format(
    store: Store, vendor: str, name: str, made: Callable[[Sequence[Request]], str]
) -> None:
    there = requests(vendor, 1)
    await booked(store, there, vendor)
    await booked(store, requests("openai" if vendor == "anthropic" else "anthropic", 2), "other")
    found = await SessionManager.from_store(store).reconcile(made(there))
    assert off(found) == [] and found.agrees and found.providers == (vendor,)
    assert len(found.lines) == len({(each.day, each.model) for each in there})
    counted = [line.theirs.tokens for line in found.lines if line.theirs.tokens is not None]
    if counted:
        assert sum(counted, Tokens()) == sum((each.tokens for each in there), Tokens())
    else:
        cents = 5_000_000 * len(found.lines) if name == "console cost" else len(found.lines)
        paid = sum(line.theirs.cost or 0 for line in found.lines)
        assert abs(paid - sum(each.cost for each in there)) <= cents


@by_format
async def test_one_request_more_on_either_side_is_found_on_its_day(
    store: Store, vendor: str, name: str, made: Callable[[Sequence[Request]], str]
) -> None:
    there = requests(vendor, 3)
    missing = replace(there[7], cost=10**9)
    there[7] = missing
    await booked(store, [*there[:7], *there[8:]], vendor)
    found = await SessionManager.from_store(store).reconcile(made(there))
    assert off(found) == [(missing.day.isoformat(), called(missing.model), "differs")] and not found.agrees
    more = await SessionManager.from_store(store).reconcile(made([*there[:6], *there[8:]]))
    day, model = there[6].day.isoformat(), called(there[6].model)
    if name != "console cost" or there[6].cost > 2 * 5_000_000:
        assert off(more) == [(day, model, "differs")]


async def test_what_only_one_side_has_is_told_apart(store: Store) -> None:
    there = requests("anthropic", 4)
    one, other = "claude-haiku-4-5-20251001", "claude-sonnet-5"
    day = there[0].day
    theirs = [each for each in there if each.model == one or each.day != day]
    ours = [each for each in there if each.model == other or each.day != day]
    await booked(store, ours, "anthropic")
    found = await SessionManager.from_store(store).reconcile(exports.anthropic_usage(theirs))
    assert off(found) == [
        (day.isoformat(), "claude-haiku-4-5", "theirs"),
        (day.isoformat(), "claude-sonnet-5", "ours"),
    ]


@by_format
async def test_an_estimate_that_is_high_enough_is_no_difference_and_one_that_is_not_is(
    store: Store, vendor: str, name: str, made: Callable[[Sequence[Request]], str]
) -> None:
    """An estimate does not know the snapshot that answered, nor what came from the cache."""
    there = requests(vendor, 5)
    cut = replace(there[0], cost=10**9)
    there[0] = cut
    await booked(store, there[1:], vendor)
    high = replace(cut, tokens=Tokens(0, 0, cut.tokens.input, 0, cut.tokens.output + 9), cost=cut.cost + 9)
    await booked(store, [high], vendor, state="estimated")
    found = await SessionManager.from_store(store).reconcile(made(there))
    where = cut.day.isoformat(), called(cut.model)
    assert off(found) == [(*where, "estimated")] and found.agrees
    line = next(line for line in found.lines if line.verdict == "estimated")
    assert line.estimated.requests == 1 and line.estimated.cost == high.cost
    more = [*there, replace(cut, tokens=Tokens(output=10), cost=10**9)]
    assert off(await SessionManager.from_store(store).reconcile(made(more))) == [(*where, "differs")]


async def test_a_request_without_a_price_cannot_agree_on_money_but_on_tokens(store: Store) -> None:
    there = requests("anthropic", 6, count=4, days=1)
    await booked(store, there[:3], "anthropic")
    await booked(store, there[3:], "anthropic", priced=False, units=None, state="known")
    manager = SessionManager.from_store(store)
    assert not (await manager.reconcile(exports.anthropic_cost(there))).agrees
    assert (await manager.reconcile(exports.anthropic_usage(there))).agrees


async def test_transcriptions_are_costs_but_no_completions(store: Store) -> None:
    there = requests("openai", 7, count=6)
    speech = Request(there[0].at, "gpt-4o-mini-transcribe", Tokens(500, 0, 0, 0, 20), 3_000_000)
    await booked(store, there, "openai")
    await booked(store, [speech], "openai", units=30)
    manager = SessionManager.from_store(store)
    assert (await manager.reconcile(exports.openai_usage(there))).agrees
    assert (await manager.reconcile(exports.openai_costs([*there, speech]))).agrees
    assert not (await manager.reconcile(exports.openai_costs(there))).agrees


@pytest.mark.parametrize(
    ("vendor", "costs", "usage", "item"),
    [
        ("anthropic", exports.anthropic_cost, exports.anthropic_usage, "web_search"),
        ("openai", exports.openai_costs, exports.openai_usage, "web search tool calls"),
    ],
)
async def test_searches_are_costs_of_no_model_and_no_tokens(
    store: Store,
    vendor: str,
    costs: Callable[[Sequence[Request]], str],
    usage: Callable[[Sequence[Request]], str],
    item: str,
) -> None:
    there = requests(vendor, 9, count=6)
    theirs = Request(there[0].at, item, Tokens(), 20_000_000)
    await booked(store, there, vendor)
    await booked(store, [replace(theirs, model=there[0].model)], vendor, units=2, purpose="search")
    manager = SessionManager.from_store(store)
    assert (await manager.reconcile(usage(there))).agrees
    found = await manager.reconcile(costs([*there, theirs]))
    assert found.agrees and "web search" in {line.model for line in found.lines}
    assert not (await manager.reconcile(costs(there))).agrees


async def test_days_of_another_zone_need_buckets_that_lie_in_one_of_them(store: Store) -> None:
    there = requests("anthropic", 8)
    await booked(store, there, "anthropic")
    manager = SessionManager.from_store(store)
    hourly = exports.anthropic_usage(there, step=timedelta(hours=1))
    found = await manager.reconcile(hourly, zone="America/New_York")
    assert found.agrees and found.first == "2026-10-31"
    with pytest.raises(Refused, match="two days of America/New_York"):
        await manager.reconcile(exports.anthropic_usage(there), zone="America/New_York")
    with pytest.raises(Refused, match="two days of Asia/Kathmandu"):
        await manager.reconcile(hourly, zone="Asia/Kathmandu")
    with pytest.raises(Refused, match="no such time zone"):
        await manager.reconcile(hourly, zone="Mars/Olympus")


async def test_an_export_that_tells_no_models_apart_is_compared_by_the_day(store: Store) -> None:
    there = requests("openai", 9)
    page = json.loads(exports.openai_usage([replace(each, model="x") for each in there]))
    for bucket in page["data"]:
        for result in bucket["results"]:
            result["model"] = None
    await booked(store, there, "openai")
    found = await SessionManager.from_store(store).reconcile(json.dumps(page))
    assert found.agrees and {line.model for line in found.lines} == {""}


async def test_pages_in_a_row_are_one_export_and_a_missing_one_is_said(store: Store) -> None:
    there = requests("anthropic", 10)
    page = json.loads(exports.anthropic_usage(there))
    await booked(store, there, "anthropic")
    manager = SessionManager.from_store(store)
    first, rest = {**page, "data": page["data"][:2], "has_more": True}, {**page, "data": page["data"][2:]}
    for text in (f"{json.dumps(first)}\n{json.dumps(rest)}", json.dumps([first, rest])):
        found = await manager.reconcile(text)
        assert found.agrees and not found.notes and len(found.lines) > 5
    part = await manager.reconcile(json.dumps(first))
    assert part.agrees and "has_more" in part.notes[0] and part.last == "2026-11-02"


async def test_only_the_providers_at_the_vendor_s_own_address_are_compared(store: Store) -> None:
    there = requests("openai", 11)
    configs = {
        "main": ProviderConfig("main", "openai", "k"),
        "proxy": ProviderConfig("proxy", "openai", "k", "http://127.0.0.1:4000/v1"),
        "claude": ProviderConfig("claude", "anthropic", "k"),
    }
    catalogue = Catalogue(providers=configs, default="main:gpt-5-mini")
    await booked(store, there[:30], "main")
    await booked(store, there[30:], "proxy")
    manager = SessionManager.from_store(store, catalogue=catalogue)
    text = exports.openai_usage(there)
    alone = await manager.reconcile(text)
    assert alone.providers == ("main", "openai") and not alone.agrees and "--provider proxy" in alone.notes[0]
    assert (await manager.reconcile(text, providers=["proxy", "main"])).agrees
    with pytest.raises(Refused, match=r"no provider is called 'porxy'; there are: claude, main, proxy"):
        await manager.reconcile(text, providers=["porxy"])
    await catalogue.close()


@pytest.mark.parametrize(
    "name, named",
    [
        ("Claude Haiku 4.5", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("gpt-5-mini", "gpt-5-mini"),
    ],
)
def test_snapshots_and_titles_are_the_model(name: str, named: str) -> None:
    assert called(name) == named


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


ONE = [Request(BEGIN * SECOND, "claude-sonnet-5", Tokens(1111, 2222, 3333, 4444, 5555), 123_456_789)]


REPORT, USAGE, CONSOLE = exports.anthropic_usage(ONE), exports.openai_usage(ONE), exports.console_usage(ONE)
WRONG = [
    ("", "it is empty"),
    ("hello", "columns are those of no export that is understood (hello)"),
    ("day,tokens\n1,2\n", "(day, tokens). Understood are Anthropic's"),
    ("{", "line 1: this is no JSON"),
    ('{"data": []}', "no bucket"),
    ('{"error": {"type": "x"}}', "there is no list 'data', only error"),
    ('{"data": [{"results": []}]}', "neither 'starting_at' nor 'start_time'"),
    ("[1]", "the JSON is no object"),
    (
        changed(REPORT, "1111", '"many"'),
        "data[0].results[0], uncached_input_tokens: 'many'",
    ),
    (changed(REPORT, "5555", "-1"), "output_tokens: '-1' is no count"),
    (changed(REPORT, "5555", "true"), "output_tokens: 'True' is no count"),
    (
        changed(REPORT, "2026-11-01T", "soon"),
        "data[0], starting_at: 'soon00:00:00Z' is no time",
    ),
    (changed(exports.anthropic_cost(ONE), '"USD"', '"EUR"'), "currency: 'EUR' is another currency"),
    (
        changed(USAGE, "usage.completions", "usage.embeddings"),
        "neither the usage of completions",
    ),
    (
        changed(USAGE, '"input_cached_tokens": 2222', '"input_cached_tokens": 99999'),
        "input_tokens",
    ),
    (
        changed(CONSOLE, ",5555,", ",5.5,"),
        "line 2, usage_output_tokens: '5.5' is no count",
    ),
    (
        changed(CONSOLE, "2026-11-01", "01.11.2026"),
        "line 2, usage_date_utc: '01.11.2026'",
    ),
    (exports.console_usage(ONE) + "a" + ",b" * 20, "21 fields, but 14 columns"),
    (changed(exports.dashboard_cost(ONE), "0.1234", "0,1234"), "line 2"),
    (exports.console_usage(ONE).splitlines()[0], "there is no line in it"),
]  # fmt: skip


@pytest.mark.parametrize("text, wrong", WRONG)
def test_what_cannot_be_read_is_named(text: str, wrong: str) -> None:
    with pytest.raises(ExportError) as error:
        read(text)
    assert wrong in str(error.value)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_a_file_holds_it_is_read_or_refused(seed: int) -> None:
    """Never anything but an ExportError."""
    chance = random.Random(seed)
    for vendor, _, made in FORMATS:
        text = list(made(requests(vendor, seed, count=3, days=2)))
        for _ in range(chance.randrange(1, 6)):
            text[chance.randrange(len(text))] = chance.choice(ODD)
        with contextlib.suppress(ExportError):
            read("".join(text))


# -- over HTTP and in the terminal ----------------------------------------------------------------------------


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with a ledger of ours; there are five days in it."""
    monkeypatch.setenv("PARLEY_GATEWAY__DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    store = await open_store(tmp_path / "data" / "parley.db")
    await booked(store, requests("anthropic", 1), "anthropic")
    await store.close()
    return tmp_path


async def parley(*words: str, code: int, typed: str = "") -> Result:
    """In a thread, for a command has a loop of its own."""
    found = await asyncio.to_thread(CliRunner().invoke, app, ["costs", *words], input=typed)
    assert found.exit_code == code, (found.output, found.exception)
    return found


async def test_the_terminal_says_what_differs_and_its_exit_code_whether_anything_does(home: Path) -> None:
    there = requests("anthropic", 1)
    (home / "right.csv").write_text(exports.console_usage(there))
    said = (await parley("reconcile", "right.csv", code=0)).stdout
    assert (
        "2026-11-01 to 2026-11-05, days of UTC" in said and "10 lines (a model on a day): 10 equal." in said
    )
    more = replace(there[0], tokens=there[0].tokens + Tokens(output=1234))
    wrong = exports.anthropic_usage([more, *there[1:]])
    said = (await parley("reconcile", "-", code=1, typed=wrong)).stdout
    row = next(line for line in said.splitlines() if line.startswith(more.day.isoformat()))
    assert "+1,234" in row and "output" in row and row.rstrip().endswith("differs")
    assert said.count("differs") == 2 and "9 equal, 1 differs." in said
    found = json.loads((await parley("reconcile", "-", "--json", code=1, typed=wrong)).stdout)
    assert not found["agrees"] and [line["verdict"] for line in found["lines"]].count("differs") == 1


async def test_money_and_spreadsheets(home: Path) -> None:
    there = requests("anthropic", 1)
    more = replace(there[0], cost=there[0].cost + 2 * 10**9)
    text = exports.anthropic_cost([more, *there[1:]])
    assert "+$2.0000" in (await parley("reconcile", "-", code=1, typed=text)).stdout
    await parley("reconcile", "-", "--csv", "all.csv", code=1, typed=text)
    rows = list(csv.DictReader((home / "all.csv").read_text().splitlines()))
    assert len(rows) == 10 and rows[0]["theirs_uncached"] == ""
    off = [row for row in rows if row["verdict"] == "differs"]
    assert Decimal(off[0]["theirs_cost_usd"]) - Decimal(off[0]["known_cost_usd"]) == 2


async def test_what_cannot_be_read_has_an_exit_code_of_its_own(home: Path) -> None:
    (home / "odd.csv").write_text("day,tokens\n")
    (home / "bits").write_bytes(b"\xff\xfe\x00")
    assert "Understood are" in (await parley("reconcile", "odd.csv", code=2)).stderr
    assert "UTF-8" in (await parley("reconcile", "bits", code=2)).stderr
    assert "No such file" in (await parley("reconcile", "missing", code=2)).stderr
    assert "larger than" in (await parley("reconcile", "-", code=2, typed='"' * 600_000)).stderr
    right = exports.anthropic_usage(requests("anthropic", 1))
    for words in (("--zone", "Europe/Berlin"), ("--provider", "odd"), ("--json", "--csv", "-")):
        await parley("reconcile", "-", *words, code=2, typed=right)


async def test_the_bill_itself_is_shown_with_and_without_its_name(home: Path) -> None:
    for words in (("all",), ("show", "all"), ("--since", "all")):
        assert "anthropic:claude-sonnet-5" in (await parley(*words, code=0)).stdout
