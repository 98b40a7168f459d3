"""What comes in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from gateway.types.json import Json
from gateway.types.people import Sender
from gateway.types.places import Place


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
