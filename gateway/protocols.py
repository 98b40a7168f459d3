"""What we ask of a channel, of a model and of a clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

from gateway.transcript import Part, ToolResult
from gateway.types import (
    Account,
    Address,
    Capabilities,
    Chunk,
    Inbound,
    Json,
    Limits,
    Place,
    Reaction,
    Receipt,
    Tokens,
)

Clock = Callable[[], int]
"""Now, in microseconds UTC."""


class Accept(Protocol):
    """Puts a page of events on disk; when it returns, and only then, the platform may be told they arrived.

    Raises StoreError when nothing was stored: the platform must not be told, the page comes again.
    """

    def __call__(self, account: Account, events: Sequence[Inbound]) -> Awaitable[list[Receipt]]: ...


class Channel(Protocol):
    """One account on one platform. It knows the vocabulary and nothing of sessions, turns or the store.

    All calls raise DeliveryError, whose kind tells the caller what to do next. None of them retries:
    there is one retry layer, and it is the outbox's.
    """

    name: str  # the platform, as the key in [channels.<name>]
    can: Capabilities
    limits: Limits

    async def start(self) -> tuple[str, str]:
        """Log in; gives the account's own immutable id and its display name. Raises DeliveryError."""
        ...

    async def run(self, account: Account, accept: Accept) -> None:
        """Take in events until cancelled; comes back by itself from whatever the network does.

        Raises DeliveryError(kind='auth') when the platform refuses the token.
        """
        ...

    def render(self, markdown: str, *, growing: bool = False) -> list[Chunk]:
        """Markdown to messages within the platform's limits; pure; [] when there is nothing to see.

        *growing*: it is the beginning of an answer that is still being written, and what is half written is not
        shown raw. What is too long for a chat is a file where the channel can send one, but not while it grows.
        """
        ...

    def plain(self, chunk: Chunk) -> Chunk:
        """The same message without formatting, for when the platform refuses the formatting; pure."""
        ...

    def opening(self, chunk: Chunk) -> Chunk:
        """Its real first words (at most 80 characters or one sentence), or all of it if that short; pure."""
        ...

    def answering(self, chunk: Chunk, press_id: str, *, whisper: bool) -> Chunk:
        """The chunk as the answer to a button or an application command; pure.

        *press_id* as it came in; *whisper*: only who asked may see it (where `can.whisper`). The same chunk
        where the platform has nothing of the kind.
        """
        ...

    def calling(self, chunks: Sequence[Chunk], role: str) -> list[Chunk]:
        """The chunks with a call, before the first, to those who have that role, by the platform's id of it; pure.

        The same chunks where the platform has nothing of the kind.
        """
        ...

    async def send(
        self,
        address: Address,
        chunk: Chunk,
        *,
        nonce: str,
        tried: int | None = None,
        content: bytes | None = None,
    ) -> str:
        """One message; gives its id.

        *tried*: when this chunk was first sent, if it may have arrived then (microseconds UTC). *content*: what
        is in `chunk.file`; None where the chunk has none.
        """
        ...

    async def fetch(self, ref: str, put: Callable[[bytes], None], *, most: int) -> None:
        """The bytes of an attachment, piece by piece; *ref* is an Attachment's.

        Raises DeliveryError: kind 'missing' when it is there no longer, 'too_big' above *most* bytes or above what
        the platform gives out. Whoever called tries again after the other kinds; *put* then begins anew.
        """
        ...

    async def edit(self, address: Address, message_id: str, chunk: Chunk) -> None:
        """Replace a message of ours; 'unchanged' is raised as DeliveryError and means success."""
        ...

    async def draft(self, address: Address, draft_id: int, chunk: Chunk) -> None:
        """Show text that is being written, where `can.draft`, in a direct chat; it is no message and goes by itself.

        *draft_id* is not 0; the same one replaces what was shown. What the platform cannot do after all is no
        longer in `can` and `limits` afterwards.
        """
        ...

    async def delete(self, address: Address, message_id: str) -> None:
        """Take back a message of ours; one that is gone already is no error."""
        ...

    async def react(self, address: Address, message_id: str, reaction: Reaction | None) -> None:
        """Put our one reaction under a person's message, in place of an earlier one; None takes it away."""
        ...

    async def typing(self, address: Address) -> None:
        """Show that an answer is being made."""
        ...

    async def place(self, id: str) -> Place:
        """Where an address of the configuration is: a chat, a thread of it, or the private chat with a person.

        Asked of the platform where the id does not tell. Raises DeliveryError.
        """
        ...

    async def open_thread(self, address: Address, title: str) -> Place | None:
        """A thread or topic of its own in that chat, under that name; None where the chat can have none.

        Raises DeliveryError. It is not repeated: each call opens another one.
        """
        ...

    async def direct(self, user_id: str) -> str:
        """The id of the private chat with a person; whether they let us write there shows when we do."""
        ...

    async def administers(self, address: Address, user_id: str) -> bool:
        """Whether the platform counts that person among the chat's administrators, asked now."""
        ...

    async def ack(self, press_id: str, text: str = "") -> None:
        """Tell the platform that a pressed button was seen; *text* is shown to who pressed it."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A path of our web server where a platform delivers events by itself.

    *admits* decides by the headers alone (names in small letters), before the body is read. *take* puts on disk
    what a body says; when it returns, and only then, the platform may be told that it arrived. It raises
    StoreError when nothing was stored and DeliveryError when the account is not connected yet: it comes again.
    """

    path: str
    admits: Callable[[Mapping[str, str]], bool]
    take: Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image for a model that sees: image/jpeg, image/png, image/webp or image/gif.

    *media* is its number in the media folder; *data* b'' as long as it has not been read from there.
    """

    media: int
    type: str
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What people said, in order; each text is one message. The pictures belong to them all.

    *fleeting*: some of it is in this prompt only, and the next one will not have it.
    """

    texts: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    fleeting: bool = False


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model answered before."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ResultsMessage:
    """What the tools gave, one result for each call of the message before it."""

    results: tuple[ToolResult, ...]


Think = Literal["off", "low", "medium", "high"]
THINK: tuple[Think, ...] = get_args(Think)

Cache = Literal["off", "5m", "1h"]
"""For how long a provider is asked to keep a prompt, counted from its last use."""

Message = UserMessage | AssistantMessage | ResultsMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model is told of it; *parameters* is a JSON schema of an object."""

    name: str
    description: str
    parameters: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One request. *stable* is the same for every turn of a session; *volatile* comes after it.

    *max_output_tokens* bounds the thinking too. *think* None: as the model does by itself; those that cannot be
    told take no notice. *key*: the same for all requests that begin alike, for providers that send those to the same
    machine; '' where there is only one. *searches*: how often its provider may search the web for it; only where the
    model `searches`.
    """

    stable: str
    messages: tuple[Message, ...]
    volatile: str = ""
    tools: tuple[ToolSpec, ...] = ()
    max_output_tokens: int = 4096
    temperature: float | None = None
    cache: Cache = "5m"
    key: str = ""
    think: Think | None = None
    searches: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """More visible text."""

    text: str


@dataclass(frozen=True, slots=True)
class Counted:
    """The provider's usage so far (input is exact, output still grows)."""

    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Thought:
    """More of what the model thinks, as far as its provider shows it; not part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a model has made: an image, mostly. *type* is its media type."""

    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A page that an answer cites, as its provider found it; not trusted. *title* '': it has none."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The end of a whole, uncut response. *model* is the one that really answered.

    *tokens* None: the provider never said. *provider_cost* in nano-dollars where the provider bills itself.
    *searches*: how many its provider has made and bills. *sources*: the pages it cites, each once.
    """

    parts: tuple[Part, ...]
    tokens: Tokens | None
    model: str
    provider_id: str = ""
    finish: str = "stop"  # stop, length, tools, filter
    provider_cost: int | None = None
    files: tuple[Made, ...] = ()
    searches: int = 0
    sources: tuple[Source, ...] = ()


ModelEvent = Delta | Thought | Counted | Answer


class Asked(Protocol):
    """What a bill says of who was asked."""

    ref: str  # as configured: provider:model
    provider: str  # the key in [providers.<name>]
    kind: str  # one of gateway.vendors.KINDS, or demo
    model: str
    base_url: str


class Model(Asked, Protocol):
    """One model of one provider; asks exactly once per call: no retries inside."""

    async def ready(self) -> None:
        """Come back when a request could leave at once (the vendor's SDK is imported)."""
        ...

    async def thinks(self) -> bool:
        """Whether it can be told how long to think."""
        ...

    async def sees(self) -> bool:
        """Whether it takes pictures; where nothing is known of the model, yes: its refusal is told."""
        ...

    async def searches(self) -> bool:
        """Whether its provider can search the web for it, and says how much at most: see vendors.searches."""
        ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent]:
        """Any Delta and Counted, then exactly one Answer. Raises ModelError.

        Closing the iterator early drops the connection.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What was said in a recording. *seconds* of it and *tokens* as the provider counts them; None: it did not say.

    *language* as the provider names it ("german", "de"); None where it does not.
    """

    text: str
    seconds: float | None = None
    language: str | None = None
    tokens: Tokens | None = None


class Hearing(Asked, Protocol):
    """A model that writes down speech; asks exactly once per call: no retries inside."""

    async def ready(self) -> None:
        """Come back when a request could leave at once."""
        ...

    async def transcribe(self, audio: Path | bytes, *, name: str, type: str) -> Transcript:
        """*name* of the file, whose ending tells its format; *type* is a media type. Raises ModelError."""
        ...


class Tool(Protocol):
    """Something the model may use."""

    spec: ToolSpec

    async def call(self, args: Json, context: ToolContext) -> str:
        """The result as text; any ToolFailed is told to the model as an error."""
        ...


@runtime_checkable
class Consented(Tool, Protocol):
    """A tool that does nothing before a person has said yes; `call` is made after that, on the same person's behalf.

    What it gives is read by that person as well as by the model.
    """

    async def proposal(self, args: Json, context: ToolContext) -> str:
        """What it would do, for the person to read, in Markdown. Raises ToolFailed for what makes no sense."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """On whose behalf a tool runs: set by us, never by the model.

    *call*: its id, unique in the turn's step. *zone* and *lang* (a BCP 47 tag, '' for unknown) are the person's.
    *asked*: when the person was asked for the yes that it runs by, so that “tomorrow” is the day they were told;
    None where no yes is needed.
    """

    session: int
    turn: int
    call: str
    conversation: int
    identity: int | None
    zone: str
    now: int
    lang: str = ""
    asked: int | None = None


class ToolFailed(Exception):
    """A tool could not do it; the text is for the model."""
