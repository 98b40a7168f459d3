"""Speech to text, on the bill of whoever sent it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.billing import Biller, Booking
from gateway.errors import OPERATOR_FAULTS, ModelError, Refused
from gateway.media.kinds import SUFFIXES
from gateway.models.catalogue import Catalogue
from gateway.types.inbound import Attachment, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """Who writes down what is said in recordings. *language* as ISO 639-1; '': it finds out by itself."""

    provider: str
    model: str
    language: str = ""


class Transcription:
    """*speech* gives what is set at the moment; *on_fault* is told what the operator must mend: provider, error."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        biller: Biller,
        speech: Callable[[], Speech | None],
        on_fault: Callable[[str, ModelError], None],
    ) -> None:
        self._catalogue = catalogue
        self._biller = biller
        self._speech = speech
        self._on_fault = on_fault

    @property
    def on(self) -> bool:
        return self._speech() is not None

    async def __call__(
        self, row: Waiting, channel: str, path: Path, attachment: Attachment, type: str
    ) -> str:
        """What is said in a file that came with a message. Raises ModelError."""
        speech = self._speech()
        if speech is None:
            raise ModelError("nothing transcribes", kind="not_found", sent=False)
        try:
            hearing = self._catalogue.hearing(speech.provider, speech.model, speech.language)
        except Refused as error:
            raise ModelError(str(error), kind="not_found", sent=False) from error
        booking = Booking(
            purpose="transcription",
            channel=channel,
            conversation=row.conversation,
            identity=row.identity,
            session=row.session,
        )
        try:
            heard = await self._biller.transcribe(
                hearing,
                path,
                booking,
                name=f"{attachment.kind}{SUFFIXES.get(type, '')}",
                type=type,
                seconds=attachment.seconds,
            )
        except ModelError as error:
            if error.kind in OPERATOR_FAULTS and error.kind != "halted":
                self._on_fault(hearing.ref, error)
            raise
        return heard.text
