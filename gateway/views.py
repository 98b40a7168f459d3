"""What callers are shown of sessions, answers and the store: frozen values, and how they are made from rows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gateway import transcript
from gateway.budgets import Shortfall
from gateway.pricing import Pricing
from gateway.protocols.model import Model
from gateway.reports import UsageSummary
from gateway.types.compactions import Compaction
from gateway.types.places import Conversation
from gateway.types.sessions import Session, SessionState
from gateway.types.turns import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSet:
    """A cap as it was set, in nano-dollars; None: there is none, or, if *configured*, the configuration's."""

    scope: str
    id: str
    period: str
    cap: int | None
    configured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A question that a budget refused within a day; *who* as telegram:12345, or the name of a job.

    *raised* is what raising the budget would make of it, nano-dollars; *at* in microseconds UTC.
    """

    turn: int
    session_id: str
    who: str
    at: int
    raised: int
    over: Shortfall


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMeta:
    """A session as callers see it. *key* is the chat's own name on its channel; times are microseconds UTC.

    *last_message_at* is when a person last wrote; None before that. *triggered_by* None: a person started it.
    *archived_at* None: it is not archived; such a one is read, and not continued.
    """

    id: str
    channel: str
    key: str
    user_id: str
    title: str | None
    summary: str | None
    is_closed: bool
    close_reason: str | None
    message_count: int
    created_at: int
    last_message_at: int | None
    last_active_at: int
    closed_at: int | None
    is_read: bool
    triggered_by: str | None
    origin: str
    model: str | None
    tags: tuple[str, ...] = ()
    is_paused: bool = False
    archived_at: int | None = None

    @property
    def state(self) -> SessionState:
        if self.archived_at is not None:
            return "archived"
        return "paused" if self.is_paused else "closed" if self.is_closed else "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line of a transcript. *role*: user, assistant, tool, note or summary."""

    seq: int
    role: str
    text: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """Usage somebody else measured. *input_tokens* are the uncached ones; *cost_usd* None: not known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cost_usd: Decimal | None = None
    model: str | None = None
    user_id: str | None = None
    provider: str = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextUsage:
    """How full the model's window is; tokens of the last request, or *estimated* for the next."""

    used_tokens: int
    max_tokens: int
    percent: float
    turns: int
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """An answer. *state* is done, failed, cancelled or kept; *error* says what went wrong, for the operator.

    *over*: the budget that was in the way, if one was.
    """

    text: str
    session_id: str
    state: str
    error: str | None
    usage: UsageSummary
    over: Shortfall | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """The database as it is now."""

    engine: str
    path: str
    schema: int
    sessions: int
    inbox_waiting: int
    outbox: dict[str, int]
    ok: bool
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """A compaction: what *trigger* (manual, api, auto, overflow) had put away, and how; times in microseconds UTC.

    *method*: 'notes' that *model* wrote, in *summary*; 'beginnings', without a model; 'pruned', old results of tools.
    *before* and *after* in tokens, *after* estimated (None: not known). *cost* in nano-dollars, of so many *requests*;
    None: not known. *undone*: it was taken back.
    """

    id: int
    trigger: str
    method: str
    messages: int
    before: int
    after: int | None
    summary: str
    focus: str
    model: str | None
    requests: int
    cost: int | None
    created_at: int
    undone: bool


def compacted_of(row: Compaction) -> Compacted:
    return Compacted(
        id=row.id,
        trigger=row.cause,
        method=row.method,
        messages=row.messages,
        before=row.before,
        after=row.after,
        summary=row.summary,
        focus=row.focus,
        model=row.model,
        requests=row.requests,
        cost=row.cost,
        created_at=row.created,
        undone=row.state != "on",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A model that people may choose; dollars per million plain tokens, None: the price is not known."""

    ref: str
    input: Decimal | None = None
    output: Decimal | None = None
    free: bool = False


def offered(model: Model, pricing: Pricing, now: int) -> Offered:
    """*now* in microseconds UTC: prices change with time."""
    price = pricing.of(model, at=now)
    if price is None:
        return Offered(ref=model.ref)
    rates = price.rates
    return Offered(ref=model.ref, input=rates.uncached, output=rates.output, free=price.state == "free")


def meta_of(session: Session, place: Conversation, tags: tuple[str, ...] = ()) -> SessionMeta:
    return SessionMeta(
        id=session.code,
        channel=place.channel,
        key=place.chat_id,
        user_id=place.user_id,
        title=session.title,
        summary=session.summary,
        is_closed=session.state == "closed",
        close_reason=session.close_reason,
        message_count=session.message_count,
        created_at=session.created,
        last_message_at=session.last_person,
        last_active_at=session.last_active,
        closed_at=session.closed,
        is_read=not session.unread,
        triggered_by=session.triggered_by,
        origin=session.origin,
        model=session.model,
        tags=tags,
        is_paused=session.paused,
        archived_at=session.archived,
    )


def message_of(entry: Entry) -> Message | None:
    """None for what no reader sees (marks)."""
    match entry.kind:
        case "user" | "note" | "summary":
            role, text = str(entry.kind), str(entry.body.get("text", ""))
        case "assistant":
            role, text = "assistant", transcript.visible(entry.body)
        case "results":
            role = "tool"
            text = "\n".join(f"{item.name}: {item.text}" for item in transcript.tool_results(entry.body))
        case _:
            return None
    return Message(seq=entry.seq, role=role, text=text, created_at=entry.created) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is going on in a conversation. Times in microseconds UTC.

    *running_since* None: no turn runs. *kept*: a turn waits until the model can be reached again. *held*: messages
    that came while we were away and wait for a decision. *outage_since* None: all is well.
    """

    session: SessionMeta | None
    model: str
    running_since: int | None
    kept: bool
    waiting: int
    held: int
    outage_since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """*already*: it was the current one. *moved*: the message that was being answered goes there too."""

    session: SessionMeta
    already: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """*running*: a turn was stopped; *waiting* messages are answered next; *kept* as in Standing."""

    running: bool
    dropped: int
    waiting: int
    kept: bool
