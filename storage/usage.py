"""The ledger: one row per provider request, written open before it is made; and the prices it was made at."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from gateway.types.usage import Tokens, UsageOpen, UsageSettled, Weighed
from storage.database import Row, Tx, scalar

SEARCH = "/search"  # behind the uid of a request: that of the searches made for it
OPEN = """
INSERT INTO usage (uid, turn, step, attempt, session, conversation, identity, trigger, purpose, channel, provider,
                   model_asked, state, at, tok_in, tok_w5m, tok_w1h, tok_out, units, reserved, bound)
VALUES (:uid, :turn, :step, :attempt, :session, :conversation, :identity, :trigger, :purpose, :channel, :provider,
        :model_asked, 'open', :at, :tok_in, :tok_w5m, :tok_w1h, :tok_out, :units, :reserved,
        :bound) RETURNING id"""
SETTLE = """
UPDATE usage SET state = :state, tok_in = :tok_in, tok_read = :tok_read, tok_w5m = :tok_w5m, tok_w1h = :tok_w1h,
       tok_out = :tok_out, model = :model, provider_id = :provider_id, cost = :cost, cost_state = :cost_state,
       price = :price, provider_cost = :provider_cost, ended = :ended, saved = :saved, units = coalesce(:units, units)
 WHERE uid = :uid AND state = 'open'"""
OPEN_ROWS = """
SELECT uid, provider, model_asked, at, tok_in, tok_w5m, tok_w1h, tok_out, units, purpose FROM usage WHERE state = 'open'
   AND (:turn IS NULL OR turn = :turn) ORDER BY id"""
PRICE_ADD = """
INSERT INTO price (hash, provider, model, rates, source) VALUES (:hash, :provider, :model, :rates, :source)
ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash RETURNING id"""
SUMS = """
SELECT coalesce(sum(tok_in), 0), coalesce(sum(tok_read), 0), coalesce(sum(tok_w5m), 0), coalesce(sum(tok_w1h), 0),
       coalesce(sum(tok_out), 0), coalesce(sum(cost), 0),
       coalesce(sum(CASE purpose WHEN 'search' THEN units ELSE 1 END), 0), count(DISTINCT turn),
       coalesce(sum(cost IS NULL AND state <> 'failed'), 0), coalesce(sum(state = 'estimated'), 0),
       coalesce(sum(CASE WHEN state = 'estimated' THEN cost ELSE 0 END), 0), coalesce(sum(saved), 0)
  FROM usage WHERE state NOT IN ('open', 'void') AND """
# What a request with searches came to is more than stands in the session: it was sent anew after each of them.
LAST_INPUT = """
SELECT tok_in + tok_read + tok_w5m + tok_w1h, tok_out, at, bound FROM usage
 WHERE session = :session AND purpose = 'chat' AND state = 'known'
   AND NOT EXISTS (SELECT 1 FROM usage s WHERE s.uid = usage.uid || '/search' AND s.state <> 'void')
 ORDER BY id DESC LIMIT 1"""

ASKED = """
SELECT turn, at, tok_read, tok_w5m, tok_w1h, tok_in + tok_read + tok_w5m + tok_w1h + tok_out FROM (
SELECT id, turn, at, tok_in, tok_read, tok_w5m, tok_w1h, tok_out FROM usage
 WHERE session = :session AND purpose = 'chat' AND state = 'known' AND turn IS NOT NULL
   AND provider = :provider AND model_asked = :model ORDER BY id DESC LIMIT :most) AS latest ORDER BY id"""


class Ledger:
    """Rows of usage and price."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def open(self, row: UsageOpen) -> int:
        """Write the row of a request that is about to be made, and that of the searches it may make."""
        if row.searches:
            await self._open(_searches(row))
        return await self._open(row)

    async def _open(self, row: UsageOpen) -> int:
        added = await self._tx.one(
            OPEN,
            uid=row.uid,
            turn=row.turn,
            step=row.step,
            attempt=row.attempt,
            session=row.session,
            conversation=row.conversation,
            identity=row.identity,
            trigger=row.trigger,
            purpose=row.purpose,
            channel=row.channel,
            provider=row.provider,
            model_asked=row.model_asked,
            at=row.at,
            tok_in=row.worst.uncached,
            tok_w5m=row.worst.write_5m,
            tok_w1h=row.worst.write_1h,
            tok_out=row.worst.output,
            units=row.units,
            reserved=row.reserved,
            bound=row.bound,
        )
        return int(scalar(added))

    async def settle(self, uid: str, usage: UsageSettled) -> bool:
        """Enter what it came to, and its searches; False when it had been settled before (nothing is changed then)."""
        if usage.searches is not None:
            await self.settle(uid + SEARCH, usage.searches)
        price = await self._price(usage.price) if usage.price else None
        return (
            await self._tx.run(
                SETTLE,
                uid=uid,
                state=usage.state,
                tok_in=usage.tokens.uncached,
                tok_read=usage.tokens.read,
                tok_w5m=usage.tokens.write_5m,
                tok_w1h=usage.tokens.write_1h,
                tok_out=usage.tokens.output,
                model=usage.model,
                provider_id=usage.provider_id,
                cost=usage.cost,
                cost_state=usage.cost_state,
                price=price,
                provider_cost=usage.provider_cost,
                ended=usage.ended,
                units=usage.units,
                saved=usage.saved,
            )
            == 1
        )

    async def _price(self, rates: str) -> int:
        facts = json.loads(rates)
        row = await self._tx.one(
            PRICE_ADD,
            hash=hashlib.sha256(rates.encode()).hexdigest(),
            provider=str(facts.get("provider", "")),
            model=str(facts.get("model", "")),
            rates=rates,
            source=str(facts.get("source", "")),
        )
        return int(scalar(row))

    async def open_rows(self, *, turn: int | None = None) -> list[Row]:
        """(uid, provider, model asked, at, worst uncached tokens, those written for 5 min and 1 h, output, units, purpose).

        Of what is unsettled.
        """
        return await self._tx.all(OPEN_ROWS, turn=turn)

    async def of_session(self, session: int) -> Row:
        """Sums of one session, in the order of storage.costs.SUMMED."""
        row = await self._tx.one(f"{SUMS} session = :session", session=session)
        assert row is not None
        return row

    async def searches_of(self, session: int) -> Row:
        """As `of_session`, of its searches of the web alone."""
        row = await self._tx.one(f"{SUMS} session = :session AND purpose = 'search'", session=session)
        assert row is not None
        return row

    async def of_turn(self, turn: int) -> Row:
        row = await self._tx.one(f"{SUMS} turn = :turn", turn=turn)
        assert row is not None
        return row

    async def context(self, session: int) -> Weighed | None:
        """The last exact chat request; None before the first."""
        row = await self._tx.one(LAST_INPUT, session=session)
        return None if row is None else Weighed(input=row[0], output=row[1], at=row[2], bound=row[3])

    async def asked(self, session: int, *, provider: str, model: str, most: int = 60) -> list[Row]:
        """(turn, at, tokens read and written for 5 min and 1 h, all tokens) of a model's latest answers, oldest first."""
        return await self._tx.all(ASKED, session=session, provider=provider, model=model, most=most)


def _searches(row: UsageOpen) -> UsageOpen:
    """Theirs, on the same account. It has no attempt: that names the request alone."""
    return replace(
        row,
        uid=row.uid + SEARCH,
        purpose="search",
        attempt=None,
        worst=Tokens(),
        units=row.searches,
        reserved=row.searches_reserved,
        bound=None,
        searches=0,
    )


def tokens(row: Row) -> Tokens:
    """The first five columns of a sum."""
    return Tokens(row[0], row[1], row[2], row[3], row[4])
