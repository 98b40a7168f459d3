"""What every part of the public surface stands on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core import Core
from gateway.protocols.model import Model
from gateway.types.sessions import Session

if TYPE_CHECKING:
    from storage import Store


class Base:
    """*zone*: the IANA zone of reports and of times in chats.

    *exports*: the folder into which closed sessions are written, as it is configured now; None: they are not.
    """

    core: Core
    zone: str
    exports: Callable[[], Path | None]
    _store: Store

    def _model(self, session: Session) -> Model:
        return self.core.catalogue.chain(session.model)[0]

    @property
    def _language(self) -> str:
        """Of whoever's own is not known."""
        return self.core.dispatcher.habits.language
