"""Sessions closed with a few words on what they were about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import rewinding, transcript, units
from gateway.failpoints import Point
from gateway.manager.base import Base
from gateway.session_views import Closed
from gateway.sessions import title_of
from gateway.types import OPERATOR, Entry, Session, Viewer

if TYPE_CHECKING:
    from storage import Unit

LONGEST = 10_000  # characters of a summary that is given
QUOTE = 200  # characters of the last message, and of its answer


class Closing(Base):
    """The next message in the chat opens a new session; `resume` goes back to the closed one."""

    async def close_with_summary(
        self, id: str, summary: str | None = None, *, viewer: Viewer = OPERATOR
    ) -> Closed:
        """Close it; *summary* None: title and last exchange.

        One that is closed already stays as it is. Raises NotFound, and Refused while it answers.
        """
        now = self.core.clock()

        async def work(unit: Unit) -> Closed:
            session = await units.at_rest(unit, id, viewer)
            text = _given(summary) or _last(session, await unit.transcript.all(session.id))
            was_open = await unit.sessions.close(session.id, reason="command", now=now, summary=text)
            return Closed(session=await units.shown(unit, session), was_open=was_open)

        return await self._store.commit(Point.SESSION, work)


def _given(summary: str | None) -> str | None:
    return (summary or "").strip()[:LONGEST] or None


def _last(session: Session, entries: list[Entry]) -> str | None:
    """Title and last exchange of what stands, a line each; None: nothing was said."""
    said = [each for each in rewinding.standing(entries) if each.kind in ("user", "assistant")]
    asked = next((each.body.get("text", "") for each in reversed(said) if each.kind == "user"), "")
    answers = (transcript.visible(each.body) for each in reversed(said) if each.kind == "assistant")
    answered = next((text for text in answers if text.strip()), "")
    lines = [title_of(session.title or ""), title_of(str(asked), QUOTE), title_of(answered, QUOTE)]
    return "\n".join(dict.fromkeys(line for line in lines if line)) or None
