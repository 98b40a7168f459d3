"""The budget tables, and what the ledger says was spent on somebody's account."""

from __future__ import annotations

from storage.database import Row, Tx, scalar

CAPS = "SELECT scope, scope_id, period, cap FROM budget ORDER BY scope, scope_id, period"
PUT = """
INSERT INTO budget (scope, scope_id, period, cap) VALUES (:scope, :scope_id, :period, :cap)
ON CONFLICT (scope, scope_id, period) DO UPDATE SET cap = excluded.cap"""
DROP = "DELETE FROM budget WHERE scope = :scope AND scope_id = :scope_id AND period = :period"
WARN = """
INSERT INTO budget_warning (scope, scope_id, period, since) VALUES (:scope, :scope_id, :period, :since)
ON CONFLICT (scope, scope_id, period) DO UPDATE SET since = excluded.since WHERE budget_warning.since < excluded.since"""
PERSON = """
SELECT channel || ':' || user_id FROM identity
 WHERE id = :identity OR person = (SELECT person FROM identity WHERE id = :identity) ORDER BY id"""
CHAT = """
SELECT a.channel || ':' || c.chat_id FROM conversation c JOIN account a ON a.id = c.account
 WHERE c.id = :conversation"""
SESSION = "SELECT code FROM session WHERE id = :session"
# A settled row whose price turned out to be unknown counts with what it had reserved.
SPENT = """
SELECT coalesce(sum(CASE state WHEN 'open' THEN 0 WHEN 'failed' THEN coalesce(cost, 0)
                    ELSE coalesce(cost, reserved, 0) END), 0),
       coalesce(sum(CASE state WHEN 'open' THEN reserved ELSE 0 END), 0)
  FROM usage WHERE """
WHERE = {
    "person": """identity IN (SELECT id FROM identity WHERE id = :key
        OR person = (SELECT person FROM identity WHERE id = :key)) AND at >= :since AND at < :until""",
    # All topics and threads of it: a new one is not a new budget.
    "chat": """conversation IN (SELECT c.id FROM conversation c JOIN conversation o
        ON o.account = c.account AND o.chat_id = c.chat_id WHERE o.id = :key) AND at >= :since AND at < :until""",
    "session": "session = :key AND at >= :since AND at < :until",
    "job": "trigger = :key AND at >= :since AND at < :until",
    "channel": "at >= :since AND at < :until AND channel = :key",
    "gateway": "at >= :since AND at < :until AND :key = :key",
}


class Budgets:
    """Rows of budget and budget_warning; sums over usage. Money is nano-dollars."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def caps(self) -> list[Row]:
        """(scope, id, period, cap or None) of everything that was set by command."""
        return await self._tx.all(CAPS)

    async def put(self, scope: str, scope_id: str, period: str, cap: int | None) -> None:
        """*cap* None: none, whatever the configuration says."""
        await self._tx.run(PUT, scope=scope, scope_id=scope_id, period=period, cap=cap)

    async def drop(self, scope: str, scope_id: str, period: str) -> bool:
        """Back to the configuration; False when nothing had been set."""
        return await self._tx.run(DROP, scope=scope, scope_id=scope_id, period=period) == 1

    async def warned(self, scope: str, scope_id: str, period: str, since: int) -> bool:
        """Note the warning of the period that began then; False when it was given before."""
        return await self._tx.run(WARN, scope=scope, scope_id=scope_id, period=period, since=since) == 1

    async def spent(self, scope: str, key: int | str, *, since: int, until: int) -> tuple[int, int]:
        """(settled, reserved by open rows) of the rows in [since, until).

        *key*: of a person an identity's id, of a chat a conversation's, of a session its own; of a job and a
        channel the name; of the gateway anything.
        """
        row = await self._tx.one(SPENT + WHERE[scope], key=key, since=since, until=until)
        assert row is not None
        return row[0], row[1]

    async def addresses(self, identity: int) -> tuple[str, ...]:
        """Every address of whoever has that identity, the oldest first."""
        return tuple(row[0] for row in await self._tx.all(PERSON, identity=identity))

    async def chat(self, conversation: int) -> str:
        """Its address, as in telegram:-100."""
        return str(scalar(await self._tx.one(CHAT, conversation=conversation)))

    async def code(self, session: int) -> str:
        return str(scalar(await self._tx.one(SESSION, session=session)))
