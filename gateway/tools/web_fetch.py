"""The tool `web_fetch`: what stands at an address on the public internet, as text."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from gateway.errors import FetchError, StoreError
from gateway.fetcher import Fetched, Fetcher
from gateway.media.charset import charset_of, decoded
from gateway.media.folder import Folder
from gateway.media.kinds import HEAD, type_of
from gateway.media.reading import Reader
from gateway.protocols.tool import ToolContext, ToolFailed, ToolSpec
from gateway.tools.fence import fenced
from gateway.types.json import Json

AT_ONCE = 4  # fetched at the same time, over all conversations
HTML = ("text/html", "application/xhtml+xml")
UNREAD = {"locked": "it is a PDF with a password", "too_much": "it is too large or too tangled to be read"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchBounds:
    """How much one call may bring."""

    megabytes: int = 5
    characters: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The text that is there; *cut*: there was more than is read of anything."""

    text: str
    title: str = ""
    cut: bool = False


class WebFetch:
    """Over a guarded fetcher: the tool itself decides nothing about where it may go."""

    spec = ToolSpec(
        name="web_fetch",
        description="Read a public web page, PDF or text file by its URL. Links beginning with / are on the same host.",
        parameters={
            "type": "object",
            "properties": {
                "url": {"type": "string", "description": "http or https"},
                "start": {"type": "integer", "description": "Character to go on from, for long texts"},
            },
            "required": ["url"],
            "additionalProperties": False,
        },
    )

    def __init__(self, *, fetcher: Fetcher, folder: Folder, bounds: FetchBounds) -> None:
        self._fetcher = fetcher
        self._folder = folder
        self._bounds = bounds
        self._reader = Reader()
        self._seats = asyncio.Semaphore(AT_ONCE)

    async def call(self, args: Json, context: ToolContext) -> str:
        url, start = args.get("url"), args.get("start") or 0
        if not isinstance(url, str) or not url.strip():
            raise ToolFailed("url is missing: give the whole address, as in https://example.com/page")
        if not isinstance(start, int) or start < 0:
            raise ToolFailed("start must be a whole number, 0 or more")
        async with self._seats:
            try:
                fetched, found = await self._fetched(url.strip())
            except FetchError as error:
                raise ToolFailed(_told(error, self._bounds)) from error
            except StoreError as error:  # the file is a temporary one: nothing else is lost by it
                raise ToolFailed("there is no space on the disk to read it") from error
        return self._shown(fetched.url, found, start)

    async def _fetched(self, url: str) -> tuple[Fetched, Found]:
        """Raises FetchError, StoreError and ToolFailed."""
        coming = self._folder.begin()
        try:
            fetched = await self._fetcher.fetch(url, coming.put, most=self._bounds.megabytes * 1_000_000)
            await asyncio.to_thread(coming.close)
            return fetched, await self._read(coming.path, fetched)
        finally:
            coming.drop()

    async def _read(self, path: Path, fetched: Fetched) -> Found:
        """Raises ToolFailed for what holds no text."""
        head = await asyncio.to_thread(_head, path)
        kind, said = type_of(head), fetched.type.partition(";")[0].strip().lower()
        if kind == "application/pdf":
            read = await self._reader.pdf(path)
        elif not head:
            return Found(text="")
        elif kind not in ("text/plain", "application/octet-stream"):
            raise ToolFailed(f"it is {kind}: only web pages, PDF and text can be read")
        elif said in HTML or (not said.startswith("text/") and _looks_like_html(head)):
            read = await self._reader.page(path, url=fetched.url, charset=charset_of(fetched.type))
        elif kind == "text/plain" or said.startswith("text/"):
            text = decoded(await asyncio.to_thread(path.read_bytes), said=charset_of(fetched.type))
            return Found(text=text.replace("\0", ""))
        else:
            raise ToolFailed(f"it is {said or kind}: only web pages, PDF and text can be read")
        if "error" in read:
            raise ToolFailed(f"it cannot be read: {UNREAD.get(str(read['error']), 'it is broken')}")
        return Found(
            text=str(read.get("text", "")),
            title=str(read.get("title", "")),
            cut=bool(read.get("cut")) or read.get("read", 0) < read.get("pages", 0),
        )

    def _shown(self, url: str, found: Found, start: int) -> str:
        whole, most = len(found.text), self._bounds.characters
        if whole and start >= whole:
            raise ToolFailed(f"the text has only {whole} characters")
        piece = found.text[start : start + most]
        head = [f"URL: {url}", *([f"Title: {found.title}"] if found.title else []), ""]
        shown = fenced("\n".join([*head, piece or "(no text: it may need a browser to be shown)"]))
        end = start + len(piece)
        if start or end < whole:
            shown += f"\nCharacters {start} to {end} of {whole}."
        if end < whole:
            shown += f" More with start={end}."
        elif found.cut:
            shown += "\nThere is more, which cannot be read."
        return shown


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _looks_like_html(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))


def _told(error: FetchError, bounds: FetchBounds) -> str:
    """In words that tell a model what to do next."""
    if error.kind == "refused":
        return f"not fetched: {error}. Do not try other spellings of it."
    if error.kind == "too_big":
        return f"it is larger than {bounds.megabytes} MB, which is the most that is fetched"
    if error.status is None:
        return f"the server could not be reached or did not answer properly ({error}); check the address"
    try:
        words = HTTPStatus(error.status).phrase
    except ValueError:
        words = "no reason given"
    if error.status < 300:
        return f"the answer could not be read: {error}"
    return f"the server answered {error.status} ({words})"
