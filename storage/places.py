"""The conversation table: a place with its lease and its pointer to the current session."""

from __future__ import annotations

import json
from dataclasses import replace

from gateway.types.json import Json
from gateway.types.places import Account, Conversation, Place
from storage.database import Row, Tx
from storage.moving import move

FIELDS = """
SELECT c.id, c.account, a.channel, c.chat_id, c.thread_id, c.user_id, c.kind, c.current_session, c.settings, c.fence,
       c.address, c.server
  FROM conversation c JOIN account a ON a.id = c.account"""
PRIVATE = f"""{FIELDS}
  JOIN inbox x ON x.conversation = c.id JOIN identity i ON i.id = x.identity
 WHERE i.channel = :channel AND i.user_id = :user_id AND c.kind = 'direct' ORDER BY x.received DESC, x.id DESC LIMIT 1"""
ADD = """
INSERT INTO conversation (account, chat_id, thread_id, user_id, kind, server)
VALUES (:account, :chat_id, :thread_id, :user_id, :kind, :server)
ON CONFLICT (account, chat_id, thread_id, user_id) DO NOTHING"""
# Taking it again is allowed to who has it: after a failed step the old fence must not be trusted.
LEASE = """
UPDATE conversation SET owner = :owner, fence = fence + 1 WHERE id = :id AND (owner IS NULL OR owner = :owner)
RETURNING fence"""
RELEASE = "UPDATE conversation SET owner = NULL WHERE id = :id AND fence = :fence"
RELEASE_ALL = "UPDATE conversation SET owner = NULL, fence = fence + 1 WHERE owner IS NOT NULL"
HOLDS = "SELECT 1 FROM conversation WHERE id = :id AND fence = :fence AND owner IS NOT NULL"
POINT = "UPDATE conversation SET current_session = :session WHERE id = :id"
UNPOINT = "UPDATE conversation SET current_session = NULL WHERE current_session = :session RETURNING id"
SETTINGS = "UPDATE conversation SET settings = :settings WHERE id = :id"
HINT = "UPDATE conversation SET address = :hint WHERE id = :id AND address <> :hint"
SERVER = "UPDATE conversation SET server = :server WHERE id = :id"
# The chats an announcement goes to, those that were active last first. A topic or a member's own conversation
# stands for its chat.
AUDIENCE = f"""{FIELDS}
 WHERE c.blocked IS NULL AND a.channel NOT IN ('main', 'job') AND (
   c.kind = 'direct' OR (c.kind = 'group' AND EXISTS (
      SELECT 1 FROM session s WHERE s.conversation = c.id AND s.last_active >= :since)))
 ORDER BY c.thread_id <> '', c.user_id <> '', c.id"""
BLOCKED = "UPDATE conversation SET blocked = :at WHERE id = :id"
CHAT_BLOCKED = "UPDATE conversation SET blocked = :at WHERE account = :account AND chat_id = :chat_id"
HEARD = "UPDATE conversation SET blocked = NULL WHERE id = :id AND blocked IS NOT NULL"


def conversation(row: Row) -> Conversation:
    return Conversation(
        id=row[0],
        account=row[1],
        channel=row[2],
        chat_id=row[3],
        thread_id=row[4],
        user_id=row[5],
        kind=row[6],
        current_session=row[7],
        settings=json.loads(row[8]),
        fence=row[9],
        hint=row[10],
        server=row[11],
    )


class Places:
    """Rows of conversation."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def at(self, account: Account, place: Place) -> Conversation:
        """The conversation of a place, made at first sight."""
        found = await self.find(account.id, place)
        if found is None:
            await self._tx.run(
                ADD,
                account=account.id,
                chat_id=place.chat_id,
                thread_id=place.thread_id,
                user_id=place.user_id,
                kind=place.kind,
                server=place.server,
            )
            found = await self.find(account.id, place)
        elif place.server and found.server != place.server:
            await self._tx.run(SERVER, server=place.server, id=found.id)
            found = replace(found, server=place.server)
        assert found is not None
        return found

    async def find(self, account: int, place: Place) -> Conversation | None:
        row = await self._tx.one(
            f"{FIELDS} WHERE c.account = :account AND c.chat_id = :chat_id AND c.thread_id = :thread_id "
            "AND c.user_id = :user_id",
            account=account,
            chat_id=place.chat_id,
            thread_id=place.thread_id,
            user_id=place.user_id,
        )
        return None if row is None else conversation(row)

    async def of_thread(self, account: int, thread_id: str) -> Conversation | None:
        """The thread of that id, for platforms where it names its chat as well."""
        row = await self._tx.one(
            f"{FIELDS} WHERE c.account = :account AND c.thread_id = :thread_id AND c.kind = 'thread'",
            account=account,
            thread_id=thread_id,
        )
        return None if row is None else conversation(row)

    async def get(self, id: int) -> Conversation:
        """Raises LookupError for an id that was never given out."""
        row = await self._tx.one(f"{FIELDS} WHERE c.id = :id", id=id)
        if row is None:
            raise LookupError(f"no conversation {id}")
        return conversation(row)

    async def whole(self, place: Conversation) -> Conversation | None:
        """The conversation of the whole chat that one member's is a part of; None: nobody spoke there."""
        row = await self._tx.one(
            f"{FIELDS} WHERE c.account = :account AND c.chat_id = :chat_id AND c.thread_id = :thread_id "
            "AND c.user_id = ''",
            account=place.account,
            chat_id=place.chat_id,
            thread_id=place.thread_id,
        )
        return None if row is None else conversation(row)

    async def of_channel(self, channel: str, chat_id: str) -> list[Conversation]:
        """Every conversation of that chat, over all accounts of the platform."""
        rows = await self._tx.all(
            f"{FIELDS} WHERE a.channel = :channel AND c.chat_id = :chat_id ORDER BY c.id",
            channel=channel,
            chat_id=chat_id,
        )
        return [conversation(row) for row in rows]

    async def private(self, channel: str, user_id: str) -> Conversation | None:
        """The direct chat in which somebody wrote last, by whichever account; None when there is none."""
        row = await self._tx.one(PRIVATE, channel=channel, user_id=user_id)
        return None if row is None else conversation(row)

    async def lease(self, id: int, owner: str) -> int | None:
        """The fence of a lease just taken; None when somebody else has it."""
        row = await self._tx.one(LEASE, id=id, owner=owner)
        return None if row is None else int(row[0])

    async def release(self, id: int, fence: int) -> None:
        await self._tx.run(RELEASE, id=id, fence=fence)

    async def release_all(self) -> int:
        """Void every lease. Only the holder of the instance lock may say that no other owner lives."""
        return await self._tx.run(RELEASE_ALL)

    async def holds(self, id: int, fence: int) -> bool:
        return await self._tx.one(HOLDS, id=id, fence=fence) is not None

    async def point(self, id: int, session: int | None) -> int | None:
        """Make *session* current here; gives the conversation that lost it, if another had it."""
        lost = None
        if session is not None:
            row = await self._tx.one(UNPOINT, session=session)
            lost = int(row[0]) if row is not None and row[0] != id else None
        await self._tx.run(POINT, session=session, id=id)
        return lost

    async def leave(self, session: int) -> None:
        """It is current nowhere any more."""
        await self._tx.one(UNPOINT, session=session)

    async def audience(self, *, since: int) -> list[Conversation]:
        """Direct chats, whoever's they are, and groups with something going on *since* then (microseconds).

        Who has blocked us is left out. A chat comes once for each bot, topic and member that has a row of its own.
        """
        return [conversation(row) for row in await self._tx.all(AUDIENCE, since=since)]

    async def set(self, id: int, settings: Json) -> None:
        await self._tx.run(SETTINGS, settings=json.dumps(settings), id=id)

    async def hint(self, id: int, hint: str) -> None:
        """What the channel needs to speak there, from the latest event."""
        await self._tx.run(HINT, hint=hint, id=id)

    async def block(self, id: int, at: int | None) -> None:
        """Remember that the person blocked us (None: no longer)."""
        await self._tx.run(BLOCKED, at=at, id=id)

    async def block_chat(self, account: int, chat_id: str, at: int | None) -> None:
        """The same for a whole chat: we were thrown out of it, or let in again (None)."""
        await self._tx.run(CHAT_BLOCKED, at=at, account=account, chat_id=chat_id)

    async def heard(self, id: int) -> None:
        """Somebody speaks to us there: we are blocked no longer."""
        await self._tx.run(HEARD, id=id)

    async def migrate(self, account: int, old_chat_id: str, new_chat_id: str) -> list[tuple[int, int | None]]:
        """A chat has another id now; see storage.moving.move."""
        return await move(self._tx, account, old_chat_id, new_chat_id)
