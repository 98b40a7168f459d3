"""The vocabulary: frozen values that every part speaks in; no I/O, no SDK types.

Times are integer microseconds UTC since 1970; money is integer nano-dollars (1e-9 USD).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

SECOND = 1_000_000  # microseconds
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
DOLLAR = 1_000_000_000  # nano-dollars

Json = dict[str, Any]
Role = Literal["owner", "admin", "user"]
PlaceKind = Literal["direct", "group", "thread", "client", "job"]
CloseReason = Literal["idle", "command", "moved", "api", "resumed", "forked", "archived", "parent", "deleted"]
Purpose = Literal["chat", "compaction", "summary", "title", "memory", "transcription", "search", "subagent"]


class Lane(StrEnum):
    """Which path an inbound event takes once it is on disk."""

    CONTROL = "control"  # commands that never wait, buttons
    TURN = "turn"  # prompts, and the commands that wait for the running turn
    NOTE = "note"  # group text that was not addressed to us
    DEAD = "dead"  # what cannot be parsed


class Kind(StrEnum):
    """Every door by which something can come in; the gate has a deny test for each."""

    MESSAGE = "message"
    EDIT = "edit"
    COMMAND = "command"
    BUTTON = "button"
    REACTION = "reaction"
    MEMBERSHIP = "membership"
    MIGRATION = "migration"  # the chat has a new id from now on; the text is that id
    JOB = "job"
    API = "api"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something was said; the ids are the platform's own and opaque to the centre.

    A 'thread' is a conversation that people began on purpose: its session is explicit, however old it is.
    """

    chat_id: str
    thread_id: str = ""  # forum topic or thread; '' when the chat has none
    user_id: str = ""  # set only where each member of a group has a session of their own
    kind: PlaceKind = "direct"
    server: str = ""  # what the chat is part of (a Discord guild); '' when of nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who said it. *user_id* is the platform's immutable numeric id; *name* is for display only."""

    user_id: str
    name: str = ""
    lang: str = ""
    # Senders that stand for no single person (anonymous group admins, channel posts, other bots).
    impersonal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Somebody's words that a message answers or passes on: context for the model, never trusted.

    *origin*: 'reply' (the message answered), 'quote' (the part of it that was marked), 'forward' (the message
    itself is somebody else's; *text* is '' then, for the message's own text is meant).
    """

    origin: Literal["reply", "quote", "forward"]
    text: str = ""
    author: str = ""
    ours: bool = False  # our own words: the model knows them already if they are in the session


MediaKind = Literal["image", "voice", "audio", "video", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with a message, as its platform describes it; nothing of it has been fetched yet.

    *ref* is what the channel fetches it by and may be secret-like; *name*, *type* (a media type) and *size*
    (bytes) are what the sender's side says and are not trusted. *seconds*: how long it plays.
    """

    kind: MediaKind
    ref: str
    name: str = ""
    type: str = ""
    size: int | None = None
    seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosed:
    """A picture that is in the media folder, at *path* there, and has no row yet; *type* is a media type."""

    path: str
    type: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One event from a channel. *event_id* is unique within (channel, account); a repeat changes nothing."""

    event_id: str
    kind: Kind
    place: Place | None = None  # None: could not be read
    sender: Sender | None = None
    text: str = ""
    sent: int | None = None  # when the platform says it was sent
    message_id: str = ""
    reply_to: str = ""  # id of the message this one answers
    quotes: tuple[Quote, ...] = ()
    files: tuple[Attachment, ...] = ()
    enclosed: tuple[Enclosed, ...] = ()  # what needs no fetching any more
    album: str = ""
    button: str = ""  # token of the pressed button
    press_id: str = ""  # what the platform wants back with the answer to a button or an application command
    hint: str = (
        ""  # what the channel needs to speak here later; kept with the conversation ('' keeps the last)
    )
    cursor: tuple[str, str] | None = (
        None  # (scope, value) up to which events are taken, set in the same commit
    )
    addressed: bool = True  # False: group text not meant for us
    trigger: str | None = None  # job name
    job_run: int | None = None
    session: int | None = None  # the session this must run in, whatever the rule says
    fresh: bool = False  # open a new session, whatever the rule says (isolated job runs)
    alone: bool = False  # a turn of its own, with nothing that waits beside it
    # Ids of rows: where a job's run is when that is another place than it came from; for whom it is, and as whom
    # somebody from elsewhere speaks through the API.
    conversation: int | None = None
    identity: int | None = None
    raw: str = ""  # the platform's own JSON
    error: str = ""  # why it could not be read (lane dead)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of one accepted event. *inbox_id* is None for a duplicate.

    *during*: what happened to it because a turn was running (queue, steer, interrupt, reject); None: none was.
    """

    event_id: str
    inbox_id: int | None
    state: Literal["waiting", "held", "done", "refused", "dead", "duplicate", "overheard"]
    lane: Lane
    conversation: int | None
    during: Literal["queue", "steer", "interrupt", "reject"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A bot's own account on a platform (also main, http and job).

    *key* is its name in the configuration, such as telegram or telegram.second; '' means that of its channel.
    """

    id: int
    channel: str
    platform_id: str
    name: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to send: the account that speaks and the place it speaks in."""

    account: int
    conversation: int
    chat_id: str
    thread_id: str = ""
    kind: PlaceKind = "direct"
    hint: str = ""  # the channel's own, from the latest event there


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button under a message; *token* is random and says nothing by itself."""

    label: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to send: its own *text*, or what the media folder keeps under the number *media*.

    *type* is a media type; what begins with image/ is shown as a picture where the platform does that.
    """

    name: str
    type: str
    text: str = ""
    media: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One platform message. *extra* belongs to the channel that rendered it (formatting entities).

    *file*: sent with it, the text as its caption; such a message is sent whole and never edited.
    """

    text: str
    extra: Json = field(default_factory=dict)
    buttons: tuple[Button, ...] = ()
    file: File | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuEntry:
    """A chat command as a platform's menu shows it.

    *private*: its answer is for who gave it alone; *admin*: not everybody may use it. *translated*: the
    description in other languages, by primary subtag (BCP 47).
    """

    name: str
    description: str
    private: bool = False
    admin: bool = False
    translated: Mapping[str, str] = field(default_factory=dict)


Reaction = Literal["seen", "steered", "interrupted", "done", "failed"]
"""What an emoji under a person's message says of it; which one is the channel's choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a platform offers; the centre uses what is there and does without the rest."""

    edit: bool = False  # change a message of ours
    delete: bool = False  # take one back
    button: bool = False
    reaction: bool = False
    thread: bool = False
    file: bool = False
    whisper: bool = False  # answer a command so that only who gave it sees it
    draft: bool = False  # show text being written without a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fast a channel may speak, and how it places a message; times in seconds.

    *placing*: 'exact' sends a message whole (a repeat is recognised by its nonce); 'opening' sends the
    first words and puts the rest there by edits; 'placeholder' sends a mark and puts all text there by edits;
    'draft' shows what is being written without a message, in direct chats, and sends it whole at the end
    (elsewhere it is 'opening').
    """

    placing: Literal["exact", "opening", "placeholder", "draft"] = "exact"
    stream: bool = False
    preview_direct: float = 1.2
    preview_group: float = 3.5
    typing_every: float = 4.0
    chat_per_second: float = 1.0
    group_per_minute: float = 20.0
    account_per_second: float = 30.0
    slack: float = 0.0  # by which one call may be longer on its way than the next
    burst: int = 20
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A place with its lease and its pointer to the current session."""

    id: int
    account: int
    channel: str
    chat_id: str
    thread_id: str
    user_id: str
    kind: PlaceKind
    current_session: int | None
    settings: Json
    fence: int
    hint: str = ""
    server: str = ""  # what the chat is part of; '' when of nothing

    @property
    def address(self) -> Address:
        return Address(
            account=self.account,
            conversation=self.id,
            chat_id=self.chat_id,
            thread_id=self.thread_id,
            kind=self.kind,
            hint=self.hint,
        )

    @property
    def shared(self) -> bool:
        """Whether several people talk here."""
        return self.kind in ("group", "thread")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person's account on one platform. *state*: new (not let in), allowed, blocked.

    *lang* is what the person chose (/lang), else what the platform said, as a BCP 47 tag; '' when unknown.
    *zone* is the IANA time zone the person chose (/zone); '' for the gateway's.
    """

    id: int
    person: int | None
    channel: str
    user_id: str
    name: str
    state: Literal["new", "allowed", "blocked"]
    role: Role | None
    lang: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A transcript. *code* is what people type; *last_person* is when a person last wrote in it.

    *model* None: the default one.
    """

    id: int
    code: str
    conversation: int
    owner: int | None
    state: Literal["open", "closed"]
    close_reason: str | None
    origin: str
    parent: int | None
    triggered_by: str | None
    title: str | None
    summary: str | None
    system_prompt: str | None
    model: str | None
    message_count: int
    next_seq: int
    next_turn: int
    unread: bool
    created: int
    last_person: int | None
    last_active: int
    closed: int | None
    settings: Json = field(default_factory=dict)  # "think": how long its model may think
    paused: bool = False
    archived: int | None = None
    deleted: int | None = None
    fork_seq: int | None = None  # up to where it is a copy of its parent's transcript; None: of nothing

    @property
    def child(self) -> bool:
        """Whether it works for another session, and ends with that."""
        return self.origin == "child" and self.parent is not None


SessionState = Literal["open", "closed", "paused", "archived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which sessions are meant; None: whatever. Archived ones only where *state* asks for them.

    *channel* as telegram; *person* by number; *trigger*: the job that began it, '' for any job.
    """

    tag: str | None = None
    channel: str | None = None
    conversation: int | None = None
    person: int | None = None
    trigger: str | None = None
    state: SessionState | None = None
    unread: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks at sessions, and so which there are: those of one conversation, and more.

    *person*: also their own, of direct chats elsewhere. *groups*: also those of every group. *everything*: all of
    them, for whoever has the machine. *admin*: what only admins do.
    """

    conversation: int | None = None
    person: int | None = None
    groups: bool = False
    everything: bool = False
    admin: bool = False
    name: str = "api"  # as the audit trail names it: channel:user id, cli, api


OPERATOR = Viewer(everything=True, admin=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An inbox row."""

    id: int
    account: int
    event_id: str
    kind: Kind
    lane: Lane
    conversation: int | None
    identity: int | None
    session: int | None
    message_id: str
    reply_to: str
    trigger: str | None
    job_run: int | None
    body: Json
    received: int
    sent: int | None
    state: str
    turn: int | None
    attempts: int

    @property
    def text(self) -> str:
        return str(self.body.get("text", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One run of the agent. *n* counts within the session; *identity* is who pays (None: a job's own).

    *over*: the budgets that an admin lets it run past, as person:day.
    """

    id: int
    session: int
    n: int
    conversation: int
    identity: int | None
    trigger: str | None
    job_run: int | None
    attempt: int
    fence: int
    state: Literal["running", "parked", "done", "failed", "cancelled", "dead"]
    started: int
    finished: int | None = None
    error_kind: str | None = None
    error: str | None = None
    over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a transcript; *body* is versioned JSON (see gateway.transcript)."""

    seq: int
    turn: int | None
    kind: Literal["user", "assistant", "results", "note", "summary", "mark"]
    body: Json
    created: int


Cause = Literal["manual", "api", "auto", "overflow"]
"""What set off a compaction: a person, a caller, little room after a turn, a request that does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What was put away of a session's prompts, with the entry *entry_seq* that says so; times in microseconds UTC.

    *method*: notes that a model wrote, 'beginnings' of the messages, or 'pruned' results of tools. *upto*: the first
    entry it says nothing of. *before* and *after* in tokens, *after* estimated; *cost* in nano-dollars, None: not
    known. *state*: 'off' was taken back, 'gone' too and for good.
    """

    id: int
    session: int
    entry_seq: int
    cause: str
    method: Literal["notes", "beginnings", "pruned"]
    upto: int
    messages: int
    before: int
    after: int | None
    requests: int
    cost: int | None
    model: str | None
    focus: str
    state: Literal["on", "off", "gone"]
    created: int
    changed: int
    summary: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts of one request in disjoint kinds: what was read from a cache is not in *uncached*."""

    uncached: int = 0
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    output: int = 0

    @property
    def input(self) -> int:
        """Everything that was sent: uncached + cache reads + cache writes."""
        return self.uncached + self.read + self.write_5m + self.write_1h

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.uncached + other.uncached,
            self.read + other.read,
            self.write_5m + other.write_5m,
            self.write_1h + other.write_1h,
            self.output + other.output,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageOpen:
    """A ledger row as it is written before its request is made; *worst* is what a killed request is charged."""

    uid: str
    worst: Tokens
    purpose: Purpose
    channel: str
    provider: str
    model_asked: str
    at: int
    turn: int | None = None
    step: int | None = None
    attempt: int | None = None
    session: int | None = None
    conversation: int | None = None
    identity: int | None = None
    trigger: str | None = None
    units: int | None = None  # seconds of audio; None: it is no transcription
    reserved: int | None = None  # the most that it can cost; None: its price is not known
    bound: int | None = None  # of its input tokens, by its bytes alone; None: it is no prompt
    searches: int = 0  # that its provider may make for it: they have a row of their own beside it
    searches_reserved: int | None = None  # nano-dollars, the most that those can cost; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSettled:
    """What a request came to. *cost* None: the price is not known (never 0 for that reason).

    *state*: known (the provider said so), estimated (an upper bound, shown apart), failed (nothing was used), void
    (of searches: none was made, and no report has the row).
    """

    state: Literal["known", "estimated", "failed", "void"]
    tokens: Tokens
    ended: int
    model: str | None = None
    provider_id: str | None = None
    cost: int | None = None
    cost_state: Literal["priced", "free", "unpriced"] = "unpriced"
    price: str | None = None  # JSON of the price applied
    provider_cost: int | None = None
    units: int | None = None  # seconds of audio, or searches; None: as it was opened
    saved: int | None = None  # nano-dollars that the same input would have cost more uncached; None: no price
    searches: UsageSettled | None = None  # the row of its searches; None: it has none

    @property
    def searched(self) -> bool:
        """Whether its tokens are those of several prompts: its provider has asked the model anew after each search."""
        return self.searches is not None and self.searches.state != "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What an exact request came to, in tokens, against the upper *bound* of its input (None: not written down).

    *at* in microseconds UTC, when it was opened.
    """

    input: int
    output: int
    at: int
    bound: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One chunk on its way out.

    ready -> (placing -> placed ->) sending -> sent; dead when it can never be delivered.
    """

    id: int
    origin: str
    part: int
    account: int
    conversation: int
    session: int | None
    kind: Literal["answer", "notice", "job"]
    payload: Chunk
    nonce: str
    state: Literal["ready", "placing", "placed", "sending", "sent", "unknown", "dead"]
    message_id: str | None
    not_before: int
    attempts: int
    first_try: int | None
