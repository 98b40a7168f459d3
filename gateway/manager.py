"""SessionManager: the product's one public surface; commands, web and cli call nothing beneath it.

Sessions are named by their code (10 characters). Times are microseconds UTC, money is nano-dollars.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gateway import addressee, announcing, compaction, history, log, posting, transcript, units, usage
from gateway.access import Policy
from gateway.announcing import Audience
from gateway.billing import Booking, Pricing
from gateway.core import Core, build
from gateway.errors import DeliveryError, NotFound, Refused
from gateway.failpoints import Point
from gateway.finish import notice
from gateway.habits import Habits
from gateway.hub import Seen
from gateway.models.catalogue import DEMO, Catalogue
from gateway.posting import Posted
from gateway.protocols import Answer, Model, ToolSpec
from gateway.reports import (
    CostOverview,
    ToolUsage,
    UsageSummary,
    days,
    shares,
    usage_summary,
)
from gateway.sessions import Continue, New, SessionDecision, gap_of, title_of
from gateway.texts import say
from gateway.tools import default_tools
from gateway.turn import Options, think_of
from gateway.types import (
    DOLLAR,
    Account,
    Address,
    CloseReason,
    Conversation,
    Identity,
    Inbound,
    Json,
    Kind,
    OutboxRow,
    Place,
    Sender,
    Session,
    Tokens,
    UsageOpen,
    UsageSettled,
)
from gateway.views import (
    Compacted,
    ContextUsage,
    Generated,
    Message,
    Offered,
    Resumed,
    SessionMeta,
    Standing,
    Stopped,
    StoreHealth,
    UsageRecord,
    message_of,
    meta_of,
    offered,
)

if TYPE_CHECKING:
    from storage import Store, Unit

__all__ = [
    "Audience",
    "Compacted",
    "ContextUsage",
    "Generated",
    "Message",
    "Offered",
    "Posted",
    "Resumed",
    "SessionManager",
    "SessionMeta",
    "Standing",
    "Stopped",
    "StoreHealth",
    "UsageRecord",
]

NEAR_LIMIT = 0.8  # of the context window
DEFAULT_WINDOW = 200_000  # tokens, where nobody knows the model's
LOCAL_USER = "local"  # who speaks through the terminal and the local API


class SessionManager:
    """Sessions, accounting and the agent over one store.

    `async with await SessionManager.open("sqlite:///parley.db") as manager: ...`, or `from_store` over a store
    that is open already, or the one inside a running gateway.
    """

    def __init__(self, core: Core, *, zone: str = "UTC") -> None:
        self.core = core
        self.zone = zone
        self._store: Store = core.store
        self._closing = AsyncExitStack()

    # -- opening ----------------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls, url: str, *, model: str = "", catalogue: Catalogue | None = None, wait: float = 0.0
    ) -> SessionManager:
        """Over a database of its own: sqlite:///relative.db, sqlite:////absolute.db or a plain path.

        *model* such as "anthropic:claude-sonnet-5" with a *catalogue* that knows the provider; the demo agent
        otherwise. Raises Locked when another process has the file, SchemaTooNew, StoreError.
        """
        from storage import open_store

        store = await open_store(_file(url), wait=wait)
        manager = cls.from_store(store, model=model, catalogue=catalogue)
        manager._closing.push_async_callback(store.close)
        manager._closing.push_async_callback(manager.core.catalogue.close)
        manager._closing.push_async_callback(manager.core.dispatcher.stop, 5.0)
        await manager.core.dispatcher.recover()
        return manager

    @classmethod
    def from_store(
        cls,
        store: Store,
        *,
        model: str = "",
        catalogue: Catalogue | None = None,
        options: Options | None = None,
    ) -> SessionManager:
        """Over an open store, which stays the caller's to close."""
        core = build(
            store=store,
            catalogue=catalogue or Catalogue(providers={}, default=model or DEMO),
            pricing=Pricing(),
            tools=default_tools(),
            options=options or Options(),
            habits=Habits(policy=Policy(allow={}, owners={}), gap_minutes={"main": None, "telegram": 360}),
        )
        return cls(core)

    async def close(self) -> None:
        """Let running turns end (5 s), then give the database back."""
        await self._closing.aclose()

    async def __aenter__(self) -> SessionManager:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- sessions ---------------------------------------------------------------------------------------------

    async def resolve_session(
        self, channel: str, key: str, gap_minutes: int | None = None
    ) -> SessionDecision[str]:
        """Continue(id), or New(closed_session_id) after closing one that was idle for the gap or longer.

        *gap_minutes* None: explicit, continues however old.
        """
        return await self.resolve_session_for_user(channel, key, gap_minutes, "")

    async def resolve_session_for_user(
        self, channel: str, key: str, gap_minutes: int | None, user_id: str
    ) -> SessionDecision[str]:
        """The same for one member of a chat."""
        now = self.core.clock()

        async def work(unit: Unit) -> SessionDecision[str]:
            place = await units.place_of(unit, channel, key, user_id)
            return await units.resolved(unit, place, gap_minutes, now)

        return await self._store.commit(Point.SESSION, work)

    async def open_session(
        self, channel: str, key: str, gap_minutes: int | None = None, *, user_id: str = ""
    ) -> SessionMeta:
        """Resolve, and create if need be, in one transaction: two first messages at once give one session."""
        now = self.core.clock()

        async def work(unit: Unit) -> SessionMeta:
            place = await units.place_of(unit, channel, key, user_id)
            match await units.resolved(unit, place, gap_minutes, now):
                case Continue(id):
                    session = await unit.sessions.by_code(str(id))
                    assert session is not None
                    return meta_of(session, place)
                case New(_, _):
                    return meta_of(await units.created(unit, place, now, user_id=user_id), place)

        return await self._store.commit(Point.SESSION, work)

    async def create_session(self, channel: str, key: str) -> str:
        """A new current session for that place; one that was open there is closed. Gives its id."""
        return await self.create_session_full(channel, key)

    async def create_session_for_user(self, channel: str, key: str, user_id: str) -> str:
        return await self.create_session_full(channel, key, user_id=user_id)

    async def create_session_full(
        self, channel: str, key: str, *, user_id: str = "", triggered_by: str | None = None
    ) -> str:
        """*triggered_by*: the job that starts it, or None for a person."""
        now = self.core.clock()

        async def work(unit: Unit) -> str:
            place = await units.place_of(unit, channel, key, user_id)
            session = await units.created(unit, place, now, user_id=user_id, triggered_by=triggered_by)
            return session.code

        return await self._store.commit(Point.SESSION, work)

    async def close_session(self, id: str, summary: str | None = None) -> bool:
        """True when it was open. Raises NotFound for an unknown id."""
        now = self.core.clock()

        async def work(unit: Unit) -> bool:
            session = await units.session_named(unit, id)
            return await unit.sessions.close(session.id, reason="api", now=now, summary=summary)

        return await self._store.commit(Point.SESSION, work)

    async def mark_read(self, id: str, read: bool = True) -> None:
        async def work(unit: Unit) -> None:
            await unit.sessions.set_unread((await units.session_named(unit, id)).id, not read)

        await self._store.commit(Point.SESSION, work)

    async def touch_session(self, id: str) -> None:
        """A person has written: the gap is measured from now, the message counter goes up."""
        now = self.core.clock()

        async def work(unit: Unit) -> None:
            session = await units.session_named(unit, id)
            await unit.sessions.count(session.id, now=now, messages=1, person=now)

        await self._store.commit(Point.SESSION, work)

    async def set_title_if_empty(self, id: str, title: str) -> None:
        """One line of at most 60 characters; an existing title stays."""

        async def work(unit: Unit) -> None:
            await unit.sessions.set_title_if_empty((await units.session_named(unit, id)).id, title_of(title))

        await self._store.commit(Point.SESSION, work)

    async def save_message(self, id: str, role: Literal["user", "assistant", "note"], text: str) -> int:
        """Append to the transcript; gives the entry's seq. The first user message becomes the title."""
        now = self.core.clock()

        async def work(unit: Unit) -> int:
            session = await units.session_named(unit, id)
            match role:
                case "user":
                    await unit.sessions.set_title_if_empty(session.id, title_of(text))
                    body = transcript.user(text)
                case "assistant":
                    body = transcript.assistant((transcript.Text(text),))
                case "note":
                    body = transcript.note(text)
                case _:
                    raise Refused(f"role {role!r}: use user, assistant or note")
            return await unit.transcript.add(session.id, role, body, now=now)

        return await self._store.commit(Point.SESSION, work)

    async def get_messages(self, id: str, limit: int | None = None) -> list[Message]:
        """The transcript, oldest first; the last *limit* of it if given."""

        async def work(unit: Unit) -> list[Message]:
            entries = await unit.transcript.all((await units.session_named(unit, id)).id)
            return [message for entry in entries if (message := message_of(entry)) is not None]

        messages = await self._store.read(work)
        return messages if limit is None else messages[-limit:] if limit > 0 else []

    async def history(self, id: str) -> list[Message]:
        """What the model would be sent now: after a compaction its summary and what came later."""

        async def work(unit: Unit) -> list[Message]:
            entries = await unit.transcript.live((await units.session_named(unit, id)).id)
            cleared = max(
                (e.seq for e in entries if e.kind == "mark" and e.body.get("op") == "clear"), default=-1
            )
            kept = [entry for entry in entries if entry.seq > cleared]
            return [message for entry in kept if (message := message_of(entry)) is not None]

        return await self._store.read(work)

    async def list_sessions(
        self, limit: int = 20, *, skip: int = 0, channel: str | None = None, conversation: int | None = None
    ) -> list[SessionMeta]:
        """Newest activity first; archived and deleted ones are left out."""

        async def work(unit: Unit) -> list[SessionMeta]:
            found = await unit.sessions.recent(
                count=limit, skip=skip, channel=channel, conversation=conversation
            )
            return [meta_of(each, await unit.places.get(each.conversation)) for each in found]

        return await self._store.read(work)

    async def get_session(self, id: str) -> SessionMeta | None:
        """None when there is no such session."""

        async def work(unit: Unit) -> SessionMeta | None:
            session = await unit.sessions.by_code(units.code_of(id))
            return None if session is None else meta_of(session, await unit.places.get(session.conversation))

        return await self._store.read(work)

    async def session_count(self) -> int:
        return await self._store.read(lambda unit: unit.sessions.total())

    async def clear(self, id: str) -> None:
        """The model forgets what was said so far; the transcript and the usage stay."""
        now = self.core.clock()

        async def work(unit: Unit) -> None:
            session = await units.at_rest(unit, id)
            await unit.transcript.add(session.id, "mark", transcript.mark("clear"), now=now)

        await self._store.commit(Point.SESSION, work)

    # -- accounting -------------------------------------------------------------------------------------------

    async def record_usage(self, id: str, record: UsageRecord, turn: int | None = None) -> None:
        """Book usage that was measured elsewhere; exact as given. *turn* is a number of the caller's own."""
        now = self.core.clock()
        tokens = Tokens(record.input_tokens, record.cache_read, record.cache_write, 0, record.output_tokens)
        if min(tokens.uncached, tokens.read, tokens.write_5m, tokens.output) < 0:
            raise Refused("token counts are never negative")
        cost = None if record.cost_usd is None else int((record.cost_usd * DOLLAR).to_integral_value())
        uid = f"record:{id}:{turn}" if turn is not None else str(uuid.uuid4())

        async def work(unit: Unit) -> None:
            session = await units.session_named(unit, id)
            place = await unit.places.get(session.conversation)
            who = await unit.people.seen(place.channel, record.user_id) if record.user_id else None
            await unit.ledger.open(
                UsageOpen(
                    uid=uid,
                    worst=Tokens(),
                    purpose="chat",
                    channel=place.channel,
                    provider=record.provider,
                    model_asked=record.model or "unknown",
                    at=now,
                    session=session.id,
                    conversation=place.id,
                    identity=who.id if who else None,
                    trigger=session.triggered_by,
                )
            )
            settled = UsageSettled(
                state="known",
                tokens=tokens,
                ended=now,
                model=record.model,
                cost=cost,
                cost_state="unpriced" if cost is None else "priced",
            )
            await unit.ledger.settle(uid, settled)

        await self._store.commit(Point.SESSION, work)

    async def session_usage(self, id: str) -> UsageSummary:
        """Zeros for a session that has used nothing."""

        async def work(unit: Unit) -> UsageSummary:
            return usage_summary(await unit.ledger.of_session((await units.session_named(unit, id)).id))

        return await self._store.read(work)

    async def cost_overview(
        self, since: int | None = None, *, until: int | None = None, person: int | None = None
    ) -> CostOverview:
        """The bill from *since* (inclusive) to *until* (exclusive); of everybody or of one person."""
        bounds: dict[str, int | None] = {"since": since, "until": until, "person": person}

        async def work(unit: Unit) -> CostOverview:
            costs = unit.costs
            tools = await costs.tools(since=since, person=person)
            return CostOverview(
                since=since,
                total=usage_summary(await costs.total(**bounds)),
                by_user=shares(await costs.by("user", **bounds)),
                by_model=shares(await costs.by("model", **bounds)),
                by_channel=shares(await costs.by("channel", **bounds)),
                by_trigger=shares(await costs.by("trigger", **bounds)),
                by_purpose=shares(await costs.by("purpose", **bounds)),
                by_day=days([(r[0], r[1], r[2]) for r in await costs.rows(**bounds)], self.zone),
                by_tool=[ToolUsage(name=r[0], invocations=r[1], errors=r[2]) for r in tools],
            )

        return await self._store.read(work)

    async def record_compaction(
        self, id: str, trigger: str, pre_tokens: int, summary: str, messages_compacted: int
    ) -> None:
        """Write a compaction that was made elsewhere: the next prompt starts from its summary."""
        now = self.core.clock()

        async def work(unit: Unit) -> None:
            session = await units.at_rest(unit, id)
            await units.compacted(unit, session, summary, trigger, pre_tokens, None, now, messages_compacted)

        await self._store.commit(Point.COMPACT, work)

    async def context_usage(self, id: str) -> ContextUsage:
        """Of the last exact request; zeros before the first."""

        async def work(unit: Unit) -> tuple[Session, tuple[int, int, str] | None]:
            session = await units.session_named(unit, id)
            return session, await unit.ledger.context(session.id)

        session, last = await self._store.read(work)
        model = self._model(session)
        listed = usage.context_window(model.model, provider_kind=model.kind)
        window = self.core.runner.options.context_window or listed or DEFAULT_WINDOW
        used = last[0] + last[1] if last else 0
        return ContextUsage(
            used_tokens=used, max_tokens=window, percent=100 * used / window, turns=session.next_turn
        )

    async def is_near_limit(self, id: str) -> bool:
        """Whether the next requests may not fit: 80 % of the window is used."""
        return (await self.context_usage(id)).percent >= 100 * NEAR_LIMIT

    async def store_health(self) -> StoreHealth:
        """Look at the database: never raises for a sick one, says so."""

        async def work(unit: Unit) -> StoreHealth:
            problem = await unit.meta.problem()
            return StoreHealth(
                engine=self._store.database.engine,
                path=str(getattr(self._store.database, "path", "")),
                schema=int(await unit.meta.get("schema") or 0),
                sessions=await unit.sessions.total(),
                inbox_waiting=await unit.inbox.total_waiting(),
                outbox=await unit.outbox.counts(),
                ok=problem is None,
                problem=problem,
            )

        return await self._store.read(work)

    # -- the agent --------------------------------------------------------------------------------------------

    async def generate(self, id: str, prompt: str, *, timeout: float | None = None) -> Generated:
        """Ask in that session and wait for the whole answer; enters at accept like any message."""
        async with asyncio.timeout(timeout), aclosing(self.generate_streaming(id, prompt)) as events:
            async for event in events:
                if isinstance(event, Generated):
                    return event
        raise Refused(key="message.internal")

    async def generate_streaming(self, id: str, prompt: str) -> AsyncGenerator[Seen | Generated]:
        """Seen(kind='text') with the whole text so far, then one Generated. Breaking off does not stop the turn."""
        meta = await self.get_session(id)
        if meta is None:
            raise NotFound(f"There is no session {id}.")
        async with aclosing(self.say(prompt, session=meta.id)) as events:
            async for event in events:
                yield event

    async def say(
        self, text: str, *, key: str = "main", session: str | None = None, event_id: str | None = None
    ) -> AsyncGenerator[Seen | Generated]:
        """A local person's message or command on `main`, under *key*; what happens, then one Generated.

        *session*: run there instead of in the key's current session. *event_id* makes a repeat harmless: what
        was answered before is given again.
        """
        if not text.strip():
            raise Refused(key="message.empty")
        inside = await self._store.read(units.by_code, session) if session is not None else None
        account, place = await self._store.commit(Point.PEOPLE, units.local_place, key)
        dispatcher, hub = self.core.dispatcher, self.core.hub
        event = Inbound(
            event_id=event_id or str(uuid.uuid4()),
            kind=Kind.COMMAND if text.startswith("/") else Kind.API,
            place=Place(chat_id=key, kind="client"),
            sender=Sender(user_id=LOCAL_USER, name="local"),
            text=text,
            session=inside.id if inside else None,
            sent=self.core.clock(),
        )
        with hub.listen(place.id) as queue:
            (receipt,) = await dispatcher.accept(account, [event])
            row = receipt.inbox_id
            if row is None:
                yield await self._answered(account, event.event_id)
                return
            while True:
                seen = await queue.get()
                if row in seen.inbox and seen.kind == "done":
                    yield await self._generated(seen)
                    return
                if row in seen.inbox or seen.kind == "notice":
                    yield seen

    async def cancel_operation(self, id: str) -> bool:
        """Stop the turn that is running in that session; False when none is."""

        async def work(unit: Unit) -> Session:
            return await units.session_named(unit, id)

        session = await self._store.read(work)
        live = self.core.dispatcher.running(session.conversation)
        if live is None or live.started.session.id != session.id:
            return False
        return await self.core.dispatcher.cancel(session.conversation)

    async def compact(self, id: str, cause: str = "manual", *, identity: int | None = None) -> Compacted:
        """Replace what was said so far, in the next prompts, by a summary the model writes now; booked.

        Raises Refused when a turn is running or there is nothing to compact, ModelError when no summary came.
        """
        session = await self._store.read(units.at_rest, id)
        entries = await self._store.read(lambda unit: unit.transcript.live(session.id))
        messages = history.build(entries, ask=False)
        if len(messages) < 2:
            raise Refused(key="window.nothing")
        model = self._model(session)
        ask = compaction.prompt(messages, max_output_tokens=self.core.runner.options.max_output_tokens)
        place = await self._store.read(lambda unit: unit.places.get(session.conversation))
        await model.ready()
        request = await self.core.biller.open(
            model,
            ask,
            Booking(
                purpose="compaction",
                channel=place.channel,
                session=session.id,
                conversation=place.id,
                identity=identity,
                trigger=session.triggered_by,
            ),
        )
        try:
            answer = await _whole(self.core, request, ask)
        except BaseException:
            if request.settled is not None:
                await self.core.biller.settle(request)
            raise
        summary = "".join(part.text for part in answer.parts if isinstance(part, transcript.Text)).strip()
        now = self.core.clock()

        async def work(unit: Unit) -> int:
            if request.settled is not None:
                await unit.ledger.settle(request.uid, request.settled)
            if not summary:
                return 0
            last = await unit.ledger.context(session.id)
            before = last[0] + last[1] if last else history.size(messages) // 4
            await units.compacted(unit, session, summary, cause, before, request.uid, now, len(entries))
            return before

        before = await self._store.commit(Point.COMPACT, work)
        if not summary:
            raise Refused(key="window.no_summary")
        return Compacted(messages=len(messages), before=before, after=len(summary) // 4, summary=summary)

    async def set_default_llm(self, ref: str) -> None:
        """The model of every session without one of its own, from the next request on; "provider:model".

        Until the next start or reload: then the configuration's holds again. Raises Refused for one that cannot
        be asked.
        """
        self.core.catalogue.swap(ref)

    async def get_llm_for_session(self, id: str) -> str:
        """ "provider:model" as it would be asked now."""
        return self._model(await self._store.read(units.session_named, id)).ref

    async def send(self, address: str, text: str, *, origin: str | None = None) -> Posted:
        """Post in the gateway's name: telegram:12345, telegram:-100…/TOPIC, discord:CHANNEL, telegram.second:123
        or main:KEY; through the outbox, as answers go.

        A repeat with the same *origin* posts nothing, and gives what became of the first. Raises Refused when
        there is nothing to post, when that bot is not connected, and for an origin of another place.
        """
        where, id, now = addressee.parse(address), origin or str(uuid.uuid4()), self.core.clock()
        if not text.strip():
            raise Refused("There is nothing to send.")
        named = f"{posting.ORIGIN}{id}"
        if where.key == addressee.HOME:
            place = await self._store.commit(Point.NOTICE, posting.leave, where.chat, named, text, now)
            if place is not None:
                self.core.hub.publish(Seen(kind="notice", conversation=place.id, text=text))
            return await self.posted(id)
        line = self.core.delivery.line_named(where.key)
        if line is None:
            raise Refused(f"{where.key} is not connected, so nothing was sent; `parley doctor` says why")
        chunks = line.channel.render(text)
        if not chunks:
            raise Refused("There is nothing to send.")
        rows = await self._store.commit(
            Point.NOTICE, posting.post, line.account, where, named, text, chunks, now
        )
        self.core.delivery.enqueue(rows)
        return await self.posted(id)

    async def posted(self, id: str) -> Posted:
        """What has become of a message by its origin. Raises NotFound."""
        fate = await self._store.read(lambda unit: unit.outbox.fate(f"{posting.ORIGIN}{id}"))
        if not fate:
            raise NotFound(f"Nothing was sent as {id!r}.")
        return posting.summed(id, fate)

    # -- settings ---------------------------------------------------------------------------------------------

    def models(self) -> list[Offered]:
        """The models people may choose, the default one first, with their prices now."""
        now, pricing = self.core.clock(), self.core.pricing
        return [
            offered(self.core.catalogue.get(ref), pricing.overrides, now)
            for ref in self.core.catalogue.allowed
        ]

    async def set_model(
        self,
        conversation: int,
        ref: str | None,
        *,
        identity: Identity | None = None,
        named: int | None = None,
    ) -> None:
        """The model of the session there (or of the one *named*), from the next turn on; None: the default one."""
        if ref is not None:
            self.core.catalogue.get(ref)

        async def work(unit: Unit, session: Session) -> None:
            await unit.sessions.set_model(session.id, ref)

        await self._choose(conversation, work, identity, named, only_open=ref is None)

    async def thinking(self, conversation: int, *, named: int | None = None) -> str | None:
        """How long the model may think there: off, low, medium, high; None: as it does by itself."""
        session = await self._store.read(units.current_of, conversation, named)
        return think_of(session) if session is not None and session.state == "open" else None

    async def set_think(
        self,
        conversation: int,
        level: str | None,
        *,
        identity: Identity | None = None,
        named: int | None = None,
    ) -> None:
        """As in `thinking`. Raises Refused when the session's model cannot be told how long to think."""
        session = await self._store.read(units.current_of, conversation, named)
        ref = session.model if session is not None and session.state == "open" else None
        model = self.core.catalogue.chain(ref)[0]
        if level is not None and not await model.thinks():
            raise Refused(key="think.unsupported", model=f"`{model.ref}`")

        async def work(unit: Unit, session: Session) -> None:
            await unit.sessions.set_settings(session.id, changed(session.settings, think=level))

        await self._choose(conversation, work, identity, named, only_open=level is None)

    async def _choose(
        self,
        conversation: int,
        change: Callable[[Unit, Session], Awaitable[None]],
        identity: Identity | None,
        named: int | None,
        *,
        only_open: bool,
    ) -> None:
        """*only_open*: where no session is open, there is nothing to change."""
        now = self.core.clock()

        async def work(unit: Unit) -> None:
            current = await units.current_of(unit, conversation, named)
            if only_open and (current is None or current.state == "closed"):
                return
            place = await unit.places.get(conversation)
            gap = gap_of(place, self.usual_gap(place))
            await change(unit, await units.chosen_for(unit, conversation, named, gap, identity, now))

        await self._store.commit(Point.SESSION, work)

    async def set_place(self, conversation: int, **settings: object) -> None:
        """Change how we behave in one conversation, from the next message on; None: as configured."""

        async def work(unit: Unit) -> None:
            place = await unit.places.get(conversation)
            await unit.places.set(place.id, changed(place.settings, **settings))

        await self._store.commit(Point.SESSION, work)

    def usual(self, place: Conversation, key: str) -> object:
        """What holds there without a setting of its own: "queue", "context" (0 or 1); None: nothing is configured."""
        habits, account = self.core.dispatcher.habits, self.core.dispatcher.key_of(place)
        match key:
            case "queue":
                return habits.during.get(account, "queue")
            case "context":
                return int(habits.overheard.get(account, 0) > 0)
            case _:
                return None

    def usual_gap(self, place: Conversation) -> int | None:
        """The gap of the account, in minutes; None: explicit sessions."""
        return self.core.dispatcher.usual_gap(place)

    def tools(self) -> list[ToolSpec]:
        """What the agent may use."""
        return [tool.spec for tool in self.core.runner.tools.values()]

    async def set_lang(self, person: int, lang: str) -> None:
        """The language that person is spoken to in, as a BCP 47 tag; '': what their platform says."""
        await self._store.commit(Point.PEOPLE, lambda unit: unit.people.set_lang(person, lang))

    async def administers(self, address: Address, user_id: str) -> bool:
        """Whether the platform counts that person among the chat's administrators; False when it cannot be asked."""
        line = self.core.delivery.line(address.account)
        if line is None:
            return False
        try:
            return await line.channel.administers(address, user_id)
        except DeliveryError as error:
            log.warning("chat.administrators", kind=error.kind, error=str(error))
            return False

    # -- to everybody -----------------------------------------------------------------------------------------

    async def audience(self) -> Audience:
        """Where an announcement would go now."""
        served, now = self._served, self.core.clock()
        return announcing.counted(await self._store.read(announcing.chats, served, now))

    async def announce(self, text: str, *, id: int) -> int:
        """Say it in each of these chats, behind what people wait for; gives in how many it was not said before.

        A repeat with the same *id* says nothing twice.
        """
        render, now = self.core.dispatcher.render, self.core.clock()
        rows = await self._store.commit(Point.NOTICE, announcing.enter, id, text, self._served, render, now)
        self.core.delivery.enqueue(rows)
        return len({row.conversation for row in rows})

    def _served(self, account: int) -> bool:
        return self.core.delivery.line(account) is not None

    # -- for commands -----------------------------------------------------------------------------------------

    async def current_session(self, conversation: int, *, named: int | None = None) -> SessionMeta | None:
        """The session a conversation is in (it may be closed by now); *named*: that one instead."""

        async def work(unit: Unit) -> SessionMeta | None:
            session = await units.current_of(unit, conversation, named)
            return None if session is None else meta_of(session, await unit.places.get(session.conversation))

        return await self._store.read(work)

    async def standing(self, conversation: int, *, named: int | None = None) -> Standing:
        """What is going on in a conversation; *named*: about that session instead of the current one."""
        dispatcher, now = self.core.dispatcher, self.core.clock()
        live = dispatcher.running(conversation)

        async def work(unit: Unit) -> Standing:
            session = await units.current_of(unit, conversation, named)
            model = session.model if session is not None else None
            return Standing(
                session=meta_of(session, await unit.places.get(session.conversation)) if session else None,
                model=model or self.core.catalogue.default,
                running_since=live.started.turn.started if live is not None else None,
                kept=await units.is_kept(unit, conversation),
                waiting=len(await unit.inbox.head(conversation, now=now, count=units.MOST_COUNTED)),
                held=(await unit.inbox.held(conversation))[0],
                outage_since=dispatcher.outage_since,
            )

        return await self._store.read(work)

    async def new_session(self, conversation: int) -> SessionMeta | None:
        """Close the current session there; the next message opens one. Gives what was closed; None: nothing was."""
        return await self._store.commit(Point.SESSION, units.leave, conversation, self.core.clock())

    async def resume(self, conversation: int, id: str, *, anywhere: bool = False) -> Resumed:
        """Make a session current there, reopened if need be; who had it as current elsewhere is told.

        *id* may be the beginning of a code, if it is that of one only.

        *anywhere*: also a session of another place. Raises Refused, with one text for both, for a session that
        does not exist and for one of another place; and while it is answering somewhere else.
        """

        async def work(unit: Unit) -> tuple[Resumed, int | None, list[OutboxRow]]:
            session = await units.meant(unit, id, None if anywhere else conversation)
            return await self._take_up(unit, conversation, session, "resumed")

        return await self._taken_up(work)

    async def continue_previous(self, conversation: int, *, previous: int, new: int) -> Resumed:
        """Back to the session that was closed for a pause; numbers of rows, as the button has them.

        Until the new one has answered, the message it is busy with goes back too. Raises Refused when the
        previous one is gone, or is answering somewhere else.
        """
        answered = await self._store.read(units.has_answered, new)
        moved = not answered and await self.core.dispatcher.move(conversation, new, previous)

        async def work(unit: Unit) -> tuple[Resumed, int | None, list[OutboxRow]]:
            session = await unit.sessions.get(previous)
            if session is None:
                raise Refused(key="button.stale")
            if moved:  # the dispatcher does it, with the end of the turn
                place = await unit.places.get(session.conversation)
                return Resumed(session=meta_of(session, place), moved=True), None, []
            kept = not answered and await units.give_back(
                unit, conversation, new, previous, self.core.clock()
            )
            here = (await unit.places.get(conversation)).current_session
            reason: CloseReason = "moved" if here == new and not answered else "resumed"
            resumed, lost, rows = await self._take_up(unit, conversation, session, reason)
            return replace(resumed, moved=kept), lost, rows

        resumed = await self._taken_up(work)
        self.core.dispatcher.wake(conversation)
        return resumed

    async def stop_turn(self, conversation: int, *, waiting: bool = False) -> Stopped:
        """Stop the turn that runs there; *waiting*: drop the messages that wait, too."""
        dispatcher = self.core.dispatcher
        # First what waits: the end of the running turn would begin with it at once.
        dropped: tuple[int, ...] = ()
        if waiting:
            dropped = await self._store.commit(
                Point.CONTROL, units.drop_waiting, conversation, self.core.clock()
            )
        running = await dispatcher.cancel(conversation)
        if dropped:
            told = say("turn.stopped", dispatcher.habits.language)  # who waits in a terminal or on the API
            self.core.hub.publish(
                Seen(kind="done", conversation=conversation, text=told, state="cancelled", inbox=dropped)
            )
        standing = await self.standing(conversation)
        return Stopped(running=running, dropped=len(dropped), waiting=standing.waiting, kept=standing.kept)

    @property
    def halted(self) -> str | None:
        """Who has pulled the emergency stop, and why; None when it is not pulled."""
        return self.core.dispatcher.halted

    async def halt(self, *, by: str, why: str = "") -> int:
        """The emergency stop: no new request to any provider, running ones are cancelled, messages are kept.

        *by* as channel:id, or cli. Gives how many running answers were put aside. Raises Refused when it is so
        already. It holds over restarts.
        """
        return await self.core.dispatcher.halt(by=by, why=why)

    async def unhalt(self, *, by: str) -> None:
        """Go on with everything that was kept. Raises Refused when nothing was halted."""
        await self.core.dispatcher.unhalt(by=by)

    async def answer_held(self, conversation: int) -> int:
        """Answer what came while we were away; gives how many messages."""
        count = await self._store.commit(Point.CONTROL, lambda unit: unit.inbox.release_held(conversation))
        self.core.dispatcher.wake(conversation)
        return count

    async def drop_held(self, conversation: int) -> int:
        """Never answer what came while we were away; gives how many messages."""
        return await self._store.commit(Point.CONTROL, lambda unit: unit.inbox.drop_held(conversation))

    async def last_turn_usage(self, id: str) -> UsageSummary | None:
        """Of the latest turn of a session; None before the first."""

        async def work(unit: Unit) -> UsageSummary | None:
            turn = await unit.turns.latest((await units.session_named(unit, id)).id)
            return None if turn is None else usage_summary(await unit.ledger.of_turn(turn.id))

        return await self._store.read(work)

    async def _take_up(
        self, unit: Unit, conversation: int, session: Session, reason: CloseReason
    ) -> tuple[Resumed, int | None, list[OutboxRow]]:
        """(what happened, the conversation that lost it, what that one is to be told)."""
        now = self.core.clock()
        place = await unit.places.get(session.conversation)
        if not await units.point_at(unit, conversation, session, reason, now):
            return Resumed(session=meta_of(session, place), already=True), None, []
        lost = await unit.places.point(conversation, session.id)
        rows: list[OutboxRow] = []
        if lost is not None:
            account, origin = (await unit.places.get(lost)).account, f"lost:{session.id}:{now}"
            text, render = units.taken_away(session, self._language), self.core.dispatcher.render
            rows = await notice(unit, account, lost, origin, text, render, now)
        again = await unit.sessions.get(session.id)
        assert again is not None
        return Resumed(session=meta_of(again, place)), lost, rows

    async def _taken_up(
        self, work: Callable[[Unit], Awaitable[tuple[Resumed, int | None, list[OutboxRow]]]]
    ) -> Resumed:
        """Carry it out, then tell the place that lost the session."""
        resumed, lost, rows = await self._store.commit(Point.SESSION, work)
        self.core.delivery.enqueue(rows)
        if lost is not None:
            text = units.taken_away(resumed.session, self._language)
            self.core.hub.publish(Seen(kind="notice", conversation=lost, text=text))
        return resumed

    @property
    def _language(self) -> str:
        """Of whoever's own is not known."""
        return self.core.dispatcher.habits.language

    def _model(self, session: Session) -> Model:
        return self.core.catalogue.chain(session.model)[0]

    async def _generated(self, seen: Seen) -> Generated:
        if seen.session is None:
            return Generated(
                text=seen.text,
                session_id="",
                state=seen.state,
                error=seen.error,
                usage=usage_summary([0] * 11),
            )

        async def work(unit: Unit) -> Generated:
            session = await unit.sessions.get(seen.session or 0)
            return Generated(
                text=seen.text,
                session_id=session.code if session else "",
                state=seen.state,
                error=seen.error,
                usage=usage_summary(await unit.ledger.of_turn(seen.turn or 0)),
            )

        return await self._store.read(work)

    async def _answered(self, account: Account, event_id: str) -> Generated:
        """What a repeated event was answered the first time; waits while that is still being made."""
        while True:
            found = await self._store.read(units.answer_to, account.id, event_id)
            if found is not None:
                return found
            await asyncio.sleep(0.2)


def changed(settings: Json, **changes: object) -> Json:
    """*settings* with the changes; None takes one out."""
    return {key: value for key, value in {**settings, **changes}.items() if value is not None}


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///")).expanduser()


async def _whole(core: Core, request: Any, prompt: Any) -> Answer:
    async with aclosing(core.biller.stream(request, prompt)) as events:
        async for event in events:
            if isinstance(event, Answer):
                return event
    raise Refused(key="window.no_answer")
