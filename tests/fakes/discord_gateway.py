"""The Gateway v10: sessions that outlive their connections, and everything that can go wrong with both."""

import asyncio
import json
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.discord_rules import Json
from tests.fakes.discord_world import PRIVILEGED, Event, World

(DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, VOICE, RESUME, RECONNECT, MEMBERS, INVALID, HELLO, ACK) = (
    0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11,
)  # fmt: skip
KNOWN_INTENTS = sum(1 << bit for bit in (*range(17), 20, 21, 24, 25))
GUILDS, MEMBER_EVENTS, CONTENT = 1 << 0, 1 << 1, 1 << 15
# Which intent an event needs, in a guild and in a DM; interactions need none.
_NEEDS = {
    "MESSAGE_CREATE": (1 << 9, 1 << 12), "MESSAGE_UPDATE": (1 << 9, 1 << 12), "MESSAGE_DELETE": (1 << 9, 1 << 12),
    "MESSAGE_REACTION_ADD": (1 << 10, 1 << 13), "MESSAGE_REACTION_REMOVE": (1 << 10, 1 << 13),
    "TYPING_START": (1 << 11, 1 << 14), "INTERACTION_CREATE": (0, 0),
}  # fmt: skip
FINAL = frozenset({4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014})  # no resuming after these
PAYLOAD = 4096  # bytes a client may send at once; Sending Events
SENDS = (120, 60.0)  # events a client may send on a connection, in so many seconds


class Closed(Exception):
    """The server ends a connection with a close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class Session:
    """What a client has identified as; `sent` is every event since, for a RESUME."""

    id: str
    intents: int
    shard: tuple[int, int]
    sequence: int = 0
    sent: list[Json] = field(default_factory=list)
    connection: "Connection | None" = None
    left_at: float | None = None  # on the server's clock

    def takes(self, event: Event) -> bool:
        number, count = self.shard
        if event.guild_id is None:
            mine = number == 0
        else:
            mine = (event.guild_id >> 22) % count == number
        guild, private = _NEEDS.get(event.name, (GUILDS, GUILDS))
        need = private if event.guild_id is None else guild
        return mine and (not need or bool(self.intents & need))


class Connection:
    """One websocket; what is queued goes out in order."""

    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport | None, *, compress: bool
    ) -> None:
        self.ws = ws
        self.transport = transport
        self.session: Session | None = None
        self.muted = False  # a dead link: nothing goes out any more
        self.heard = 0.0  # last heartbeat, on the server's clock
        self.sends: deque[float] = deque()
        self._packer = zlib.compressobj() if compress else None
        self._queue: asyncio.Queue[Json | Closed] = asyncio.Queue()

    def send(self, payload: Json | Closed) -> None:
        self._queue.put_nowait(payload)

    async def write(self) -> None:
        while True:
            payload = await self._queue.get()
            if isinstance(payload, Closed):
                with suppress(ConnectionError):
                    await self.ws.close(code=payload.code, message=payload.reason.encode())
                return
            if self.muted:
                continue
            text = json.dumps(payload, separators=(",", ":"))
            with suppress(ConnectionError):
                if self._packer is None:
                    await self.ws.send_str(text)
                else:
                    packed = self._packer.compress(text.encode()) + self._packer.flush(zlib.Z_SYNC_FLUSH)
                    await self.ws.send_bytes(packed)

    def cut(self) -> None:
        """Ends the connection without a close frame."""
        if self.transport is not None:
            self.transport.abort()


class Gateway:
    """Sessions and connections. `record` is told of everything a client does here."""

    def __init__(self, token: str, clock: Callable[[], float], record: Callable[[str, Json], None]) -> None:
        self.token = token
        self.world: World  # set by the server, which makes both
        self.clock = clock
        self.record = record
        self.heartbeat_interval = 41.25  # seconds
        self.resume_window = 180.0  # seconds a session lives without a connection; documented as some minutes
        self.zombie = False  # heartbeats are not acknowledged
        self.down = False  # no new connections: 503
        self.limited = False  # one IDENTIFY in five seconds, 120 sends a minute
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self.counts: Counter[str] = Counter()  # connects, identifies, resumes, resumed, heartbeats, invalid
        self.closes: list[tuple[int, str]] = []  # every end of a connection: code and by whom
        self.presence: Json | None = None
        self._identified: dict[int, float] = {}
        self._next = 0

    # --- events out ----------------------------------------------------------------------------------

    def dispatch(self, event: Event) -> None:
        """To every session that has the intent; kept for those that are away and may still resume."""
        for session in list(self.sessions.values()):
            if self._lives(session) and session.takes(event):
                visible = bool(session.intents & CONTENT)
                self._push(session, event.name, event.body(visible))

    def push(self, name: str, body: Any) -> None:
        """Any event to every session, broken and unknown ones too."""
        for session in list(self.sessions.values()):
            if self._lives(session):
                self._push(session, name, body)

    def _push(self, session: Session, name: str, body: Any) -> None:
        session.sequence += 1
        payload = {"op": DISPATCH, "t": name, "s": session.sequence, "d": body}
        session.sent.append(payload)
        if session.connection is not None:
            session.connection.send(payload)

    def _lives(self, session: Session) -> bool:
        """Whether a session may still be resumed; forgets it if not."""
        away = session.left_at is not None and self.clock() - session.left_at > self.resume_window
        if away:
            self.sessions.pop(session.id, None)
        return not away

    # --- steering ------------------------------------------------------------------------------------

    def drop(self, *, lose: bool = False) -> int:
        """Cuts every connection; *lose*: the sessions are gone too. How many."""
        cut = list(self.connections)
        for connection in cut:
            connection.cut()
            self._leave(connection)
            self.closes.append((1006, "server"))
        if lose:
            self.forget()
        return len(cut)

    def close(self, code: int, *, lose: bool | None = None) -> int:
        """Closes every connection with *code*; the session is lost after a final code, or if *lose*."""
        gone = list(self.connections)
        for connection in gone:
            self._end(connection, Closed(code, "on demand"), lose=lose)
        return len(gone)

    def reconnect(self) -> int:
        """Opcode 7 to every connection: come back and resume."""
        return self._tell({"op": RECONNECT, "d": None})

    def invalidate(self, *, resumable: bool = False) -> int:
        """Opcode 9 to every connection; not resumable: the sessions are gone."""
        told = self._tell({"op": INVALID, "d": resumable})
        if not resumable:
            self.forget()
        return told

    def forget(self) -> None:
        """Every session is lost: what happens from now on is in no replay."""
        for session in self.sessions.values():
            session.connection = None
        self.sessions.clear()

    def mute(self) -> int:
        """The links of all connections die silently: nothing goes out on them any more."""
        for connection in self.connections:
            connection.muted = True
        return len(self.connections)

    def ask_heartbeat(self) -> int:
        """Opcode 1 to every connection: the client must answer at once."""
        return self._tell({"op": HEARTBEAT, "d": None})

    def _tell(self, payload: Json) -> int:
        for connection in self.connections:
            connection.send(payload | {"s": None, "t": None})
        return len(self.connections)

    # --- a connection --------------------------------------------------------------------------------

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        query = request.query
        self.counts["connects"] += 1
        self.record("gateway_connect", dict(query))
        if self.down:
            return web.Response(status=503, text="upstream connect error")
        ws = web.WebSocketResponse(autoping=True, compress=False, max_msg_size=1 << 20, timeout=0.5)
        await ws.prepare(request)
        compress = query.get("compress")
        connection = Connection(ws, request.transport, compress=compress == "zlib-stream")
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        watch = asyncio.create_task(self._watch(connection))
        try:
            if query.get("v") != "10":
                raise Closed(4012, "Invalid API version.")
            if query.get("encoding") != "json" or compress not in (None, "zlib-stream"):
                raise Closed(4000, f"encoding {query.get('encoding')} with {compress} is not modelled")
            interval = int(self.heartbeat_interval * 1000)
            connection.heard = self.clock()
            connection.send({"op": HELLO, "d": {"heartbeat_interval": interval}, "s": None, "t": None})
            async for message in ws:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    self._take(connection, message.data)
        except Closed as closed:
            self._end(connection, closed)
            await asyncio.wait([writer], timeout=1.0)
        finally:
            watch.cancel()
            writer.cancel()
            if connection in self.connections:
                self._left(connection, ws.close_code)
        return ws

    def _end(self, connection: Connection, closed: Closed, *, lose: bool | None = None) -> None:
        connection.send(closed)
        session = connection.session
        self._leave(connection)
        self.closes.append((closed.code, "server"))
        if session is not None and (closed.code in FINAL if lose is None else lose):
            self.sessions.pop(session.id, None)

    def _left(self, connection: Connection, code: int | None) -> None:
        """The client is gone; with 1000 or 1001 it has ended its session."""
        session = connection.session
        self._leave(connection)
        self.closes.append((code or 1006, "client"))
        self.record("gateway_close", {"code": code})
        if session is not None and code in (1000, 1001):
            self.sessions.pop(session.id, None)

    def _leave(self, connection: Connection) -> None:
        self.connections.discard(connection)
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection, session.left_at = None, self.clock()

    async def _watch(self, connection: Connection) -> None:
        """Ends a connection whose client has missed its heartbeats."""
        while True:
            await asyncio.sleep(self.heartbeat_interval)
            if self.clock() - connection.heard > 2.5 * self.heartbeat_interval:
                self._end(connection, Closed(4000, "no heartbeat"))
                return

    # --- what a client sends --------------------------------------------------------------------------

    def _take(self, connection: Connection, raw: str | bytes) -> None:
        if len(raw) > PAYLOAD:
            raise Closed(4002, "Error while decoding payload.")
        try:
            payload = json.loads(raw)
            operation, data = payload["op"], payload.get("d")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Closed(4002, "Error while decoding payload.") from None
        self._count(connection)
        if operation == HEARTBEAT:
            self.counts["heartbeats"] += 1
            connection.heard = self.clock()
            if not self.zombie:
                connection.send({"op": ACK, "d": None, "s": None, "t": None})
        elif operation == IDENTIFY:
            self._identify(connection, data)
        elif operation == RESUME:
            self._resume(connection, data)
        elif operation not in (PRESENCE, VOICE, MEMBERS, 31):
            raise Closed(4001, "Unknown opcode.")
        elif connection.session is None:
            raise Closed(4003, "Not authenticated.")
        elif operation == PRESENCE:
            self.presence = data
        elif operation == MEMBERS:
            self._members(connection.session, data)

    def _count(self, connection: Connection) -> None:
        if not self.limited:
            return
        now, (most, seconds) = self.clock(), SENDS
        while connection.sends and now - connection.sends[0] >= seconds:
            connection.sends.popleft()
        connection.sends.append(now)
        if len(connection.sends) > most:
            raise Closed(4008, "You are being rate limited.")

    def _identify(self, connection: Connection, data: Any) -> None:
        if connection.session is not None:
            raise Closed(4005, "Already authenticated.")
        if not isinstance(data, dict) or not isinstance(data.get("properties"), dict):
            raise Closed(4002, "Error while decoding payload.")
        self.counts["identifies"] += 1
        self.record("gateway_identify", {"intents": data.get("intents"), "shard": data.get("shard")})
        if str(data.get("token", "")).removeprefix("Bot ") != self.token:
            raise Closed(4004, "Authentication failed.")
        intents, shard = data.get("intents"), data.get("shard") or [0, 1]
        if not isinstance(intents, int) or intents & ~KNOWN_INTENTS:
            raise Closed(4013, "Invalid intent(s).")
        if any(intents & bit and name not in self.world.privileged for name, bit in PRIVILEGED.items()):
            raise Closed(4014, "Disallowed intent(s).")
        if len(shard) != 2 or not 0 <= shard[0] < shard[1]:
            raise Closed(4010, "Invalid shard.")
        if self.limited and self.clock() - self._identified.get(shard[0], -5.0) < 5.0:
            self._refuse(connection)
            return
        if self.world.starts_left <= 0:
            raise Closed(4004, "Authentication failed.")
        self.world.starts_left -= 1
        self._identified[shard[0]] = self.clock()
        self.presence = data.get("presence")
        self._next += 1
        session = Session(f"{self._next:032x}", intents, (shard[0], shard[1]), connection=connection)
        self.sessions[session.id] = session
        connection.session = session
        self._greet(session)

    def _greet(self, session: Session) -> None:
        """READY with the guilds as not yet available, then each with a GUILD_CREATE."""
        world = self.world
        number, count = session.shard
        mine = [
            each for each in world.guilds.values() if each.installed and (each.id >> 22) % count == number
        ]
        ready: Json = {
            "v": 10, "user": world.bot.json | {"verified": True, "flags": 0, "mfa_enabled": False, "email": None},
            "guilds": [{"id": str(each.id), "unavailable": True} for each in mine], "session_id": session.id,
            "resume_gateway_url": world.gateway_url, "shard": list(session.shard), "session_type": "normal",
            "private_channels": [], "relationships": [], "presences": [], "geo_ordered_rtc_regions": [],
            "application": {"id": str(world.application_id), "flags": world.application_flags},
        }  # fmt: skip
        self._push(session, "READY", ready)
        if session.intents & GUILDS:
            for each in mine:
                if each.available:
                    self._push(
                        session, "GUILD_CREATE", world.guild_create_json(each) | {"unavailable": False}
                    )

    def _resume(self, connection: Connection, data: Any) -> None:
        self.counts["resumes"] += 1
        if not isinstance(data, dict):
            raise Closed(4002, "Error while decoding payload.")
        self.record("gateway_resume", {"session_id": data.get("session_id"), "seq": data.get("seq")})
        if connection.session is not None:
            raise Closed(4005, "Already authenticated.")
        if str(data.get("token", "")).removeprefix("Bot ") != self.token:
            raise Closed(4004, "Authentication failed.")
        session = self.sessions.get(str(data.get("session_id")))
        if session is None or not self._lives(session):
            self._refuse(connection)
            return
        sequence = data.get("seq")
        if not isinstance(sequence, int) or not 0 <= sequence <= session.sequence:
            raise Closed(4007, "Invalid seq.")
        if session.connection is not None:
            self._end(session.connection, Closed(4000, "resumed elsewhere"))
        connection.session, session.connection, session.left_at = session, connection, None
        for payload in session.sent[sequence:]:
            connection.send(payload)
        self._push(session, "RESUMED", {"_trace": []})
        self.counts["resumed"] += 1

    def _refuse(self, connection: Connection) -> None:
        """Opcode 9, not resumable."""
        self.counts["invalid"] += 1
        connection.send({"op": INVALID, "d": False, "s": None, "t": None})

    def _members(self, session: Session, data: Json) -> None:
        guild = self.world.guilds.get(int(data.get("guild_id") or 0))
        if guild is None or not guild.installed:
            return
        wanted = [int(each) for each in data.get("user_ids") or []] if "user_ids" in data else None
        if wanted is None and not data.get("query") and not session.intents & MEMBER_EVENTS:
            raise Closed(4014, "Disallowed intent(s).")
        prefix = str(data.get("query") or "").lower()
        inside = [self.world.users[each] for each in (self.world.bot.id, *guild.members)]
        found = [
            each
            for each in inside
            if (each.id in wanted if wanted is not None else each.username.startswith(prefix))
        ]
        body = {
            "guild_id": str(guild.id), "members": [self.world.member_json(guild.id, each) for each in found],
            "chunk_index": 0, "chunk_count": 1, "nonce": data.get("nonce"),
            "not_found": [str(each) for each in wanted or [] if each not in guild.members],
        }  # fmt: skip
        self._push(session, "GUILD_MEMBERS_CHUNK", body)

    # --- what happened -------------------------------------------------------------------------------

    def state(self) -> Json:
        return {
            "counts": dict(self.counts), "connections": len(self.connections), "closes": self.closes,
            "sessions": [
                {"id": each.id, "sequence": each.sequence, "connected": each.connection is not None}
                for each in self.sessions.values()
            ],
            "presence": self.presence, "at": time.time(),
        }  # fmt: skip
