"""The stage of the crash tests with the provider of the bill: real processes, and books to hold the ledger against."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from gateway.manager import SessionManager
from gateway.price import Rates
from storage import open_store
from tests.bill.load import OPEN
from tests.bill.provider import from_json, question
from tests.bill.reckoning import Reckoning, reckon
from tests.bill.reports import untrue
from tests.bill.truth import PRICES, Seen
from tests.crash.harness import Life, Stage, Stuck
from tests.fakes.llm import KEY
from tests.wires import LONG, MINI, MUTE, SONNET

# What is spent and what may be: never more than a cap, whatever is under way.
USED = """
SELECT coalesce(sum(CASE state WHEN 'open' THEN reserved WHEN 'failed' THEN 0 ELSE cost END), 0) FROM usage"""
END = 120.0  # seconds within which everything must have come to its end


AGENT = {
    "model": SONNET,
    "fallback_models": [MINI, MUTE],
    "system_prompt": LONG,
    "retries": 1,
    "max_output_tokens": 2000,
    "first_token_timeout_seconds": 2,
}


def providers(url: str) -> dict[str, Any]:
    """The settings of them, at the prices of the reckoning."""
    found: dict[str, Any] = {}
    for name in ("anthropic", "openai", "mute", "unlisted"):
        kind = "anthropic" if name == "anthropic" else "openai"
        address = url if kind == "anthropic" else f"{url}/v1"
        found[name] = {"kind": kind, "api_key": KEY, "base_url": address}
    for ref, rates in PRICES.items():
        name, _, model = ref.partition("/")
        assert isinstance(rates, Rates)
        told = {"input": rates.uncached, "output": rates.output, "cache_read": rates.read}
        told |= {"cache_write_5m": rates.write_5m, "cache_write_1h": rates.write_1h}
        known = {kind: str(rate) for kind, rate in told.items() if rate is not None}
        found[name]["price"] = {MUTE.partition(":")[2] if model == "*" else model: known}
    return {"providers": found}


class BillStage(Stage):
    """*tables*: settings that the gateway gets besides its usual ones. *left_open*: rows that kills have left open."""

    def __init__(self, folder: Path, *, chats: int = 4, **tables: dict[str, Any]) -> None:
        super().__init__(folder, chats=chats)
        self.model = ("tests.bill.provider", "--clock", str(self.clock.file))
        self.tables = tables
        self.left_open = 0
        self._words = self._last = 0

    async def start(self, *arguments: str, kill_at: str = "") -> Life:
        also = {**providers(self.model_url), **self.tables}
        also["agent"] = {**AGENT, **self.tables.get("agent", {})}
        return await super().start("--also", json.dumps(also), *arguments, kill_at=kill_at)

    async def kill(self) -> None:
        await super().kill()
        if self.evidence.database.exists():
            self.left_open += int(self.value("SELECT count(*) FROM usage WHERE state = 'open'"))

    async def ask(self, chat: int, fates: Sequence[str] = ()) -> str:
        """A question with a word of its own, which is returned."""
        self._words += 1
        word = f"w{self._words:05d}"
        said = await self.say_text(chat, question(word, tuple(fates)))
        self._last = max(self._last, said.number)
        return word

    def value(self, sql: str) -> Any:
        """The first of the first row, whoever writes meanwhile."""
        with closing(
            sqlite3.connect(f"{self.evidence.database.as_uri()}?mode=ro", uri=True, timeout=10)
        ) as db:
            return db.execute(sql).fetchone()[0]

    async def ended(self, seconds: float = END) -> None:
        """Until nothing is under way: no question waits, no turn runs, no row is open, no request is being answered."""
        confirmed = self.platform.confirmed

        def done() -> bool:
            return confirmed(self.look()) >= self._last and not self.value(OPEN)

        await self.until(done, seconds, "no end of turns")

    async def hold(self, hold: bool) -> None:
        """All answers, until they are let go."""
        assert self._session is not None
        async with self._session.post(f"{self.model_url}/control/hold", json={"hold": hold}) as answer:
            answer.raise_for_status()

    async def books(self) -> list[Seen]:
        """The provider's; waits until nothing is being answered."""
        assert self._session is not None
        deadline = time.monotonic() + END
        while True:
            async with self._session.get(f"{self.model_url}/control/books") as answer:
                told = await answer.json()
            if not told["open"]:
                return [from_json(each) for each in told["books"]]
            if time.monotonic() > deadline:
                raise Stuck(f"{told['open']} requests are still being answered")

    async def reckoned(self, *, excused: int = 0) -> Reckoning:
        """The ledger against the books, and every report against the ledger; the gateway must have stopped."""
        found = reckon(self.evidence.database, await self.books(), PRICES, excused=self.left_open + excused)
        found.wrong += self.evidence.broken
        store = await open_store(self.evidence.database)
        try:
            found.wrong += await untrue(SessionManager.from_store(store), store)
        finally:
            await store.close()
        return found


@asynccontextmanager
async def bill_stage(
    folder: Path, *, chats: int = 4, before: float = 0.0, between: float = 0.0, **tables: dict[str, Any]
) -> AsyncIterator[BillStage]:
    """A stage whose processes end with it, whatever happens."""
    made = BillStage(folder, chats=chats, **tables)
    try:
        await made.open(before=before, between=between)
        yield made
    finally:
        await made.close()
