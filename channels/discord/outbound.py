"""How a message gets to where it belongs: by ourselves, into a thread that it begins, or as an interaction's answer."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from channels.discord import body
from channels.discord.answers import Answers, late
from channels.discord.api import PAGE, Api
from channels.discord.press import Hint, Press
from channels.discord.refusal import NO_RIGHT, UNKNOWN_CHANNEL, ApiError
from channels.discord.snowflake import first_at, said_at
from channels.discord.stored import as_meant
from channels.discord.uploads import Upload, upload
from gateway.protocols.clock import Clock
from gateway.types.json import Json
from gateway.types.measures import SECOND
from gateway.types.outbound import Chunk
from gateway.types.places import Address, Place

NONCE_SURE = 60 * SECOND  # a repeat is recognised for "the past few minutes"; Create Message
SKEW = 60 * SECOND  # between Discord's clock and ours
MOST_PLACES = 1000
BEGINNING = 40  # characters by which a message is known that had only begun
MOST_PAGES = 10  # of history to look for a message of ours
TITLE = "Conversation"


@dataclass(frozen=True, slots=True)
class Saying:
    """One message on its way. *tried*: when it was first sent, if it may have arrived then."""

    chunk: Chunk
    nonce: str
    tried: int | None
    file: Upload | None = None


class Outbound:
    """Sends, edits and deletes for one account. *me* is the bot's id. All calls raise ApiError."""

    def __init__(self, *, api: Api, me: str, clock: Clock) -> None:
        self._api, self._me, self._clock = api, me, clock
        self.answers = Answers(api, clock)
        self._hints: OrderedDict[str, Hint] = (
            OrderedDict()
        )  # newer than those in addresses, by channel or thread
        self._owed: dict[str, deque[Press]] = {}  # prompts by interaction that wait for their answer

    def heard(self, place: Place, hint: str) -> None:
        """What an event has told of its place is on disk; an address may be older."""
        at = place.thread_id or place.chat_id
        found = Hint.read(hint)
        self._hints[at] = found
        self._hints.move_to_end(at)
        while len(self._hints) > MOST_PLACES:
            self._owed.pop(self._hints.popitem(last=False)[0], None)
        if (press := Press.read(found.press)) is not None:
            self._owed.setdefault(at, deque(maxlen=20)).append(press)

    async def send(
        self,
        address: Address,
        chunk: Chunk,
        *,
        nonce: str,
        tried: int | None,
        content: bytes | None = None,
    ) -> str:
        """*content*: of the chunk's file, if it has one."""
        file = upload(chunk.file, content)
        try:
            return await self._send(address, Saying(chunk, nonce, tried, file))
        except ApiError as error:
            if file is None or error.code != NO_RIGHT:
                raise
            # A channel where files are not allowed still takes words.
            raise ApiError(str(error), kind="rejected", status=error.status, code=error.code) from None

    async def _send(self, address: Address, saying: Saying) -> str:
        chunk, nonce = saying.chunk, saying.nonce
        press = Press.read(chunk.extra.get("press", ""))
        whisper = bool(chunk.extra.get("whisper"))
        hint = self._hint(address)
        if press is not None:
            # What has no nonce could be there twice; where we may write, only the deferred answer goes that way.
            elsewhere = hint.member and not whisper and not await self._open(press, nonce, chunk.text)
            if press.lives(self._clock()) and not elsewhere:
                try:
                    return await self.answers.say(
                        press, chunk, nonce=nonce, whisper=whisper, file=saying.file
                    )
                except ApiError as error:
                    if not late(error):
                        raise
            if whisper:
                return await self._post(await self._api.direct(press.user), saying)
        elif hint.press:
            sent = await self._owing(where(address), hint, saying)
            if sent is not None:
                return sent
        return await self._at(address, hint, saying)

    async def edit(self, address: Address, message: str, chunk: Chunk) -> None:
        press = self.answers.through(message)
        if press is not None:
            try:
                return await self.answers.edit(press, message, chunk)
            except ApiError as error:
                if not late(error):
                    raise
        at, wanted = where(address), body.edited(chunk)
        try:
            found = await self._api.edit(at, message, wanted)
            await as_meant(found, chunk, lambda: self._api.edit(at, message, wanted))
        except ApiError as error:
            # After a restart we do not know any more which messages an interaction gave.
            owed = self._alive(address, chunk)
            if press is not None or owed is None or error.kind not in ("missing", "gone"):
                raise
            await self.answers.edit(owed, message, chunk)

    async def delete(self, address: Address, message: str) -> None:
        press = self.answers.through(message)
        if press is not None:
            await self._api.delete_answer(press, message)
        else:
            await self._api.delete(where(address), message)

    def silent(self, address: Address) -> bool:
        """Whether nothing but an interaction lets us speak there: it shows by itself that we are at work."""
        return not self._hint(address).member

    def _hint(self, address: Address) -> Hint:
        return self._hints.get(where(address)) or Hint.read(address.hint)

    async def _owing(self, at: str, hint: Hint, saying: Saying) -> str | None:
        """As the answer to the oldest prompt that has none; None where another way is better or the only one left.

        Where we are no member, what comes after the answer goes behind the latest one.
        """
        latest = Press.read(hint.press)
        waiting = self._owed.setdefault(at, deque([latest] if latest else []))
        try:
            while waiting:
                press = waiting[0]
                if await self._open(press, saying.nonce, saying.chunk.text):
                    return await self._by(press, saying)
                waiting.popleft()
            if hint.member or latest is None or not latest.lives(self._clock()):
                return None
            return await self._by(latest, saying)
        except ApiError as error:
            if not late(error):
                raise
            return None

    async def _by(self, press: Press, saying: Saying) -> str:
        return await self.answers.say(press, saying.chunk, nonce=saying.nonce, whisper=None, file=saying.file)

    async def _open(self, press: Press, nonce: str, text: str) -> bool:
        try:
            return await self.answers.owed(press, nonce, text)
        except ApiError as error:
            if not late(error):
                raise
            return False

    async def _at(self, address: Address, hint: Hint, saying: Saying) -> str:
        try:
            return await self._post(where(address), saying)
        except ApiError as error:
            if error.code != UNKNOWN_CHANNEL or not address.thread_id:
                raise
        # A thread that is to be begun on the person's message: it gets that message's id.
        await self._api.begin_thread(address.chat_id, address.thread_id, hint.title or TITLE)
        return await self._post(address.thread_id, saying)

    async def _post(self, channel: str, saying: Saying) -> str:
        found, tried = None, saying.tried
        if tried is not None and self._clock() - tried >= NONCE_SURE:
            found = await self._said(channel, saying, tried)
        if found is None:
            wanted = body.message(saying.chunk, nonce=saying.nonce, file=saying.file)
            found = await self._api.send(channel, wanted, saying.file)
        # An earlier try may have sent it with less text, too.
        id = str(found["id"])
        await as_meant(found, saying.chunk, lambda: self._api.edit(channel, id, body.edited(saying.chunk)))
        return id

    async def _said(self, channel: str, saying: Saying, since: int) -> Json | None:
        """Our own message with that nonce, text or file, if there is one from that time on."""
        after = first_at(since - SKEW)
        for _ in range(MOST_PAGES):
            page = await self._api.history(channel, after=after)
            for message in page:
                if self._is_it(message, saying, since):
                    return message
            if len(page) < PAGE:
                break
            after = str(page[-1]["id"])
        return None

    def _is_it(self, message: Json, saying: Saying, since: int) -> bool:
        """By its nonce where Discord says it; else by its text, of which a preview may have said the beginning.

        A file is known by its size: names come back changed.
        """
        author = message.get("author")
        if not isinstance(author, dict) or author.get("id") != self._me:
            return False
        if message.get("nonce") is not None:
            return str(message["nonce"]) == saying.nonce
        said, text = str(message.get("content", "")).strip(), saying.chunk.text.strip()
        listed = message.get("attachments")
        sizes = [
            each.get("size")
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, dict)
        ]
        if saying.file is not None or sizes:
            return said == text and saying.file is not None and sizes == [len(saying.file.content)]
        begun = len(said) >= BEGINNING and said[:BEGINNING] == text[:BEGINNING]
        return said == text or (begun and said_at(message) <= since + SKEW + NONCE_SURE)

    def _alive(self, address: Address, chunk: Chunk) -> Press | None:
        press = Press.read(chunk.extra.get("press", "")) or Press.read(self._hint(address).press)
        return press if press is not None and press.lives(self._clock()) else None


def where(address: Address) -> str:
    """The channel or thread of an address."""
    return address.thread_id or address.chat_id
