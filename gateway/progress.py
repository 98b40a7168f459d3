"""A turn on its way: what bounds it, what it began with, what it has come to, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway import transcript, verbose
from gateway.billing import Request
from gateway.budgets import Budget, Shortfall
from gateway.caching import Setting
from gateway.jobs.spec import JobSpec
from gateway.protocols.prompt import THINK, Think
from gateway.transcript import Text, ToolUse
from gateway.types.inbound import Waiting
from gateway.types.json import Json
from gateway.types.outbound import File
from gateway.types.people import Identity
from gateway.types.places import Conversation
from gateway.types.sessions import Session
from gateway.types.turns import Entry, Turn

if TYPE_CHECKING:
    from gateway.compacting import Done


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What bounds a turn; times in seconds. Swapped whole on reload."""

    system_prompt: str = ""
    max_output_tokens: int = 4096
    temperature: float | None = None
    cache: Setting = "auto"
    retries: int = 2
    max_requests: int = 25
    max_tool_calls: int = 50
    max_same_calls: int = 5  # of one tool with the same arguments
    max_errors: int = 6  # results in a row
    turn_timeout: float = 600.0
    auto_compact: bool = True
    compact_notice: bool = True  # whether people are told when it was done unasked
    summary_model: str = ""  # that writes the notes; '': the session's
    context_window: int | None = None  # tokens; None: what is listed for the model
    web_search: int = 0  # so often a provider may search the web for one request; 0: never
    zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The job whose run a turn is, as it stands now. *made_in*: the conversation it was made in, None: in none."""

    spec: JobSpec
    made_in: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A turn that has begun: what it needs to run, as it stands on disk."""

    turn: Turn
    session: Session
    conversation: Conversation
    identity: Identity | None
    rows: tuple[Waiting, ...]
    entries: tuple[Entry, ...]
    last_step: int = -1
    job: Job | None = None  # None: it is no run of a job
    overheard: tuple[Json, ...] = ()  # said in the group before, not to us; never in the transcript
    lang: str = ""  # BCP 47 tag of the language whoever asked is spoken to in
    zone: str = ""  # IANA name of the zone they chose; '': the gateway's

    @property
    def model(self) -> str | None:
        """The job's own model, which goes before the session's; None: the session's counts."""
        return (self.job.spec.model or None) if self.job is not None else None

    @property
    def picked(self) -> str | None:
        """The model that a person picked for this session; None: nobody did."""
        return self.session.model if self.model is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a turn ended; *text* is what the person is to read; *request* is still to be settled.

    state 'kept': the operator must mend something first; nothing is lost and it will run again.
    """

    state: str  # done, failed, cancelled, kept, parked
    text: str = ""
    parts: tuple[transcript.Part, ...] = ()
    model: str = ""
    error_kind: str | None = None
    error: str | None = None
    request: Request | None = None
    files: tuple[File, ...] = ()  # that the model has made
    over: Shortfall | None = None  # the budget that was in the way


@dataclass(slots=True)
class Progress:
    """What a turn has come to so far; read when it is cancelled."""

    entries: list[Entry]
    step: int
    lang: str = ""  # as of the turn
    requests: int = 0
    tool_calls: int = 0
    request: Request | None = None
    shown: str = ""  # visible text of earlier steps, with what /verbose adds
    taken: list[Waiting] = field(default_factory=list)  # messages that were taken in on the way
    models: list[str] = field(default_factory=list)
    files: tuple[File, ...] = ()  # that the model has made
    places: list[str] = field(default_factory=list)  # where they lie
    shortened: int = 0  # so often room was made on the way, or tried to
    refused: bool = False  # the model has said on the way that it is too much
    put_away: Done | None = None  # what made room last
    without: str = ""  # what the person is told where their pictures were not shown
    unsearched: str = ""  # and where a budget had no room for searches
    near: list[Budget] = field(default_factory=list)  # budgets of which little is left, to be told of


def resumed(started: Started) -> Progress:
    """Where a turn stands: at its beginning, or where an earlier run of it was cut off."""
    progress = Progress(entries=list(started.entries), step=started.last_step, lang=started.lang)
    how, uses = started.conversation.settings.get("verbose"), list[ToolUse]()
    for entry in started.entries:
        if entry.turn == started.turn.id and entry.kind == "assistant":
            parts = transcript.parts(entry.body)
            text = "".join(part.text for part in parts if isinstance(part, Text))
            progress.shown += text.rstrip() + "\n\n" if text.strip() else ""
            uses = [part for part in parts if isinstance(part, ToolUse)]
        elif entry.turn == started.turn.id and entry.kind == "results":
            lines = verbose.lines(how, uses, transcript.tool_results(entry.body), started.lang)
            progress.shown += lines + "\n\n" if lines else ""
    return progress


def think_of(session: Session) -> Think | None:
    """None: nothing was said of it."""
    return next((level for level in THINK if level == session.settings.get("think")), None)
