"""Reports over the ledger: what was spent, by whom, on what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from storage.database import Row, Tx, scalar

Grouping = Literal["user", "model", "channel", "chat", "trigger", "purpose", "session", "turn"]
Offsets = Sequence[tuple[int, int]]
"""(from when, microseconds UTC; microseconds that the local clock is ahead of UTC), in order of time."""

DAY = 86_400_000_000  # microseconds
SUMMED = """
  coalesce(sum(u.tok_in), 0), coalesce(sum(u.tok_read), 0), coalesce(sum(u.tok_w5m), 0), coalesce(sum(u.tok_w1h), 0),
  coalesce(sum(u.tok_out), 0), coalesce(sum(u.cost), 0),
  coalesce(sum(CASE u.purpose WHEN 'search' THEN u.units ELSE 1 END), 0), count(DISTINCT u.turn),
  coalesce(sum(u.cost IS NULL AND u.state <> 'failed'), 0), coalesce(sum(u.state = 'estimated'), 0),
  coalesce(sum(CASE WHEN u.state = 'estimated' THEN u.cost ELSE 0 END), 0), coalesce(sum(u.saved), 0)"""

MODEL = "u.provider || ':' || coalesce(u.model, u.model_asked)"
KEYS: dict[Grouping, str] = {
    # A person, whoever of their identities it was; an identity that is nobody's yet for itself.
    "user": "coalesce(-i.person, i.id)",
    "model": MODEL,
    "channel": "u.channel",
    "chat": "coalesce(a.channel || ':' || c.chat_id, '(none)')",  # its threads are part of it
    "trigger": "coalesce(u.trigger, '(a person)')",
    "purpose": "u.purpose",
    "session": "coalesce(s.code || coalesce(' ' || nullif(s.title, ''), ''), '(none)')",
    # An answer: one that went to several models, or called tools, took several requests.
    "turn": "coalesce(s.code || '#' || (t.n + 1), '#' || u.turn, '(none)')",
}
# Joins that a sum has no use for cost nothing: each finds one row at most.
JOINS = """
  FROM usage u LEFT JOIN identity i ON i.id = u.identity LEFT JOIN session s ON s.id = u.session
  LEFT JOIN conversation c ON c.id = u.conversation LEFT JOIN account a ON a.id = c.account
  LEFT JOIN turn t ON t.id = u.turn"""
BOUNDS = """
 WHERE u.state NOT IN ('open', 'void') AND (:since IS NULL OR u.at >= :since) AND (:until IS NULL OR u.at < :until)"""
# Each is looked up in an index of its own, which an OR with "anybody's" would not let it be.
OF_PERSON = " AND u.identity IN (SELECT id FROM identity WHERE person = :person)"
IN_PLACES = " AND u.conversation IN (SELECT value FROM json_each(:places))"
SUMS_BOOKED = """
  sum(u.tok_in), sum(u.tok_read), sum(u.tok_w5m), sum(u.tok_w1h), sum(u.tok_out), coalesce(sum(u.cost), 0), count(*),
  sum(u.cost IS NULL)"""
# Each request as its provider has seen it. What failed was never worked on; a transcription has units.
BOOKED_MODEL = "CASE u.purpose WHEN 'search' THEN :searches ELSE coalesce(u.model, u.model_asked) END"
BOOKED = """
  FROM usage u WHERE u.state IN ('known', 'estimated') AND u.at >= :since AND u.at < :until
   AND CASE u.purpose WHEN 'search' THEN :searches IS NOT NULL ELSE :speech OR u.units IS NULL END"""
# What to call those: a name and every address, as in Ann (telegram:101, discord:202).
PERSONS = """
SELECT coalesce(-i.person, i.id), coalesce(nullif(p.name, ''), nullif(i.name, ''), ''), i.channel || ':' || i.user_id
  FROM identity i LEFT JOIN person p ON p.id = i.person ORDER BY i.id"""
TOOLS = """
SELECT c.name, count(*), coalesce(sum(c.is_error), 0) FROM tool_call c JOIN turn t ON t.id = c.turn
  LEFT JOIN identity i ON i.id = t.identity
 WHERE (:since IS NULL OR t.started >= :since) AND (:until IS NULL OR t.started < :until)
   AND (:person IS NULL OR i.person = :person)
 GROUP BY c.name ORDER BY 2 DESC, 1"""


class Costs:
    """Sums over usage, from *since* (inclusive) to *until* (exclusive), microseconds UTC; None means no bound.

    *person* None: everybody's. *places*: what was asked in those conversations; None: anywhere.
    """

    def __init__(
        self,
        tx: Tx,
        *,
        since: int | None = None,
        until: int | None = None,
        person: int | None = None,
        places: Sequence[int] | None = None,
    ) -> None:
        self._tx = tx
        inside = None if places is None else json.dumps(list(places))
        narrowed = BOUNDS + (OF_PERSON if person is not None else "")
        narrowed += IN_PLACES if places is not None else ""
        self._from = JOINS + narrowed
        self._bounds = {"since": since, "until": until, "person": person, "places": inside}

    def within(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        person: int | None = None,
        places: Sequence[int] | None = None,
    ) -> Costs:
        return Costs(self._tx, since=since, until=until, person=person, places=places)

    async def total(self) -> Row:
        row = await self._tx.one(f"SELECT {SUMMED} {self._from}", **self._bounds)
        assert row is not None
        return row

    async def by(self, key: Grouping) -> list[Row]:
        """(name, sums…) dearest first; one row a person, whatever platforms they write from."""
        rows = await self._all(f"SELECT {KEYS[key]}, {SUMMED} {self._from} GROUP BY 1 ORDER BY 7 DESC, 1")
        return await self.named(key, rows)

    async def named(self, key: Grouping, rows: list[Row]) -> list[Row]:
        """With what people call it in the place of the first column's key."""
        if key != "user":
            return rows
        names = await self._names()
        return [(names.get(row[0], "(nobody)"), *row[1:]) for row in rows]

    async def _names(self) -> dict[int, str]:
        found: dict[int, tuple[str, list[str]]] = {}
        for who, name, address in await self._all(PERSONS):
            known, addresses = found.get(who, ("", []))
            found[who] = (known or name, [*addresses, address])
        return {
            who: f"{name or addresses[0]} ({', '.join(addresses)})"
            for who, (name, addresses) in found.items()
        }

    async def span(self) -> tuple[int, int] | None:
        """When the first and the last request were made; None: there was none."""
        row = await self._tx.one(f"SELECT min(u.at), max(u.at) {self._from}", **self._bounds)
        return None if scalar(row) is None or row is None else (row[0], row[1])

    async def days(self, offsets: Offsets) -> list[Row]:
        """(days since 1970-01-01 on that clock, sums…), earliest first."""
        return await self._all(f"SELECT {_day(offsets)}, {SUMMED} {self._from} GROUP BY 1 ORDER BY 1")

    async def models_of_days(self, offsets: Offsets) -> list[Row]:
        """(day as in `days`, model, cost)."""
        return await self._all(
            f"SELECT {_day(offsets)}, {MODEL}, coalesce(sum(u.cost), 0) {self._from} GROUP BY 1, 2 ORDER BY 1, 2"
        )

    async def booked(self, offsets: Offsets, *, speech: bool, searches: str | None = None) -> list[Row]:
        """(provider, model, day as in `days`, whether estimated, tokens of the five kinds, cost, requests, unpriced).

        Between two bounds. *speech*: with transcriptions. *searches*: with those of the web, which stand there under
        that name in the place of a model.
        """
        return await self._tx.all(
            f"SELECT u.provider, {BOOKED_MODEL}, {_day(offsets)}, u.state = 'estimated', {SUMS_BOOKED} "
            f"{BOOKED} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            since=self._bounds["since"],
            until=self._bounds["until"],
            speech=int(speech),
            searches=searches,
        )

    async def tools(self) -> list[Row]:
        """(tool, calls, errors), most used first; by when their turn began."""
        return await self._all(TOOLS)

    async def _all(self, sql: str) -> list[Row]:
        return await self._tx.all(sql, **self._bounds)


def _day(offsets: Offsets) -> str:
    """The local day of a request, in SQL; the numbers are ours."""
    *earlier, (_, last) = offsets
    ahead = str(int(last))
    if earlier:
        until = [begin for begin, _ in offsets[1:]]
        arms = " ".join(
            f"WHEN u.at < {int(end)} THEN {int(offset)}"
            for end, (_, offset) in zip(until, earlier, strict=True)
        )
        ahead = f"CASE {arms} ELSE {int(last)} END"
    return f"(u.at + {ahead}) / {DAY}"
