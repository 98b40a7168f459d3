"""What we ask of a model that hears."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.protocols.model import Asked
from gateway.types.usage import Tokens


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
