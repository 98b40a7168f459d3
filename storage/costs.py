"""Reports over the ledger: what was spent, by whom, on what."""

from __future__ import annotations

from typing import Literal

from storage.database import Row, Tx

Grouping = Literal["user", "model", "channel", "trigger", "purpose", "day"]

SUMMED = """
  coalesce(sum(u.tok_in), 0), coalesce(sum(u.tok_read), 0), coalesce(sum(u.tok_w5m), 0), coalesce(sum(u.tok_w1h), 0),
  coalesce(sum(u.tok_out), 0), coalesce(sum(u.cost), 0), count(*), count(DISTINCT u.turn),
  coalesce(sum(u.cost IS NULL AND u.state <> 'failed'), 0), coalesce(sum(u.state = 'estimated'), 0),
  coalesce(sum(CASE WHEN u.state = 'estimated' THEN u.cost ELSE 0 END), 0)"""

KEYS: dict[Grouping, str] = {
    # A person, whoever of their identities it was; an identity that is nobody's yet for itself.
    "user": "coalesce(-i.person, i.id)",
    "model": "u.provider || ':' || coalesce(u.model, u.model_asked)",
    "channel": "u.channel",
    "trigger": "coalesce(u.trigger, '(a person)')",
    "purpose": "u.purpose",
    "day": "CAST(u.at / 86400000000 AS TEXT)",
}
FROM = """
  FROM usage u LEFT JOIN identity i ON i.id = u.identity LEFT JOIN person p ON p.id = i.person
 WHERE u.state <> 'open' AND (:since IS NULL OR u.at >= :since) AND (:until IS NULL OR u.at < :until)
   AND (:person IS NULL OR i.person = :person)"""
# What to call those: a name and every address, as in Ann (telegram:101, discord:202).
PERSONS = """
SELECT coalesce(-i.person, i.id), coalesce(nullif(p.name, ''), nullif(i.name, ''), ''), i.channel || ':' || i.user_id
  FROM identity i LEFT JOIN person p ON p.id = i.person ORDER BY i.id"""
TOOLS = """
SELECT c.name, count(*), coalesce(sum(c.is_error), 0) FROM tool_call c JOIN turn t ON t.id = c.turn
  LEFT JOIN identity i ON i.id = t.identity
 WHERE (:since IS NULL OR t.started >= :since) AND (:person IS NULL OR i.person = :person)
 GROUP BY c.name ORDER BY 2 DESC, 1"""
ZONED = "SELECT u.at, u.provider || ':' || coalesce(u.model, u.model_asked), u.cost"


class Costs:
    """Sums over usage. *since* is inclusive, *until* exclusive, microseconds UTC; None means no bound."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def total(self, *, since: int | None, until: int | None = None, person: int | None = None) -> Row:
        row = await self._tx.one(f"SELECT {SUMMED} {FROM}", since=since, until=until, person=person)
        assert row is not None
        return row

    async def by(
        self, key: Grouping, *, since: int | None, until: int | None = None, person: int | None = None
    ) -> list[Row]:
        """(name, sums…) dearest first; one row a person, whatever platforms they write from."""
        rows = await self._tx.all(
            f"SELECT {KEYS[key]}, {SUMMED} {FROM} GROUP BY 1 ORDER BY 7 DESC, 1",
            since=since,
            until=until,
            person=person,
        )
        if key != "user":
            return rows
        names = await self._names()
        return [(names.get(row[0], "(nobody)"), *row[1:]) for row in rows]

    async def _names(self) -> dict[int, str]:
        found: dict[int, tuple[str, list[str]]] = {}
        for who, name, address in await self._tx.all(PERSONS):
            known, addresses = found.get(who, ("", []))
            found[who] = (known or name, [*addresses, address])
        return {
            who: f"{name or addresses[0]} ({', '.join(addresses)})"
            for who, (name, addresses) in found.items()
        }

    async def rows(
        self, *, since: int | None, until: int | None = None, person: int | None = None
    ) -> list[Row]:
        """(time, model, cost or None) of each request, for days in a zone that only the caller knows."""
        return await self._tx.all(f"{ZONED} {FROM} ORDER BY u.at", since=since, until=until, person=person)

    async def tools(self, *, since: int | None, person: int | None = None) -> list[Row]:
        """(tool, calls, errors), most used first."""
        return await self._tx.all(TOOLS, since=since, person=person)
