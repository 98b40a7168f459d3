"""What we ask of a channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.types.abilities import Capabilities, Limits
from gateway.types.inbound import Inbound, Receipt
from gateway.types.outbound import Chunk, Reaction
from gateway.types.places import Account, Address, Place


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
