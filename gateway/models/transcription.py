"""Speech to text through an OpenAI-compatible server; asks exactly once per call."""

from __future__ import annotations

import asyncio
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import ModelError
from gateway.models.classify import model_error
from gateway.models.connection import Connection
from gateway.protocols.hearing import Transcript
from gateway.types.usage import Tokens

if TYPE_CHECKING:
    import httpx2

KINDS = ("openai",)  # of the providers that have it; OpenAI-compatible servers are of this kind
LONGEST_ANSWER = 4 * 2**20  # bytes; an hour of speech is some 60 kB


class Transcriber:
    """See gateway.protocols.hearing.Hearing. *language* as ISO 639-1 ("de"); '': the model finds out."""

    def __init__(self, *, connection: Connection, model: str, language: str = "") -> None:
        config = connection.config
        self.ref = f"{config.name}:{model}"
        self.provider = config.name
        self.kind = config.kind
        self.model = model
        self.base_url = config.url
        self._language = language
        self._connection = connection

    async def ready(self) -> None:
        await asyncio.to_thread(_import)

    async def transcribe(self, audio: Path | bytes, *, name: str, type: str) -> Transcript:
        """Raises ModelError."""
        data = audio if isinstance(audio, bytes) else await asyncio.to_thread(audio.read_bytes)
        self._connection.begin()
        try:
            async with asyncio.timeout(self._connection.silence):
                body = await self._asked(data, name, type)
        # The edge to the network: whatever is raised is told in our words, by kind.
        except Exception as error:
            secrets = (self._connection.config.api_key,)
            raise model_error(error, now=time.time(), secrets=secrets) from error
        finally:
            await self._connection.end()
        return heard(body)

    async def _asked(self, data: bytes, name: str, type: str) -> Any:
        """Audio API, createTranscription; JSON, or the text itself from servers that know nothing else."""
        key = self._connection.config.api_key
        fields = {
            "model": self.model,
            # Only Whisper tells how long it has listened, and only then.
            "response_format": "verbose_json" if "whisper" in self.model else "json",
            **({"language": self._language} if self._language else {}),
        }
        async with self._connection.http().stream(
            "POST",
            f"{self.base_url}/audio/transcriptions",
            data=fields,
            files={"file": (name, data, type)},
            headers={"authorization": f"Bearer {key}"} if key else {},
        ) as response:
            return _said(response, await _whole(response))


class Answered(Exception):
    """An error answer, with what the classification looks at."""

    def __init__(self, status: int, body: object, headers: dict[str, str]) -> None:
        super().__init__(f"HTTP {status}")
        self.status_code = status
        self.body = body
        self.headers = headers


def heard(body: Any) -> Transcript:
    """Audio API, the transcription object. Raises ModelError for what is none."""
    if isinstance(body, str):
        return Transcript(text=body.strip())
    match body:
        case {"text": str(text)}:
            usage = body.get("usage")
            language = body.get("language")
            return Transcript(
                text=text.strip(),
                seconds=_seconds(usage, body.get("duration")),
                language=language if isinstance(language, str) and language else None,
                tokens=_tokens(usage),
            )
        case _:
            raise ModelError("what came back is no transcription", kind="cut")


def _seconds(usage: Any, duration: Any) -> float | None:
    """What is billed, where that is told; else the recording's length."""
    match usage:
        case {"type": "duration", "seconds": int() | float() as seconds}:
            given: Any = seconds
        case _:
            given = duration
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _tokens(usage: Any) -> Tokens | None:
    match usage:
        case {"type": "tokens", "input_tokens": int(sent), "output_tokens": int(made)} if (
            min(sent, made) >= 0
        ):
            return Tokens(uncached=sent, output=made)
        case _:
            return None


async def _whole(response: httpx2.Response) -> bytes:
    found = bytearray()
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) > LONGEST_ANSWER:
            raise ModelError("the transcription is too long", kind="cut")
    return bytes(found)


def _said(response: httpx2.Response, data: bytes) -> Any:
    text = data.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    if response.status_code >= 300:
        raise Answered(response.status_code, body, dict(response.headers))
    plain = isinstance(body, str) and response.headers.get("content-type", "").startswith("text/plain")
    return body if plain or not isinstance(body, str) else None


def _import() -> None:
    import gateway.models.transport  # noqa: F401
