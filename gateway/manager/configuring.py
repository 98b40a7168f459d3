"""How the model answers in one session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import units
from gateway.asker import THOUGHT
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.manager.base import Base
from gateway.manager.choices import changed
from gateway.protocols.prompt import THINK
from gateway.protocols.tool import ToolSpec
from gateway.types.people import OPERATOR, Viewer
from gateway.types.sessions import Session
from gateway.views import SessionMeta

if TYPE_CHECKING:
    from storage import Unit

LONGEST = 100_000  # characters of a system prompt


class Configuring(Base):
    """From the next turn on."""

    async def configure(
        self,
        id: str,
        *,
        model: str | None = None,
        thinking: str | None = None,
        budget: int | None = None,
        system_prompt: str | None = None,
        auto_compact: bool | None = None,
        viewer: Viewer = OPERATOR,
    ) -> SessionMeta:
        """Only what is given changes; "default" and, for the system prompt, '' take it back.

        *model* as provider:model, one of those that may be chosen. *thinking*: off, low, medium, high. *budget*:
        tokens for thinking, taken as the least of these that has as many (2048, 10000, 16384). *system_prompt* is
        for admins. Raises Refused, and changes nothing then.
        """
        if system_prompt is not None:
            _admin(viewer)
            _bounded(system_prompt)
        level = _level(thinking, budget)
        ref = None if model in (None, "default") else self.core.catalogue.get(str(model)).ref
        if ref is not None and ref not in self.core.catalogue.allowed:
            raise Refused(key="model.unknown", name=ref)
        session = await self._store.read(units.session_named, id, viewer)
        if level not in (None, "default"):
            asked = self.core.catalogue.chain(ref if model is not None else session.model)[0]
            if not await asked.thinks():
                raise Refused(key="think.unsupported", model=f"`{asked.ref}`")

        async def work(unit: Unit) -> SessionMeta:
            session = await units.session_named(unit, id, viewer)
            if model is not None:
                await unit.sessions.set_model(session.id, ref)
            await unit.sessions.set_settings(session.id, _settings(session, level, auto_compact))
            if system_prompt is not None:
                await unit.sessions.set_system_prompt(session.id, system_prompt.strip() or None)
            return await units.shown(unit, session)

        return await self._store.commit(Point.SESSION, work)

    async def set_system_prompt(self, id: str, text: str | None, *, viewer: Viewer = OPERATOR) -> SessionMeta:
        """What the model is told of itself in this session; None: as configured. For admins."""
        return await self.configure(id, system_prompt=text or "", viewer=viewer)

    def list_tools(self) -> list[ToolSpec]:
        """What the agent may use: names, and what each does."""
        return list(self.core.toolbox.specs)


def _admin(viewer: Viewer) -> None:
    if not viewer.admin:
        raise Refused(key="rights.admin", name="system")


def _bounded(text: str) -> None:
    if len(text) > LONGEST:
        raise Refused(key="system.too_long", most=LONGEST)


def _level(thinking: str | None, budget: int | None) -> str | None:
    """A level, "default", or None for no change. Raises Refused for what is neither."""
    if thinking is not None and budget is not None:
        raise Refused(key="think.one")
    if thinking is not None and thinking not in (*THINK, "default"):
        raise Refused(key="think.unknown", levels=", ".join(THINK))
    if budget is None:
        return thinking
    if budget < 0 or budget > max(THOUGHT.values()):
        raise Refused(key="think.budget", most=max(THOUGHT.values()))
    return next(level for level in THINK if THOUGHT[level] >= budget)


def _settings(session: Session, level: str | None, auto_compact: bool | None) -> dict[str, object]:
    settings = dict(session.settings)
    if level is not None:
        settings = changed(settings, think=None if level == "default" else level)
    if auto_compact is not None:
        settings = changed(settings, compact="on" if auto_compact else "off")
    return settings
