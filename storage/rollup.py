"""The bill by day of the report zone: sums that triggers keep in the transaction that settles a request.

A turn is of one identity, in one session and one chat: theirs can be added up where a person has several.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from storage.costs import Costs, Grouping, Offsets
from storage.database import Row, Tx, scalar

ZONE = "SELECT value FROM meta WHERE key = 'report_zone'"
ZONE_PUT = """
INSERT INTO meta (key, value) VALUES ('report_zone', :zone) ON CONFLICT (key) DO UPDATE SET value = excluded.value"""
OFFSET_ADD = "INSERT INTO zone_offset (starts, ahead) VALUES (:starts, :ahead)"
CLEAR = ("DELETE FROM zone_offset", "DELETE FROM usage_day", "DELETE FROM turn_day")
FILL = (
    "INSERT INTO usage_day SELECT * FROM usage_day_true",
    "INSERT INTO turn_day SELECT * FROM turn_day_true",
)
DRIFT = "SELECT found FROM usage_drift"
IN_RANGE = "facet = :facet AND (:first IS NULL OR day >= :first) AND (:last IS NULL OR day < :last)"
SUMS = """
  sum(tok_in), sum(tok_read), sum(tok_w5m), sum(tok_w1h), sum(tok_out), sum(cost), sum(requests), sum(turns),
  sum(unpriced), sum(estimated), sum(estimated_cost)"""
CACHED = "q.rates, sum(d.tok_read), sum(d.tok_w5m), sum(d.tok_w1h)"
FROM_CACHED = f"FROM usage_day d JOIN price q ON q.id = d.price WHERE d.price > 0 AND {IN_RANGE}"
# How often a turn that went over midnight is counted too often.
AGAIN = f"""
SELECT name, sum(days - 1) FROM (SELECT name, turn, count(*) AS days FROM turn_day WHERE {IN_RANGE} GROUP BY name, turn)
 GROUP BY name"""
NAMES: Mapping[str, str] = {
    "user": "SELECT i.id, coalesce(-i.person, i.id) FROM identity i",
    "chat": "SELECT c.id, a.channel || ':' || c.chat_id FROM conversation c JOIN account a ON a.id = c.account",
    "session": "SELECT s.id, s.code || coalesce(' ' || nullif(s.title, ''), '') FROM session s",
}
TURNS = 7  # the place of turns in a sum
NOTHING = (0,) * 11


class Rollup:
    """Sums of whole days, from *first* (inclusive) to *last* (exclusive), days after 1970-01-01; None: no bound."""

    def __init__(self, tx: Tx, *, first: int | None = None, last: int | None = None) -> None:
        self._tx = tx
        self._range = {"first": first, "last": last}

    def within(self, *, first: int | None, last: int | None) -> Rollup:
        return Rollup(self._tx, first=first, last=last)

    async def zone(self) -> str | None:
        """Whose days are summed, as given to `rebuild`; None: there are no sums that may be read."""
        row = await self._tx.one(ZONE)
        return None if row is None else str(row[0])

    async def rebuild(self, zone: str, offsets: Offsets) -> None:
        """All sums anew, by another clock. *zone*: what to call it."""
        for sql in CLEAR:
            await self._tx.run(sql)
        for starts, ahead in offsets:
            await self._tx.run(OFFSET_ADD, starts=starts, ahead=ahead)
        for sql in FILL:
            await self._tx.run(sql)
        await self._tx.run(ZONE_PUT, zone=zone)

    async def drift(self) -> int:
        """How many rows of the sums are not what the ledger says, or are missing; reads the whole ledger."""
        return int(scalar(await self._tx.one(DRIFT)))

    async def total(self) -> Row:
        rows = await self._by("total")
        return rows[""] if rows else NOTHING

    async def cached(self) -> list[Row]:
        """As storage.costs.Costs.cached."""
        return await self._all("total", f"SELECT '', {CACHED} {FROM_CACHED} GROUP BY q.id, q.rates")

    async def by(self, key: Grouping) -> list[Row]:
        """As storage.costs.Costs.by."""
        names = await self._names(key)
        found: dict[object, list[int]] = defaultdict(lambda: list(NOTHING))
        for name, sums in (await self._by(key)).items():
            into = found[_key(names, key, name)]
            into[:] = [one + other for one, other in zip(into, sums, strict=True)]
        ranked = sorted(found.items(), key=lambda each: (-each[1][5], str(each[0])))
        return await Costs(self._tx).named(key, [(name, *sums) for name, sums in ranked])

    async def cached_by(self, key: Grouping) -> list[Row]:
        names = await self._names(key)
        rows = await self._all(key, f"SELECT d.name, {CACHED} {FROM_CACHED} GROUP BY 1, q.id, q.rates")
        called = [(_key(names, key, row[0]), *row[1:]) for row in rows]
        return await Costs(self._tx).named(key, called)

    async def span(self) -> tuple[int, int]:
        """The days have been told apart already: any time will do."""
        return 0, 0

    async def days(self, offsets: Offsets) -> list[Row]:
        """(day, sums…), earliest first."""
        return await self._all(
            "total", f"SELECT day, {SUMS} FROM usage_day WHERE {IN_RANGE} GROUP BY 1 ORDER BY 1"
        )

    async def models_of_days(self, offsets: Offsets) -> list[Row]:
        """(day, model, cost)."""
        return await self._all(
            "model",
            f"SELECT day, name, sum(cost) FROM usage_day WHERE {IN_RANGE} GROUP BY 1, 2 ORDER BY 1, 2",
        )

    async def cached_of_days(self, offsets: Offsets) -> list[Row]:
        return await self._all("total", f"SELECT d.day, {CACHED} {FROM_CACHED} GROUP BY 1, q.id, q.rates")

    async def _by(self, facet: str) -> dict[str, Row]:
        rows = await self._all(facet, f"SELECT name, {SUMS} FROM usage_day WHERE {IN_RANGE} GROUP BY name")
        again: dict[str, int] = dict(await self._all(facet, AGAIN))
        return {
            row[0]: (*row[1 : TURNS + 1], row[TURNS + 1] - again.get(row[0], 0), *row[TURNS + 2 :])
            for row in rows
        }

    async def _names(self, key: Grouping) -> dict[str, object] | None:
        if key not in NAMES:
            return None
        return {str(row[0]): row[1] for row in await self._tx.all(NAMES[key])}

    async def _all(self, facet: str, sql: str) -> list[Row]:
        return await self._tx.all(sql, facet=facet, **self._range)


def _key(names: Mapping[str, object] | None, key: Grouping, name: str) -> object:
    """As storage.costs.KEYS makes it."""
    if names is None:
        return name
    return names.get(name, None if key == "user" else "(none)")
