"""A chat that has another id from now on: its conversations go with it."""

from __future__ import annotations

import json

from storage.database import Row, Tx

OF_CHAT = """
SELECT id, thread_id, user_id, current_session, settings, blocked, address FROM conversation
 WHERE account = :account AND chat_id = :chat_id"""
TWIN = f"{OF_CHAT} AND thread_id = :thread_id AND user_id = :user_id"
RENAME = "UPDATE conversation SET chat_id = :chat_id WHERE id = :id"
# What runs under the conversation that goes has lost its lease with it; it is taken up again in the other one.
PARK = "UPDATE turn SET state = 'parked' WHERE conversation = :gone AND state = 'running'"
REFERENCES = ("session", "inbox", "outbox", "button", "turn", "usage", "job")
CLOSE = """
UPDATE session SET state = 'closed', close_reason = 'moved', closed = last_active WHERE id = :id AND state = 'open'"""
DELETE = "DELETE FROM conversation WHERE id = :gone"
BECOME = """
UPDATE conversation SET chat_id = :chat_id, current_session = :session, settings = :settings, blocked = :blocked,
       address = :address WHERE id = :id"""

# What was set for the chat holds for it under its new id, unless something was set for that already.
BUDGET = """
UPDATE budget SET scope_id = (SELECT channel FROM account WHERE id = :account) || ':' || :new
 WHERE scope = 'chat' AND scope_id = (SELECT channel FROM account WHERE id = :account) || ':' || :old
   AND period NOT IN (SELECT b.period FROM budget b WHERE b.scope = 'chat'
                         AND b.scope_id = (SELECT channel FROM account WHERE id = :account) || ':' || :new)"""


async def move(tx: Tx, account: int, old: str, new: str) -> list[tuple[int, int | None]]:
    """Every conversation of chat *old* becomes one of chat *new*; doing it twice changes nothing.

    Gives the conversations that are there now, each with the one that it took in (None: there was none). Of two
    the older one stays, with its current session and what was set in it: it is where people have talked so far,
    while the other was made by a message that came before the word of the move, or by a job that still names the
    old id.
    """
    if old == new:
        return []
    await tx.run(BUDGET, account=account, old=old, new=new)
    moved: list[tuple[int, int | None]] = []
    for row in await tx.all(f"{OF_CHAT} ORDER BY id", account=account, chat_id=old):
        twin = await tx.one(TWIN, account=account, chat_id=new, thread_id=row[1], user_id=row[2])
        if twin is None:
            await tx.run(RENAME, chat_id=new, id=row[0])
            moved.append((row[0], None))
        else:
            kept, gone = (row, twin) if row[0] < twin[0] else (twin, row)
            await _merge(tx, kept, gone, new, here=twin)
            moved.append((kept[0], gone[0]))
    return moved


async def _merge(tx: Tx, kept: Row, gone: Row, chat_id: str, *, here: Row) -> None:
    """*here* is the one of the two that was made for the new chat: it knows how to speak there."""
    await tx.run(PARK, gone=gone[0])
    for table in REFERENCES:
        await tx.run(
            f"UPDATE {table} SET conversation = :kept WHERE conversation = :gone", kept=kept[0], gone=gone[0]
        )
    if kept[3] is not None and gone[3] is not None:
        await tx.run(CLOSE, id=gone[3])
    await tx.run(DELETE, gone=gone[0])
    await tx.run(
        BECOME,
        id=kept[0],
        chat_id=chat_id,
        session=kept[3] if kept[3] is not None else gone[3],
        settings=json.dumps({**json.loads(gone[4]), **json.loads(kept[4])}),
        blocked=here[5],
        address=here[6] or kept[6] or gone[6],
    )
