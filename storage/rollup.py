"""The bill by day of the report zone: sums that triggers keep in the transaction that settles a request.

A turn is of one identity, in one session and one chat: theirs can be added up where a person has several.
"""

from __future__ import annotations

from collections.abc import Mapping

from storage.costs import Costs, Grouping, Offsets
from storage.database import Row, Tx, scalar

FACETS = ("total", "user", "model", "channel", "chat", "trigger", "purpose", "session", "tool")
MAKING = "being made "  # by whom, in the place of a zone; whoever changes a settled row takes it away
ZONE = "SELECT value FROM meta WHERE key = 'report_zone'"
ZONE_PUT = """
INSERT INTO meta (key, value) VALUES ('report_zone', :zone) ON CONFLICT (key) DO UPDATE SET value = excluded.value"""
ZONE_MADE = "UPDATE meta SET value = :zone WHERE key = 'report_zone' AND value = :making"
OFFSET_ADD = "INSERT INTO zone_offset (starts, ahead) VALUES (:starts, :ahead)"
CLEAR = ("DELETE FROM zone_offset", "DELETE FROM usage_day", "DELETE FROM turn_day", "DELETE FROM tool_day")
NAMES_ADD = """
INSERT INTO usage_name (text) SELECT * FROM (
  SELECT model FROM usage_dated UNION SELECT channel FROM usage_dated UNION SELECT trigger FROM usage_dated UNION
  SELECT purpose FROM usage_dated) WHERE true ON CONFLICT (text) DO NOTHING"""
FILL = (
    "DELETE FROM usage_day WHERE facet = :facet",
    "DELETE FROM turn_day WHERE facet = :facet",
    "INSERT INTO usage_day SELECT * FROM usage_day_true WHERE facet = :facet",
    "INSERT INTO turn_day SELECT * FROM turn_day_true WHERE facet = :facet",
)
FILL_TOOLS = ("DELETE FROM tool_day", "INSERT INTO tool_day SELECT * FROM tool_day_true")
TOOLS = """
SELECT name, sum(calls), sum(errors) FROM tool_day
 WHERE (:first IS NULL OR day >= :first) AND (:last IS NULL OR day < :last) GROUP BY name ORDER BY 2 DESC, 1"""
DRIFT = "SELECT found FROM usage_drift"
IN_RANGE = "facet = :facet AND (:first IS NULL OR day >= :first) AND (:last IS NULL OR day < :last)"
SUMMED = (
    "tok_in", "tok_read", "tok_w5m", "tok_w1h", "tok_out", "cost", "requests", "turns", "unpriced", "estimated",
    "estimated_cost", "saved",
)  # fmt: skip
SUMS = ", ".join(f"sum(d.{each}) AS {each}" for each in SUMMED)
# By number, and how often a turn that went over midnight is counted too often.
GROUPED = f"""
  (SELECT name, {SUMS} FROM usage_day d WHERE {IN_RANGE} GROUP BY name) d
  LEFT JOIN (SELECT name, sum(days - 1) AS again FROM (
      SELECT name, turn, count(*) AS days FROM turn_day WHERE {IN_RANGE} GROUP BY name, turn) GROUP BY name) o
    ON o.name = d.name"""
WORD = "n.text", "LEFT JOIN usage_name n ON n.id = d.name"
# What storage.costs.KEYS makes of each; several identities are one person, several topics one chat.
NAMED: Mapping[str, tuple[str, str]] = {
    "total": ("''", ""),
    "user": ("coalesce(-i.person, i.id)", "LEFT JOIN identity i ON i.id = d.name"),
    "chat": (
        "coalesce(a.channel || ':' || c.chat_id, '(none)')",
        "LEFT JOIN conversation c ON c.id = d.name LEFT JOIN account a ON a.id = c.account",
    ),
    "session": (
        "coalesce(s.code || coalesce(' ' || nullif(s.title, ''), ''), '(none)')",
        "LEFT JOIN session s ON s.id = d.name",
    ),
}
NOTHING = (0,) * len(SUMMED)


class Rollup:
    """Sums of whole days, from *first* (inclusive) to *last* (exclusive), days after 1970-01-01; None: no bound."""

    def __init__(self, tx: Tx, *, first: int | None = None, last: int | None = None) -> None:
        self._tx = tx
        self._range = {"first": first, "last": last}

    def within(self, *, first: int | None, last: int | None) -> Rollup:
        return Rollup(self._tx, first=first, last=last)

    async def zone(self) -> str | None:
        """Whose days are summed, as given to `finish`; None: there are no sums that may be read."""
        row = await self._tx.one(ZONE)
        return None if row is None or str(row[0]).startswith(MAKING) else str(row[0])

    async def begin(self, offsets: Offsets, *, by: str) -> tuple[str, ...]:
        """All sums anew, by another clock: then `fill` each that is given here, in a unit of work of its own; `finish`.

        *by*: a name for who makes them; the last one who began is the one who finishes.
        """
        for sql in CLEAR:
            await self._tx.run(sql)
        for starts, ahead in offsets:
            await self._tx.run(OFFSET_ADD, starts=starts, ahead=ahead)
        await self._tx.run(NAMES_ADD)
        await self._tx.run(ZONE_PUT, zone=MAKING + by)
        return FACETS

    async def fill(self, facet: str) -> None:
        """What is settled meanwhile is in the sums of either side."""
        if facet == "tool":
            for sql in FILL_TOOLS:
                await self._tx.run(sql)
            return
        for sql in FILL:
            await self._tx.run(sql, facet=facet)

    async def finish(self, zone: str, *, by: str) -> bool:
        """They may be read from now on. *zone*: what to call it.

        False: a settled row has changed, and they are void, or somebody else has begun.
        """
        return await self._tx.run(ZONE_MADE, zone=zone, making=MAKING + by) == 1

    async def drift(self) -> int:
        """How many rows of the sums are not what the ledger says, or are missing; reads the whole ledger."""
        return int(scalar(await self._tx.one(DRIFT)))

    async def total(self) -> Row:
        rows = await self._by("total")
        return rows[0][1:] if rows else NOTHING

    async def by(self, key: Grouping) -> list[Row]:
        """As storage.costs.Costs.by."""
        return await Costs(self._tx).named(key, await self._by(key))

    async def span(self) -> tuple[int, int]:
        """The days have been told apart already: any time will do."""
        return 0, 0

    async def days(self, offsets: Offsets) -> list[Row]:
        """(day, sums…), earliest first."""
        return await self._all(
            "total", f"SELECT day, {SUMS} FROM usage_day d WHERE {IN_RANGE} GROUP BY 1 ORDER BY 1"
        )

    async def models_of_days(self, offsets: Offsets) -> list[Row]:
        """(day, model, cost)."""
        return await self._all(
            "model",
            "SELECT d.day, n.text, d.cost FROM usage_day d JOIN usage_name n ON n.id = d.name "
            f"WHERE {IN_RANGE} ORDER BY 1, 2",
        )

    async def tools(self) -> list[Row]:
        """As storage.costs.Costs.tools."""
        return await self._tx.all(TOOLS, **self._range)

    async def _by(self, facet: str) -> list[Row]:
        """(what it is called, sums…), dearest first."""
        name, joined = NAMED.get(facet, WORD)
        sums = SUMS.replace("sum(d.turns)", "sum(d.turns - coalesce(o.again, 0))")
        return await self._all(
            facet, f"SELECT {name}, {sums} FROM {GROUPED} {joined} GROUP BY 1 ORDER BY 7 DESC, 1"
        )

    async def _all(self, facet: str, sql: str) -> list[Row]:
        return await self._tx.all(sql, facet=facet, **self._range)
